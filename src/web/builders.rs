//! What pages with many builds of many builders know of each: its state and its last builds.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use crate::config::BuilderPlan;
use crate::master::handle::SlaveView;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::SlaveName;

use super::app::App;
use super::failure::Failure;
use super::words::Badge;

/// How many builds a builder shows at a glance.
pub(super) const GLANCE: usize = 12;

/// What there is to know of a builder.
pub(super) struct BuilderFacts {
    pub(super) name: BuilderName,
    pub(super) category: Option<String>,
    pub(super) connected: usize,
    /// Newest first.
    pub(super) builds: Vec<BuildRecord>,
}

/// A build as a small coloured square.
#[derive(Serialize)]
pub(super) struct Square {
    pub(super) url: String,
    pub(super) number: i64,
    pub(super) badge: Badge,
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
        builders
            .iter()
            .map(|builder| {
                Ok(BuilderFacts {
                    name: builder.name.clone(),
                    category: builder.category.clone(),
                    connected: present.of(builder),
                    builds: store.recent_builds(Some(&builder.name), None, GLANCE)?,
                })
            })
            .collect()
    })
    .await
}
