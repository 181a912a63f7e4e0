//! Waits until nobody has changed the source for a while, then builds all
//! that came. Buildbot's name for it is `SingleBranchScheduler`.

use std::mem;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::Scheduler;
use crate::model::Change;
use crate::model::ChangeId;

/// Builds when the tree has been stable for a while.
#[derive(Debug)]
pub(crate) struct TreeStable {
    /// Zero: each important change is built alone and at once.
    stable_for: Duration,
    waiting: Vec<Waiting>,
    due: Option<Instant>,
}

/// A change that is not built yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    change: ChangeId,
    important: bool,
}

/// What is kept: `{"changes": [[id, important], …]}`.
#[derive(Deserialize)]
struct Kept {
    changes: Vec<(ChangeId, bool)>,
}

impl TreeStable {
    pub(crate) fn new(stable_for: Duration) -> Self {
        Self {
            stable_for,
            waiting: Vec::new(),
            due: None,
        }
    }

    fn hear(&mut self, change: ChangeId, important: bool, now: Instant) {
        if self.stable_for.is_zero() {
            // There is nothing that an unimportant change could ride along with.
            if !important {
                return;
            }
            self.due.get_or_insert(now);
        } else if important || self.due.is_some() {
            // Half of a pushed series must not build, so every change restarts
            // the wait; but an unimportant one does not begin it.
            // A time beyond all clocks never comes.
            self.due = now.checked_add(self.stable_for);
        }
        self.waiting.push(Waiting { change, important });
    }
}

impl Scheduler for TreeStable {
    fn on_change(&mut self, change: &Change, important: bool, now: Instant) {
        self.hear(change.id, important, now);
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn on_due(&mut self, now: Instant) -> Vec<ChangeId> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let ready = if self.stable_for.is_zero() {
            self.waiting.drain(..1).collect()
        } else {
            mem::take(&mut self.waiting)
        };
        if self.waiting.is_empty() {
            self.due = None;
        }
        ready.into_iter().map(|it| it.change).collect()
    }

    fn state(&self) -> Value {
        let waiting = self.waiting.iter();
        let changes: Vec<_> = waiting.map(|it| json!([it.change, it.important])).collect();
        json!({ "changes": changes })
    }

    /// What was waiting waits its full time again, which may be another than
    /// before; how long it has waited already is not kept.
    fn restore(&mut self, state: &Value, now: Instant) {
        self.waiting.clear();
        self.due = None;
        let Ok(kept) = Kept::deserialize(state) else {
            return;
        };
        for (change, important) in kept.changes {
            self.hear(change, important, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::change;
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Shows changes as (second, id, important) and gives the builds as (second, ids).
    fn check(stable_for: u64, changes: &[(u64, i64, bool)], expected: &[(u64, &[i64])]) {
        let start = start();
        let mut scheduler = TreeStable::new(secs(stable_for));
        let mut builds = Vec::new();
        let mut build_until = |scheduler: &mut TreeStable, until: Option<Instant>| {
            while let Some(due) = scheduler.due()
                && until.is_none_or(|it| due < it)
            {
                let ids = scheduler.on_due(due).into_iter().map(|it| it.0).collect();
                builds.push(((due - start).as_secs(), ids));
            }
        };
        for &(at, id, important) in changes {
            let now = start + secs(at);
            build_until(&mut scheduler, Some(now));
            scheduler.on_change(&change(id), important, now);
        }
        build_until(&mut scheduler, None);
        let expected: Vec<(u64, Vec<i64>)> = expected
            .iter()
            .map(|(at, ids)| (*at, ids.to_vec()))
            .collect();
        assert_eq!(builds, expected);
    }

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::from_std(std::time::Instant::now())
    }

    #[test]
    fn every_change_restarts_the_wait() {
        check(60, &[(0, 1, true), (59, 2, true)], &[(119, &[1, 2])]);
        check(
            9,
            &[(0, 1, true), (6, 2, false), (12, 3, true)],
            &[(21, &[1, 2, 3])],
        );
        check(9, &[(0, 1, true), (10, 2, true)], &[(9, &[1]), (19, &[2])]);
    }

    #[test]
    fn an_unimportant_change_rides_along_and_builds_nothing_alone() {
        check(9, &[(0, 1, false)], &[]);
        check(9, &[(0, 1, false), (30, 2, true)], &[(39, &[1, 2])]);
        check(
            9,
            &[(0, 1, true), (20, 2, false), (40, 3, true)],
            &[(9, &[1]), (49, &[2, 3])],
        );
    }

    #[test]
    fn a_wait_without_end_ends_nothing() {
        check(u64::MAX, &[(0, 1, true), (5, 2, true)], &[]);
    }

    #[test]
    fn without_a_wait_each_important_change_builds_alone_and_at_once() {
        let changes = [(5, 1, true), (5, 2, false), (5, 3, true), (8, 4, true)];
        check(0, &changes, &[(5, &[1]), (5, &[3]), (8, &[4])]);
    }

    #[test]
    fn nothing_is_given_up_before_it_is_due() {
        let start = start();
        let mut scheduler = TreeStable::new(secs(9));
        scheduler.on_change(&change(1), true, start);
        assert_eq!(scheduler.on_due(start + secs(8)), []);
        assert_eq!(scheduler.on_due(start + secs(9)), [ChangeId(1)]);
        assert_eq!(scheduler.on_due(start + secs(9)), []);
    }

    fn restored(stable_for: u64, state: &Value) -> (Option<Duration>, Value) {
        let start = start();
        let mut scheduler = TreeStable::new(secs(stable_for));
        scheduler.on_change(&change(99), true, start);
        scheduler.restore(state, start);
        (scheduler.due().map(|due| due - start), scheduler.state())
    }

    #[test]
    fn a_restart_waits_the_full_time_again() {
        let state = json!({"changes": [[1, false], [2, true], [3, false]]});
        assert_eq!(restored(9, &state), (Some(secs(9)), state.clone()));
        assert_eq!(restored(30, &state), (Some(secs(30)), state));

        let unimportant = json!({"changes": [[1, false]]});
        assert_eq!(restored(9, &unimportant), (None, unimportant));
    }

    #[test]
    fn a_restart_without_a_wait_builds_what_was_important() {
        let state = json!({"changes": [[1, false], [2, true]]});
        let left = json!({"changes": [[2, true]]});
        assert_eq!(restored(0, &state), (Some(secs(0)), left));
    }

    #[test]
    fn a_state_of_another_kind_is_no_state() {
        let nothing = json!({"changes": []});
        for state in [
            Value::Null,
            json!({"last_build": 7}),
            json!({"changes": ["x"]}),
        ] {
            assert_eq!(restored(9, &state), (None, nothing.clone()));
        }
    }
}
