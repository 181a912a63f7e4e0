//! The first page: every builder at a glance, what runs, what ran.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::master::outlook::{Outlook, Scope};
use crate::model::BuildRecord;
use crate::model::Timestamp;

use super::app::Shared;
use super::builder;
use super::builder::Running;
use super::builder::RunningFacts;
use super::builders;
use super::builders::BuilderFacts;
use super::builders::BuilderLine;
use super::failure::Failure;
use super::rows::BuildLine;

/// How many finished builds the first page lists.
const RECENT: usize = 15;

#[derive(Serialize)]
pub(super) struct HomeView {
    pub(super) builders: Vec<BuilderLine>,
    /// The last builds of the builders that somebody has to look at.
    pub(super) red: Vec<BuildLine>,
    pub(super) running: Vec<Running>,
    pub(super) recent: Vec<BuildLine>,
    pub(super) waiting: usize,
}

pub(super) fn view(
    facts: &[BuilderFacts],
    running: &[RunningFacts],
    recent: &[BuildRecord],
    outlook: &Outlook,
    now: Timestamp,
) -> HomeView {
    let finished: Vec<_> = recent
        .iter()
        .filter(|it| it.finished.is_some())
        .take(RECENT)
        .cloned()
        .collect();
    let builders: Vec<_> = facts.iter().map(|it| BuilderLine::new(it, now)).collect();
    let last = builders.iter().filter_map(|it| it.last.as_ref());
    HomeView {
        red: last.filter(|it| it.badge.is_red()).cloned().collect(),
        builders,
        running: Running::all(running, outlook, now),
        recent: BuildLine::all(&finished, now),
        waiting: facts.iter().map(|it| it.pending).sum(),
    }
}

pub(super) async fn page(State(app): State<Shared>, uri: Uri) -> Result<Response, Failure> {
    let facts = builders::gather(&app).await?;
    let (running, recent) = app
        .read(|store| {
            let running = builder::read_running(store, None)?;
            let recent = store.recent_builds(None, None, RECENT + running.len())?;
            Ok((running, recent))
        })
        .await?;
    let outlook = match running.is_empty() {
        true => Outlook::default(),
        false => app.desk.outlook(Scope::Nothing).await?,
    };
    app.draw(
        "home.html",
        &uri,
        view(&facts, &running, &recent, &outlook, clock::now()),
    )
}
