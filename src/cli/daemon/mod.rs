//! A master or slave as a process of its own: one per directory, found again
//! after a crash, with a log that does not fill the disk, and an answer to
//! whoever started it.
//!
//! `start` launches this same program in its own session (its first argument
//! is [`DAEMON_VERB`]) and listens on a socket of the kind that systemd has; under systemd, systemd listens.

mod body;
mod launch;
mod lock;
mod notify;
mod stop;
mod voice;

pub(super) use body::Attached;
pub(super) use body::Signal;
pub(super) use body::log_to;
pub(super) use body::run;
pub(super) use launch::launch;
pub(super) use lock::Lock;
pub(super) use lock::running;
pub(super) use stop::Stopped;
pub(super) use stop::stop;
pub(super) use voice::heed;
pub(super) use voice::log_to_stderr;

/// The first argument that makes this program a daemon; its base directory follows.
pub(super) const DAEMON_VERB: &str = "__daemon";

/// The log in a base directory.
pub(super) const LOG: &str = "autobot.log";
