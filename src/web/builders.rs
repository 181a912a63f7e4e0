//! What pages with many builds of many builders know of each: its state and its last builds.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use crate::config::BuilderPlan;
use crate::master::handle::SlaveView;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::SlaveName;
use crate::model::Timestamp;

use super::app::App;
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

/// Asks for everything about these builders, in their order.
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
