//! The pages, asked through the router, of a master that does not exist.

mod actions;
mod forms;
mod happened;
mod knocks;
mod logs;
mod notices;
mod pages;
mod programs;
mod rights;
mod slaves;

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Request;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use super::app::router;
use super::desk::Desk;
use super::links;
use super::sample::HOSTILE;
use super::sample_desk::SampleDesk;
use crate::config::tests::sections::web_of;
use crate::master::Access;
use crate::model::Status;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default()
    }
}

pub(super) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.expect("a body");
    let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    Answer {
        status,
        headers,
        body,
    }
}

pub(super) async fn get(router: &Router, path: &str) -> Answer {
    ask(router, Request::get(path).body(Body::empty()).expect(path)).await
}

/// What a browser gets that can unpack: the answer's text, which came packed.
pub(super) async fn get_packed(router: &Router, path: &str) -> String {
    let request = Request::get(path).header("accept-encoding", "gzip");
    let request = request.body(Body::empty()).expect(path);
    let response = router.clone().oneshot(request).await.expect("infallible");
    let how = response.headers().get("content-encoding");
    assert_eq!(how.map(HeaderValue::as_bytes), Some(&b"gzip"[..]), "{path}");
    let bytes = response.into_body().collect().await.expect("whole");
    let bytes = bytes.to_bytes();
    let mut text = String::new();
    GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .expect("packed text");
    text
}

pub(super) async fn post(
    router: &Router,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::post(path)
        .header("host", "ci.test")
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(
        router,
        request.body(Body::from(body.to_owned())).expect(path),
    )
    .await
}

pub(super) async fn full() -> (Arc<SampleDesk>, Router) {
    let desk = SampleDesk::new().await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    (desk, router)
}

const JSON: (&str, &str) = ("accept", "application/json");

/// ann:pw
const ANN: (&str, &str) = ("authorization", "Basic YW5uOnB3");

/// Tests of every build of the sample.
const TESTS: [&str; 3] = [
    "words.test.test_intro.Intro.test_counts",
    "a/../b",
    "<script>alert(1)</script>",
];

fn pages() -> Vec<String> {
    let hostile = links::builder(HOSTILE);
    let step = links::quote("compile \"<all>\"/x");
    let mut pages: Vec<String> = [
        "",
        "builders",
        "builders/hello",
        "builders/never%20built",
        "builders/left",
        "builders/hello/builds/-1",
        "builders/hello/builds/6",
        "waterfall",
        "waterfall/help?branch=%22%3Cx%3E",
        "waterfall?show_events=true&failures_only=true&committer=%3Cb%3E",
        "console",
        "console?name=bo%22%3Cs%3E&revs=3&branch=feature%2F%3Cx%3E&reload=0",
        "console?category=nothing",
        "one_line_per_build",
        "one_line_per_build?builder=hello&branch=trunk&numbuilds=2",
        "one_line_per_build/left",
        "grid",
        "grid?width=9&branch=trunk&category=quick&category=%3Ccat%3E&reload=60",
        "tgrid",
        "tgrid?length=2&rev_order=desc&branch=feature%2F%3Cx%3E%26y",
        "grid?category=nothing",
        "waterfall?show_time=300&num_events=3&branch=trunk",
        "changes",
        "changes/2",
        "buildslaves",
        "buildslaves/otter",
        "buildslaves/%3Ceel%3E",
        "locks",
        "sources",
        "about",
        "json/help",
    ]
    .map(|it| format!("/{it}"))
    .into();
    pages.push(format!("/{hostile}"));
    for number in 0..6 {
        pages.push(format!("/{hostile}/builds/{number}"));
        pages.push(format!("/{hostile}/builds/{number}/tests"));
    }
    for test in TESTS {
        let test = links::quote(test);
        pages.push(format!("/{hostile}/builds/0/tests/{test}"));
    }
    pages.push(format!("/{hostile}/builds/0/tests?name=.."));
    pages.push(format!("/{hostile}/builds/0/tests?name="));
    pages.push(format!(
        "/{hostile}/builds/0/tests?q=%3Cscript%3E&end=unexpected%20success"
    ));
    pages.push(format!("/{hostile}/builds/0/steps/{step}"));
    pages.push(format!("/{hostile}/builds/0/steps/{step}/logs/stdio"));
    pages
}

/// What an answer for programs says went wrong.
pub(super) fn told(body: &str) -> String {
    let document: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    document["error"].as_str().expect("a text").to_owned()
}

fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}
