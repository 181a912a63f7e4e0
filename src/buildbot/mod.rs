//! Buildbot's own slaves, connected as they are: `buildslave` of 0.8 and `buildbot-worker` since 0.9;
//! and its [clients](client).
//!
//! The master knows one kind of slave. A [`slave::Slave`] is in between: to the master it says what an
//! autobot slave says, and to the peer what a Buildbot master says. It decides and does nothing
//! else; [`line`](mod@line) and [`socket`] read and write, each in one of the two protocols that there are. What such a slave cannot do is refused where it is asked for, with
//! the reason: it keeps nothing over a broken line, so what it ran is lost with it.

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) mod client;
mod facts;
mod fuzz;
mod job;
mod line;
mod login;
mod order;
mod packed;
mod paths;
mod peer;
mod slave;
mod socket;
mod tarball;
mod tongue;
mod transfer;

#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod slave_tests;
#[cfg(test)]
mod socket_tests;

/// A line to a peer, plain or with TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

pub use fuzz::fuzz_wire;
pub(crate) use line::Account;
pub(crate) use line::LineError;
pub(crate) use line::Peer as Caller;
pub(crate) use peer::Peer;
pub(crate) use peer::Protocol;
pub(crate) use peer::log_in;
pub(crate) use socket::FIRST_BYTE;
