//! How the parts of a plan become running things: pollers and schedulers.
//! `keeper.rs` does it for slaves.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::changes;
use crate::clock;
use crate::config::{SchedulerPlan, SourcePlan};
use crate::master::crew::Crew;
use crate::master::jobdir;
use crate::master::ports::{Ports, SchedulerDesk};
use crate::schedulers;

/// Polls a repository until `stop`.
pub(crate) async fn poll(crew: Arc<Crew>, source: Arc<SourcePlan>, stop: CancellationToken) {
    let name = &source.name;
    let wake = crew.waker(name);
    let sink = Arc::new(Ports(Arc::clone(&crew)));
    changes::run(name, &source.settings, &crew.yards, sink, stop, wake).await;
}

/// Drives a scheduler until `stop`.
pub(crate) async fn schedule(crew: Arc<Crew>, plan: Arc<SchedulerPlan>, stop: CancellationToken) {
    let name = plan.name.clone();
    debug!(scheduler = %name, "{}", plan.settings.describe());
    if let Some(dir) = plan.settings.jobdir() {
        let dir = dir.to_owned();
        return jobdir::watch(crew, plan, dir, stop).await;
    }
    let scheduler = plan.settings.begin(&name, &clock::zone());
    let filter = plan.settings.filter().cloned();
    let news = match plan.settings.upstream() {
        Some(_) => crew.buildsets.subscribe(),
        None => crew.changes.subscribe(),
    };
    let desk = Arc::new(SchedulerDesk {
        crew: Arc::clone(&crew),
        plan,
    });
    schedulers::drive(name.clone(), scheduler, filter, news, desk, stop).await;
    crew.announce(&name, None);
}
