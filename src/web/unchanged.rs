//! A document that a client has already is not sent again: who polls says `If-None-Match`.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;

use super::failure::Failure;

/// Marks the whole documents that a router answers with, and leaves out those that are known.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_marked = response.headers().contains_key(header::ETAG);
    if !asks || response.status() != StatusCode::OK || is_marked {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Failure::Lost.into_response();
    };
    let body = body.to_bytes();
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let is_known = known.is_some_and(|it| names(&it, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.headers.insert(header::ETAG, tag);
    }
    if is_known {
        head.status = StatusCode::NOT_MODIFIED;
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
            head.headers.remove(name);
        }
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

/// Whether a list of marks has this one, which a proxy may have weakened.
fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known
        .split(',')
        .map(|it| it.trim().trim_start_matches("W/"))
        .any(|it| it == tag || it == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_a_list_and_weakened() {
        let is = |known: &str| names(&HeaderValue::from_str(known).expect("a value"), "\"a\"");
        assert!(is("\"a\"") && is("W/\"a\"") && is("\"b\", \"a\"") && is("*"));
        assert!(!is("\"b\"") && !is("a") && !is(""));
    }
}
