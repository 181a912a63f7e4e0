//! The locks of a build on its way: it waits for those of its builder before
//! the first step, for those of a step when that has begun, and gives each
//! back when what they are for is over and written down.

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::clock;
use crate::locks::LockUses;
use crate::master::build::Build;
use crate::master::core::Core;
use crate::master::holding::{Held, LockDesk, Turn, line};
use crate::model::HeldLocks;
use crate::model::Outcome;
use crate::steps::{Run, Verdict};
use crate::store::{CommandHistory, UnfinishedBuild};

/// What is shown meanwhile.
const WAITING: &str = "waiting for locks";

/// What a build holds. Dropping it gives everything back.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    build: Option<Held>,
    step: Option<Held>,
    /// Where it stood in line before a restart of the master.
    line: Option<mpsc::Receiver<Turn>>,
}

/// How waiting ended.
enum Waited {
    Have(Held),
    /// Somebody asked the build to stop.
    Stopped(String),
    Never(String),
}

impl Build {
    /// Holds again what it held in an earlier run of the master.
    pub(super) fn take_back_locks(&mut self, core: &mut Core, locks: &HeldLocks) {
        let mut retake = |uses| {
            let held = core.retake_locks(self.ticket, uses)?;
            Some(Held::new(held, self.crew.returns.clone()))
        };
        self.holds.build = retake(&locks.build);
        self.holds.step = retake(&locks.step);
    }

    /// Stands in line for the builder's locks if it did so in an earlier run.
    pub(super) fn stand_in_line_again(
        &mut self,
        core: &mut Core,
        desk: &mut LockDesk,
        was: &UnfinishedBuild,
    ) {
        let is_before_steps = was.steps.iter().all(|it| it.started.is_none());
        let is_waiting = is_before_steps && self.holds.build.is_none();
        if is_waiting && !self.builder.locks.is_empty() && was.stop_reason.is_none() {
            let (tell, hear) = line();
            desk.ask(core, self.ticket, self.builder.locks.as_slice(), tell);
            self.holds.line = Some(hear);
        }
    }

    /// Waits for the builder's locks, before the first step.
    pub(super) async fn hold_builder_locks(&mut self) {
        let locks = self.builder.locks.clone();
        let has_begun = self.records.iter().any(|it| it.started.is_some());
        if locks.is_empty() || has_begun || self.holds.build.is_some() || self.stopped {
            return;
        }
        let line = self.line(&locks).await;
        match self.wait(line, Some(0)).await {
            Waited::Have(held) => {
                self.holds.build = Some(held);
                self.put_locks();
            }
            // The steps that always run do so without the locks.
            Waited::Stopped(_) => self.take_in_stop(),
            Waited::Never(why) => {
                warn!(build = %self.key, why, "the locks of the builder cannot be had");
                self.properties.set_runtime("exception", why, "Build");
                self.course.stop();
            }
        }
    }

    /// Waits for the locks of a step that has begun; the verdict says why it is over without
    /// them. A step that has had them already (its commands say so) has them again.
    pub(super) async fn hold_step_locks(
        &mut self,
        index: usize,
        locks: &LockUses,
        run: &mut dyn Run,
        earlier: &CommandHistory,
    ) -> Result<(), Verdict> {
        if locks.is_empty() || self.holds.step.is_some() || !earlier.is_empty() {
            return Ok(());
        }
        let line = self.line(locks).await;
        let waited = self.wait(line, Some(index)).await;
        match waited {
            Waited::Have(held) => {
                self.holds.step = Some(held);
                self.put_locks();
                let text = self.with_cx(index, |cx| run.running_text(cx));
                self.records[index].text = text;
                self.records[index].progress.began = Some(clock::now());
                self.put_step(index);
                Ok(())
            }
            Waited::Stopped(reason) => {
                self.take_in_stop();
                let mut text = self.with_cx(index, |cx| run.done_text(cx));
                text.push("interrupted".into());
                Err(Verdict {
                    outcome: Outcome::Exception,
                    text,
                    build_text: vec!["interrupted".into()],
                    statistics: vec![],
                    urls: vec![],
                    logs: vec![(
                        "interrupt while waiting for locks".into(),
                        format!("{reason}\n"),
                    )],
                })
            }
            Waited::Never(why) => Err(self.broken(index, &why)),
        }
    }

    /// Gives the locks of a step back that has ended, when that is written down.
    pub(super) async fn release_step_locks(&mut self) {
        if let Some(held) = self.holds.step.take() {
            self.put_locks();
            self.flush().await;
            drop(held);
        }
    }

    async fn line(&mut self, locks: &LockUses) -> mpsc::Receiver<Turn> {
        match self.holds.line.take() {
            Some(line) => line,
            None => {
                let uses = locks.as_slice().to_vec();
                self.crew.ask_locks(self.ticket, uses).await
            }
        }
    }

    /// Waits for its turn; the step `shows` says so meanwhile.
    async fn wait(&mut self, mut line: mpsc::Receiver<Turn>, shows: Option<usize>) -> Waited {
        // What always runs is not stopped again.
        let mut stop = (!self.stopped).then(|| self.stop.clone());
        loop {
            let stopped = async {
                if let Some(stop) = &mut stop
                    && stop.wait_for(Option::is_some).await.is_ok()
                {
                    return;
                }
                std::future::pending().await
            };
            let turn = tokio::select! {
                biased;
                turn = line.recv() => turn,
                () = stopped => {
                    drop(line);
                    let reason = self.stop.borrow().clone().unwrap_or_default();
                    self.crew.left_line().await;
                    self.show(shows, Vec::new());
                    return Waited::Stopped(reason);
                }
            };
            match turn {
                Some(Turn::Have(held)) => {
                    self.show(shows, Vec::new());
                    return Waited::Have(held);
                }
                Some(Turn::Never(why)) => return Waited::Never(why),
                // The core ends with the master only.
                None => std::future::pending().await,
                Some(Turn::Wait) => {
                    info!(build = %self.key, "waiting for locks");
                    self.show(shows, vec![WAITING.to_owned()]);
                    self.flush().await;
                }
            }
        }
    }

    /// Says in a step's text that its build waits, or no longer does.
    fn show(&mut self, step: Option<usize>, text: Vec<String>) {
        let Some(record) = step.and_then(|it| self.records.get_mut(it)) else {
            return;
        };
        let shows_waiting = record.text.iter().any(|it| it == WAITING);
        if text.is_empty() && !shows_waiting {
            return;
        }
        record.text = text;
        self.put_step(step.unwrap_or_default());
    }

    fn put_locks(&mut self) {
        let uses = |held: &Option<Held>| held.as_ref().map_or(Vec::new(), |it| it.uses().to_vec());
        let locks = HeldLocks {
            build: uses(&self.holds.build),
            step: uses(&self.holds.step),
        };
        let build = self.id;
        self.due(move |verbs| verbs.set_locks(build, &locks));
    }
}
