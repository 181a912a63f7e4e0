//! Status targets: who is told how a build went, and when.
//!
//! A section `[status:NAME]` or `[reporter:NAME]` is read and checked by
//! [`read()`]; what it says is a [`Settings`], and [`Settings::hears`] is the one
//! rule of who hears what. This room decides and tells nobody: whoever sends
//! mails asks it, and so does whoever explains a configuration.
//!
//! To add a kind: one file with its settings, rule, tests and `KIND`, and one
//! row in [`KINDS`].

mod event;
mod gerrit;
mod http_push;
mod irc;
mod mail;
mod pb_listener;
mod read;
mod selection;
#[cfg(test)]
mod tests;
mod values;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::mail::Post;
use crate::syntax::Keys;

pub(crate) use event::Event;
pub(crate) use event::Previous;
pub(crate) use event::Verdict;
pub(crate) use event::What;
pub(crate) use pb_listener::PbListener;
pub(crate) use read::read;
use selection::Selection;
pub(crate) use values::Addresses;

/// Every kind of status target, in the order of the manual.
pub(crate) const KINDS: &[ReporterKind] = &[
    mail::KIND,
    irc::KIND,
    http_push::KIND,
    gerrit::KIND,
    pb_listener::KIND,
];

/// A kind of status target as the reader, the manual and the tests see it.
pub(crate) struct ReporterKind {
    pub(crate) name: &'static str,
    /// Other words for it in `type = …`: Buildbot's names.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) summary: &'static str,
    /// INI lines of a section of this kind.
    pub(crate) example: &'static str,
    /// What this version does not do, if it does not act on the kind: a
    /// sentence without its full stop.
    pub(crate) missing: Option<&'static str>,
    /// Reads the kind's own keys; the common ones are read by [`read()`].
    pub(crate) read: fn(&mut Keys<'_>, Selection) -> Option<Arc<dyn Settings>>,
}

/// What a section says. Its `Debug` form names every setting but passwords.
pub(crate) trait Settings: Any + fmt::Debug + Send + Sync {
    /// One line for people: what it is and whom it tells what.
    fn describe(&self) -> String;

    /// Whether `event` is told, why, and to whom.
    fn hears(&self, event: &Event) -> Verdict;

    /// How mails are sent, if this is a target that mails.
    fn post(&self) -> Option<Post> {
        None
    }

    /// Who may listen, if this is a target that others listen to.
    fn as_pb_listener(&self) -> Option<&PbListener> {
        None
    }

    /// Whether `other` is of the same kind and says the same, passwords too.
    fn is_same(&self, other: &dyn Settings) -> bool;
}

impl PartialEq for dyn Settings {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

/// [`Settings::is_same`] for a type that can be compared.
fn is_same<T: Settings + PartialEq>(this: &T, other: &dyn Settings) -> bool {
    let other: &dyn Any = other;
    other.downcast_ref::<T>() == Some(this)
}
