//! Who draws the pages: a port of the master's own, so that it knows no page.

use std::future::Future;
use std::pin::Pin;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::master::handle::MasterHandle;
use crate::tls::Acceptor;

/// Serves pages on what the master listens on, until `stop`.
pub(crate) trait Pages: Send + Sync {
    fn serve(
        &self,
        door: Door,
        master: MasterHandle,
        access: Access,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What visitors come through.
#[derive(Debug)]
pub(crate) enum Door {
    Tcp(TcpListener),
    /// Over TLS, with the certificate that is shown at the time.
    Tls(TcpListener, watch::Receiver<Option<Acceptor>>),
    Unix(UnixListener),
}

/// What a door allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything, whatever the configuration says: the control socket, which
    /// only the master's own user can open.
    Owner,
    /// What `[:authz:]` allows: `htmlport` and its like.
    Full,
    /// Reading: `publichtmlport` and its like.
    ReadOnly,
}
