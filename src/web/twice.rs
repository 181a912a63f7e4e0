//! What is posted twice under one key is done once: who does not hear of an answer, and sends the
//! same again with the same `Idempotency-Key`, gets the answer that there was.
//!
//! The key is one's own: the same word of somebody else is another one. What is asked for goes on
//! to its end when its sender leaves, so that who comes back hears of it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::response::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Limited;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;
use tokio::sync::watch;
use tokio::time::Instant;

use super::app::FORM;
use super::app::Shared;
use super::client_address::Client;
use super::failure::Failure;

/// How long an answer is known.
const KNOWN: Duration = Duration::from_mins(10);
/// Answers that are known at once; the oldest goes.
const MOST: usize = 1024;
/// The longest key.
const KEY: usize = 200;
/// The longest answer that is kept: those of actions are lines.
const ANSWER: usize = 64 * 1024;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

type Digest = [u8; 32];

/// What was posted under keys, in one process: a master that starts anew knows of none.
#[derive(Debug, Default)]
pub(super) struct Posts {
    known: Mutex<HashMap<Digest, Post>>,
}

#[derive(Debug)]
struct Post {
    at: Instant,
    /// Of what was asked for: a key is for one thing.
    what: Digest,
    answer: watch::Receiver<Option<Answer>>,
}

/// An answer as it is given again.
#[derive(Clone, Debug)]
struct Answer {
    parts: Parts,
    body: Bytes,
}

enum Place {
    /// Nobody has asked for it.
    First(watch::Sender<Option<Answer>>),
    Again(watch::Receiver<Option<Answer>>),
    /// The key was used for something else.
    Taken,
}

impl Posts {
    fn place(&self, who: Digest, what: Digest, now: Instant) -> Place {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, it| now.duration_since(it.at) < KNOWN);
        match known.get(&who) {
            Some(post) if post.what == what => Place::Again(post.answer.clone()),
            Some(_) => Place::Taken,
            None => {
                if known.len() >= MOST
                    && let Some(oldest) = known.iter().min_by_key(|it| it.1.at)
                {
                    let oldest = *oldest.0;
                    known.remove(&oldest);
                }
                let (tell, answer) = watch::channel(None);
                let at = now;
                known.insert(who, Post { at, what, answer });
                Place::First(tell)
            }
        }
    }

    fn forget(&self, who: &Digest) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(who);
    }
}

/// Does what is posted under a key once.
pub(super) async fn layer(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let key = request.headers().get(NAME).cloned();
    let Some(key) = key.filter(|_| *request.method() == Method::POST) else {
        return next.run(request).await;
    };
    let is_key = (1..=KEY).contains(&key.len()) && key.as_bytes().is_ascii();
    if !is_key {
        let why = format!("`Idempotency-Key` should have 1 to {KEY} ASCII characters");
        return refused(StatusCode::BAD_REQUEST, &why);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, FORM).collect().await else {
        let why = "the form is larger than 64 KiB, or broke off";
        return refused(StatusCode::BAD_REQUEST, why);
    };
    let body = body.to_bytes();
    let who = whose(&key, &parts.headers, parts.extensions.get::<Client>());
    let address = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let what = digest(&[address.as_bytes(), &body]);
    let hear = match app.house.posts.place(who, what, Instant::now()) {
        Place::Again(answer) => answer,
        Place::Taken => {
            let why = "this `Idempotency-Key` was used for something else";
            return refused(StatusCode::CONFLICT, why);
        }
        Place::First(tell) => {
            let request = Request::from_parts(parts, Body::from(body));
            let hear = tell.subscribe();
            // Not cut off with its visitor: nobody would know how far it came.
            tokio::spawn(async move {
                let answer = keep(next.run(request).await).await;
                // What may go better the next time is not held against it.
                let is_final = answer.parts.status.as_u16() < 429;
                if !is_final {
                    app.house.posts.forget(&who);
                }
                tell.send_replace(Some(answer));
            });
            return given(hear, false).await;
        }
    };
    given(hear, true).await
}

/// Whoever sends keys is a program.
fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

async fn given(mut hear: watch::Receiver<Option<Answer>>, again: bool) -> Response {
    let Ok(answer) = hear.wait_for(Option::is_some).await else {
        return Failure::Lost.into_response();
    };
    let Some(Answer { mut parts, body }) = answer.clone() else {
        return Failure::Lost.into_response();
    };
    if again {
        parts
            .headers
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Response::from_parts(parts, Body::from(body))
}

async fn keep(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    match Limited::new(body, ANSWER).collect().await {
        Ok(body) => Answer {
            parts,
            body: body.to_bytes(),
        },
        Err(_) => {
            let (parts, _) = Failure::Lost.into_response().into_parts();
            let body = Bytes::new();
            Answer { parts, body }
        }
    }
}

/// Whose key it is: of who shows the same login, from the same address.
fn whose(key: &HeaderValue, headers: &axum::http::HeaderMap, client: Option<&Client>) -> Digest {
    let said = |name| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    let from = client.and_then(|it| it.address).map(|it| it.to_string());
    digest(&[
        key.as_bytes(),
        said(header::AUTHORIZATION),
        said(header::COOKIE),
        said(header::ACCEPT),
        from.unwrap_or_default().as_bytes(),
    ])
}

fn digest(parts: &[&[u8]]) -> Digest {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use tower::ServiceExt as _;

    use super::*;
    use crate::master::Access;
    use crate::web::app::router;
    use crate::web::sample_desk::SampleDesk;

    async fn post(
        router: &Router,
        key: &str,
        form: &str,
        more: (&str, &str),
    ) -> (u16, String, bool) {
        let request = Request::post("/builders/hello/force")
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(more.0, more.1)
            .header(NAME, key);
        let request = request.body(Body::from(form.to_owned()));
        let sent = router.clone().oneshot(request.expect("a request"));
        let answer = sent.await.expect("an answer");
        let again = answer.headers().contains_key(REPLAYED);
        let status = answer.status().as_u16();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned(), again)
    }

    #[tokio::test]
    async fn what_is_posted_twice_under_a_key_is_done_once_and_answered_twice() {
        let desk = SampleDesk::new().await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Owner);
        let nobody = ("x-nothing", "");
        let first = post(&router, "k1", "comments=a", nobody);
        let second = post(&router, "k1", "comments=a", nobody);
        // A double click: the second is there before the first is answered.
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.0, second.0), (200, 200));
        assert_eq!(first.1, second.1);
        assert_eq!((first.2, second.2), (false, true));
        let asked = || desk.asked.lock().expect("not poisoned").len();
        assert_eq!(asked(), 1);

        let other = post(&router, "k1", "comments=b", nobody).await;
        assert_eq!(other.0, 409, "{}", other.1);
        assert_eq!(asked(), 1);
        let another = post(&router, "k2", "comments=a", nobody).await;
        assert_eq!((another.0, another.2, asked()), (200, false, 2));
        let somebody = post(&router, "k1", "comments=a", ("cookie", "a=b")).await;
        assert_eq!((somebody.0, somebody.2, asked()), (200, false, 3));
    }

    #[tokio::test]
    async fn a_refusal_is_given_again_and_a_bad_key_is_told() {
        let desk = SampleDesk::new().await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Owner);
        let nobody = ("x-nothing", "");
        for again in [false, true] {
            let answer = post(&router, "k", "branch=a%3Bb", nobody).await;
            assert_eq!((answer.0, answer.2), (400, again));
        }
        let long = "x".repeat(KEY + 1);
        for key in ["", &long] {
            let answer = post(&router, key, "", nobody).await;
            assert_eq!(answer.0, 400);
            assert!(answer.1.contains("Idempotency-Key"), "{}", answer.1);
        }
        assert!(desk.asked.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_few_and_forgotten_and_what_may_go_better_is_tried_again() {
        let posts = Posts::default();
        let start = Instant::now();
        for number in 0..MOST + 5 {
            let now = start + Duration::from_millis(number as u64);
            let who = digest(&[&number.to_be_bytes()]);
            assert!(matches!(posts.place(who, [0; 32], now), Place::First(_)));
        }
        assert_eq!(posts.known.lock().expect("not poisoned").len(), MOST);
        let newest = digest(&[&(MOST + 4).to_be_bytes()]);
        let again = |at| posts.place(newest, [0; 32], at);
        assert!(matches!(
            again(start + KNOWN - Duration::from_secs(1)),
            Place::Again(_)
        ));
        posts.forget(&newest);
        assert!(matches!(again(start), Place::First(_)));
        assert!(matches!(again(start + KNOWN * 2), Place::First(_)));
    }
}
