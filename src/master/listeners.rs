//! The ports that the master listens on. A plan that wants other ones gets
//! them before anything else changes, or nothing changes: a port that is in
//! the way of a new one is closed first, and opened again if that fails. With
//! the ports goes the certificate that slaves are shown.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config;
use crate::config::Plan;
use crate::master::gate::{Gate, accept_slaves};
use crate::master::handle::MasterHandle;
use crate::master::pages::{Access, Door, Pages};
use crate::syntax::Problems;
use crate::tls::Identity;

/// How long a port of ours may take to be free after its listener was told to stop.
const CLOSING: Duration = Duration::from_secs(3);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(5);

/// What is listened on, by what it is for: `slaveport`, `htmlport`, `publichtmlport`.
pub(super) struct Listeners {
    pages: Arc<dyn Pages>,
    gate: Arc<Gate>,
    standing: BTreeMap<&'static str, Listening>,
}

struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
}

/// Ports that a plan will have: bound, and not served yet.
#[derive(Default)]
pub(super) struct Bound {
    /// What slaves are shown that dial in.
    identity: Option<Identity>,
    open: Vec<(&'static str, SocketAddr, TcpListener)>,
    /// What was closed to make room.
    closed: Vec<(&'static str, SocketAddr)>,
}

impl Listeners {
    pub(super) fn new(pages: Arc<dyn Pages>) -> Self {
        Self {
            pages,
            gate: Gate::new(),
            standing: BTreeMap::new(),
        }
    }

    /// Binds the ports that are new.
    ///
    /// # Errors
    /// One cannot be had: all stands as before.
    pub(super) async fn bind(
        &mut self,
        handle: &MasterHandle,
        plan: &Plan,
    ) -> Result<Bound, Problems> {
        let mut bound = Bound::default();
        let mut problems = Problems::default();
        // Read each time: a certificate is renewed while the configuration stays as it is.
        match config::tls_identity(plan) {
            Ok(identity) => {
                for finding in identity.iter().flat_map(Identity::findings) {
                    let finding = finding.what();
                    warn!(
                        finding,
                        "slaves are shown a certificate that is not as it should be"
                    );
                }
                bound.identity = identity;
            }
            Err(found) => problems.append(found),
        }
        let wanted = plan.master.ports();
        let wanted = wanted.into_iter().filter_map(|(name, address)| {
            let stands = |address: &SocketAddr| {
                let standing = self.standing.get(name);
                standing.is_some_and(|it| it.address == *address)
            };
            Some((name, address.filter(|it| !stands(it))?))
        });
        let (blocked, free): (Vec<_>, Vec<_>) = wanted.partition(|(_, address)| {
            let mut standing = self.standing.values();
            standing.any(|it| overlap(it.address, *address))
        });
        for (name, address) in free {
            match TcpListener::bind(address).await {
                Ok(listener) => bound.open.push((name, address, listener)),
                Err(error) => problems.note(config::cannot_listen(plan, name, address, &error)),
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        self.standing.retain(|name, it| {
            let blocks = blocked.iter().any(|(_, new)| overlap(it.address, *new));
            if blocks {
                it.stop.cancel();
                bound.closed.push((name, it.address));
            }
            !blocks
        });
        for (name, address) in blocked {
            match bind_freed(address).await {
                Ok(listener) => bound.open.push((name, address, listener)),
                Err(error) => problems.note(config::cannot_listen(plan, name, address, &error)),
            }
        }
        if problems.has_errors() {
            self.give_back(handle, bound).await;
            return Err(problems);
        }
        Ok(bound)
    }

    /// Lets go of what was bound, and opens what was closed for it.
    pub(super) async fn give_back(&mut self, handle: &MasterHandle, bound: Bound) {
        drop(bound.open);
        for (name, address) in bound.closed {
            match bind_freed(address).await {
                Ok(listener) => self.serve(handle, name, address, listener),
                Err(error) => {
                    error!(port = name, %address, reason = %error, "failed to listen again");
                }
            }
        }
    }

    /// Serves what was bound, and stops what the plan no longer has. Says what is different
    /// though the plan may be the same.
    pub(super) fn take_over(
        &mut self,
        handle: &MasterHandle,
        plan: &Plan,
        bound: Bound,
    ) -> Option<String> {
        let wanted = plan.master.ports();
        self.standing.retain(|name, it| {
            let stays = wanted.contains(&(*name, Some(it.address)));
            if !stays {
                it.stop.cancel();
            }
            stays
        });
        let news = self.gate.show(bound.identity.as_ref());
        for (name, address, listener) in bound.open {
            self.serve(handle, name, address, listener);
        }
        news
    }

    fn serve(
        &mut self,
        handle: &MasterHandle,
        name: &'static str,
        address: SocketAddr,
        listener: TcpListener,
    ) {
        let crew = handle.crew();
        let stop = crew.stop.child_token();
        if name == "slaveport" {
            let task = accept_slaves(
                Arc::clone(crew),
                Arc::clone(&self.gate),
                listener,
                stop.clone(),
            );
            crew.supervise(name.into(), task);
        } else {
            let access = if name == "htmlport" {
                Access::Full
            } else {
                Access::ReadOnly
            };
            let door = Door::Tcp(listener);
            let task = self.pages.serve(door, handle.clone(), access, stop.clone());
            crew.supervise(name.into(), task);
        }
        self.standing.insert(name, Listening { address, stop });
    }
}

/// Whether only one of them can be listened on.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// Binds a port that was ours; its listener may still be about to close.
async fn bind_freed(address: SocketAddr) -> io::Result<TcpListener> {
    let until = Instant::now() + CLOSING;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                time::sleep(LOOK).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_are_in_each_others_way_if_their_addresses_overlap() {
        let check = |one: &str, other: &str, expected| {
            let address = |text: &str| text.parse().expect("an address");
            assert_eq!(
                overlap(address(one), address(other)),
                expected,
                "{one} {other}"
            );
            assert_eq!(
                overlap(address(other), address(one)),
                expected,
                "{other} {one}"
            );
        };
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("127.0.0.1:80", "[::]:80", true);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
    }
}
