//! How the parts of a plan become running things: pollers and schedulers.
//! `keeper.rs` does it for slaves.

use std::sync::Arc;

use sha2::{Digest, Sha256};
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
    // Named after the source and what is cloned, so that neither another repository nor
    // another source finds this clone.
    let (name, cloned) = (&source.name, source.settings.describe());
    let digest = match *name == cloned {
        true => Sha256::digest(name.as_bytes()),
        false => Sha256::digest(format!("{name}\n{cloned}").as_bytes()),
    };
    let dir: String = digest[..10]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let workdir = crew.dir.join("pollers").join(dir);
    let wake = crew.waker(name);
    let sink = Arc::new(Ports(Arc::clone(&crew)));
    let place = (workdir, &crew.yards);
    changes::run(name, &source.settings, place, sink, stop, wake).await;
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
