//! The master: it joins the rooms. Facts reach the core as events; it
//! decides ([`core`]), tasks carry out ([`build`], [`command`]), and every
//! decision is in the store before its effect leaves the process.
//! [`assemble`] puts it together.

pub(crate) mod absences;
pub(crate) mod again;
mod asking;
mod assemble;
mod begin;
#[cfg(test)]
pub(crate) mod bench;
mod build;
mod buildbot_line;
mod command;
mod conduct;
mod core;
mod course;
mod crew;
mod dispatch;
mod effects;
mod errand;
pub(crate) mod fleet;
pub(crate) mod forcing;
mod gate;
mod growth;
pub(crate) mod handle;
mod holding;
pub(crate) mod hooks;
mod intake;
mod jobdir;
mod keeper;
mod launch;
mod launch_command;
mod launch_local;
pub(crate) mod launch_ssh;
mod leave;
mod listeners;
mod listing;
pub(crate) mod lock_view;
mod lock_walk;
mod notices;
pub(crate) mod outlook;
pub(crate) mod output;
mod pages;
pub(crate) mod pauses;
pub(crate) mod phase;
mod ports;
mod properties;
pub(crate) mod prune;
mod queue_bench;
mod reader;
mod receive;
mod recording;
pub(crate) mod rehearsal;
mod reload;
mod seen;
pub(crate) mod shutdown;
mod side_logs;
mod slaves;
pub(crate) mod source_view;
mod strangers;
mod subjects;
mod supply;
mod there;
pub(crate) mod tries;
mod trigger;
pub(crate) mod troubles;
mod unpack;
pub(crate) mod users;
mod walk;
mod watch;

pub(crate) use assemble::run;
pub(crate) use handle::MasterHandle;
pub(crate) use pages::{Access, Door, Pages};
pub use queue_bench::QueueBench;
