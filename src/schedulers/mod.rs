//! Schedulers: they decide when changes, times and other builds become a
//! buildset.
//!
//! A section `[scheduler:NAME]` is read into [`Settings`], a value that a
//! reload compares. What it begins, a [`Scheduler`], is a plain value without
//! clock or channel; [`drive()`] lends it both. What it would lose in a crash
//! is its [`Scheduler::state`], kept by the [`Desk`] in the transaction that
//! makes the buildset.
//!
//! To add a kind: one file with its settings, behaviour, tests and `KIND`,
//! and one row in [`KINDS`]. Which changes it hears of is the [`Filter`]'s
//! business.

#[cfg(test)]
mod bench;
mod dependent;
mod drive;
mod filter;
mod force;
mod job;
mod nightly;
mod on_changes;
mod periodic;
mod question;
mod queue_rules;
mod read;
mod times;
mod tree_stable;
mod triggerable;
mod try_jobdir;
mod try_userpass;
mod windows;
mod zone;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::time::Instant;

use crate::model::BuildsetId;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Outcome;
use crate::model::SchedulerName;
use crate::model::SourceStamp;
use crate::model::Timestamp;
use crate::syntax::Keys;

pub(crate) use drive::drive;
pub(crate) use filter::Branch;
pub(crate) use filter::Filter;
pub(crate) use force::FIELDS;
pub(crate) use force::Force;
pub(crate) use force::SOURCE as FORM_SOURCE;
pub(crate) use force::WrongAnswer;
pub(crate) use job::BadJob;
pub(crate) use job::Job;
pub(crate) use on_changes::following;
pub(crate) use question::Asking;
pub(crate) use question::Question;
pub(crate) use queue_rules::CancelSuperseded;
pub(crate) use queue_rules::QueueRules;
pub(crate) use read::Read;
pub(crate) use read::read;
pub(crate) use try_userpass::TryUserpass;
pub(crate) use windows::Windows;
pub(crate) use zone::Zone;

/// Every kind of scheduler, in the order of the manual.
pub(crate) const KINDS: &[SchedulerKind] = &[
    on_changes::SINGLE,
    on_changes::ANY,
    dependent::KIND,
    periodic::KIND,
    nightly::KIND,
    triggerable::KIND,
    force::KIND,
    try_jobdir::KIND,
    try_userpass::KIND,
];

/// A kind of scheduler as the reader, the manual and the tests see it.
pub(crate) struct SchedulerKind {
    pub(crate) name: &'static str,
    /// Other words for it in `type = …`: Buildbot's classes among them.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) summary: &'static str,
    /// INI lines that a section of this kind may hold besides `type` and `builders`.
    pub(crate) example: &'static str,
    /// Reads the kind's own keys; the common ones are read by [`read()`].
    pub(crate) read: fn(&mut Keys<'_>) -> Option<Arc<dyn Settings>>,
}

/// A configured scheduler. Its `Debug` form names every setting, and nothing
/// of where it stands: who has the same form has not changed.
pub(crate) trait Settings: fmt::Debug + Send + Sync {
    /// The name of its kind. What it keeps is kept under this and its own name.
    fn kind(&self) -> &'static str;

    /// Begins it. `zone` is where the master's clock hangs.
    fn begin(&self, name: &SchedulerName, zone: &TimeZone) -> Box<dyn Scheduler>;

    /// When it builds, such as `when its changes were followed by 60 s of quiet`.
    fn describe(&self) -> String;

    /// The changes it hears of; `None`: of none.
    fn filter(&self) -> Option<&Filter> {
        None
    }

    /// The scheduler whose buildsets it waits for.
    fn upstream(&self) -> Option<&SchedulerName> {
        None
    }

    /// Whether a trigger step may ask it for a buildset.
    fn is_triggerable(&self) -> bool {
        false
    }

    /// What it says of builds that a person asks for, if it is about those.
    fn as_force(&self) -> Option<&Force> {
        None
    }

    /// The directory that jobs come into, if it builds those.
    fn jobdir(&self) -> Option<&Path> {
        None
    }

    /// Who may send it jobs, if anybody may.
    fn as_userpass(&self) -> Option<&TryUserpass> {
        None
    }
}

impl PartialEq for dyn Settings {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && format!("{self:?}") == format!("{other:?}")
            // Passwords have no form that can be seen.
            && self.as_userpass() == other.as_userpass()
    }
}

/// A moment on both clocks: waits are measured on one, plans are made on the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

impl Now {
    /// What the wall clock will show then, if nobody sets it meanwhile.
    fn shown(self, instant: Instant) -> Timestamp {
        let wait = instant.saturating_duration_since(self.instant).as_millis();
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        Timestamp(self.wall.0.saturating_add(wait))
    }

    /// When the wall clock will show `wall`, if nobody sets it meanwhile.
    fn until(self, wall: Timestamp) -> Option<Instant> {
        // A time beyond all clocks never comes.
        self.instant.checked_add(wall.since(self.wall))
    }
}

/// Decides when there is work.
pub(crate) trait Scheduler: Send {
    /// Hears of a change that passed the filter.
    fn on_change(&mut self, _change: &Change, _important: bool, _now: Now) {}

    /// What it wants to know of its upstream's buildsets; asked before every look.
    fn follows(&self) -> Option<Following> {
        None
    }

    /// Hears of those buildsets.
    fn on_buildsets(&mut self, _seen: &Buildsets) {}

    /// When [`Scheduler::on_due`] should be called; asked after every call and
    /// at least once a minute, because the wall clock may be set.
    fn due(&self, now: Now) -> Option<Instant>;

    /// Says what is to be built now, if anything is. What it keeps may have changed.
    fn on_due(&mut self, now: Now) -> Option<Wish>;

    /// What a restart must know: a JSON object, in which `seen` is the driver's.
    fn state(&self) -> Value;

    /// Takes up what an earlier run saved, which may be nothing.
    fn restore(&mut self, state: &Value, now: Now);
}

/// A buildset that a scheduler wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) what: Wanted,
    /// Why, as builds show it.
    pub(crate) reason: String,
}

/// What is to be built.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wanted {
    /// These changes; the newest of them says which source.
    Changes(Vec<ChangeId>),
    Stamp(SourceStamp),
}

impl Wanted {
    /// The latest source of a branch.
    pub(crate) fn latest(branch: Option<String>) -> Self {
        Self::Stamp(SourceStamp {
            branch,
            ..SourceStamp::default()
        })
    }
}

/// A question about the buildsets of a scheduler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Following {
    pub(crate) upstream: SchedulerName,
    /// Those after this one are asked for; `None`: only how far there are any.
    pub(crate) since: Option<BuildsetId>,
    /// And these.
    pub(crate) waiting: Vec<BuildsetId>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buildsets {
    /// The newest of all, whoever wanted it; 0 if there is none.
    pub(crate) newest: i64,
    /// Oldest first.
    pub(crate) of_upstream: Vec<BuildsetFact>,
}

/// A buildset as who waits for it sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BuildsetFact {
    pub(crate) id: BuildsetId,
    pub(crate) stamp: SourceStamp,
    /// Set when it is complete.
    pub(crate) outcome: Option<Outcome>,
}

/// What one scheduler asks the master for.
pub(crate) trait Desk: Send + Sync {
    /// What the wall clock shows.
    fn wall(&self) -> Timestamp;

    /// The state last kept, `Null` at first.
    fn state(&self) -> Answer<'_, Value>;

    /// Every change after `seen`, oldest first: what came while nobody listened.
    fn changes_since(&self, seen: ChangeId) -> Answer<'_, Vec<Change>>;

    /// The newest change there is.
    fn newest_change(&self) -> Answer<'_, ChangeId>;

    fn buildsets(&self, question: Following) -> Answer<'_, Buildsets>;

    /// Tells when it looks again by its own plan; `None`: not before somebody else does something.
    fn announce(&self, next: Option<Timestamp>);

    /// Keeps the state.
    fn save(&self, state: Value) -> Answer<'_, ()>;

    /// Makes a buildset for the scheduler's builders and keeps the state, in one transaction.
    fn request(&self, wish: Wish, state: Value) -> Answer<'_, ()>;
}

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// The master could not keep what was asked; the driver tries again.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep the scheduler's work: {0}")]
pub(crate) struct DeskError(pub(crate) String);

#[cfg(test)]
mod equality_tests;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;
    use crate::syntax::plain;

    #[test]
    fn every_kind_has_names_of_its_own_and_reads_its_example() {
        let mut seen = BTreeSet::new();
        for kind in KINDS {
            for name in [kind.name].iter().chain(kind.aliases) {
                assert!(seen.insert(plain(name)), "`{name}` stands twice");
            }
            assert!(kind.summary.ends_with('.'), "{}", kind.name);
            let text = format!("[scheduler:x]\ntype = {}\n{}", kind.name, kind.example);
            let text = format!("{text}\nbuilders = a *-linux\n");
            let source = Source::new("master.ini", "/base", text);
            let mut problems = Problems::default();
            let tree = ini::read(&source, &mut problems);
            let mut keys = Keys::of(&tree.sections[0], &mut problems);
            let read = read(&mut keys);
            keys.finish();
            assert_eq!(problems.render(false), "", "{}", kind.name);
            let settings = read.expect("readable").settings;
            assert_eq!(settings.kind(), kind.name);
            assert!(!settings.describe().is_empty(), "{}", kind.name);
        }
    }
}
