//! What this is and since when it runs.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::model::Timestamp;

use super::app::Shared;
use super::failure::Failure;
use super::words::Moment;

#[derive(Serialize)]
pub(super) struct AboutView {
    pub(super) started: Moment,
    pub(super) platform: String,
    pub(super) base_url: Option<String>,
    pub(super) parts: &'static [(&'static str, &'static str)],
}

/// What autobot stands on.
const PARTS: &[(&str, &str)] = &[
    ("tokio, hyper and axum", "connections and pages"),
    ("minijinja", "templates"),
    ("SQLite", "the store"),
    ("vte", "colours in logs"),
];

pub(super) fn view(started: Timestamp, base_url: Option<String>, now: Timestamp) -> AboutView {
    AboutView {
        started: Moment::new(started, now),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        base_url,
        parts: PARTS,
    }
}

pub(super) async fn page(State(app): State<Shared>, uri: Uri) -> Result<Response, Failure> {
    let base_url = app.desk.plan().master.base_url.clone();
    app.draw(
        "about.html",
        &uri,
        view(app.desk.started(), base_url, clock::now()),
    )
}
