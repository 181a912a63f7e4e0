//! The master's side of the ports that sources and schedulers own: where
//! changes go, and who makes a buildset.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::changes::{Delivery, Sink, SinkError};
use crate::clock;
use crate::config::SchedulerPlan;
use crate::master::crew::Crew;
use crate::master::intake::{Asker, take_in};
use crate::master::source_view::SourceView;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::model::Timestamp;
use crate::schedulers::{
    Answer, BuildsetFact, Buildsets, Desk, DeskError, Following, Wanted, Wish,
};
use crate::store::{Result, Store, StoreError};

/// Where changes go.
pub(crate) struct Ports(pub(crate) Arc<Crew>);

/// Changes read in one go when a scheduler catches up.
const CATCH_UP: usize = 1000;

impl Sink for Ports {
    fn state(&self, source: &str) -> Delivery<'_, Value> {
        let object = format!("source {source}");
        Box::pin(async move {
            let state = self.0.store.read(move |verbs| verbs.state(&object)).await;
            state.map_err(|error| SinkError(error.to_string()))
        })
    }

    fn deliver(&self, source: &str, changes: Vec<NewChange>, state: Value) -> Delivery<'_, ()> {
        let object = format!("source {source}");
        Box::pin(async move {
            let kept = self.0.store.write(move |verbs| {
                let now = clock::now();
                let mut ids = Vec::new();
                for change in &changes {
                    ids.extend(verbs.add_change(change, now)?);
                }
                verbs.save_state(&object, &state)?;
                Ok(ids)
            });
            let ids = kept.await.map_err(|error| SinkError(error.to_string()))?;
            self.0.changes_added(&ids);
            Ok(())
        })
    }

    fn report(&self, source: &str, health: std::result::Result<(), String>) {
        let now = clock::now();
        self.0.note_source(source, |it| it.heard(health, now));
    }

    fn looks(&self, source: &str) {
        self.0.note_source(source, SourceView::looks);
    }

    fn waits(&self, source: &str, wait: Duration) {
        let now = clock::now();
        self.0.note_source(source, |it| it.waits(wait, now));
    }
}

/// The desk of one scheduler.
pub(crate) struct SchedulerDesk {
    pub(crate) crew: Arc<Crew>,
    pub(crate) plan: Arc<SchedulerPlan>,
}

impl Desk for SchedulerDesk {
    fn wall(&self) -> Timestamp {
        clock::now()
    }

    fn state(&self) -> Answer<'_, Value> {
        let object = self.plan.object();
        Box::pin(async move {
            let state = self
                .crew
                .store
                .read(move |verbs| verbs.state(&object))
                .await;
            state.map_err(refused)
        })
    }

    fn changes_since(&self, seen: ChangeId) -> Answer<'_, Vec<Change>> {
        Box::pin(async move {
            let changes = self
                .crew
                .store
                .read(move |verbs| verbs.changes_after(seen, CATCH_UP));
            changes.await.map_err(refused)
        })
    }

    fn newest_change(&self) -> Answer<'_, ChangeId> {
        Box::pin(async move {
            let newest = self.crew.store.read(|verbs| verbs.newest_change()).await;
            newest.map_err(refused)
        })
    }

    fn buildsets(&self, question: Following) -> Answer<'_, Buildsets> {
        Box::pin(async move {
            let read = self.crew.store.read(move |verbs| {
                let newest = verbs.newest_buildset()?;
                let mut all = Vec::new();
                for id in &question.waiting {
                    all.extend(verbs.buildset(*id)?);
                }
                if let Some(since) = question.since {
                    all.extend(verbs.buildsets_of(&question.upstream, since)?);
                }
                Ok((newest, all))
            });
            let (newest, all) = read.await.map_err(refused)?;
            let facts = all.into_iter().map(|it| BuildsetFact {
                id: it.id,
                stamp: it.stamp,
                outcome: it.outcome,
            });
            Ok(Buildsets {
                newest: newest.0,
                of_upstream: facts.collect(),
            })
        })
    }

    fn announce(&self, next: Option<Timestamp>) {
        self.crew.announce(&self.plan.name, next);
    }

    fn save(&self, state: Value) -> Answer<'_, ()> {
        let object = self.plan.object();
        Box::pin(async move {
            let saved = self
                .crew
                .store
                .write(move |verbs| verbs.save_state(&object, &state));
            saved.await.map_err(refused)
        })
    }

    fn request(&self, wish: Wish, state: Value) -> Answer<'_, ()> {
        let object = self.plan.object();
        let properties = properties_of(&self.plan.name, self.plan.properties.clone());
        let builders = self.plan.builders.clone();
        let (rules, plan) = (self.plan.queue.clone(), self.crew.plan());
        Box::pin(async move {
            let made = self.crew.store.write(move |verbs| {
                let stamp = match wish.what {
                    Wanted::Changes(changes) => stamp_of(verbs, changes)?,
                    Wanted::Stamp(stamp) => stamp,
                };
                let wanted = NewBuildset {
                    reason: wish.reason,
                    stamp,
                    properties,
                    priority: rules.priority,
                    builders,
                };
                let intake = take_in(verbs, &plan, &wanted, Asker::Scheduler(&rules))?;
                verbs.save_state(&object, &state)?;
                // A scheduler is never refused.
                Ok(intake.unwrap_or_default())
            });
            let intake = made.await.map_err(refused)?;
            self.crew.taken_in(intake).await;
            Ok(())
        })
    }
}

/// The properties of a scheduler's buildset: which scheduler it is says nobody else.
pub(crate) fn properties_of(name: &SchedulerName, mut own: Properties) -> Properties {
    own.set("scheduler", name.as_str(), "Scheduler");
    own
}

impl Crew {
    /// Wakes the schedulers and tells the pages.
    pub(crate) fn changes_added(&self, ids: &[ChangeId]) {
        for change in ids {
            self.tell(Status::ChangeAdded { change: *change });
        }
        if !ids.is_empty() {
            self.changes.send_replace(());
        }
    }
}

/// The stamp of some changes: the newest of them says what is built.
fn stamp_of(verbs: &mut dyn Store, changes: Vec<ChangeId>) -> Result<SourceStamp> {
    let Some(newest) = changes.iter().max() else {
        return Ok(SourceStamp::default());
    };
    let newest = verbs
        .change(*newest)?
        .ok_or_else(|| StoreError::new(format!("change {newest} is not there")))?;
    Ok(SourceStamp {
        branch: newest.branch,
        revision: newest.revision,
        repository: newest.repository,
        project: newest.project,
        patch: None,
        changes,
    })
}

fn refused(error: StoreError) -> DeskError {
    DeskError(error.to_string())
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
