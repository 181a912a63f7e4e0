//! Buildbot's own slaves, connected as they are: `buildslave` of 0.8 and `buildbot-worker` since 0.9.
//!
//! The master knows one kind of slave. A [`slave::Slave`] is in between: to the master it says what an
//! autobot slave says, and to the peer what a Buildbot master says. It decides and does nothing
//! else; [`line`](mod@line) reads and writes. What such a slave cannot do is refused where it is asked for, with
//! the reason: it keeps nothing over a broken line, so what it ran is lost with it.

mod facts;
mod job;
mod line;
mod login;
mod order;
mod packed;
mod paths;
mod slave;
mod tarball;
mod tongue;
mod transfer;

#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod slave_tests;

pub(crate) use line::LineError;
pub(crate) use line::attend;
pub(crate) use line::log_in;
