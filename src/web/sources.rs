//! Change sources: what each follows, how it is doing, and when it looks again.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::master::source_view::SourceView;
use crate::model::Timestamp;

use super::app::Shared;
use super::failure::Failure;
use super::words::Moment;

#[derive(Serialize)]
struct SourcesView {
    sources: Vec<SourceLine>,
}

/// A source in the table.
#[derive(Serialize)]
struct SourceLine {
    name: String,
    /// What it follows, if its name does not say so.
    describe: String,
    state: &'static str,
    failures: u32,
    last_poll: Option<Moment>,
    next: Option<Moment>,
    /// Whether it is no poller.
    waits_for_others: bool,
    error_at: Option<Moment>,
    error: Option<String>,
}

impl SourceLine {
    fn new(it: SourceView, now: Timestamp) -> Self {
        let state = it.state();
        let (error_at, error) = it.last_error.unzip();
        let is_named_so = it.describe == it.name;
        Self {
            state,
            describe: if is_named_so {
                String::new()
            } else {
                it.describe
            },
            failures: it.failures,
            last_poll: it.last_poll.map(|at| Moment::new(at, now)),
            next: it.next.map(|at| ahead(at, now)),
            waits_for_others: !it.looks,
            error_at: error_at.map(|at| Moment::new(at, now)),
            error,
            name: it.name,
        }
    }
}

/// A time that is still to come.
fn ahead(at: Timestamp, now: Timestamp) -> Moment {
    Moment {
        iso: clock::iso(at),
        ago: match at <= now {
            true => "now".to_owned(),
            false => format!("in {}", clock::human(at.since(now))),
        },
    }
}

pub(super) async fn page(State(app): State<Shared>, uri: Uri) -> Result<Response, Failure> {
    let now = clock::now();
    let sources = app.desk.sources().into_iter();
    let sources = sources.map(|it| SourceLine::new(it, now)).collect();
    app.draw("sources.html", &uri, SourcesView { sources })
}

pub(super) async fn document(State(app): State<Shared>) -> Json<Value> {
    let sources = app.desk.sources().into_iter().map(|it| {
        json!({
            "name": it.name,
            "follows": it.describe,
            "state": it.state(),
            "failures": it.failures,
            "problem": it.health.and_then(Result::err),
            "last_poll": it.last_poll.map(clock::iso),
            "last_error": it.last_error.map(|(at, reason)| json!({
                "at": clock::iso(at),
                "reason": reason,
            })),
            "next_poll": it.next.map(clock::iso),
        })
    });
    Json(Value::Array(sources.collect()))
}
