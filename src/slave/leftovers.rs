//! Which directories builders had here, and which of them may go. The record
//! knows only what masters have listed, so nothing else is ever named. It
//! decides, with time that is lent, and touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::wire::is_builder_dir;

/// A use is written down when it is so much later than the one before, in milliseconds.
const WORTH_WRITING: i64 = 60 * 1000;

/// Every directory that a master has listed and that is still here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Leftovers {
    dirs: BTreeMap<String, Kept>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Who listed it last; no other master says that it is gone.
    master: String,
    /// Since when it lists it no longer, by its own clock.
    gone_since: Option<i64>,
}

impl Leftovers {
    /// Takes in what a master lists. Gives those that it has listed until now and does no longer.
    pub(super) fn list(
        &mut self,
        master: &str,
        listed: &BTreeSet<String>,
        now: Timestamp,
    ) -> Vec<String> {
        for dir in listed.iter().filter(|it| is_builder_dir(it)) {
            let kept = Kept {
                master: master.to_owned(),
                gone_since: None,
            };
            self.dirs.insert(dir.clone(), kept);
        }
        let mut gone = Vec::new();
        for (dir, kept) in &mut self.dirs {
            if kept.master != master || listed.contains(dir) {
                continue;
            }
            match &mut kept.gone_since {
                // A clock that was set back: it waits anew rather than too short.
                Some(since) => *since = (*since).min(now.0),
                None => {
                    kept.gone_since = Some(now.0);
                    gone.push(dir.clone());
                }
            }
        }
        gone
    }

    /// What this master has listed no longer for so long. A directory that has another one in
    /// it, or is in one, goes only with that.
    pub(super) fn due(&self, master: &str, after: Duration, now: Timestamp) -> Vec<String> {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let is_over = |kept: &Kept| {
            let since = kept.gone_since.filter(|_| kept.master == master);
            since.is_some_and(|it| now.0.saturating_sub(it) >= after)
        };
        let over = self.dirs.iter().filter(|(_, kept)| is_over(kept));
        let goes = over.filter(|(dir, _)| {
            let mut others = self.dirs.iter().filter(|(other, _)| touches(dir, other));
            others.all(|(_, kept)| is_over(kept))
        });
        goes.map(|(dir, _)| dir.clone()).collect()
    }

    /// Something runs in a directory: it waits anew. `true` if that is worth writing down.
    pub(super) fn used(&mut self, dir: &str, now: Timestamp) -> bool {
        let kept = self.dirs.get_mut(dir);
        let Some(since) = kept.and_then(|it| it.gone_since.as_mut()) else {
            return false;
        };
        let is_news = now.0.saturating_sub(*since) >= WORTH_WRITING;
        *since = now.0;
        is_news
    }

    /// Those that are not listed any more, by whichever master.
    pub(super) fn gone(&self) -> Vec<String> {
        let gone = self.dirs.iter().filter(|(_, it)| it.gone_since.is_some());
        gone.map(|(dir, _)| dir.clone()).collect()
    }

    /// The directory is not here any more.
    pub(super) fn forget(&mut self, dir: &str) {
        self.dirs.remove(dir);
    }
}

/// Whether one of two directories is the other, or in it.
fn touches(one: &str, other: &str) -> bool {
    let is_in = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    is_in(one, other) || is_in(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1000;
    const WEEK: Duration = Duration::from_hours(7 * 24);

    fn set(dirs: &str) -> BTreeSet<String> {
        dirs.split_whitespace().map(str::to_owned).collect()
    }

    fn list(it: &mut Leftovers, dirs: &str, at: i64) -> Vec<String> {
        it.list("m", &set(dirs), Timestamp(at))
    }

    fn due(it: &Leftovers, at: i64) -> Vec<String> {
        it.due("m", WEEK, Timestamp(at))
    }

    const NOTHING: Vec<String> = Vec::new();

    #[test]
    fn what_is_listed_no_longer_is_named_once_and_due_after_its_time() {
        let mut it = Leftovers::default();
        assert_eq!(list(&mut it, "a b", 0), NOTHING);
        assert_eq!(list(&mut it, "a", DAY), ["b"]);
        // However often it is said again, it counts from the first time.
        assert_eq!(list(&mut it, "a", 3 * DAY), NOTHING);
        assert_eq!(due(&it, 8 * DAY - 1), NOTHING);
        assert_eq!(due(&it, 8 * DAY), ["b"]);
        it.forget("b");
        assert_eq!(due(&it, 9 * DAY), NOTHING);
        assert_eq!(list(&mut it, "a", 9 * DAY), NOTHING);
    }

    #[test]
    fn a_build_that_still_runs_keeps_its_directory_for_the_whole_time_after_it() {
        let mut it = Leftovers::default();
        list(&mut it, "a", 0);
        list(&mut it, "", DAY);
        assert!(it.used("a", Timestamp(8 * DAY)));
        assert!(!it.used("a", Timestamp(8 * DAY + 1)));
        assert!(!it.used("other", Timestamp(8 * DAY)));
        assert_eq!(due(&it, 15 * DAY), NOTHING);
        assert_eq!(due(&it, 15 * DAY + 1), ["a"]);
    }

    #[test]
    fn a_mistaken_reload_costs_nothing() {
        let mut it = Leftovers::default();
        list(&mut it, "a b", 0);
        assert_eq!(list(&mut it, "", DAY), ["a", "b"]);
        assert_eq!(list(&mut it, "a b", DAY + 3_600_000), NOTHING);
        assert_eq!(due(&it, 100 * DAY), NOTHING);
        // The next time counts from then on.
        assert_eq!(list(&mut it, "a", 100 * DAY), ["b"]);
        assert_eq!(due(&it, 107 * DAY - 1), NOTHING);
        assert_eq!(due(&it, 107 * DAY), ["b"]);
    }

    #[test]
    fn what_no_master_has_listed_is_never_named_and_names_that_lead_out_are_not_taken_in() {
        let mut it = Leftovers::default();
        let hostile = ["", "/", "..", "a/../..", "info", "spool", "mirrors", "x\0"];
        let listed = hostile.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(it.list("m", &listed, Timestamp(0)), NOTHING);
        assert_eq!(list(&mut it, "", DAY), NOTHING);
        assert_eq!(due(&it, i64::MAX), NOTHING);
    }

    #[test]
    fn another_master_says_nothing_of_what_it_has_not_listed() {
        let mut it = Leftovers::default();
        list(&mut it, "a b", 0);
        assert_eq!(it.list("n", &set("b"), Timestamp(DAY)), NOTHING);
        assert_eq!(it.due("n", WEEK, Timestamp(100 * DAY)), NOTHING);
        // The one that listed `b` last is another one now.
        assert_eq!(list(&mut it, "", 2 * DAY), ["a"]);
        assert_eq!(it.due("n", WEEK, Timestamp(100 * DAY)), NOTHING);
        assert_eq!(due(&it, 100 * DAY), ["a"]);
    }

    #[test]
    fn a_directory_goes_only_with_those_in_it_and_around_it() {
        let mut it = Leftovers::default();
        list(&mut it, "a a/b c d d/e ab", 0);
        list(&mut it, "a/b c d", 1);
        // `a` has `a/b` in it, which is wanted; `d/e` is in `d`, which is.
        assert_eq!(due(&it, 100 * DAY), ["ab"]);
        list(&mut it, "c d", 50 * DAY);
        assert_eq!(due(&it, 51 * DAY), ["ab"]);
        assert_eq!(due(&it, 57 * DAY), ["a", "a/b", "ab"]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_due_early() {
        let mut it = Leftovers::default();
        list(&mut it, "a", 0);
        list(&mut it, "", 100 * DAY);
        assert_eq!(due(&it, DAY), NOTHING);
        list(&mut it, "", DAY);
        assert_eq!(due(&it, 8 * DAY - 1), NOTHING);
        assert_eq!(due(&it, 8 * DAY), ["a"]);
    }
}
