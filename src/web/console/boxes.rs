//! Which build tells of a change at a builder, and what it tells: the first
//! build that can have the change in it, and whether it was that one which broke.

use std::cmp::Ordering;

use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::Outcome;

use super::super::rows;
use super::super::words::Badge;

/// By what changes and builds stand before one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Revisions where both are numbers, else the changes that a build was begun with.
    Revision,
    /// The time of the change and that at which a build began.
    Time,
}

/// How a build stands to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It cannot have the change in it.
    Earlier,
    /// It may have.
    Later,
    /// It tells nothing: it is of another branch, or nobody knows its revision.
    Elsewhere,
}

fn as_number(revision: Option<&str>) -> Option<u64> {
    revision?.parse().ok()
}

impl By {
    pub(super) fn standing(self, build: &BuildRecord, change: &Change) -> Standing {
        let stamp = &build.stamp;
        let differ = |one: &str, other: &str| !one.is_empty() && !other.is_empty() && one != other;
        let other_branch = match (&stamp.branch, &change.branch) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        let revision = rows::got_revision(build);
        if other_branch || differ(&stamp.repository, &change.repository) || revision.is_none() {
            return Standing::Elsewhere;
        }
        let numbers = (
            as_number(revision.as_deref()),
            as_number(change.revision.as_deref()),
        );
        let is_earlier = match (self, numbers, stamp.changes.iter().max()) {
            (Self::Revision, (Some(build), Some(change)), _) => build < change,
            (Self::Revision, _, Some(newest)) => *newest < change.id,
            _ => build.started < change.when,
        };
        if is_earlier {
            Standing::Earlier
        } else {
            Standing::Later
        }
    }

    /// Puts the newest first, and leaves out a change with the revision of the one above it.
    pub(super) fn sort(self, changes: &mut Vec<Change>) {
        let all_numbers = changes
            .iter()
            .all(|it| as_number(it.revision.as_deref()).is_some());
        changes.sort_by(|one, other| {
            let first = match self {
                Self::Time => one.when.cmp(&other.when),
                Self::Revision if all_numbers => {
                    let number = |it: &Change| as_number(it.revision.as_deref());
                    number(one).cmp(&number(other))
                }
                Self::Revision => Ordering::Equal,
            };
            first.then(one.id.cmp(&other.id)).reverse()
        });
        changes.dedup_by(|one, other| {
            one.revision.is_some()
                && one.revision == other.revision
                && one.branch == other.branch
                && one.repository == other.repository
        });
    }
}

/// The places of the builds that tell of a change, 0 for the builder's newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The first build that can have it in it.
    pub(super) build: Option<usize>,
    /// The last one before.
    pub(super) before: Option<usize>,
}

/// Goes back in a builder's builds until one is earlier; `at` says how the build at a place stands.
pub(super) fn find<E>(
    mut at: impl FnMut(usize) -> Result<Option<Standing>, E>,
) -> Result<Found, E> {
    let mut found = Found::default();
    let mut place = 0;
    while let Some(standing) = at(place)? {
        match standing {
            Standing::Elsewhere => {}
            Standing::Later => found.build = Some(place),
            Standing::Earlier => {
                found.before = Some(place);
                break;
            }
        }
        place += 1;
    }
    Ok(found)
}

/// It failed, and so did the build before: somebody else broke it.
pub(super) const AGAIN: Badge = Badge {
    word: "failed again",
    class: "warnings",
    sign: "=",
};

/// A builder without slaves.
pub(super) const OFFLINE: Badge = Badge {
    word: "offline",
    class: "offline",
    sign: "○",
};

/// What a box says.
pub(super) fn badge(build: Option<&BuildRecord>, before: Option<&BuildRecord>) -> Badge {
    let Some(build) = build else {
        return Badge::NOT_STARTED;
    };
    let broken = before.is_some_and(|it| it.outcome == Some(Outcome::Failure));
    match build.outcome {
        Some(Outcome::Failure) if broken => AGAIN,
        Some(Outcome::Skipped | Outcome::Retry) => Badge::of(Some(Outcome::Exception)),
        outcome => Badge::of(outcome),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::model::ChangeId;
    use crate::model::Properties;
    use crate::model::Timestamp;
    use crate::web::sample;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn change(id: i64, revision: &str) -> Change {
        Change {
            id: ChangeId(id),
            author: "ann".into(),
            files: Vec::new(),
            comments: String::new(),
            revision: Some(revision.into()),
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: Timestamp(NOW.0 - 100_000 + id * 1000),
            properties: Properties::new(),
        }
    }

    /// A build that began with `changes`, `ago` seconds before now.
    fn build(revision: &str, outcome: Outcome, changes: &[i64], ago: i64) -> BuildRecord {
        let mut build = sample::build("a", 0, Some(outcome), NOW, ago);
        build.properties.set("got_revision", revision, "checkout");
        build.stamp.branch = None;
        build.stamp.changes = changes.iter().copied().map(ChangeId).collect();
        build
    }

    fn word(by: By, builds: &[BuildRecord], change: &Change) -> &'static str {
        let at = |place: usize| {
            let build: Option<&BuildRecord> = builds.get(place);
            Ok::<_, Infallible>(build.map(|it| by.standing(it, change)))
        };
        let Ok(found) = find(at);
        let get = |place: Option<usize>| place.map(|it| &builds[it]);
        badge(get(found.build), get(found.before)).word
    }

    #[test]
    fn the_first_build_with_a_change_in_it_tells_and_who_comes_after_a_failure_is_not_blamed() {
        let builds = [
            build("13", Outcome::Failure, &[], 10),
            build("12", Outcome::Failure, &[], 20),
            build("10", Outcome::Success, &[], 30),
        ];
        for (revision, expected) in [
            ("14", "not started"),
            ("13", "failed again"),
            ("12", "failure"),
            ("11", "failure"),
            ("10", "success"),
            ("9", "success"),
        ] {
            let change = change(1, revision);
            assert_eq!(word(By::Revision, &builds, &change), expected, "{revision}");
        }
    }

    #[test]
    fn revisions_that_are_no_numbers_go_by_the_changes_of_the_builds() {
        let builds = [
            build("ccc", Outcome::Failure, &[3, 4], 10),
            build("aaa", Outcome::Success, &[1], 20),
        ];
        for (id, expected) in [
            (5, "not started"),
            (4, "failure"),
            (2, "failure"),
            (1, "success"),
        ] {
            assert_eq!(word(By::Revision, &builds, &change(id, "f")), expected);
        }
    }

    #[test]
    fn by_time_a_build_has_what_was_made_before_it_began() {
        let builds = [
            build("9", Outcome::Failure, &[], 10),
            build("100", Outcome::Success, &[], 50),
        ];
        // Made 100 seconds before now, and a second less for each.
        for (id, expected) in [
            (10, "success"),
            (50, "success"),
            (60, "failure"),
            (95, "not started"),
        ] {
            assert_eq!(
                word(By::Time, &builds, &change(id, "999")),
                expected,
                "{id}"
            );
        }
    }

    #[test]
    fn a_build_of_another_branch_or_without_a_revision_tells_nothing() {
        let mut other = build("20", Outcome::Failure, &[], 10);
        other.stamp.branch = Some("x".into());
        let mut unknown = build("", Outcome::Failure, &[], 10);
        unknown.stamp.revision = None;
        let builds = [other, unknown, build("10", Outcome::Warnings, &[], 20)];
        let mut change = change(1, "5");
        change.branch = Some("main".into());
        assert_eq!(word(By::Revision, &builds, &change), "warnings");
    }

    #[test]
    fn what_runs_was_skipped_or_broke_off_says_so() {
        let mut running = build("1", Outcome::Success, &[], 10);
        running.outcome = None;
        assert_eq!(badge(Some(&running), None).word, "running");
        for outcome in [Outcome::Exception, Outcome::Retry, Outcome::Skipped] {
            let build = build("1", outcome, &[], 10);
            assert_eq!(badge(Some(&build), None).word, "exception");
        }
        let failed = build("1", Outcome::Failure, &[], 10);
        let broke = build("1", Outcome::Exception, &[], 10);
        assert_eq!(badge(Some(&failed), Some(&broke)).word, "failure");
    }

    #[test]
    fn rows_stand_in_the_order_of_their_numbers_and_each_revision_once() {
        let order = |by: By, all: &[(i64, &str)]| {
            let mut changes: Vec<_> = all.iter().map(|(id, it)| change(*id, it)).collect();
            by.sort(&mut changes);
            changes.iter().map(|it| it.id.0).collect::<Vec<_>>()
        };
        let numbers = [(1, "1000"), (2, "999"), (3, "999"), (4, "1001")];
        assert_eq!(order(By::Revision, &numbers), [4, 1, 3]);
        assert_eq!(order(By::Time, &numbers), [4, 3, 1]);
        let names = [(1, "b"), (2, "a"), (3, "5")];
        assert_eq!(order(By::Revision, &names), [3, 2, 1]);
    }
}
