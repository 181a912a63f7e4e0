//! What pages with many builds of many builders know of each: its state and its last builds.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::config::BuilderPlan;
use crate::master::handle::SlaveView;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Failing;
use crate::model::Timestamp;

use super::app::App;
use super::choice::Choice;
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
    /// Branches that fail.
    pub(super) failing: Vec<Failing>,
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

/// How many of a builder's slaves are here, or would be if it had something to do.
pub(super) fn connected(builder: &BuilderName, slaves: &[SlaveView]) -> usize {
    slaves
        .iter()
        .filter(|it| (it.connected || it.on_demand) && it.builders.contains(builder))
        .count()
}

/// Builders on a page that has many builds of each.
pub(super) const MANY: usize = 100;

/// Asks for everything about the builders of a part of a page, in the order of the configuration
/// or of their names; and says how many there are in all.
pub(super) async fn gather_part(
    app: &App,
    choice: &Choice,
    by_name: bool,
    skip: usize,
) -> Result<(Vec<BuilderFacts>, usize), Failure> {
    let plan = app.desk.plan();
    let all = plan.builders.iter();
    let mut all: Vec<_> = all
        .filter(|it| choice.takes(it.name.as_str(), it.category.as_deref()))
        .cloned()
        .collect();
    if by_name {
        all.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    }
    let count = all.len();
    let part = all.into_iter().skip(skip).take(MANY).collect();
    Ok((gather_these(app, part).await?, count))
}

/// Asks for everything about every builder, in the order of the configuration.
pub(super) async fn gather(app: &App) -> Result<Vec<BuilderFacts>, Failure> {
    gather_these(app, app.desk.plan().builders.clone()).await
}

async fn gather_these(
    app: &App,
    builders: Vec<Arc<BuilderPlan>>,
) -> Result<Vec<BuilderFacts>, Failure> {
    let slaves = app.desk.slaves();
    app.read(move |store| {
        let pending: HashMap<_, _> = store.count_pending()?.into_iter().collect();
        builders
            .iter()
            .map(|builder| {
                Ok(BuilderFacts {
                    name: builder.name.clone(),
                    category: builder.category.clone(),
                    slaves: builder.slaves.len(),
                    connected: connected(&builder.name, &slaves),
                    pending: pending.get(&builder.name).copied().unwrap_or(0),
                    builds: store.recent_builds(Some(&builder.name), None, GLANCE)?,
                    failing: store.failing(&builder.name)?,
                })
            })
            .collect()
    })
    .await
}
