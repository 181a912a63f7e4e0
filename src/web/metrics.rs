//! `/metrics`: the figures as Prometheus reads them. A configuration with many builders has figures
//! of its first ones; the others share theirs, so that nobody's memory grows without an end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::clock;
use crate::master::Access;
use crate::master::figures::FiguresView;
use crate::metrics::Kind;
use crate::metrics::Snapshot;
use crate::metrics::Text;
use crate::model::Timestamp;

use super::app::Shared;
use super::failure::Failure;
use super::seats::Row;
use super::visits::Count;

/// As the format calls itself.
const FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The builders that have no figures of their own.
const OTHERS: &str = "(others)";

/// What is known of visits.
struct Visits {
    by_route: BTreeMap<(String, u16), Count>,
    times: Snapshot,
    connections: u32,
    live: u32,
}

pub(super) async fn page(State(app): State<Shared>) -> Result<Response, Failure> {
    // How busy a farm is is nobody's business who may only look at it.
    if app.access == Access::ReadOnly {
        return Err(Failure::NotFound("page at this address".into()));
    }
    let view = app.desk.figures().await?;
    let house = &app.house;
    let visits = Visits {
        by_route: house.counts.by_route(),
        times: house.counts.times.snapshot(),
        connections: house.seats.taken(Row::Pages),
        live: house.seats.taken(Row::Live),
    };
    let most = app.desk.plan().metrics.unwrap_or_default().max_builders;
    let text = shown(&view, &visits, most as usize, clock::now());
    Ok(([(header::CONTENT_TYPE, FORM)], text).into_response())
}

fn shown(view: &FiguresView, visits: &Visits, most: usize, now: Timestamp) -> String {
    let mut text = Text::default();
    text.figure("autobot_build_info", Kind::Gauge, "The version that runs.");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.value("autobot_build_info", &version, 1.0);
    of_work(&mut text, view, most, now);
    of_the_master(&mut text, view);
    of_visits(&mut text, visits);
    text.finish()
}

/// Builds, requests and slaves.
fn of_work(text: &mut Text, view: &FiguresView, most: usize, now: Timestamp) {
    let named: BTreeSet<_> = view.builders.iter().take(most).collect();
    let mut builds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for ((builder, outcome), count) in &view.builds {
        let name = match named.contains(builder) {
            true => builder.as_str(),
            false => OTHERS,
        };
        *builds.entry((name, *outcome)).or_default() += count;
    }
    let name = "autobot_builds_total";
    text.figure(
        name,
        Kind::Counter,
        "Builds that have ended since the start.",
    );
    for ((builder, outcome), count) in builds {
        let labels = [("builder", builder), ("result", outcome)];
        text.value(name, &labels, exact(count));
    }
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    for (builder, count) in view.waiting.iter().filter(|it| it.1 > 0) {
        let name = match named.contains(builder) {
            true => builder.as_str(),
            false => OTHERS,
        };
        *waiting.entry(name).or_default() += count;
    }
    let name = "autobot_pending_requests";
    text.figure(
        name,
        Kind::Gauge,
        "Requests that wait, by builder; none is not shown.",
    );
    for (builder, count) in waiting {
        text.value(name, &[("builder", builder)], exact(count as u64));
    }
    let oldest = view
        .oldest
        .map_or(0, |it| now.0.saturating_sub(it.0).max(0));
    let oldest = Duration::from_millis(oldest.unsigned_abs()).as_secs_f64();
    let help = "For how long the oldest of them has waited.";
    text.one("autobot_pending_oldest_seconds", Kind::Gauge, help, oldest);
    let running = view.counters.get("active_builds").copied().unwrap_or(0);
    let help = "Builds that run.";
    text.one("autobot_active_builds", Kind::Gauge, help, exact(running));
    let help = "From the oldest request of a build to its begin.";
    text.times("autobot_dispatch_seconds", help, &view.dispatch);
    let name = "autobot_slaves";
    text.figure(
        name,
        Kind::Gauge,
        "Slaves by what they do; one may do several.",
    );
    let slaves = view.slaves;
    for (state, count) in [
        ("configured", slaves.configured),
        ("connected", slaves.connected),
        ("busy", slaves.busy),
        ("paused", slaves.paused),
    ] {
        text.value(name, &[("state", state)], exact(count));
    }
}

/// The store, the disk and the process.
fn of_the_master(text: &mut Text, view: &FiguresView) {
    let help = "How long reading the store takes, waiting included.";
    text.times("autobot_store_read_seconds", help, &view.store_reads);
    let help = "How long a transaction takes until it is on the disk, waiting included.";
    text.times("autobot_store_write_seconds", help, &view.store_writes);
    let help = "How late a timer of a tenth of a second was.";
    text.times("autobot_timer_lateness_seconds", help, &view.lateness);
    let gauge = |text: &mut Text, name: &str, help: &str, value: f64| {
        text.one(name, Kind::Gauge, help, value);
    };
    let bytes = exact(view.log_bytes);
    gauge(
        text,
        "autobot_log_bytes",
        "Bytes that the logs of all builds take.",
        bytes,
    );
    let name = "autobot_alarm";
    text.figure(name, Kind::Gauge, "0 is good, 1 a warning, 2 critical.");
    for (alarm, level, _) in &view.alarms {
        text.value(name, &[("name", alarm)], f64::from(*level as u8));
    }
    let process = view.process;
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Memory.",
            process.resident_bytes,
        ),
        (
            "process_open_fds",
            "Open files and sockets.",
            process.open_files,
        ),
        (
            "process_max_fds",
            "The most there may be.",
            process.max_files,
        ),
        ("process_threads", "Threads.", process.threads),
    ] {
        gauge(text, name, help, exact(value));
    }
    let started = Duration::from_millis(view.started.0.unsigned_abs()).as_secs_f64();
    gauge(
        text,
        "process_start_time_seconds",
        "When it was started.",
        started,
    );
    let help = "Time on a processor.";
    text.one(
        "process_cpu_seconds_total",
        Kind::Counter,
        help,
        process.cpu_seconds,
    );
}

/// Requests over HTTP, those of the command line included.
fn of_visits(text: &mut Text, visits: &Visits) {
    let names = [
        (
            "autobot_http_requests_total",
            "Answers, by route and status.",
        ),
        ("autobot_http_sent_bytes_total", "Bytes of their bodies."),
        (
            "autobot_http_request_seconds_total",
            "How long they took to their last byte; what is followed counts for nothing.",
        ),
    ];
    for (index, (name, help)) in names.into_iter().enumerate() {
        text.figure(name, Kind::Counter, help);
        for ((route, hundreds), count) in &visits.by_route {
            let status = format!("{hundreds}xx");
            let labels = [("route", route.as_str()), ("status", status.as_str())];
            let value = match index {
                0 => exact(count.answers),
                1 => exact(count.bytes),
                _ => count.took.as_secs_f64(),
            };
            text.value(name, &labels, value);
        }
    }
    let help = "From the head of a request to the head of its answer.";
    text.times("autobot_http_response_seconds", help, &visits.times);
    let help = "Connections over which pages are asked for.";
    let open = f64::from(visits.connections);
    text.one("autobot_http_connections", Kind::Gauge, help, open);
    let help = "Connections over which events or logs are followed.";
    let live = f64::from(visits.live);
    text.one("autobot_http_live_connections", Kind::Gauge, help, live);
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn exact(count: u64) -> f64 {
    count as f64
}
