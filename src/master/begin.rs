//! How a build begins: with a claim, or with what an earlier run of the master
//! left unfinished.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time;
use tracing::warn;

use crate::clock;
use crate::config::BuilderPlan;
use crate::config::SlavePlan;
use crate::expr::Values;
use crate::master::build::{Build, WRITE_PAUSE};
use crate::master::core::{Assignment, Event, Ticket};
use crate::master::course::Course;
use crate::master::crew::{Crew, Live};
use crate::master::growth::Growth;
use crate::master::lock_walk::Holds;
use crate::master::properties::merged_stamp;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::Change;
use crate::model::Outcome;
use crate::model::Platform;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::{BuildEnd, NewBuild, Promise, Result, Store, UnfinishedBuild};

/// Builds what was assigned, unless somebody else was faster.
pub(crate) async fn run_new(crew: Arc<Crew>, assignment: Assignment) {
    let ticket = assignment.ticket;
    let outcome = match begin(&crew, &assignment).await {
        Ok(Some((mut build, claim))) => {
            let key = build.key.clone();
            crew.tell_core(Event::BuildBegun { ticket, key }).await;
            let walk = async {
                let walk = AssertUnwindSafe(build.plan_and_walk(&assignment.requests));
                if walk.catch_unwind().await.is_err() {
                    build.break_off().await;
                }
            };
            let is_undone = tokio::select! {
                biased;
                () = walk => false,
                // It waits there, with nothing written and nothing sent.
                () = claim.broken() => true,
            };
            match is_undone {
                false => build.course.outcome(),
                true => undone(&crew, build).await,
            }
        }
        Ok(None) => {
            // Somebody was faster, or the slave has just gone; not to be asked again at once.
            time::sleep(WRITE_PAUSE).await;
            Outcome::Retry
        }
        Err(error) => {
            warn!(builder = %assignment.builder.name, reason = %error, "failed to begin a build");
            time::sleep(WRITE_PAUSE).await;
            Outcome::Retry
        }
    };
    let requests = assignment.requests.iter().map(|it| it.id);
    finish_ticket(&crew, ticket, outcome, requests.collect()).await;
}

/// A claim that never came to the disk: there is no such build, and its requests wait.
async fn undone(crew: &Crew, build: Build) -> Outcome {
    warn!(build = %build.key, "the build could not be written down; its requests wait again");
    crew.live().remove(&build.key);
    drop(build);
    time::sleep(WRITE_PAUSE).await;
    Outcome::Retry
}

/// Goes on with a build of an earlier run of this master.
pub(crate) async fn run_resumed(
    crew: Arc<Crew>,
    ticket: Ticket,
    mut build: Build,
    was: UnfinishedBuild,
) {
    if AssertUnwindSafe(build.resume(was))
        .catch_unwind()
        .await
        .is_err()
    {
        build.break_off().await;
    }
    let requests = build.requests.clone();
    finish_ticket(&crew, ticket, build.course.outcome(), requests).await;
}

async fn finish_ticket(crew: &Crew, ticket: Ticket, outcome: Outcome, requests: Vec<RequestId>) {
    crew.tell_core(Event::BuildEnded { ticket, outcome }).await;
    if outcome == Outcome::Retry {
        // Requests that were given back wait again.
        let waiting = crew.store.read(move |verbs| {
            let mut all = verbs.requests(&requests)?;
            all.retain(|it| !it.claimed && it.outcome.is_none());
            Ok(all)
        });
        match waiting.await {
            Ok(waiting) => crew.tell_core(Event::RequestsAdded(waiting)).await,
            Err(error) => warn!(reason = %error, "failed to read what waits"),
        }
    }
}

async fn begin(crew: &Arc<Crew>, assignment: &Assignment) -> Result<Option<(Build, Promise)>> {
    let plan = crew.plan();
    let slave = plan.slaves.iter().find(|it| it.name == assignment.slave);
    let session = crew.slaves.session(&assignment.slave);
    let (Some(slave), Some(session)) = (slave, session) else {
        return Ok(None);
    };
    if session.leaving.is_cancelled() {
        return Ok(None);
    }
    let (stamp, reason) = merged_stamp(&assignment.requests);
    let requests: Vec<RequestId> = assignment.requests.iter().map(|it| it.id).collect();
    let submitted = assignment.requests.iter().map(|it| it.submitted).max();
    let new = NewBuild {
        builder: assignment.builder.name.clone(),
        slave: slave.name.clone(),
        requests: requests.clone(),
        stamp: stamp.clone(),
        reason: reason.clone(),
        config: assignment.config,
        locks: assignment.builder.locks.as_slice().to_vec(),
    };
    let ids = stamp.changes.clone();
    // It goes to disk with what the build writes before its first command.
    let begun = crew.store.write_ahead(move |verbs| {
        let Some(begun) = verbs.start_build(&new, clock::now())? else {
            return Ok(None);
        };
        Ok(Some((begun, changes_of(verbs, &ids)?)))
    });
    let (begun, claim) = begun.await?;
    let Some((begun, changes)) = begun else {
        return Ok(None);
    };
    if let Some(oldest) = assignment.requests.iter().map(|it| it.submitted).min() {
        crew.figures.dispatched(oldest, clock::now());
    }
    let key = BuildKey {
        builder: assignment.builder.name.clone(),
        number: begun.number,
    };
    let facts = Facts {
        ticket: assignment.ticket,
        id: begun.id,
        key,
        lease: begun.lease,
        requests,
        reason,
        stamp,
        changes,
        submitted,
    };
    let builder = &assignment.builder;
    let mut build = Build::enter(crew, facts, Arc::clone(builder), Arc::clone(slave));
    build.holds.build = builder.locks.as_slice().to_vec();
    build.claim = Some(claim.clone());
    // Who let the slave go meanwhile may not have seen this build; from here on it is seen.
    if session.leaving.is_cancelled()
        && let Some(live) = crew.live().get(&build.key)
    {
        let why = format!("slave `{}` was let go", slave.name);
        live.left.send_replace(Some(why));
    }
    Ok(Some((build, claim)))
}

fn changes_of(verbs: &mut dyn Store, ids: &[crate::model::ChangeId]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for id in ids {
        changes.extend(verbs.change(*id)?);
    }
    Ok(changes)
}

/// What a build is, before its steps are known.
struct Facts {
    ticket: Ticket,
    id: BuildId,
    key: BuildKey,
    lease: u64,
    requests: Vec<RequestId>,
    reason: String,
    stamp: SourceStamp,
    changes: Vec<Change>,
    submitted: Option<Timestamp>,
}

/// Takes up a build that the store holds unfinished. `None` if its builder or slave has
/// left the configuration: it is given back.
pub(crate) async fn take_up(
    crew: &Arc<Crew>,
    ticket: Ticket,
    was: &UnfinishedBuild,
) -> Result<Option<Build>> {
    let plan = crew.plan();
    let builder = plan
        .builders
        .iter()
        .find(|it| it.name == was.build.key.builder);
    let slave = plan.slaves.iter().find(|it| it.name == was.build.slave);
    let (id, ids) = (was.build.id, was.build.stamp.changes.clone());
    let (Some(builder), Some(slave)) = (builder, slave) else {
        let mut properties = was.build.properties.clone();
        let why = "its builder or its slave is no longer in the configuration";
        properties.set_runtime("retry_reason", why, "Build");
        let end = BuildEnd {
            outcome: Outcome::Retry,
            text: vec!["retry".into()],
            properties,
        };
        let running = was
            .steps
            .iter()
            .find(|it| it.started.is_some() && it.finished.is_none());
        let lost = running.cloned().map(|step| StepRecord {
            finished: Some(clock::now()),
            outcome: Some(Outcome::Retry),
            text: vec![step.name.clone(), "retry".into()],
            ..step
        });
        let ended = crew.store.write(move |verbs| {
            if let Some(step) = &lost {
                verbs.put_step(id, step)?;
            }
            verbs.finish_build(id, &end, clock::now())
        });
        ended.await?;
        crew.unmeasured.store(true, Ordering::Relaxed);
        return Ok(None);
    };
    let requests = was.build.requests.clone();
    let lease = crew.store.write(move |verbs| {
        let mut submitted = None;
        for id in &requests {
            submitted = submitted.max(verbs.request(*id)?.map(|it| it.submitted));
        }
        let changes = changes_of(verbs, &ids)?;
        Ok((verbs.renew_lease(id)?, changes, submitted))
    });
    let (lease, changes, submitted) = lease.await?;
    let facts = Facts {
        ticket,
        id,
        key: was.build.key.clone(),
        lease,
        requests: was.build.requests.clone(),
        reason: was.build.reason.clone(),
        stamp: was.build.stamp.clone(),
        changes,
        submitted,
    };
    let mut build = Build::enter(crew, facts, Arc::clone(builder), Arc::clone(slave));
    build.properties = was.build.properties.clone();
    build.written = Arc::new(build.properties.clone());
    let open = was.commands.last().filter(|it| it.end.is_none());
    build.set_open(open.map(|it| build.command_id(it.at)));
    if let Some(reason) = &was.stop_reason
        && let Some(live) = crew.live().get(&build.key)
    {
        live.stop.send_replace(Some(reason.clone()));
    }
    Ok(Some(build))
}

impl Build {
    fn enter(
        crew: &Arc<Crew>,
        facts: Facts,
        builder: Arc<BuilderPlan>,
        slave: Arc<SlavePlan>,
    ) -> Self {
        let (stop, stop_heard) = watch::channel(None);
        let (left, left_heard) = watch::channel(None);
        crew.live().insert(
            facts.key.clone(),
            Live {
                reached: Vec::new(),
                id: facts.id,
                slave: slave.name.clone(),
                lease: facts.lease,
                stop,
                left,
                open: None,
            },
        );
        Self {
            crew: Arc::clone(crew),
            ticket: facts.ticket,
            holds: Holds::default(),
            id: facts.id,
            key: facts.key,
            lease: facts.lease,
            builder,
            slave,
            requests: facts.requests,
            reason: facts.reason,
            stamp: facts.stamp,
            changes: facts.changes,
            submitted: facts.submitted,
            properties: Properties::new(),
            written: Arc::default(),
            seen: Values::new(),
            platform: Platform::default(),
            steps: Vec::new(),
            workdir: String::new(),
            masks: Vec::new(),
            records: Vec::new(),
            course: Course::new([]),
            growth: Growth::default(),
            stop: stop_heard,
            left: left_heard,
            stopped: false,
            due: Vec::new(),
            claim: None,
            whole_logs: Vec::new(),
            postscripts: Vec::new(),
            forgettable: Vec::new(),
            news: Vec::new(),
            received: Vec::new(),
        }
    }
}
