//! `GET /events`: what happens, as it happens, for pages and programs.
//!
//! Server-sent events; the name is the kind (`build_started`), the data a JSON object of it.
//! [`KINDS`] says which there are, [`Filter`] leaves out what nobody asked for. Each has an id:
//! who comes back with it (`Last-Event-ID`, or `?after=`) hears what was missed. `resync` means
//! that some of it is not known any more: read again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::sse::Event;
use axum::response::sse::Sse;
use futures_util::stream;
use serde_json::Value;
use serde_json::json;
use tokio::time;

use crate::model::BuildKey;
use crate::model::Status;

use super::app::Shared;
use super::failure::Failure;
use super::journal::Place;
use super::journal::Waker;

/// A heartbeat in this interval keeps proxies from closing the line. It carries the place, so
/// that who hears little finds it again too.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// When a browser comes back after the line was cut.
const RETRY: Duration = Duration::from_secs(2);

/// Every kind, what its data holds, and what it means.
pub(super) const KINDS: &[(&str, &str, &str)] = &[
    ("change_added", "`change`", "a change came"),
    ("request_added", "`request`, `builder`", "a request waits"),
    (
        "request_finished",
        "`request`, `builder`",
        "it is complete, or was cancelled",
    ),
    (
        "build_started",
        "`builder`, `number`, `slave`",
        "a build began",
    ),
    (
        "step_started",
        "`builder`, `number`, `step`",
        "one of its steps began",
    ),
    (
        "step_finished",
        "`builder`, `number`, `step`, `outcome`",
        "one of its steps ended",
    ),
    (
        "log_grew",
        "`builder`, `number`, `step`, `log`",
        "a log has more to read; of a log only the newest is kept",
    ),
    (
        "build_finished",
        "`builder`, `number`, `slave`, `outcome`",
        "a build ended",
    ),
    (
        "slave_changed",
        "`slave`",
        "a slave came, went, or was paused",
    ),
    (
        "trouble_changed",
        "",
        "builds wait for a disk, or do so no longer",
    ),
    (
        "shutdown_changed",
        "",
        "a clean shutdown began or was cancelled",
    ),
    ("reloaded", "", "a new configuration is in force"),
    (
        "reload_refused",
        "",
        "the files have mistakes; the configuration from before stays",
    ),
];

/// Said to who missed something.
pub(super) const RESYNC: &str = "resync";

/// Whose events are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    builders: Vec<String>,
    builds: Vec<(String, i64)>,
    slaves: Vec<String>,
    kinds: Vec<String>,
    /// Where to begin.
    after: Option<String>,
}

impl Filter {
    fn new(query: &[(String, String)]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for (name, value) in query {
            match name.as_str() {
                "builder" => filter.builders.push(value.clone()),
                "slave" => filter.slaves.push(value.clone()),
                "build" => {
                    let bad = || {
                        Failure::BadRequest(format!(
                            "`build` should be a builder and a number such as `hello/12`, not `{value}`"
                        ))
                    };
                    let (builder, number) = value.rsplit_once('/').ok_or_else(bad)?;
                    let number = number.parse().map_err(|_| bad())?;
                    filter.builds.push((builder.to_owned(), number));
                }
                "kind" => {
                    // One that is misspelled would be silent for ever.
                    if !KINDS.iter().any(|it| it.0 == value) && value != RESYNC {
                        let known: Vec<_> = KINDS.iter().map(|it| it.0).collect();
                        return Err(Failure::BadRequest(format!(
                            "`kind` should be one of {}, not `{value}`",
                            known.join(", ")
                        )));
                    }
                    filter.kinds.push(value.clone());
                }
                "after" => filter.after = Some(value.clone()),
                other => {
                    return Err(Failure::BadRequest(format!(
                        "`{other}` filters no events: `builder`, `build`, `slave` and `kind` do"
                    )));
                }
            }
        }
        Ok(filter)
    }

    fn takes(&self, status: &Status) -> bool {
        let (kind, _) = shown(status);
        let wanted = self.kinds.is_empty() || self.kinds.iter().any(|it| it == kind);
        wanted && self.concerns(status)
    }

    /// Whether it is about something that is named, if anything is.
    fn concerns(&self, status: &Status) -> bool {
        if self.builders.is_empty() && self.builds.is_empty() && self.slaves.is_empty() {
            return true;
        }
        let of_builder = |name: &str| self.builders.iter().any(|it| it == name);
        let of_build = |build: &BuildKey| {
            let mut named = self.builds.iter();
            of_builder(build.builder.as_str())
                || named.any(|it| it.0 == build.builder.as_str() && it.1 == build.number)
        };
        let of_slave = |name: &str| self.slaves.iter().any(|it| it == name);
        match status {
            Status::RequestAdded { builder, .. } | Status::RequestFinished { builder, .. } => {
                of_builder(builder.as_str())
            }
            Status::BuildStarted { build, slave } | Status::BuildFinished { build, slave, .. } => {
                of_build(build) || of_slave(slave.as_str())
            }
            Status::StepStarted { build, .. }
            | Status::StepFinished { build, .. }
            | Status::LogGrew { build, .. } => of_build(build),
            // Whichever build waits, and whatever ends with the master: every page says it.
            Status::TroubleChanged | Status::ShutdownChanged => true,
            // A builder's page shows its slaves, and what comes to it.
            Status::SlaveChanged { slave } => match self.slaves.is_empty() {
                true => !self.builders.is_empty(),
                false => of_slave(slave.as_str()),
            },
            Status::ChangeAdded { .. } => !self.builders.is_empty(),
            // These concern everybody, but no single build.
            Status::Reloaded | Status::ReloadRefused => {
                !self.builders.is_empty() || !self.slaves.is_empty()
            }
        }
    }
}

/// An event's name and its data.
fn shown(status: &Status) -> (&'static str, Value) {
    let with = |build: &BuildKey, more: Value| {
        let mut value = json!({ "builder": build.builder, "number": build.number });
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
        Status::BuildStarted { build, slave } => {
            ("build_started", with(build, json!({ "slave": slave })))
        }
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
        Status::BuildFinished {
            build,
            slave,
            outcome,
        } => (
            "build_finished",
            with(build, json!({ "slave": slave, "outcome": outcome })),
        ),
        Status::SlaveChanged { slave } => ("slave_changed", json!({ "slave": slave })),
        Status::TroubleChanged => ("trouble_changed", json!({})),
        Status::ShutdownChanged => ("shutdown_changed", json!({})),
        Status::Reloaded => ("reloaded", json!({})),
        Status::ReloadRefused => ("reload_refused", json!({})),
    }
}

/// One who listens.
struct Listener {
    app: Shared,
    filter: Filter,
    place: Place,
    waker: Waker,
    /// What is about to be sent: a few at a time, however much there is.
    ready: VecDeque<Event>,
}

impl Listener {
    fn new(app: Shared, filter: Filter, came_back_with: Option<&str>) -> Self {
        let (end, waker) = app.journal.end();
        let place = came_back_with.map(|it| app.journal.place(it));
        let mut ready = VecDeque::new();
        let begin = place.flatten().unwrap_or(end);
        let first = Event::default().id(app.journal.ticket(begin)).retry(RETRY);
        ready.push_back(first);
        if place == Some(None) {
            ready.push_back(resync());
        }
        Self {
            app,
            filter,
            place: begin,
            waker,
            ready,
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let read = self.app.journal.after(self.place);
            let is_at_end = read.events.is_empty();
            self.place = read.next;
            if read.gap {
                self.ready.push_back(resync());
            }
            for (place, status) in read.events {
                if self.filter.takes(&status) {
                    let (name, data) = shown(&status);
                    let event = Event::default().event(name).data(data.to_string());
                    self.ready
                        .push_back(event.id(self.app.journal.ticket(place)));
                }
            }
            if !self.ready.is_empty() || !is_at_end {
                continue;
            }
            match time::timeout(HEARTBEAT, self.waker.wait()).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => {
                    let ticket = self.app.journal.ticket(self.place);
                    return Some(Event::default().comment("still here").id(ticket));
                }
            }
        }
    }
}

fn resync() -> Event {
    Event::default().event(RESYNC).data("{}")
}

pub(super) async fn stream(
    State(app): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let mut filter = Filter::new(&query)?;
    let asked = filter.after.take();
    let header = headers.get(HeaderName::from_static("last-event-id"));
    // What a browser says when it comes back is newer than its address.
    let came_back_with = match header {
        Some(it) => Some(it.to_str().unwrap_or_default().to_owned()),
        None => asked,
    };
    let listener = Listener::new(app, filter, came_back_with.as_deref());
    let stream = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let mut response = Sse::new(stream).into_response();
    // A proxy that collects answers would keep them from whom they are for.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChangeId;
    use crate::model::Outcome;
    use crate::model::RequestId;

    fn filter(query: &[(&str, &str)]) -> Result<Filter, Failure> {
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Filter::new(&query)
    }

    fn takes(query: &[(&str, &str)], status: &Status) -> bool {
        filter(query).expect("readable").takes(status)
    }

    fn finished() -> Status {
        Status::BuildFinished {
            build: BuildKey {
                builder: "web/lint".into(),
                number: 3,
            },
            slave: "otter".into(),
            outcome: Outcome::Success,
        }
    }

    /// One of each kind.
    fn all() -> Vec<Status> {
        let build = || BuildKey {
            builder: "web/lint".into(),
            number: 3,
        };
        let builder = || "web/lint".into();
        vec![
            Status::ChangeAdded {
                change: ChangeId(1),
            },
            Status::RequestAdded {
                request: RequestId(1),
                builder: builder(),
            },
            Status::RequestFinished {
                request: RequestId(1),
                builder: builder(),
            },
            Status::BuildStarted {
                build: build(),
                slave: "otter".into(),
            },
            Status::StepStarted {
                build: build(),
                step: 1,
            },
            Status::StepFinished {
                build: build(),
                step: 1,
                outcome: Outcome::Success,
            },
            Status::LogGrew {
                build: build(),
                step: 1,
                log: "stdio".into(),
            },
            finished(),
            Status::SlaveChanged {
                slave: "otter".into(),
            },
            Status::TroubleChanged,
            Status::ShutdownChanged,
            Status::Reloaded,
            Status::ReloadRefused,
        ]
    }

    #[test]
    fn every_kind_is_told_with_what_its_row_says() {
        let shown: Vec<_> = all().iter().map(shown).collect();
        let rows: Vec<_> = shown
            .iter()
            .map(|(kind, data)| {
                let keys = data.as_object().expect("a map").keys();
                let keys: Vec<_> = keys.map(|it| format!("`{it}`")).collect();
                (*kind, keys.join(", "))
            })
            .collect();
        let table: Vec<_> = KINDS
            .iter()
            .map(|(kind, keys, _)| (*kind, (*keys).to_owned()))
            .collect();
        assert_eq!(rows, table);
        assert_eq!(
            shown[7].1.to_string(),
            r#"{"builder":"web/lint","number":3,"slave":"otter","outcome":"success"}"#
        );
    }

    #[test]
    fn a_filter_takes_what_belongs_to_it() {
        let finished = finished();
        assert!(takes(&[], &finished));
        assert!(takes(&[("builder", "web/lint")], &finished));
        assert!(!takes(&[("builder", "web")], &finished));
        assert!(takes(
            &[("builder", "web"), ("builder", "web/lint")],
            &finished
        ));
        assert!(takes(&[("build", "web/lint/3")], &finished));
        assert!(!takes(&[("build", "web/lint/4")], &finished));
        assert!(takes(&[("slave", "otter")], &finished));
        assert!(!takes(&[("slave", "newt")], &finished));
        assert!(takes(
            &[("slave", "newt"), ("build", "web/lint/3")],
            &finished
        ));
    }

    #[test]
    fn what_concerns_everybody_reaches_builders_and_slaves_but_no_single_build() {
        let names = |query: &[(&str, &str)]| -> Vec<&str> {
            let all = all();
            let taken = all.iter().filter(|it| takes(query, it));
            taken.map(|it| shown(it).0).collect()
        };
        assert_eq!(
            names(&[("build", "x/3")]),
            ["trouble_changed", "shutdown_changed"]
        );
        assert_eq!(
            names(&[("slave", "otter")]),
            [
                "build_started",
                "build_finished",
                "slave_changed",
                "trouble_changed",
                "shutdown_changed",
                "reloaded",
                "reload_refused"
            ]
        );
        assert_eq!(
            names(&[("builder", "x")]),
            [
                "change_added",
                "slave_changed",
                "trouble_changed",
                "shutdown_changed",
                "reloaded",
                "reload_refused"
            ]
        );
        assert_eq!(names(&[]).len(), KINDS.len());
    }

    #[test]
    fn only_the_kinds_that_are_named_are_told() {
        let query = [("kind", "build_finished"), ("kind", "reloaded")];
        assert!(takes(&query, &finished()));
        assert!(takes(&query, &Status::Reloaded));
        assert!(!takes(&query, &Status::ReloadRefused));
        let query = [("kind", "build_finished"), ("builder", "x")];
        assert!(!takes(&query, &finished()));
    }

    #[test]
    fn a_bad_filter_is_told() {
        for bad in [
            ("build", "x"),
            ("build", "x/"),
            ("build", "x/y"),
            ("kind", "build_ended"),
            ("kinds", "reloaded"),
        ] {
            assert!(filter(&[bad]).is_err(), "{bad:?}");
        }
        let told = filter(&[("builders", "x")]).expect_err("unknown");
        assert_eq!(
            told.to_string(),
            "`builders` filters no events: `builder`, `build`, `slave` and `kind` do"
        );
    }
}
