//! `/change_hook/NAME`: who knows of a change knocks here. Programs, not people, so answers are
//! a line of text.
//!
//! Strangers send what they like: a body has a most, all bodies together have one, none may
//! dawdle, and nobody may come too often.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;
use tokio::time;
use tokio::time::Instant;

use crate::changes::hooks::Knock;
use crate::changes::hooks::Refused;
use crate::master::hooks::KnockError;

use super::app::Shared;
use super::client_address::Client;

/// The most that a body may be, in bytes: what the largest forge sends.
const BODY: usize = 25 * 1024 * 1024;

const TOO_LONG: &str = "the body is longer than 25 MiB";

/// What all bodies together may be while they are read, in KiB.
const BODIES: usize = 64 * 1024;
static ROOM: Semaphore = Semaphore::const_new(BODIES);

/// How long a body may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// What `/change_hook` is without a name.
const USUAL: &str = "base";

type Pairs = Vec<(String, String)>;

pub(super) async fn usual(
    State(app): State<Shared>,
    client: Client,
    Query(query): Query<Pairs>,
    request: Request,
) -> Response {
    answer(&app, USUAL, &client, query, request).await
}

pub(super) async fn named(
    State(app): State<Shared>,
    Path(name): Path<String>,
    client: Client,
    Query(query): Query<Pairs>,
    request: Request,
) -> Response {
    answer(&app, &name, &client, query, request).await
}

async fn answer(
    app: &Shared,
    name: &str,
    client: &Client,
    query: Pairs,
    request: Request,
) -> Response {
    if let Err(wait) = count(app, name, client) {
        return too_often(wait);
    }
    let (parts, body) = request.into_parts();
    // Who says so beforehand is told before the body is sent.
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|it| it > BODY) {
        return line(StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG);
    }
    let read = time::timeout(PATIENCE, read(body)).await;
    let (body, _room) = match read {
        Ok(Ok(read)) => read,
        Ok(Err((status, why))) => return line(status, why),
        Err(_) => return line(StatusCode::REQUEST_TIMEOUT, "the body takes too long"),
    };
    let knock = Knock {
        headers: headers(&parts.headers),
        query,
        body,
    };
    match app.desk.knock(name, knock, app.access).await {
        Ok(true) => line(StatusCode::OK, "OK"),
        Ok(false) => line(StatusCode::OK, "no changes found"),
        Err(error) => {
            let status = match &error {
                KnockError::NoHooks => StatusCode::NOT_FOUND,
                KnockError::Unknown(_) | KnockError::Refused(Refused::Bad(_)) => {
                    StatusCode::BAD_REQUEST
                }
                KnockError::ReadOnly => StatusCode::FORBIDDEN,
                KnockError::Refused(Refused::Forged(_)) => StatusCode::UNAUTHORIZED,
                KnockError::Refused(Refused::Strange(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                KnockError::NoSecret | KnockError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            line(status, &error.to_string())
        }
    }
}

/// Counts the knock, unless there were too many lately from where it comes.
fn count(app: &Shared, name: &str, client: &Client) -> Result<(), Duration> {
    let plan = app.desk.plan();
    let limit = plan.web.server.limits.hook_requests;
    let (Some(limit), Some(from)) = (limit, client.address) else {
        return Ok(());
    };
    let is_there = plan.sources.iter().any(|it| it.name == name);
    let hook = is_there.then_some(name);
    app.house.knocks.take(from, hook, limit, Instant::now())
}

/// Asks to come again later.
fn too_often(wait: Duration) -> Response {
    let secs = wait.as_millis().div_ceil(1000).max(1);
    let text = format!("too many requests at this hook from your address; again in {secs} s");
    let mut response = line(StatusCode::TOO_MANY_REQUESTS, &text);
    response.headers_mut().insert(
        header::RETRY_AFTER,
        HeaderValue::from(u64::try_from(secs).unwrap_or(u64::MAX)),
    );
    response
}

fn line(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

fn headers(map: &HeaderMap) -> Pairs {
    let all = map.iter();
    let texts = all.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?)));
    texts
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// The body, and the room that it takes.
pub(super) async fn read(
    mut body: Body,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'static>>), (StatusCode, &'static str)> {
    let mut bytes = Vec::new();
    let mut room: Option<SemaphorePermit<'static>> = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err((StatusCode::BAD_REQUEST, "the body broke off"));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > BODY {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG));
        }
        bytes.extend_from_slice(&data);
        let needed = bytes.len().div_ceil(1024);
        let held = room.as_ref().map_or(0, SemaphorePermit::num_permits);
        if needed > held {
            let more = u32::try_from(needed - held).unwrap_or(u32::MAX);
            let Ok(more) = ROOM.try_acquire_many(more) else {
                return Err((
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many are knocking; try again",
                ));
            };
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
    }
    Ok((bytes, room))
}
