//! Schedulers: they decide when changes become a buildset.
//!
//! A [`Scheduler`] is a plain value without clock or channel; [`drive()`]
//! lends it both. What it would lose in a crash is its [`Scheduler::state`],
//! kept by the [`Desk`] in the transaction that makes the buildset.
//!
//! To add a kind: one file with the value that decides and its tests. Which
//! changes it hears of is the [`ChangeFilter`]'s business.

#[cfg(test)]
mod bench;
mod drive;
mod filter;
mod tree_stable;

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;
use tokio::time::Instant;

use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::SchedulerName;

pub(crate) use drive::DriveSettings;
pub(crate) use drive::drive;
pub(crate) use filter::ChangeFilter;
pub(crate) use filter::Place;
pub(crate) use tree_stable::TreeStable;

/// Decides when changes become work.
pub(crate) trait Scheduler: Send {
    /// Hears of a change that passed the filter.
    fn on_change(&mut self, change: &Change, important: bool, now: Instant);

    /// When [`Scheduler::on_due`] should be called; asked after every call.
    fn due(&self) -> Option<Instant>;

    /// Gives up the changes that are to be built now, oldest first.
    fn on_due(&mut self, now: Instant) -> Vec<ChangeId>;

    /// What a restart must know: a JSON object, in which `seen` is the driver's.
    fn state(&self) -> Value;

    /// Takes up what an earlier run saved.
    fn restore(&mut self, state: &Value, now: Instant);
}

/// What a scheduler asks the master for.
pub(crate) trait Desk: Send + Sync {
    /// The state last kept under this name, `Null` at first.
    fn state(&self, name: &SchedulerName) -> Answer<'_, Value>;

    /// Every change after `seen`, oldest first: what came while nobody listened.
    fn changes_since(&self, seen: ChangeId) -> Answer<'_, Vec<Change>>;

    /// The newest change there is.
    fn newest_change(&self) -> Answer<'_, ChangeId>;

    /// Keeps the state.
    fn save(&self, name: &SchedulerName, state: Value) -> Answer<'_, ()>;

    /// Makes a buildset of these changes for these builders and keeps the state, in one transaction.
    fn request(
        &self,
        name: &SchedulerName,
        reason: &str,
        changes: Vec<ChangeId>,
        builders: &[BuilderName],
        state: Value,
    ) -> Answer<'_, ()>;
}

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// The master could not keep what was asked; the driver tries again.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep the scheduler's work: {0}")]
pub(crate) struct DeskError(pub(crate) String);
