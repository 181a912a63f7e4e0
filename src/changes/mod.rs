//! Change sources: they notice that somebody altered the source.
//!
//! A source hands what it found, and how far it has come, to a [`Sink`] in
//! one go: either both are kept or neither, so no change is lost or repeated.
//!
//! A source is configured by its [`Settings`], which [`read()`] reads, and run
//! by [`run()`] until it is stopped; what wakes it is its interval or a nudge.
//! To add a kind: a row in [`KINDS`], a variant of [`Settings`], and one file
//! with a [`poll::Poll`] (or a [`mirror::Mirror`], if it keeps a clone), and
//! tests in `tests/` that run its real program. What is asked over HTTP goes through [`fetch`], and
//! mails through [`mails`].

mod asked;
mod bonsai_poller;
mod branches;
mod bzr_log;
mod bzr_poller;
mod feed;
mod fetch;
mod followed;
mod gerrit;
mod git_poller;
mod git_refs;
mod hg_poller;
pub(crate) mod hooks;
mod kinds;
mod mails;
mod mirror;
mod p4_poller;
mod p4_said;
mod pb;
mod poll;
mod program;
mod record;
mod run;
mod settings;
mod split;
mod svn_log;
mod svn_poller;
#[cfg(test)]
mod tests;
mod yard;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;

use crate::model::NewChange;

pub(crate) use followed::Followed;
use git_poller::GitPoller;
use hg_poller::HgPoller;
pub(crate) use kinds::KINDS;
pub(crate) use kinds::Settings;
pub(crate) use kinds::read;
pub(crate) use run::dir_of;
pub(crate) use run::run;
use settings::SourceSettings;
pub(crate) use svn_poller::SvnSettings;
pub(crate) use yard::Yards;
pub(crate) use yard::is_dir_name;

/// Where changes go. The master gives it to every source.
pub(crate) trait Sink: Send + Sync {
    /// What this source last saved, `Null` at first.
    fn state(&self, source: &str) -> Delivery<'_, Value>;

    /// Keeps the changes, oldest first, and the source's state, in one transaction.
    fn deliver(&self, source: &str, changes: Vec<NewChange>, state: Value) -> Delivery<'_, ()>;

    /// Says how the source is doing, for the pages: `Ok` or the reason it fails.
    fn report(&self, source: &str, health: Result<(), String>);

    /// Says that the source looks now, for the pages.
    fn looks(&self, _source: &str) {}

    /// Says that the source looks again after `wait`, for the pages.
    fn waits(&self, _source: &str, _wait: Duration) {}
}

pub(crate) type Delivery<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// The changes could not be kept; the source tries again later.
#[derive(Debug, thiserror::Error)]
#[error("failed to keep changes: {0}")]
pub(crate) struct SinkError(pub(crate) String);
