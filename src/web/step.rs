//! One step of a build.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::master::outlook::MetricNow;
use crate::master::outlook::StepLeft;
use crate::model::Bytes;
use crate::model::OUTPUT;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::model::Usage;

use super::app::Shared;
use super::artifacts;
use super::artifacts::ArtifactLine;
use super::build;
use super::failure::Failure;
use super::links;
use super::rows;
use super::rows::BuildLine;
use super::rows::Link;
use super::rows::PropertyLine;
use super::rows::StepLine;
use super::words;
use super::words::Moment;

#[derive(Serialize)]
pub(super) struct StepView {
    pub(super) trail: Vec<Link>,
    pub(super) key: String,
    pub(super) build: BuildLine,
    pub(super) step: StepLine,
    pub(super) started: Option<Moment>,
    pub(super) finished: Option<Moment>,
    pub(super) statistics: Vec<(String, i64)>,
    pub(super) usage: Option<UsageView>,
    pub(super) ended: Option<String>,
    /// How long it still takes, as far as anybody knows.
    pub(super) eta: Option<String>,
    /// What it has counted, and of how much.
    pub(super) metrics: Vec<(String, String)>,
    /// What it has set for the build.
    pub(super) properties: Vec<PropertyLine>,
    pub(super) artifacts: Vec<ArtifactLine>,
    pub(super) elapsed: Option<String>,
    /// The steps before and after it.
    pub(super) older: Option<Link>,
    pub(super) newer: Option<Link>,
}

pub(super) fn view(
    facts: &build::Facts,
    step: &StepRecord,
    left: Option<StepLeft>,
    artifacts: Vec<ArtifactLine>,
    now: Timestamp,
) -> StepView {
    let build = &facts.build;
    let neighbour = |there: Option<u32>| {
        let there = there?;
        let step = facts.steps.iter().find(|it| it.number == there)?;
        Some(Link {
            name: step.name.clone(),
            url: links::step(&build.key, &step.name),
        })
    };
    let left = left.filter(|_| step.started.is_some() && step.finished.is_none());
    StepView {
        trail: rows::trail(&build.key),
        key: build.key.to_string(),
        build: BuildLine::new(build, now),
        step: StepLine::new(&build.key, step, now),
        started: step.started.map(|it| Moment::new(it, now)),
        finished: step.finished.map(|it| Moment::new(it, now)),
        statistics: step.statistics.clone(),
        usage: step.usage.as_ref().map(UsageView::new),
        ended: step.ended.clone(),
        eta: left
            .as_ref()
            .and_then(|it| it.left)
            .map(|it| it.to_string()),
        properties: PropertyLine::all(&build.properties)
            .into_iter()
            .filter(|it| it.source == step.name)
            .collect(),
        artifacts,
        elapsed: step
            .started
            .map(|it| words::interval(step.finished.unwrap_or(now).since(it))),
        older: neighbour(step.number.checked_sub(1)),
        newer: neighbour(step.number.checked_add(1)),
        metrics: left.iter().flat_map(|it| &it.metrics).map(metric).collect(),
    }
}

/// A metric and how far it is: `tests`, `12 of 340`; `output`, `3 kB of usually 1 MB`.
fn metric(it: &MetricNow) -> (String, String) {
    let is_bytes = it.name == OUTPUT || it.name.contains('.');
    let amount = |value: u64| match is_bytes {
        true => Bytes(value).to_string(),
        false => value.to_string(),
    };
    let value = amount(it.value);
    let shown = match it.expected.map(amount) {
        Some(all) if it.is_announced => format!("{value} of {all}"),
        Some(all) => format!("{value} of usually {all}"),
        None => value,
    };
    (it.name.clone(), shown)
}

/// What the commands of the step took.
#[derive(Serialize)]
pub(super) struct UsageView {
    processor: String,
    memory: String,
    read: Option<String>,
    written: Option<String>,
}

impl UsageView {
    fn new(usage: &Usage) -> Self {
        let secs = |millis| Duration::from_millis(millis).as_secs_f64();
        let (user, system) = (secs(usage.user_ms), secs(usage.system_ms));
        let bytes = |it: u64| Bytes(it).to_string();
        Self {
            processor: format!("{user:.2} s, and {system:.2} s in the system"),
            memory: bytes(usage.peak_memory),
            read: usage.read_bytes.map(bytes),
            written: usage.written_bytes.map(bytes),
        }
    }
}

/// The first step of this name, or the one of this number.
pub(super) fn find<'a>(steps: &'a [StepRecord], name: &str) -> Option<&'a StepRecord> {
    steps.iter().find(|it| it.name == name).or_else(|| {
        let number: u32 = name.parse().ok()?;
        steps.iter().find(|it| it.number == number)
    })
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path((builder, number, name)): Path<(String, String, String)>,
) -> Result<Response, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    let step = find(&facts.steps, &name)
        .ok_or_else(|| Failure::NotFound(format!("step `{name}` in this build")))?;
    let now = clock::now();
    let brought = facts.artifacts.clone();
    let mut brought = artifacts::lines(&app, &facts.build, &facts.steps, brought, now).await?;
    brought.retain(|it| it.step == step.number);
    let left = build::left(&app, &facts.build).await?;
    let at = facts.steps.iter().position(|it| it.number == step.number);
    let left = left.zip(at).and_then(|(it, at)| it.steps.get(at).cloned());
    let view = view(&facts, step, left, brought, now);
    app.draw("step.html", &uri, view)
}
