//! `/change_hook/NAME`: who knows of a change knocks here. Programs, not people, so answers are
//! a line of text.
//!
//! Strangers send what they like: a body has a most, all bodies together have one, and none
//! may dawdle.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;
use tokio::time;

use crate::changes::hooks::Knock;
use crate::changes::hooks::Refused;
use crate::master::hooks::KnockError;

use super::app::Shared;

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
    Query(query): Query<Pairs>,
    request: Request,
) -> Response {
    answer(&app, USUAL, query, request).await
}

pub(super) async fn named(
    State(app): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<Pairs>,
    request: Request,
) -> Response {
    answer(&app, &name, query, request).await
}

async fn answer(app: &Shared, name: &str, query: Pairs, request: Request) -> Response {
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
