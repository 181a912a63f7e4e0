//! `dependent`: builds what another scheduler's builders have built well.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::model::BuildsetId;
use crate::model::Outcome;
use crate::model::SchedulerName;
use crate::model::SourceStamp;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Buildsets;
use super::Following;
use super::Now;
use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::Wanted;
use super::Wish;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "dependent",
    aliases: &["dependent_scheduler"],
    summary: "Builds the same source when all builds of another scheduler went well.",
    example: "upstream = quick",
    read: |keys| Some(Arc::new(Dependent::read(keys)?)),
};

#[derive(Clone, Debug, PartialEq)]
struct Dependent {
    upstream: SchedulerName,
}

impl Dependent {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let upstream = keys.required::<String>("upstream")?;
        if upstream.is_empty() {
            let problem = Problem::error(Code::UnknownScheduler, "`upstream` is empty");
            let problem = problem.at(&keys.place("upstream"));
            keys.note(problem.label("expected the name of a scheduler"));
            return None;
        }
        Some(Self {
            upstream: upstream.into(),
        })
    }
}

impl Settings for Dependent {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Waiter::new(self.upstream.clone()))
    }

    fn describe(&self) -> String {
        format!(
            "builds what all builds of `{}` went well with",
            self.upstream
        )
    }

    fn upstream(&self) -> Option<&SchedulerName> {
        Some(&self.upstream)
    }
}

/// Waits for the buildsets of another scheduler.
#[derive(Debug)]
struct Waiter {
    upstream: SchedulerName,
    /// Buildsets up to this one were looked at; none before the first look.
    since: Option<BuildsetId>,
    /// Buildsets of the upstream that are not built upon yet.
    waiting: Vec<BuildsetId>,
    /// Those of them that went well.
    ready: Vec<(BuildsetId, SourceStamp)>,
}

/// What is kept: `{"since": id, "waiting": [id, …]}`.
#[derive(Deserialize)]
struct Kept {
    since: BuildsetId,
    waiting: Vec<BuildsetId>,
}

impl Waiter {
    fn new(upstream: SchedulerName) -> Self {
        Self {
            upstream,
            since: None,
            waiting: Vec::new(),
            ready: Vec::new(),
        }
    }
}

impl Scheduler for Waiter {
    fn follows(&self) -> Option<Following> {
        Some(Following {
            upstream: self.upstream.clone(),
            since: self.since,
            waiting: self.waiting.clone(),
        })
    }

    fn on_buildsets(&mut self, seen: &Buildsets) {
        for buildset in &seen.of_upstream {
            if !self.waiting.contains(&buildset.id) {
                if self.since.is_none_or(|since| buildset.id <= since) {
                    continue;
                }
                self.waiting.push(buildset.id);
            }
            let is_known = self.ready.iter().any(|(id, _)| *id == buildset.id);
            match buildset.outcome {
                None => {}
                Some(Outcome::Success | Outcome::Warnings) if is_known => {}
                Some(Outcome::Success | Outcome::Warnings) => {
                    self.ready.push((buildset.id, buildset.stamp.clone()));
                }
                Some(Outcome::Failure | Outcome::Skipped | Outcome::Exception | Outcome::Retry) => {
                    self.waiting.retain(|it| *it != buildset.id);
                }
            }
        }
        // One that was pruned will never end.
        let is_there = |id: &BuildsetId| seen.of_upstream.iter().any(|it| it.id == *id);
        self.waiting.retain(is_there);
        self.since = self.since.max(Some(BuildsetId(seen.newest)));
    }

    fn due(&self, now: Now) -> Option<Instant> {
        (!self.ready.is_empty()).then_some(now.instant)
    }

    fn on_due(&mut self, _now: Now) -> Option<Wish> {
        if self.ready.is_empty() {
            return None;
        }
        let (id, stamp) = self.ready.remove(0);
        self.waiting.retain(|it| *it != id);
        Some(Wish {
            what: Wanted::Stamp(stamp),
            reason: "downstream".into(),
        })
    }

    fn state(&self) -> Value {
        match self.since {
            Some(since) => json!({ "since": since, "waiting": self.waiting }),
            None => json!({}),
        }
    }

    fn restore(&mut self, state: &Value, _now: Now) {
        if let Ok(kept) = Kept::deserialize(state) {
            self.since = Some(kept.since);
            self.waiting = kept.waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::BuildsetFact;
    use super::super::bench::now;
    use super::*;

    fn seen(newest: i64, all: &[(i64, Option<Outcome>)]) -> Buildsets {
        let fact = |(id, outcome): &(i64, Option<Outcome>)| BuildsetFact {
            id: BuildsetId(*id),
            stamp: SourceStamp {
                revision: Some(format!("r{id}")),
                ..SourceStamp::default()
            },
            outcome: *outcome,
        };
        Buildsets {
            newest,
            of_upstream: all.iter().map(fact).collect(),
        }
    }

    /// The revisions that are to be built now.
    fn built(waiter: &mut Waiter) -> Vec<String> {
        let mut all = Vec::new();
        while waiter.due(now(0)).is_some() {
            let wish = waiter.on_due(now(0)).expect("something is ready");
            assert_eq!(wish.reason, "downstream");
            match wish.what {
                Wanted::Stamp(stamp) => all.extend(stamp.revision),
                other => panic!("no stamp: {other:?}"),
            }
        }
        all
    }

    #[test]
    fn what_went_well_is_built_upon_once_and_what_failed_is_forgotten() {
        use Outcome::{Exception, Failure, Success, Warnings};
        let mut waiter = Waiter::new("quick".into());
        waiter.on_buildsets(&seen(3, &[(2, Some(Success))]));
        assert!(built(&mut waiter).is_empty(), "it was there before");

        waiter.on_buildsets(&seen(9, &[(4, None), (5, None), (6, None), (7, None)]));
        assert_eq!(waiter.state(), json!({"since": 9, "waiting": [4, 5, 6, 7]}));
        let ends = [
            (4, Some(Failure)),
            (5, Some(Success)),
            (6, Some(Exception)),
            (7, Some(Warnings)),
        ];
        waiter.on_buildsets(&seen(9, &ends));
        waiter.on_buildsets(&seen(9, &ends));
        assert_eq!(built(&mut waiter), ["r5", "r7"]);
        assert_eq!(waiter.state(), json!({"since": 9, "waiting": []}));
    }

    #[test]
    fn what_ended_while_it_was_down_is_built_upon_after_the_start() {
        let mut waiter = Waiter::new("quick".into());
        waiter.restore(&json!({"since": 4, "waiting": [3]}), now(0));
        let asked = waiter.follows().expect("a question");
        assert_eq!(
            (asked.since, asked.waiting),
            (Some(BuildsetId(4)), vec![BuildsetId(3)])
        );
        let ends = [(3, Some(Outcome::Success)), (5, Some(Outcome::Success))];
        waiter.on_buildsets(&seen(5, &ends));
        // Until it is asked for, a crash finds it waiting.
        assert_eq!(waiter.state(), json!({"since": 5, "waiting": [3, 5]}));
        assert_eq!(built(&mut waiter), ["r3", "r5"]);
    }

    #[test]
    fn a_state_of_another_kind_is_no_state() {
        let mut waiter = Waiter::new("quick".into());
        waiter.restore(&json!({"changes": [], "seen": 7}), now(0));
        assert_eq!(waiter.state(), json!({}));
    }
}
