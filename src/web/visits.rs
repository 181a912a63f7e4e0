//! What every visit goes through, from its head to the last byte of its answer: who it is, how
//! long its address may be, what is counted of it, and its line in the log.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody;
use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::time::Instant;
use tracing::error;

use crate::clock;
use crate::config::Plan;
use crate::logs::rotating::Rotation;
use crate::master::Access;
use crate::metrics::Histogram;

use super::access_log::AccessLog;
use super::access_log::Entry;
use super::access_log::LoggedIn;
use super::app::Shared;
use super::client_address::Client;
use super::client_address::Peer;
use super::knocks::Knocks;
use super::seats::Row;
use super::seats::Seat;
use super::seats::Seats;
use super::twice::Posts;

/// The longest address that is read: tests may have long names.
const ADDRESS: usize = 32 * 1024;

/// Marks an answer that goes on for as long as its reader stays: events, a log that is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live;

/// What all ports of a site share.
#[derive(Debug, Default)]
pub(super) struct House {
    pub(super) seats: Arc<Seats>,
    pub(super) counts: Arc<Counts>,
    /// Who has knocked at hooks.
    pub(super) knocks: Knocks,
    /// What was posted under keys.
    pub(super) posts: Posts,
    log: OnceLock<Option<AccessLog>>,
}

impl House {
    /// One with seats of its own, of which the visits are counted with the other's.
    pub(super) fn beside(other: &Self) -> Arc<Self> {
        Arc::new(Self {
            counts: Arc::clone(&other.counts),
            ..Self::default()
        })
    }

    /// The log, opened by the first visit; the master's own log says it if that fails.
    fn log(&self, dir: &Path) -> Option<&AccessLog> {
        let open = || {
            let opened = AccessLog::open(dir);
            opened
                .inspect_err(|error| error!(reason = %error, "`http.log` cannot be opened"))
                .ok()
        };
        self.log.get_or_init(open).as_ref()
    }
}

/// What is counted of visits.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_route: Mutex<BTreeMap<(String, u16), Count>>,
    /// From the head of a request to the head of its answer.
    pub(super) times: Histogram,
}

/// The answers of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) answers: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl Counts {
    fn note(&self, route: &str, status: u16, sent: u64, took: Duration) {
        let mut all = self.by_route.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry((route.to_owned(), status / 100)).or_default();
        count.answers += 1;
        count.bytes += sent;
        count.took += took;
    }

    /// By route, and by the hundreds of the status.
    pub(super) fn by_route(&self) -> BTreeMap<(String, u16), Count> {
        let all = self.by_route.lock();
        all.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where a master's log begins anew, if the section says nothing else.
fn rotation(plan: &Plan) -> Rotation {
    let (own, log) = (&plan.master.log, plan.web.server.log);
    Rotation {
        largest: log.rotate_length.unwrap_or(own.rotate_length),
        kept: log.max_rotated_files.unwrap_or(own.max_rotated_files),
    }
}

/// The first and the last that sees a visit.
pub(super) async fn attend(
    State(app): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let at = clock::now();
    let plan = app.desk.plan();
    let peer = request.extensions().get::<Peer>().copied();
    let client = Client::of(
        peer.unwrap_or_default(),
        request.headers(),
        &plan.web.server,
    );
    client.put_host(request.headers_mut());
    let (from, secure) = (client.address, client.secure);
    request.extensions_mut().insert(client);
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other", MatchedPath::as_str).to_owned();
    let (method, uri, version) = (
        request.method().clone(),
        request.uri().clone(),
        request.version(),
    );
    let referer = text_of(request.headers(), header::REFERER);
    let agent = text_of(request.headers(), header::USER_AGENT);
    let length = uri.path_and_query().map_or(0, |it| it.as_str().len());
    let mut response = match length > ADDRESS {
        true => StatusCode::URI_TOO_LONG.into_response(),
        false => next.run(request).await,
    };
    if let Some(hsts) = plan.web.server.hsts.filter(|_| secure) {
        let value = format!("max-age={}", hsts.as_secs());
        let value = HeaderValue::from_str(&value).expect("digits");
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    let took = begun.elapsed();
    let seat = match is_live(&response) {
        false => {
            app.house.counts.times.note(took);
            None
        }
        true => match app
            .house
            .seats
            .take(Row::Live, from, &plan.web.server.limits)
        {
            Ok(seat) => {
                // What follows comes over another connection, which has a seat of its own.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
                response.extensions_mut().insert(Live);
                Some(seat)
            }
            Err(full) => {
                response = full_house(&full.to_string());
                None
            }
        },
    };
    let user = response.extensions().get::<LoggedIn>();
    let mut visit = Visit {
        entry: Entry {
            at,
            from,
            user: user.map(|it| Arc::clone(&it.0)),
            method,
            uri,
            version,
            status: response.status().as_u16(),
            sent: 0,
            referer,
            agent,
            took,
        },
        route,
        begun,
        app,
        seat,
    };
    let (parts, body) = response.into_parts();
    if body.is_end_stream() {
        visit.seat = None;
    }
    Response::from_parts(parts, Body::new(Seen { body, visit }))
}

/// Tells a visitor that there is no room.
pub(super) fn full_house(why: &str) -> Response {
    let later = [(header::RETRY_AFTER, "5"), (header::CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, later, format!("{why}\n")).into_response()
}

fn is_live(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let streams = kind.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
    streams || response.extensions().get::<Live>().is_some()
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A visit under way; it is told of when it is over.
struct Visit {
    entry: Entry,
    route: String,
    begun: Instant,
    app: Shared,
    seat: Option<Seat>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.entry.took = self.begun.elapsed();
        let Entry {
            status, sent, took, ..
        } = self.entry;
        // How long somebody has followed events says nothing of how long they take.
        let took = if self.seat.is_some() {
            Duration::ZERO
        } else {
            took
        };
        let house = &self.app.house;
        house.counts.note(&self.route, status, sent, took);
        let plan = self.app.desk.plan();
        // What the owner's programs ask over the control socket is nobody's visit.
        if self.app.access != Access::Owner
            && plan.web.server.log.is_on
            && let Some(log) = house.log(self.app.desk.basedir())
        {
            log.note(&self.entry, rotation(&plan));
        }
    }
}

/// A body that is counted.
struct Seen {
    body: Body,
    visit: Visit,
}

impl HttpBody for Seen {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.visit.entry.sent += data.len() as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
