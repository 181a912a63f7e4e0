//! A page or document that a client has already is not sent again: who polls says
//! `If-None-Match`. What is sent goes packed to who can unpack it.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;

use axum::BoxError;
use axum::body::Body;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::Extensions;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Version;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tower_http::compression::CompressionLayer;
use tower_http::compression::Predicate;
use tower_http::compression::predicate::SizeAbove;

use super::failure::Failure;
use super::visits::Live;

/// The largest answer that is looked at whole.
const WHOLE: u64 = 8 * 1024 * 1024;

/// A shorter one is not worth the packing.
const PACKED: u64 = 1024;

/// Marks the pages and documents that a router answers with whole, and leaves out those that are
/// known. What comes in pieces, such as a log, goes by.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_marked = response.headers().contains_key(header::ETAG);
    let is_whole = response.body().size_hint().exact();
    let is_whole = is_whole.is_some_and(|it| it <= WHOLE);
    if !asks || response.status() != StatusCode::OK || is_marked || !is_whole || !is_text(&response)
    {
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

/// Whether it is a page or a document, and not a file of somebody's.
fn is_text(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
    kind.starts_with(b"text/html") || kind.starts_with(b"application/json")
}

/// What is packed: long texts that come whole. A document that shows a secret once, and an answer
/// that begins a session, stay as they are: how well they pack says something about them.
pub(super) fn packing() -> CompressionLayer<impl Predicate> {
    let is_open = |_: StatusCode, _: Version, headers: &HeaderMap, extensions: &Extensions| {
        let is_private = headers.contains_key(header::SET_COOKIE)
            || headers
                .get(header::CACHE_CONTROL)
                .is_some_and(|it| it.as_bytes() == b"no-store");
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let is_text = kind.starts_with("text/")
            || [
                "application/json",
                "image/svg+xml",
                "application/rss",
                "application/atom",
            ]
            .iter()
            .any(|it| kind.starts_with(it));
        let is_live = extensions.get::<Live>().is_some() || kind.starts_with("text/event-stream");
        is_text && !is_private && !is_live
    };
    CompressionLayer::new().compress_when(SizeAbove::new(PACKED).and(is_open))
}

/// The body of an answer that is made while it is sent. What packs it asks once more behind its end.
pub(super) fn made_as_sent<S, E>(parts: S) -> Body
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    Body::from_stream(parts.fuse())
}

/// Says of a packed answer that its mark is of what is in it.
pub(super) async fn weaken(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = headers.get(header::ETAG)
        && tag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(header::ETAG, weak);
    }
    response
}

/// Whether a list of marks has this one, which a proxy may have weakened.
pub(super) fn names(known: &HeaderValue, tag: &str) -> bool {
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
