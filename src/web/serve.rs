//! Lends the pages to what the master listens on: TCP, TLS, or a socket in the file system. Who
//! dawdles, sends too much or comes too often is sent away before it costs anything.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::uri::Authority;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Plan;
use crate::master::Access;
use crate::master::Door;
use crate::master::MasterHandle;
use crate::master::Pages;
use crate::tls;
use crate::tls::Acceptor;

use super::app::router_in;
use super::client_address::Peer;
use super::desk::Desk;
use super::paced::InTime;
use super::paced::Paced;
use super::seats::Full;
use super::seats::Row;
use super::seats::Seat;
use super::visits::House;
use super::visits::Live;

/// A client that does not finish its header in this time is sent away, and so is one that asks
/// nothing more.
const HEADER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long two ends may take to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Lines of a header.
const HEADERS: usize = 100;

/// Bytes of a header, and of an answer that waits for its reader.
const BUFFER: usize = 64 * 1024;

/// How long answers that are being sent may take after `stop`.
const GRACE: Duration = Duration::from_secs(2);

/// Callers at once that are told why they have to go; the others are cut off without a word.
const WORDS: usize = 32;

/// How long that may take.
const WORD: Duration = Duration::from_secs(5);

/// Every page, document and action.
#[derive(Debug, Default)]
pub(crate) struct Site {
    house: Arc<House>,
}

impl Pages for Site {
    fn serve(
        &self,
        door: Door,
        master: MasterHandle,
        access: Access,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let desk: Arc<dyn Desk> = Arc::new(master);
        // The owner's way in is not to be in the way of anybody, nor anybody in the owner's.
        let house = match access {
            Access::Owner => House::beside(&self.house),
            Access::Full | Access::ReadOnly => Arc::clone(&self.house),
        };
        let host = Host {
            router: router_in(Arc::clone(&desk), access, Arc::clone(&house)),
            desk,
            house,
            stop,
        };
        match door {
            Door::Tcp(listener) => Box::pin(host.serve(Plain(listener))),
            Door::Tls(listener, shown) => Box::pin(host.serve_tls(listener, shown)),
            Door::Unix(listener) => Box::pin(host.serve(Plain(listener))),
        }
    }
}

/// What callers come through.
pub(super) trait Entrance: Send + 'static {
    type Line: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next caller, and its address if it has one.
    fn next(&mut self) -> impl Future<Output = (Self::Line, Option<IpAddr>)> + Send;
}

pub(super) struct Plain<L>(pub(super) L);

impl Entrance for Plain<TcpListener> {
    type Line = TcpStream;

    async fn next(&mut self) -> (TcpStream, Option<IpAddr>) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        // Small events must not wait for larger ones.
        drop(stream.set_nodelay(true));
        (stream, Some(from.ip()))
    }
}

impl Entrance for Plain<tokio::net::UnixListener> {
    type Line = tokio::net::UnixStream;

    async fn next(&mut self) -> (Self::Line, Option<IpAddr>) {
        (Listener::accept(&mut self.0).await.0, None)
    }
}

/// Who receives the callers of one door.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) router: Router,
    pub(super) desk: Arc<dyn Desk>,
    pub(super) house: Arc<House>,
    pub(super) stop: CancellationToken,
}

impl Host {
    /// Answers callers until `stop`; then finishes what is being answered, followed logs aside.
    pub(super) async fn serve<E: Entrance>(self, mut entrance: E) {
        let connections = TaskTracker::new();
        let words = Arc::new(Semaphore::new(WORDS));
        while let Some((line, from)) = self.next(&mut entrance).await {
            let line = Paced::new(line);
            match self.seat(from) {
                Ok(seat) => {
                    let secure = false;
                    let peer = Peer {
                        address: from,
                        secure,
                    };
                    connections.spawn(self.clone().attend(line, peer, seat));
                }
                Err(full) => {
                    if let Ok(permit) = Arc::clone(&words).try_acquire_owned() {
                        connections.spawn(async move {
                            turn_away(line, full).await;
                            drop(permit);
                        });
                    }
                }
            }
        }
        drop(entrance);
        connections.close();
        connections.wait().await;
    }

    async fn serve_tls(self, listener: TcpListener, shown: watch::Receiver<Option<Acceptor>>) {
        let mut entrance = Plain(listener);
        let connections = TaskTracker::new();
        while let Some((line, from)) = self.next(&mut entrance).await {
            // Nobody can be told why before keys are agreed on, and that is what costs.
            let Ok(seat) = self.seat(from) else { continue };
            let acceptor = shown.borrow().clone();
            connections.spawn(self.clone().attend_tls(line, from, seat, acceptor));
        }
        drop(entrance);
        connections.close();
        connections.wait().await;
    }

    async fn next<E: Entrance>(&self, entrance: &mut E) -> Option<(E::Line, Option<IpAddr>)> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            came = entrance.next() => Some(came),
        }
    }

    /// A seat for a caller. Everybody behind a trusted server comes from its address.
    fn seat(&self, from: Option<IpAddr>) -> Result<Seat, Full> {
        let plan: Arc<Plan> = self.desk.plan();
        let server = &plan.web.server;
        let from = from.filter(|_| !server.trusted_proxies.holds(from));
        self.house.seats.take(Row::Pages, from, &server.limits)
    }

    async fn attend_tls(
        self,
        line: TcpStream,
        from: Option<IpAddr>,
        seat: Seat,
        acceptor: Option<Acceptor>,
    ) {
        let mut first = [0; 1];
        let agree = async {
            let count = line.peek(&mut first).await.ok()?;
            (count > 0).then_some(())?;
            if first[0] != tls::FIRST_BYTE {
                return Some(Err(line));
            }
            let line = acceptor?.accept(Paced::new(line)).await.ok()?;
            Some(Ok(line))
        };
        let agreed = tokio::select! {
            biased;
            () = self.stop.cancelled() => return,
            agreed = time::timeout(HANDSHAKE_TIMEOUT, agree) => agreed,
        };
        match agreed {
            Ok(Some(Ok(line))) => {
                let peer = Peer {
                    address: from,
                    secure: true,
                };
                self.attend(line, peer, seat).await;
            }
            Ok(Some(Err(plain))) => self.lead_to_tls(Paced::new(plain)).await,
            // Who cannot agree on keys in time goes.
            Ok(None) | Err(_) => {}
        }
    }

    /// Answers one caller until it goes or `stop`.
    async fn attend<L>(self, line: L, peer: Peer, seat: Seat)
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let seat = Mutex::new(Some(seat));
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(InTime::new(Body::new(body))));
            request.extensions_mut().insert(peer);
            let answer = router.call(request);
            let seat = &seat;
            async move {
                let response = answer.await?;
                if response.extensions().get::<Live>().is_some() {
                    // It has another seat now.
                    drop(seat.lock().unwrap_or_else(PoisonError::into_inner).take());
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = std::pin::pin!(server().serve_connection(TokioIo::new(line), service));
        tokio::select! {
            // A client that goes away in the middle is its own business.
            _ = connection.as_mut() => return,
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = time::timeout(GRACE, connection).await;
    }

    /// Tells who came without TLS where to come instead.
    async fn lead_to_tls<L>(self, line: L)
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service =
            service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(over_tls(&request)));
        let connection = server()
            .keep_alive(false)
            .serve_connection(TokioIo::new(line), service);
        let _ = time::timeout(WORD, connection).await;
    }
}

fn server() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS)
        .max_buf_size(BUFFER);
    server
}

/// The same address over TLS.
fn over_tls<B>(request: &Request<B>) -> Response {
    const WORDS: &str = "this port speaks HTTPS\n";
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|it| it.to_str().ok()?.parse::<Authority>().ok());
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(host) = host.filter(|it| is_reading && !it.as_str().contains('@')) else {
        return (StatusCode::BAD_REQUEST, WORDS).into_response();
    };
    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    match HeaderValue::from_str(&format!("https://{host}{target}")) {
        Ok(to) => (
            StatusCode::PERMANENT_REDIRECT,
            [(header::LOCATION, to)],
            WORDS,
        )
            .into_response(),
        Err(_) => (StatusCode::BAD_REQUEST, WORDS).into_response(),
    }
}

/// Says in a few words that there is no room.
async fn turn_away<L: AsyncRead + AsyncWrite + Unpin>(mut line: L, full: Full) {
    let text = format!("{full}\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let say = async {
        line.write_all(answer.as_bytes()).await?;
        line.shutdown().await?;
        // What was sent has to be read, or the answer may be lost with it.
        let mut rest = tokio::io::AsyncReadExt::take(&mut line, BUFFER as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ = time::timeout(WORD, say).await;
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
