//! Requests come in: a buildset is made, and what its requests make pointless
//! or leave no room for goes. All of it is one transaction, so that nobody
//! ever sees half of it.

use std::collections::HashMap;

use tracing::info;

use crate::clock;
use crate::config::{BuilderPlan, Plan};
use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::master::handle::Denied;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::NewBuildset;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::schedulers::{CancelSuperseded, QueueRules};
use crate::store::{Result, Store, StoreError};

/// Who wants a buildset.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker<'a> {
    /// What is too much makes room by itself.
    Scheduler(&'a QueueRules),
    /// Who asks hears that it is too much.
    Person,
}

/// What came in, and what it put an end to.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    pub(crate) buildset: Option<BuildsetId>,
    /// Those that wait now.
    pub(crate) requests: Vec<RequestRecord>,
    /// Requests that wait no longer.
    gone: Vec<(RequestId, BuilderName)>,
    /// Builds that are to stop, and why.
    stopped: Vec<(BuildKey, String)>,
}

/// A builder has as many requests as may wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{most} requests wait for builder {builder} already, and no more may (max_pending)")]
pub(crate) struct Full {
    pub(crate) builder: BuilderName,
    pub(crate) most: u32,
}

/// Makes the buildset that a scheduler or a person wants.
///
/// # Errors
/// The inner one: a person asks for more than may wait; nothing was made.
pub(crate) fn take_in(
    verbs: &mut dyn Store,
    plan: &Plan,
    wanted: &NewBuildset,
    asker: Asker<'_>,
) -> Result<std::result::Result<Intake, Full>> {
    let of_scheduler = match asker {
        Asker::Scheduler(rules) => rules.cancel_superseded,
        Asker::Person => None,
    };
    let ruled = |it: &&&BuilderPlan| {
        it.max_pending.is_some()
            || of_scheduler.unwrap_or(it.cancel_superseded) != CancelSuperseded::No
    };
    let plans = plan.builders.iter().map(AsRef::as_ref);
    let plans: Vec<&BuilderPlan> = plans.collect();
    let plans: HashMap<&BuilderName, &BuilderPlan> = plans
        .iter()
        .filter(ruled)
        .map(|it| (&it.name, *it))
        .collect();
    if let Asker::Person = asker {
        for name in &wanted.builders {
            let limit = plans.get(name).and_then(|it| it.max_pending);
            let Some(most) = limit.map(std::num::NonZeroU32::get) else {
                continue;
            };
            if verbs.waits_up_to(name, most as usize)? >= most as usize {
                let builder = name.clone();
                return Ok(Err(Full { builder, most }));
            }
        }
    }
    let now = clock::now();
    let (id, numbers) = verbs.add_buildset(wanted, now)?;
    let mut intake = Intake {
        buildset: Some(id),
        requests: wanted.requests(id, &numbers, now),
        ..Intake::default()
    };
    for request in intake.requests.clone() {
        let Some(plan) = plans.get(&request.builder) else {
            continue;
        };
        let rule = of_scheduler.unwrap_or(plan.cancel_superseded);
        intake.supersede(verbs, &request, rule)?;
        if let Some(most) = plan.max_pending {
            intake.make_room(verbs, plan, most.get())?;
        }
    }
    let gone = &intake.gone;
    intake
        .requests
        .retain(|it| gone.iter().all(|(id, _)| *id != it.id));
    Ok(Ok(intake))
}

/// Whether the request is of changes that a scheduler has heard of. What somebody asked for
/// himself, and what tries a patch, is neither superseded nor supersedes.
fn is_of_changes(request: &RequestRecord) -> bool {
    let stamp = &request.stamp;
    !stamp.changes.is_empty()
        && stamp.patch.is_none()
        && request.properties.get("scheduler").is_some()
}

/// Whether `new` has all that `old` has of the same branch.
fn goes_further(new: &SourceStamp, old: &SourceStamp) -> bool {
    new.repository == old.repository
        && new.branch == old.branch
        && new.project == old.project
        && new.changes.iter().max() >= old.changes.iter().max()
}

impl From<Vec<RequestRecord>> for Intake {
    fn from(requests: Vec<RequestRecord>) -> Self {
        Self {
            requests,
            ..Self::default()
        }
    }
}

impl From<Full> for Denied {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl Intake {
    /// The buildset and the first request of what a person has asked for.
    pub(crate) fn made(&self) -> Result<(BuildsetId, RequestId)> {
        let made = self.buildset.zip(self.requests.first());
        let (buildset, request) =
            made.ok_or_else(|| StoreError::new("a new request is not there"))?;
        Ok((buildset, request.id))
    }

    /// Puts an end to what the request makes pointless.
    fn supersede(
        &mut self,
        verbs: &mut dyn Store,
        request: &RequestRecord,
        rule: CancelSuperseded,
    ) -> Result<()> {
        if rule == CancelSuperseded::No || !is_of_changes(request) {
            return Ok(());
        }
        let mut older = verbs.older_of_source(request)?;
        older.retain(|it| is_of_changes(it) && goes_further(&request.stamp, &it.stamp));
        let why = format!("superseded by request {}", request.id);
        let mut builds: Vec<BuildKey> = Vec::new();
        for it in &older {
            match (it.claimed, rule) {
                (false, _) => self.cancel(verbs, it.id, &it.builder, &why)?,
                (true, CancelSuperseded::Running) => builds.extend(it.builds.last().cloned()),
                (true, CancelSuperseded::No | CancelSuperseded::Queued) => {}
            }
        }
        builds.sort();
        builds.dedup();
        for key in builds {
            let Some(build) = verbs.build(&key.builder, key.number)? else {
                continue;
            };
            // What somebody asked for may have become part of it.
            let is_pointless = |id: &RequestId| older.iter().any(|it| it.id == *id);
            if build.requests.iter().all(is_pointless) {
                verbs.request_stop(build.id, &why)?;
                self.stopped.push((key, why.clone()));
            }
        }
        Ok(())
    }

    /// Of more requests than may wait the oldest go, of those the least urgent.
    fn make_room(&mut self, verbs: &mut dyn Store, plan: &BuilderPlan, most: u32) -> Result<()> {
        // More than one only if they were there before so few might wait.
        let mut surplus = 1;
        let waiting = loop {
            let limit = most as usize + surplus;
            let waiting = verbs.waits_up_to(&plan.name, limit)?;
            if waiting < limit {
                break waiting;
            }
            surplus *= 2;
        };
        let surplus = waiting.saturating_sub(most as usize);
        let why = format!(
            "builder {} lets {most} requests wait (max_pending), and newer ones came",
            plan.name
        );
        for id in verbs.least_urgent(&plan.name, plan.priority, surplus)? {
            self.cancel(verbs, id, &plan.name, &why)?;
        }
        Ok(())
    }

    fn cancel(
        &mut self,
        verbs: &mut dyn Store,
        id: RequestId,
        builder: &BuilderName,
        why: &str,
    ) -> Result<()> {
        if verbs.cancel_request(id, why, clock::now())? {
            self.gone.push((id, builder.clone()));
        }
        Ok(())
    }
}

impl Crew {
    /// Tells everybody what came in, and what that put an end to.
    pub(crate) async fn taken_in(&self, intake: Intake) {
        self.may_begin(&intake).await;
        self.tell_intake(intake);
    }

    /// Tells the core what came in. That may be on its way to the disk: what is written of a
    /// build that begins with it goes there with it, or after it.
    pub(crate) async fn may_begin(&self, intake: &Intake) {
        for (request, _) in &intake.gone {
            self.tell_core(Event::RequestGone(*request)).await;
        }
        let requests = intake.requests.clone();
        self.tell_core(Event::RequestsAdded(requests)).await;
    }

    /// Tells everybody else, when it is on disk.
    pub(crate) fn tell_intake(&self, intake: Intake) {
        for (request, builder) in intake.gone {
            info!(%request, %builder, "a request was cancelled for a newer one");
            self.tell(Status::RequestFinished { request, builder });
        }
        for (build, why) in intake.stopped {
            info!(%build, reason = why, "a build is stopped for a newer request");
            self.stop_live(&build, &why);
        }
        for it in intake.requests {
            let (request, builder) = (it.id, it.builder);
            self.tell(Status::RequestAdded { request, builder });
        }
    }

    /// Takes back what the core was told of what did not come to the disk. What that had put an
    /// end to is found waiting when everything that waits is read afresh.
    pub(crate) async fn was_undone(&self, intake: &Intake) {
        for it in &intake.requests {
            self.tell_core(Event::RequestGone(it.id)).await;
        }
    }

    /// A request waits no longer, and was not built.
    pub(crate) async fn request_gone(&self, request: RequestId, builder: BuilderName) {
        self.tell_core(Event::RequestGone(request)).await;
        self.tell(Status::RequestFinished { request, builder });
    }

    /// Tells the task of a build to stop, if it is one of this process. That it is to stop was
    /// written down.
    pub(crate) fn stop_live(&self, build: &BuildKey, why: &str) {
        if let Some(live) = self.live().get(build) {
            live.stop.send_replace(Some(why.to_owned()));
        }
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
