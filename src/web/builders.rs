//! All builders, each with its state and its last builds.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::BuilderPlan;
use crate::master::handle::SlaveView;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::SlaveName;
use crate::model::Timestamp;

use super::app::App;
use super::app::Shared;
use super::failure::Failure;
use super::links;
use super::rows::BuildLine;
use super::words::Badge;

/// How many builds a builder shows at a glance.
pub(super) const GLANCE: usize = 12;

/// What there is to know of a builder.
pub(super) struct BuilderFacts {
    pub(super) name: BuilderName,
    pub(super) category: Option<String>,
    pub(super) slaves: usize,
    pub(super) connected: usize,
    pub(super) pending: usize,
    /// Newest first.
    pub(super) builds: Vec<BuildRecord>,
}

/// A builder in a table.
#[derive(Serialize)]
pub(super) struct BuilderLine {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) category: Option<String>,
    pub(super) state: &'static str,
    pub(super) slaves: usize,
    pub(super) connected: usize,
    pub(super) pending: usize,
    pub(super) running: Vec<BuildLine>,
    pub(super) last: Option<BuildLine>,
    /// Oldest first, as one reads.
    pub(super) glance: Vec<Square>,
}

/// A build as a small coloured square.
#[derive(Serialize)]
pub(super) struct Square {
    pub(super) url: String,
    pub(super) number: i64,
    pub(super) badge: Badge,
}

#[derive(Serialize)]
pub(super) struct BuildersView {
    pub(super) builders: Vec<BuilderLine>,
}

impl BuilderLine {
    pub(super) fn new(facts: &BuilderFacts, now: Timestamp) -> Self {
        let last = facts.builds.iter().find(|it| it.finished.is_some());
        let running: Vec<_> = facts
            .builds
            .iter()
            .filter(|it| it.finished.is_none())
            .map(|it| BuildLine::new(it, now))
            .collect();
        Self {
            name: facts.name.to_string(),
            url: links::builder(facts.name.as_str()),
            category: facts.category.clone(),
            state: state(!running.is_empty(), facts.connected),
            slaves: facts.slaves,
            connected: facts.connected,
            pending: facts.pending,
            running,
            last: last.map(|it| BuildLine::new(it, now)),
            glance: facts
                .builds
                .iter()
                .rev()
                .map(|it| Square {
                    url: links::build(&it.key),
                    number: it.key.number,
                    badge: Badge::of(it.outcome),
                })
                .collect(),
        }
    }
}

/// A builder's state in one word.
pub(super) fn state(building: bool, connected: usize) -> &'static str {
    match (building, connected) {
        (true, _) => "building",
        (false, 0) => "offline",
        (false, _) => "idle",
    }
}

/// The slaves that are here, or would be if they had something to do.
pub(super) struct Present(HashSet<SlaveName>);

impl Present {
    pub(super) fn new(slaves: &[SlaveView]) -> Self {
        let here = slaves.iter().filter(|it| it.connected || it.on_demand);
        Self(here.map(|it| it.name.clone()).collect())
    }

    /// How many of a builder's slaves are.
    pub(super) fn of(&self, builder: &BuilderPlan) -> usize {
        let slaves = builder.slaves.iter();
        slaves.filter(|it| self.0.contains(*it)).count()
    }
}

/// Asks for everything about every builder, in the order of the configuration.
pub(super) async fn gather(app: &App) -> Result<Vec<BuilderFacts>, Failure> {
    gather_of(app, app.desk.plan().builders.clone()).await
}

/// The same of some builders.
pub(super) async fn gather_of(
    app: &App,
    builders: Vec<Arc<BuilderPlan>>,
) -> Result<Vec<BuilderFacts>, Failure> {
    let present = Present::new(&app.desk.slaves());
    app.read(move |store| {
        let pending: HashMap<_, _> = store.count_pending()?.into_iter().collect();
        builders
            .iter()
            .map(|builder| {
                Ok(BuilderFacts {
                    name: builder.name.clone(),
                    category: builder.category.clone(),
                    slaves: builder.slaves.len(),
                    connected: present.of(builder),
                    pending: pending.get(&builder.name).copied().unwrap_or(0),
                    builds: store.recent_builds(Some(&builder.name), None, GLANCE)?,
                })
            })
            .collect()
    })
    .await
}

pub(super) fn view(
    facts: &[BuilderFacts],
    query: &[(String, String)],
    now: Timestamp,
) -> BuildersView {
    let asked = |key: &str, value: &str| {
        let mut asked = query
            .iter()
            .filter(|(it, value)| it == key && !value.is_empty())
            .peekable();
        asked.peek().is_none() || asked.any(|(_, it)| it == value)
    };
    let builders = facts
        .iter()
        .filter(|it| asked("builder", it.name.as_str()))
        .filter(|it| asked("category", it.category.as_deref().unwrap_or_default()))
        .map(|it| BuilderLine::new(it, now))
        .collect();
    BuildersView { builders }
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let facts = gather(&app).await?;
    app.draw("builders.html", &uri, view(&facts, &query, clock::now()))
}
