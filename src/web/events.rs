//! `GET /events`: what happens, as it happens, for pages and programs.
//!
//! Server-sent events; the name is the kind (`build_started`), the data a
//! JSON object of it. `?builder=NAME` and `?build=NAME/NUMBER` leave out what
//! belongs to others. `resync` means that some were missed: read again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use axum::response::sse::Sse;
use futures_util::stream;
use serde_json::Value;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::model::BuildKey;
use crate::model::Status;

use super::app::Shared;
use super::failure::Failure;

/// A comment in this interval keeps proxies from closing the line.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Whose events are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    builder: Option<String>,
    number: Option<i64>,
}

impl Filter {
    fn new(query: &[(String, String)]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for (name, value) in query {
            match name.as_str() {
                "builder" => filter.builder = Some(value.clone()),
                "build" => {
                    let bad = || {
                        Failure::BadRequest(format!(
                            "`build` should be a builder and a number such as `hello/12`, not `{value}`"
                        ))
                    };
                    let (builder, number) = value.rsplit_once('/').ok_or_else(bad)?;
                    filter.number = Some(number.parse().map_err(|_| bad())?);
                    filter.builder = Some(builder.to_owned());
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    fn takes(&self, status: &Status) -> bool {
        let (builder, number) = match status {
            Status::RequestAdded { builder, .. } | Status::RequestFinished { builder, .. } => {
                (builder, None)
            }
            Status::BuildStarted { build }
            | Status::StepStarted { build, .. }
            | Status::StepFinished { build, .. }
            | Status::LogGrew { build, .. }
            | Status::BuildFinished { build, .. } => (&build.builder, Some(build.number)),
            // Whichever build waits: every page says it.
            Status::TroubleChanged => return true,
            // Every page says so.
            Status::ShutdownChanged => return true,
            // These concern everybody, but no single build.
            Status::ChangeAdded { .. }
            | Status::SlaveChanged { .. }
            | Status::Reloaded
            | Status::ReloadRefused => {
                return self.number.is_none();
            }
        };
        self.builder
            .as_deref()
            .is_none_or(|it| it == builder.as_str())
            && self.number.is_none_or(|it| number == Some(it))
    }
}

/// An event's name and its data.
fn shown(status: &Status) -> (&'static str, Value) {
    let of = |build: &BuildKey| json!({ "builder": build.builder, "number": build.number });
    let with = |build: &BuildKey, more: Value| {
        let mut value = of(build);
        if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
            all.extend(more);
        }
        value
    };
    match status {
        Status::ChangeAdded { change } => ("change_added", json!({ "change": change })),
        Status::RequestAdded { request, builder } => (
            "request_added",
            json!({ "request": request, "builder": builder }),
        ),
        Status::RequestFinished { request, builder } => (
            "request_finished",
            json!({ "request": request, "builder": builder }),
        ),
        Status::BuildStarted { build } => ("build_started", of(build)),
        Status::StepStarted { build, step } => {
            ("step_started", with(build, json!({ "step": step })))
        }
        Status::StepFinished {
            build,
            step,
            outcome,
        } => (
            "step_finished",
            with(build, json!({ "step": step, "outcome": outcome })),
        ),
        Status::LogGrew { build, step, log } => {
            ("log_grew", with(build, json!({ "step": step, "log": log })))
        }
        Status::BuildFinished { build, outcome } => {
            ("build_finished", with(build, json!({ "outcome": outcome })))
        }
        Status::SlaveChanged { slave } => ("slave_changed", json!({ "slave": slave })),
        Status::TroubleChanged => ("trouble_changed", json!({})),
        Status::ShutdownChanged => ("shutdown_changed", json!({})),
        Status::Reloaded => ("reloaded", json!({})),
        Status::ReloadRefused => ("reload_refused", json!({})),
    }
}

pub(super) async fn stream(
    State(app): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let filter = Arc::new(Filter::new(&query)?);
    let events = app.desk.subscribe();
    let stream = stream::unfold((events, filter), |(mut events, filter)| async {
        let event = loop {
            match events.recv().await {
                Ok(status) if filter.takes(&status) => {
                    let (name, data) = shown(&status);
                    break Event::default().event(name).data(data.to_string());
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    break Event::default().event("resync").data("{}");
                }
                Err(RecvError::Closed) => return None,
            }
        };
        Some((Ok::<_, Infallible>(event), (events, filter)))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn filter(name: &str, value: &str) -> Filter {
        Filter::new(&[(name.to_owned(), value.to_owned())]).expect("readable")
    }

    #[test]
    fn a_filter_takes_what_belongs_to_it() {
        let finished = Status::BuildFinished {
            build: BuildKey {
                builder: "web/lint".into(),
                number: 3,
            },
            outcome: Outcome::Success,
        };
        assert!(Filter::default().takes(&finished));
        assert!(filter("builder", "web/lint").takes(&finished));
        assert!(!filter("builder", "web").takes(&finished));
        assert!(filter("build", "web/lint/3").takes(&finished));
        assert!(!filter("build", "web/lint/4").takes(&finished));
        assert!(!filter("build", "web/lint/3").takes(&Status::Reloaded));
        assert!(filter("builder", "web").takes(&Status::Reloaded));
        assert_eq!(
            shown(&finished).1.to_string(),
            r#"{"builder":"web/lint","number":3,"outcome":"success"}"#
        );
    }

    #[test]
    fn a_bad_filter_is_told() {
        for bad in ["x", "x/", "x/y"] {
            let query = [("build".to_owned(), bad.to_owned())];
            assert!(Filter::new(&query).is_err(), "{bad}");
        }
    }
}
