//! The locks of a build on its way: those of its builder and of its slave it has from the
//! beginning; it waits for those of a step when that has begun, and gives them back when the step
//! is over and that is written down.

use tokio::sync::mpsc;
use tracing::info;

use crate::clock;
use crate::locks::LockUses;
use crate::master::build::Build;
use crate::master::core::Core;
use crate::master::holding::{Held, Turn};
use crate::model::HeldLocks;
use crate::model::LockUse;
use crate::model::Outcome;
use crate::steps::{Run, Verdict};
use crate::store::CommandHistory;

/// What is shown meanwhile.
const WAITING: &str = "waiting for locks";

/// What a build holds. Dropping it gives back what is a step's; the rest the core has.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// Its builder's, as they are written down.
    pub(super) build: Vec<LockUse>,
    step: Option<Held>,
}

/// How waiting ended.
enum Waited {
    Have(Held),
    /// Somebody asked the build to stop.
    Stopped(String),
    Never(String),
}

impl Build {
    /// Holds again for a step what it held in an earlier run of the master.
    pub(super) fn take_back_locks(&mut self, core: &mut Core, locks: &HeldLocks) {
        self.holds.build.clone_from(&locks.build);
        let held = core.retake_locks(self.ticket, &locks.step);
        self.holds.step = held.map(|it| Held::new(it, self.crew.returns.clone()));
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
        let line = self
            .crew
            .ask_locks(self.ticket, locks.as_slice().to_vec())
            .await;
        let waited = self.wait(line, index).await;
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
                    text,
                    build_text: vec!["interrupted".into()],
                    logs: vec![(
                        "interrupt while waiting for locks".into(),
                        format!("{reason}\n"),
                    )],
                    ..Verdict::of(Outcome::Exception)
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

    /// Waits for the turn of a step, which says so meanwhile.
    async fn wait(&mut self, mut line: mpsc::Receiver<Turn>, step: usize) -> Waited {
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
                    return Waited::Stopped(reason);
                }
            };
            match turn {
                Some(Turn::Have(held)) => return Waited::Have(held),
                Some(Turn::Never(why)) => return Waited::Never(why),
                // The core ends with the master only.
                None => std::future::pending().await,
                Some(Turn::Wait) => {
                    info!(build = %self.key, "waiting for locks");
                    self.records[step].text = vec![WAITING.to_owned()];
                    self.put_step(step);
                    self.flush().await;
                }
            }
        }
    }

    fn put_locks(&mut self) {
        let of_step = self.holds.step.as_ref().map(|it| it.uses().to_vec());
        let locks = HeldLocks {
            build: self.holds.build.clone(),
            step: of_step.unwrap_or_default(),
        };
        let build = self.id;
        self.due(move |verbs| verbs.set_locks(build, &locks));
    }
}
