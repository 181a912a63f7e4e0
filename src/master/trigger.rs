//! What a `trigger` step asks for: buildsets of triggerable schedulers, made
//! once however often the master is restarted, and the wait for their ends.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{self, Instant};
use tracing::warn;

use crate::config::SchedulerPlan;
use crate::logs::append::LogFile;
use crate::logs::disk;
use crate::master::build::Build;
use crate::master::command::stopped;
use crate::master::core::Event;
use crate::master::intake::{Asker, take_in};
use crate::master::ports::properties_of;
use crate::master::troubles::{Patience, Place};
use crate::model::BuildsetId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::NewBuildset;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::steps::{TriggerEnd, TriggerOrder};
use crate::store::Result;

/// What was triggered is looked at this often even when nobody tells of any news.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// A scheduler's buildset and, if it is complete, how it ended.
type Fate = (SchedulerName, BuildsetId, Option<Outcome>);

impl Build {
    /// Triggers what the step of this number asks for and waits, if it wants to.
    pub(super) async fn trigger(
        &mut self,
        order: &TriggerOrder,
        step: u32,
        log: &mut LogFile,
    ) -> Exit {
        let begun = Instant::now();
        // Nothing of it runs at the slave.
        self.set_open(None);
        let (wanted, unknown) = self.look_up(&order.schedulers);
        if !unknown.is_empty() && !matches!(self.fates(step).await.as_deref(), Ok([_, ..])) {
            let names: Vec<_> = unknown.iter().map(|it| format!("`{it}`")).collect();
            let names = names.join(", ");
            self.say(
                log,
                &format!("not triggerable: {names}; nothing is triggered\n"),
            )
            .await;
            let unknown = unknown.iter().map(ToString::to_string).collect();
            return TriggerEnd::NoScheduler(unknown).exit(begun.elapsed());
        }
        let made = self.make(order, &wanted, step).await;
        if !made.is_empty() {
            self.say(log, &made).await;
        }
        if !order.wait {
            return TriggerEnd::Done.exit(begun.elapsed());
        }
        let mut stop = (!self.stopped).then(|| self.stop.clone());
        let end = tokio::select! {
            biased;
            () = stopped(&mut stop) => None,
            end = self.wait_for(step, &wanted, log) => Some(end),
        };
        match end {
            Some(end) => end.exit(begun.elapsed()),
            None => Exit {
                cause: ExitCause::Interrupted,
                ..TriggerEnd::Broken.exit(begun.elapsed())
            },
        }
    }

    /// The triggerable schedulers of these names, and the names of none.
    fn look_up(&self, names: &[SchedulerName]) -> (Vec<Arc<SchedulerPlan>>, Vec<SchedulerName>) {
        let plan = self.crew.plan();
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            let scheduler = plan
                .schedulers
                .iter()
                .find(|it| it.name == *name && it.settings.is_triggerable());
            match scheduler {
                Some(it) => found.push(Arc::clone(it)),
                None => unknown.push(name.clone()),
            }
        }
        (found, unknown)
    }

    /// Makes the buildsets, with all that is due, unless an earlier run of the master did.
    /// Says what was made, a line each.
    async fn make(
        &mut self,
        order: &TriggerOrder,
        schedulers: &[Arc<SchedulerPlan>],
        step: u32,
    ) -> String {
        let wanted = schedulers.iter().map(|it| {
            let buildset = NewBuildset {
                reason: format!("Triggerable({})", it.name),
                stamp: order.stamp.clone(),
                properties: passed_on(it, &order.properties),
                priority: it.queue.priority,
                builders: it.builders.clone(),
            };
            (it.name.clone(), it.queue.clone(), buildset)
        });
        let wanted: Vec<_> = wanted.collect();
        let made = Arc::new(Mutex::new(Vec::new()));
        let (build, tell, plan) = (self.id, Arc::clone(&made), self.crew.plan());
        self.due(move |verbs| {
            let mut all = Vec::new();
            if verbs.triggered(build, step)?.is_empty() {
                for (name, rules, buildset) in &wanted {
                    let intake = take_in(verbs, &plan, buildset, Asker::Scheduler(rules))?;
                    // A scheduler is never refused.
                    let intake = intake.unwrap_or_default();
                    if let Some(id) = intake.buildset {
                        verbs.put_triggered(build, step, name, id)?;
                        all.push((name.clone(), id, intake));
                    }
                }
            }
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = all;
            Ok(())
        });
        self.flush().await;
        let made = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
        let mut text = String::new();
        for (name, id, intake) in made {
            let builders: Vec<_> = intake
                .requests
                .iter()
                .map(|it| it.builder.as_str())
                .collect();
            let builders = builders.join(", ");
            // Writing to a string does not fail.
            let _ = writeln!(text, "triggered `{name}`: buildset {id} for {builders}");
            self.crew.taken_in(intake).await;
        }
        text
    }

    /// Waits until all that the step triggered has ended, or one of its schedulers is no
    /// longer what it was.
    async fn wait_for(
        &self,
        step: u32,
        schedulers: &[Arc<SchedulerPlan>],
        log: &mut LogFile,
    ) -> TriggerEnd {
        let mut news = self.crew.buildsets.subscribe();
        let mut is_told = false;
        loop {
            // Before reading: what is told from here on is read next time.
            news.mark_unchanged();
            match self.fates(step).await {
                Ok(fates) => {
                    if let Some((end, text)) = ended(&fates) {
                        self.say(log, &text).await;
                        return end;
                    }
                    if !is_told {
                        let (ticket, all) = (self.ticket, fates.iter());
                        let buildsets = all.map(|(_, id, _)| *id).collect();
                        let awaits = Event::BuildAwaits { ticket, buildsets };
                        self.crew.tell_core(awaits).await;
                        is_told = true;
                    }
                }
                Err(error) => {
                    warn!(build = %self.key, reason = %error, "failed to look at what was triggered");
                }
            }
            let now = self.crew.plan();
            let is_gone = |it: &&Arc<SchedulerPlan>| !now.schedulers.contains(it);
            if let Some(gone) = schedulers.iter().find(is_gone) {
                let name = &gone.name;
                self.say(
                    log,
                    &format!("`{name}` was changed by a new configuration; its builds go on\n"),
                )
                .await;
                return TriggerEnd::Broken;
            }
            tokio::select! {
                // The sender is the crew's, which is ours too.
                _ = news.changed() => {}
                () = time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Writes lines about the step itself to its log.
    async fn say(&self, log: &mut LogFile, text: &str) {
        let mut patience = Patience::new(&self.crew, &self.key);
        while let Err(error) = log.add_header(text) {
            if !disk::may_pass(&error) {
                warn!(reason = %error, "failed to write to the log of a trigger step");
                return;
            }
            patience.pause(Place::Logs, error).await;
        }
    }

    /// What the step triggered, and what became of it.
    async fn fates(&self, step: u32) -> Result<Vec<Fate>> {
        let build = self.id;
        let read = self.crew.store.read(move |verbs| {
            let mut fates = Vec::new();
            for (name, id) in verbs.triggered(build, step)? {
                let outcome = verbs.buildset(id)?.and_then(|it| it.outcome);
                fates.push((name, id, outcome));
            }
            Ok(fates)
        });
        read.await
    }
}

/// The properties of what a scheduler makes for a step: what the step passes on wins over what the
/// scheduler says, but for who that is.
fn passed_on(scheduler: &SchedulerPlan, passed: &Properties) -> Properties {
    let mut properties = scheduler.properties.clone();
    properties.overlay(passed);
    properties_of(&scheduler.name, properties)
}

/// How it all ended, if it has, and what the log says of it.
fn ended(fates: &[Fate]) -> Option<(TriggerEnd, String)> {
    let mut text = String::new();
    let mut end = TriggerEnd::Done;
    for (name, id, outcome) in fates {
        let outcome = (*outcome)?;
        let _ = writeln!(text, "buildset {id} of `{name}`: {outcome}");
        if !matches!(outcome, Outcome::Success | Outcome::Warnings) {
            end = TriggerEnd::Failed;
        }
    }
    Some((end, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    #[test]
    fn what_a_step_passes_on_wins_over_the_scheduler_but_for_its_name() {
        let plan = plan_of(
            "[slave:s]\npassword = x\nfactories = f\n[f]\ntype = shell\ncommands = true\n\
             [scheduler:later]\ntype = triggerable\nbuilders = f-s\n\
             property.kind = usual\nproperty.of = the scheduler\n",
        );
        let mut passed = Properties::new();
        passed.set("kind", "thorough", "Trigger");
        passed.set("scheduler", "somebody else", "Trigger");
        let all = passed_on(&plan.schedulers[0], &passed);
        let shown = all
            .iter()
            .map(|(name, it)| format!("{name}={} ({})", it.value, it.source));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "kind=\"thorough\" (Trigger)",
                "of=\"the scheduler\" (Scheduler)",
                "scheduler=\"later\" (Scheduler)",
            ]
        );
    }
}
