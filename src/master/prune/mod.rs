//! Forgets what the horizons no longer keep: of a builder when one of its
//! builds has ended, and of everything at the start and every hour. It works
//! in small pieces, so that a first round over years of builds stops nobody.

pub(crate) mod events;
mod packing;
#[cfg(test)]
mod packing_tests;
mod preview;
mod round;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{self, Instant, MissedTickBehavior};
use tracing::warn;

use crate::clock;
use crate::master::clones;
use crate::master::crew::Crew;
use crate::model::BuilderName;
use crate::model::Status;
use crate::store::Result;

pub(crate) use round::{Report, Round};

/// Packs that are made of the logs of a builder in a row: many there are only after an upgrade.
const PACKS: usize = 20;
/// How often everything is looked at: what is kept for some time goes without that a build ends.
const EVERY: Duration = Duration::from_hours(1);
/// How long somebody waits who asks for it: less than a client waits for an answer.
const A_WHILE: Duration = Duration::from_secs(20);

/// Prunes until the master stops.
pub(crate) async fn run(crew: Arc<Crew>) {
    let mut heard = crew.status.subscribe();
    let mut round = time::interval(EVERY);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = BTreeMap::new();
    // From which build on there is something to pack.
    let mut full = BTreeMap::new();
    loop {
        // The first tick comes at once.
        tokio::select! {
            _ = round.tick() => {
                prune_all(&crew).await;
                clones::clear(&crew).await;
            }
            status = heard.recv() => match status.as_deref() {
                Ok(Status::BuildFinished { build, .. }) => {
                    ended.insert(build.builder.clone(), build.number);
                }
                // Other horizons may be in force, or ends were missed.
                Ok(Status::Reloaded) | Err(RecvError::Lagged(_)) => prune_all(&crew).await,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            },
        }
        // What ends together is looked at together.
        if heard.is_empty() {
            while let Some((builder, number)) = ended.pop_first() {
                prune(&crew, &builder).await;
                if full.get(&builder).is_none_or(|it| *it <= number) {
                    let more = pack(&crew, &builder, PACKS).await;
                    full.insert(builder, number + more);
                }
            }
        }
    }
}

async fn prune_all(crew: &Crew) {
    let _alone = crew.pruning.lock().await;
    if let Err(error) = round(crew).prune_all().await {
        warn!(reason = %error, "failed to forget what is old");
    }
}

async fn prune(crew: &Crew, builder: &BuilderName) {
    let _alone = crew.pruning.lock().await;
    let round = round(crew);
    let pruned = async {
        if crew.unmeasured.swap(false, Ordering::Relaxed) {
            round.measure().await?;
        }
        round.after_a_build(builder).await
    };
    if let Err(error) = pruned.await {
        warn!(%builder, reason = %error, "failed to forget old builds");
    }
}

/// Puts small logs together; how many builds are to end until there are enough again.
async fn pack(crew: &Crew, builder: &BuilderName, most: usize) -> i64 {
    let _alone = crew.pruning.lock().await;
    match round(crew).pack(builder, most).await {
        Ok(more) => i64::try_from(more).unwrap_or(i64::MAX),
        Err(error) => {
            warn!(%builder, reason = %error, "failed to pack small logs");
            1
        }
    }
}

/// Forgets what is not kept, now, for a while: the report says if there is more.
///
/// # Errors
/// The database does not take it. What was forgotten until then is.
pub(crate) async fn now(crew: &Crew) -> Result<Report> {
    let until = Some(Instant::now() + A_WHILE);
    let Ok(_alone) = time::timeout(A_WHILE, crew.pruning.lock()).await else {
        // Another round has not come to its end; it does the same.
        let more = true;
        return Ok(Report {
            more,
            ..Report::default()
        });
    };
    let round = round(crew);
    Round { until, ..round }.prune_all().await
}

/// What would be forgotten now.
///
/// # Errors
/// The database cannot be read.
pub(crate) async fn preview(crew: &Crew) -> Result<Report> {
    round(crew).preview().await
}

fn round(crew: &Crew) -> Round {
    Round {
        store: crew.store.clone(),
        dir: crew.dir.clone(),
        plan: crew.plan(),
        now: clock::now(),
        until: None,
    }
}
