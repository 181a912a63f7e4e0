//! The ports that the master listens on. A plan that wants other ones gets
//! them before anything else changes, or nothing changes: a port that is in
//! the way of a new one is closed first, and opened again if that fails. With
//! the ports goes the certificate that slaves are shown.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config;
use crate::config::{CLIENT_PORT, Endpoint, Listener, Plan};
use crate::master::gate::{Gate, Tongue, accept_slaves};
use crate::master::handle::MasterHandle;
use crate::master::pages::{Access, Door, Pages};
use crate::syntax::Problems;
use crate::tls::{Acceptor, Identity};

/// How long a port of ours may take to be free after its listener was told to stop.
const CLOSING: Duration = Duration::from_secs(3);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(5);

/// What is listened on.
pub(super) struct Listeners {
    pages: Arc<dyn Pages>,
    gate: Arc<Gate>,
    /// What visitors of pages are shown.
    shown: watch::Sender<Option<Acceptor>>,
    /// By which people tell it from others.
    shown_print: Option<String>,
    standing: Vec<Listening>,
}

struct Listening {
    what: Listener,
    stop: CancellationToken,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Ports that a plan will have: bound, and not served yet.
#[derive(Default)]
pub(super) struct Bound {
    /// What slaves are shown that dial in.
    identity: Option<Identity>,
    /// What visitors of pages are shown.
    web_identity: Option<Identity>,
    open: Vec<(Listener, Socket)>,
    /// What was closed to make room.
    closed: Vec<Listener>,
}

impl Listeners {
    pub(super) fn new(pages: Arc<dyn Pages>) -> Self {
        Self {
            pages,
            gate: Gate::new(),
            shown: watch::Sender::new(None),
            shown_print: None,
            standing: Vec::new(),
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
        let mut problems = Problems::default();
        // Read each time: a certificate is renewed while the configuration stays as it is.
        let mut read = |identity: Result<Option<Identity>, Problems>, who: &str| match identity {
            Ok(identity) => {
                for finding in identity.iter().flat_map(Identity::findings) {
                    let finding = finding.what();
                    warn!(
                        finding,
                        "{who} are shown a certificate that is not as it should be"
                    );
                }
                identity
            }
            Err(found) => {
                problems.append(found);
                None
            }
        };
        let mut bound = Bound {
            identity: read(config::tls_identity(plan), "slaves"),
            web_identity: read(config::web_identity(plan), "visitors of the pages"),
            ..Bound::default()
        };
        let wanted = plan.listeners().into_iter();
        let wanted = wanted.filter(|new| !self.standing.iter().any(|it| it.what == *new));
        let (blocked, free): (Vec<_>, Vec<_>) = wanted.partition(|new| {
            let mut standing = self.standing.iter();
            standing.any(|it| it.what.endpoint.overlaps(&new.endpoint))
        });
        for it in free {
            match listen(&it.endpoint).await {
                Ok(socket) => bound.open.push((it, socket)),
                Err(error) => problems.note(config::cannot_listen(plan, &it, &error)),
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        self.standing.retain(|it| {
            let mut blocked = blocked.iter();
            let blocks = blocked.any(|new| it.what.endpoint.overlaps(&new.endpoint));
            if blocks {
                it.stop.cancel();
                bound.closed.push(it.what.clone());
            }
            !blocks
        });
        for it in blocked {
            match bind_freed(&it.endpoint).await {
                Ok(socket) => bound.open.push((it, socket)),
                Err(error) => problems.note(config::cannot_listen(plan, &it, &error)),
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
        for it in bound.closed {
            match bind_freed(&it.endpoint).await {
                Ok(socket) => self.serve(handle, it, socket),
                Err(error) => {
                    let (port, address) = (it.key, &it.endpoint);
                    error!(port, %address, reason = %error, "failed to listen again");
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
        let wanted = plan.listeners();
        self.standing.retain(|it| {
            let stays = wanted.contains(&it.what);
            if !stays {
                it.stop.cancel();
                // Nobody finds the way any more; one that is bound anew is not this one.
                if let Endpoint::Unix { path, .. } = &it.what.endpoint
                    && !wanted
                        .iter()
                        .any(|new| new.endpoint.overlaps(&it.what.endpoint))
                {
                    drop(fs::remove_file(path));
                }
            }
            stays
        });
        let news = self.gate.show(bound.identity.as_ref());
        let news = news
            .into_iter()
            .chain(self.show(bound.web_identity.as_ref()));
        let news: BTreeSet<_> = news.collect();
        for (it, socket) in bound.open {
            self.serve(handle, it, socket);
        }
        let news: Vec<_> = news.into_iter().collect();
        (!news.is_empty()).then(|| news.join("\n"))
    }

    /// From now on visitors are shown this certificate. Says so if it is another than before.
    fn show(&mut self, identity: Option<&Identity>) -> Option<String> {
        self.shown.send_replace(identity.map(Identity::acceptor));
        let print = identity.map(Identity::fingerprint);
        let old = std::mem::replace(&mut self.shown_print, print.clone())?;
        let new = print.filter(|it| *it != old)?;
        Some(format!(
            "changed the certificate that visitors of the pages are shown: SHA-256 {new}"
        ))
    }

    fn serve(&mut self, handle: &MasterHandle, what: Listener, socket: Socket) {
        let crew = handle.crew();
        let stop = crew.stop.child_token();
        let name = what.key;
        match (name, socket) {
            ("slaveport" | "pb_port" | CLIENT_PORT, Socket::Tcp(listener)) => {
                let tongue = match name {
                    "slaveport" => Tongue::Either,
                    _ => Tongue::Buildbot,
                };
                let task = accept_slaves(
                    handle.clone(),
                    Arc::clone(&self.gate),
                    (listener, tongue),
                    stop.clone(),
                );
                crew.supervise(format!("{name} {}", what.endpoint), task);
            }
            (_, socket) => {
                let door = match socket {
                    Socket::Tcp(listener) if what.tls => {
                        Door::Tls(listener, self.shown.subscribe())
                    }
                    Socket::Tcp(listener) => Door::Tcp(listener),
                    Socket::Unix(listener) => Door::Unix(listener),
                };
                let access = match name {
                    "publichtmlport" | "public_http_port" => Access::ReadOnly,
                    _ => Access::Full,
                };
                let task = self.pages.serve(door, handle.clone(), access, stop.clone());
                crew.supervise(format!("{name} {}", what.endpoint), task);
            }
        }
        self.standing.push(Listening { what, stop });
    }
}

async fn listen(endpoint: &Endpoint) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Tcp(address) => TcpListener::bind(address).await.map(Socket::Tcp),
        Endpoint::Unix { path, mode } => {
            leave(path).await?;
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
            Ok(Socket::Unix(listener))
        }
    }
}

/// Takes a socket away that nobody listens on any more; nothing else is touched.
async fn leave(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => return Ok(()),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

/// Binds a port that was ours; its listener may still be about to close.
async fn bind_freed(endpoint: &Endpoint) -> io::Result<Socket> {
    let until = Instant::now() + CLOSING;
    loop {
        match listen(endpoint).await {
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
            let endpoint = |text: &str| Endpoint::Tcp(text.parse().expect("an address"));
            let (a, b) = (endpoint(one), endpoint(other));
            assert_eq!(a.overlaps(&b), expected, "{one} {other}");
            assert_eq!(b.overlaps(&a), expected, "{other} {one}");
        };
        check("127.0.0.1:80", "127.0.0.1:80", true);
        check("127.0.0.1:80", "0.0.0.0:80", true);
        check("127.0.0.1:80", "[::]:80", true);
        check("127.0.0.1:80", "127.0.0.2:80", false);
        check("127.0.0.1:80", "127.0.0.1:81", false);
        check("127.0.0.1:0", "127.0.0.1:0", false);
    }
}
