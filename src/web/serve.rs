//! Lends the pages to what the master listens on: TCP or a socket in the file system.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use axum::serve::ListenerExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::master::Access;
use crate::master::Door;
use crate::master::MasterHandle;
use crate::master::Pages;

use super::app::router;
use super::auth::Peer;

/// A client that does not finish its header in this time is sent away.
const HEADER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long answers that are being sent may take after `stop`.
const GRACE: Duration = Duration::from_secs(2);

/// Connections at once; each costs a few buffers, and a browser keeps up to six.
const CONNECTIONS: usize = 1024;

/// Every page, document and action.
#[derive(Debug)]
pub(crate) struct Site;

impl Pages for Site {
    fn serve(
        &self,
        door: Door,
        master: MasterHandle,
        access: Access,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let router = router(Arc::new(master), access);
        match door {
            Door::Tcp(listener) => {
                // Small events must not wait for larger ones.
                let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
                Box::pin(serve(listener, router, stop))
            }
            Door::Unix(listener) => Box::pin(serve(listener, router, stop)),
        }
    }
}

/// Answers connections until `stop`; then finishes what is being answered, followed logs aside.
pub(super) async fn serve<L>(mut listener: L, router: Router, stop: CancellationToken)
where
    L: Listener,
    L::Addr: Into<Peer>,
{
    let connections = TaskTracker::new();
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, peer, seat) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            (stream, peer, seat) = async {
                let seat = Arc::clone(&seats).acquire_owned().await;
                let (stream, address) = listener.accept().await;
                (stream, address.into(), seat)
            } => (stream, peer, seat),
        };
        let peer: Peer = peer;
        let service = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let stop = stop.clone();
        connections.spawn(async move {
            let _seat = seat;
            let mut connection = std::pin::pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service)
            );
            tokio::select! {
                // A client that goes away in the middle is its own business.
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = time::timeout(GRACE, connection).await;
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}
