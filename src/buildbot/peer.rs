//! A program of Buildbot on its way in, in either protocol.

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::SlaveFacts;

use super::line;
use super::line::Account;
use super::line::LineError;
use super::socket;

/// Which of the two a caller speaks: its first byte tells, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Perspective Broker.
    Calls,
    /// MessagePack over a WebSocket.
    Packed,
}

impl Protocol {
    /// How the log and the pages name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Calls => "Buildbot's protocol",
            Self::Packed => "Buildbot's protocol over a WebSocket",
        }
    }
}

/// Who has shown that it knows its password and waits to hear that it is welcome.
pub(crate) enum Peer<S, W> {
    Calls(Box<line::Peer<S, W>>),
    Packed(socket::Caller<S>),
}

/// A slave that has said what it is.
pub(crate) enum Attached<S> {
    Calls(Box<line::Attached<S>>),
    Packed(Box<socket::Attached<S>>),
}

/// How a line ended.
pub(crate) struct Ended {
    pub(crate) how: Result<(), LineError>,
    /// What goes on without its line, by the names that its program knows.
    pub(crate) left: Vec<String>,
}

/// Asks a caller who it is. Over a WebSocket come slaves only: theirs are the passwords.
pub(crate) async fn log_in<S, W>(
    protocol: Protocol,
    stream: S,
    accounts_of: &(impl Fn(&str) -> Vec<Account<W>> + Sync),
    password_of: &(impl Fn(&str) -> Option<String> + Sync),
) -> Result<Peer<S, W>, LineError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    W: Send,
{
    Ok(match protocol {
        Protocol::Calls => Peer::Calls(Box::new(line::log_in(stream, accounts_of).await?)),
        Protocol::Packed => Peer::Packed(socket::log_in(stream, password_of).await?),
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send, W> Peer<S, W> {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Calls(peer) => &peer.name,
            Self::Packed(caller) => &caller.name,
        }
    }

    /// Tells a slave that its name is taken by one that answers.
    pub(crate) async fn refuse(self, why: &str) -> Result<(), LineError> {
        match self {
            Self::Calls(peer) => peer.refuse(why).await,
            Self::Packed(caller) => caller.refuse(why).await,
        }
    }

    /// Welcomes the slave and asks what it is. `run` names this line of it; `left` is what went on
    /// when its last one broke.
    pub(crate) async fn welcome(
        self,
        run: &str,
        left: &[String],
    ) -> Result<Attached<S>, LineError> {
        Ok(match self {
            Self::Calls(peer) => Attached::Calls(Box::new(peer.welcome(run).await?)),
            Self::Packed(caller) => Attached::Packed(Box::new(caller.welcome(run, left).await?)),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Attached<S> {
    pub(crate) const fn facts(&self) -> &SlaveFacts {
        match self {
            Self::Calls(attached) => &attached.facts,
            Self::Packed(attached) => &attached.facts,
        }
    }

    /// Serves the slave until its line, or the master's interest in it, ends.
    pub(crate) async fn attend(
        self,
        orders: mpsc::Receiver<FromMaster>,
        say: mpsc::Sender<FromSlave>,
    ) -> Ended {
        match self {
            Self::Calls(attached) => Ended {
                how: line::attend(*attached, orders, say).await,
                // A slave of this protocol ends what it runs.
                left: Vec::new(),
            },
            Self::Packed(attached) => socket::attend(*attached, orders, say).await,
        }
    }
}
