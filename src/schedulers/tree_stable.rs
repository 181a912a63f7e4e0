//! Waits until nobody has changed the source for a while, then builds all
//! that came: the behaviour of the kinds that live on changes, and the part of
//! others that collects changes.

use std::mem;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::Now;
use super::Scheduler;
use super::Wanted;
use super::Wish;
use crate::model::Change;
use crate::model::ChangeId;

/// Builds when the tree has been stable for a while.
#[derive(Debug)]
pub(super) struct TreeStable {
    /// Zero: each important change is built alone and at once.
    stable_for: Duration,
    /// Each branch waits by itself; else all changes wait together.
    per_branch: bool,
    /// Those with changes.
    groups: Vec<Group>,
}

/// Changes that are built together.
#[derive(Debug)]
struct Group {
    /// Nothing if all changes wait together, whatever their branch.
    branch: Option<String>,
    waiting: Waiting,
    due: Option<Instant>,
}

/// Changes that are not built yet, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Vec<(ChangeId, bool)>);

impl Waiting {
    pub(super) fn add(&mut self, change: ChangeId, important: bool) {
        self.0.push((change, important));
    }

    pub(super) fn has_important(&self) -> bool {
        self.0.iter().any(|(_, important)| *important)
    }

    pub(super) fn take(&mut self) -> Vec<ChangeId> {
        let all = mem::take(&mut self.0);
        all.into_iter().map(|(change, _)| change).collect()
    }

    /// `[[id, important], …]`.
    pub(super) fn to_json(&self) -> Value {
        json!(self.0)
    }

    /// Nothing from what is of another form.
    pub(super) fn from_json(kept: &Value) -> Self {
        Self(Deserialize::deserialize(kept).unwrap_or_default())
    }
}

/// What is kept: `{"changes": [[id, important, branch], …]}`, the branch only
/// where each waits by itself.
#[derive(Deserialize)]
struct Kept {
    changes: Vec<KeptChange>,
    /// Nothing was waited for: these were on their way when they were kept.
    #[serde(default)]
    at_once: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KeptChange {
    OfBranch(ChangeId, bool, Option<String>),
    Plain(ChangeId, bool),
}

impl TreeStable {
    pub(super) fn new(stable_for: Duration, per_branch: bool) -> Self {
        Self {
            stable_for,
            per_branch,
            groups: Vec::new(),
        }
    }

    fn hear(&mut self, change: ChangeId, branch: Option<&str>, important: bool, now: Instant) {
        // There is nothing that an unimportant change could ride along with.
        if self.stable_for.is_zero() && !important {
            return;
        }
        let stable_for = self.stable_for;
        let group = self.group(branch.filter(|_| self.per_branch));
        if stable_for.is_zero() {
            group.due.get_or_insert(now);
        } else if important || group.due.is_some() {
            // Half of a pushed series must not build, so every change restarts
            // the wait; but an unimportant one does not begin it.
            // A time beyond all clocks never comes.
            group.due = now.checked_add(stable_for);
        }
        group.waiting.add(change, important);
    }

    fn group(&mut self, branch: Option<&str>) -> &mut Group {
        let found = self
            .groups
            .iter()
            .position(|it| it.branch.as_deref() == branch);
        let index = found.unwrap_or_else(|| {
            self.groups.push(Group {
                branch: branch.map(str::to_owned),
                waiting: Waiting::default(),
                due: None,
            });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }
}

impl Scheduler for TreeStable {
    fn on_change(&mut self, change: &Change, important: bool, now: Now) {
        self.hear(change.id, change.branch.as_deref(), important, now.instant);
    }

    fn due(&self, _now: Now) -> Option<Instant> {
        self.groups.iter().filter_map(|it| it.due).min()
    }

    fn on_due(&mut self, now: Now) -> Option<Wish> {
        let is_due = |it: &&mut Group| it.due.is_some_and(|due| due <= now.instant);
        let group = self
            .groups
            .iter_mut()
            .filter(is_due)
            .min_by_key(|it| it.due)?;
        let changes = if self.stable_for.is_zero() {
            let (first, _) = group.waiting.0.remove(0);
            vec![first]
        } else {
            group.waiting.take()
        };
        self.groups.retain(|it| !it.waiting.0.is_empty());
        Some(Wish {
            what: Wanted::Changes(changes),
            reason: "scheduler".into(),
        })
    }

    fn state(&self) -> Value {
        let mut changes = Vec::new();
        for group in &self.groups {
            for (change, important) in &group.waiting.0 {
                changes.push(match self.per_branch {
                    true => json!([change, important, group.branch]),
                    false => json!([change, important]),
                });
            }
        }
        if self.stable_for.is_zero() {
            json!({ "changes": changes, "at_once": true })
        } else {
            json!({ "changes": changes })
        }
    }

    /// What was waiting waits its full time again, which may be another than
    /// before; how long it has waited already is not kept. Who no longer waits
    /// at all forgets what it was waiting for.
    fn restore(&mut self, state: &Value, now: Now) {
        self.groups.clear();
        let Ok(kept) = Kept::deserialize(state) else {
            return;
        };
        if self.stable_for.is_zero() && !kept.at_once {
            return;
        }
        for change in kept.changes {
            match change {
                KeptChange::OfBranch(id, important, branch) => {
                    self.hear(id, branch.as_deref(), important, now.instant);
                }
                KeptChange::Plain(id, important) => self.hear(id, None, important, now.instant),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::change;
    use super::super::bench::now;
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn ids(wish: Option<Wish>) -> Vec<i64> {
        match wish.map(|it| it.what) {
            Some(Wanted::Changes(ids)) => ids.into_iter().map(|it| it.0).collect(),
            None => Vec::new(),
            other => panic!("no changes: {other:?}"),
        }
    }

    fn on(branch: &str, id: i64) -> Change {
        Change {
            branch: Some(branch.into()),
            ..change(id)
        }
    }

    /// Shows changes as (second, change, important) and gives the builds as (second, ids).
    fn play(mut scheduler: TreeStable, changes: &[(u64, Change, bool)]) -> Vec<(u64, Vec<i64>)> {
        let start = now(0);
        let mut builds = Vec::new();
        let mut build_until = |scheduler: &mut TreeStable, until: Option<Instant>| {
            while let Some(due) = scheduler.due(start)
                && until.is_none_or(|it| due < it)
            {
                let then = Now {
                    instant: due,
                    ..start
                };
                builds.push(((due - start.instant).as_secs(), ids(scheduler.on_due(then))));
            }
        };
        for (at, change, important) in changes {
            let then = Now {
                instant: start.instant + secs(*at),
                ..start
            };
            build_until(&mut scheduler, Some(then.instant));
            scheduler.on_change(change, *important, then);
        }
        build_until(&mut scheduler, None);
        builds
    }

    fn check(stable_for: u64, changes: &[(u64, i64, bool)], expected: &[(u64, &[i64])]) {
        let changes: Vec<_> = changes
            .iter()
            .map(|(at, id, important)| (*at, change(*id), *important))
            .collect();
        let builds = play(TreeStable::new(secs(stable_for), false), &changes);
        let expected: Vec<(u64, Vec<i64>)> = expected
            .iter()
            .map(|(at, ids)| (*at, ids.to_vec()))
            .collect();
        assert_eq!(builds, expected);
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
    fn every_branch_waits_by_itself_and_loses_nothing_to_another() {
        let changes = [
            (0, on("a", 1), true),
            (1, on("b", 2), true),
            (2, on("a", 3), true),
            (3, change(4), true),
            (4, on("b", 5), false),
        ];
        let builds = play(TreeStable::new(secs(10), true), &changes);
        assert_eq!(builds, [(12, vec![1, 3]), (13, vec![4]), (14, vec![2, 5])]);
        let together = play(TreeStable::new(secs(10), false), &changes);
        assert_eq!(together, [(14, vec![1, 2, 3, 4, 5])]);
        let at_once = play(TreeStable::new(secs(0), true), &changes);
        let expected = [(0, vec![1]), (1, vec![2]), (2, vec![3]), (3, vec![4])];
        assert_eq!(at_once, expected);
    }

    #[test]
    fn nothing_is_given_up_before_it_is_due() {
        let mut scheduler = TreeStable::new(secs(9), false);
        let start = now(0);
        let at = |second| Now {
            instant: start.instant + secs(second),
            ..start
        };
        scheduler.on_change(&change(1), true, start);
        assert_eq!(scheduler.on_due(at(8)), None);
        assert_eq!(ids(scheduler.on_due(at(9))), [1]);
        assert_eq!(scheduler.on_due(at(9)), None);
    }

    fn restored(mut scheduler: TreeStable, state: &Value) -> (Option<Duration>, Value) {
        let start = now(0);
        scheduler.on_change(&change(99), true, start);
        scheduler.restore(state, start);
        let due = scheduler.due(start).map(|due| due - start.instant);
        (due, scheduler.state())
    }

    #[test]
    fn a_restart_waits_the_full_time_again() {
        let plain = |secs: u64| TreeStable::new(Duration::from_secs(secs), false);
        let state = json!({"changes": [[1, false], [2, true], [3, false]]});
        assert_eq!(restored(plain(9), &state), (Some(secs(9)), state.clone()));
        assert_eq!(restored(plain(30), &state), (Some(secs(30)), state));

        let unimportant = json!({"changes": [[1, false]]});
        assert_eq!(restored(plain(9), &unimportant), (None, unimportant));

        let branches = json!({"changes": [[1, true, "a"], [3, false, "a"], [2, false, null]]});
        let any = TreeStable::new(secs(9), true);
        assert_eq!(restored(any, &branches), (Some(secs(9)), branches));
    }

    #[test]
    fn a_restart_without_a_wait_builds_what_was_on_its_way() {
        let at_once = || TreeStable::new(secs(0), false);
        let state = json!({"changes": [[2, true]], "at_once": true});
        assert_eq!(restored(at_once(), &state), (Some(secs(0)), state));

        let waited = json!({"changes": [[1, false], [2, true]]});
        let nothing = json!({"changes": [], "at_once": true});
        assert_eq!(restored(at_once(), &waited), (None, nothing));
    }

    #[test]
    fn a_state_of_another_kind_is_no_state() {
        let nothing = json!({"changes": []});
        for state in [
            Value::Null,
            json!({"last": 7}),
            json!({"changes": ["x"]}),
            json!({"changes": [[1, true, 7]]}),
        ] {
            let scheduler = TreeStable::new(secs(9), false);
            assert_eq!(restored(scheduler, &state), (None, nothing.clone()));
        }
    }
}
