//! The loop around the core: facts in, assignments out.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{self, Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::clock;
use crate::locks::LockHeld;
use crate::master::begin;
use crate::master::core::{Assignment, Core, Event};
use crate::master::crew::{Crew, ToCore};
use crate::master::holding::LockDesk;
use crate::schedulers::Zone;
use crate::store::Result;

/// How often everything that waits is read afresh: what a lost hint costs at most.
const TICK: Duration = Duration::from_secs(10);

/// In a clean shutdown, how long the master stays after its last build: who follows that build, or
/// asked for the shutdown, gets the answer.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Runs the core until the master stops. `returned` brings the locks that builds give back.
pub(crate) async fn run(
    crew: Arc<Crew>,
    mut core: Core,
    mut desk: LockDesk,
    mut inbox: mpsc::Receiver<ToCore>,
    mut returned: mpsc::UnboundedReceiver<LockHeld>,
) {
    let mut tick = time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leave_at = None;
    loop {
        tokio::select! {
            // Rare first: a full inbox must not starve the fresh reading.
            biased;
            _ = tick.tick() => {
                look_at_clock(&mut core);
                let here = Event::SlavesPresent(crew.slaves.present());
                carry_out(&crew, core.handle(here));
                // Read outside the loop's turn would be no fresher: claims go through it.
                match still_waiting(&crew, &mut core).await {
                    Ok(event) => carry_out(&crew, core.handle(event)),
                    Err(error) => warn!(reason = %error, "failed to read what waits"),
                }
            }
            Some(held) = returned.recv() => {
                look_at_clock(&mut core);
                core.return_locks(held);
                // Who stands in line goes first.
                desk.serve(&mut core);
                carry_out(&crew, core.handle(Event::LocksMoved));
            }
            said = inbox.recv() => match said {
                Some(ToCore::Event(event)) => {
                    look_at_clock(&mut core);
                    carry_out(&crew, core.handle(event));
                }
                Some(ToCore::Lock { ticket, uses, tell }) => {
                    desk.ask(&mut core, ticket, &uses, tell);
                }
                Some(ToCore::LeftLine) => {
                    look_at_clock(&mut core);
                    desk.serve(&mut core);
                    carry_out(&crew, core.handle(Event::LocksMoved));
                }
                Some(ToCore::Retire { slave, phase, tell }) => {
                    let is_retired = core.retire(&slave, phase);
                    if tell.send(is_retired).is_err() && is_retired {
                        // Who asked has been stopped; whoever comes next says how it is.
                        warn!(%slave, "a slave takes no builds, and nobody stops it");
                    }
                }
                Some(ToCore::Shutdown { wish, tell }) => {
                    look_at_clock(&mut core);
                    let was = core.shutdown().is_some();
                    carry_out(&crew, core.handle(wish.into()));
                    crew.show_shutdown(&core);
                    // Who asked may have gone away; it holds all the same.
                    let _ = tell.send(core.shutdown().is_some() != was);
                }
                // Who asked may have gone away.
                Some(ToCore::Lineup(scope, tell)) => drop(tell.send(core.lineup(&scope))),
                Some(ToCore::SlavesOf(builder, tell)) => drop(tell.send(core.slaves_of(&builder))),
                Some(ToCore::Locks(tell)) => drop(tell.send(core.lock_views())),
                None => return,
            },
            () = until(leave_at) => {
                info!("no build is left");
                return crew.stop.cancel();
            }
        }
        // An end may have freed a lock, and a new plan may have raised a count.
        desk.serve(&mut core);
        let wanted = core.wanted();
        crew.fleet.wanted.send_if_modified(|it| {
            let is_new = *it != wanted;
            *it = wanted;
            is_new
        });
        for slave in core.dismissals() {
            crew.dismiss_slave(&slave);
        }
        for trouble in core.troubles() {
            warn!("{trouble}");
        }
        let is_drained = core.is_drained();
        leave_at = is_drained.then(|| leave_at.unwrap_or_else(|| Instant::now() + LAST_LOOK));
    }
}

/// So many requests are read at a time: neither the store nor the core is kept for long.
const TOGETHER: usize = 1000;

/// Reads what waits: whole only what the core does not know.
async fn still_waiting(crew: &Crew, core: &mut Core) -> Result<Event> {
    // What the core has heard of may be on its way to the disk: who reads has to see it. What
    // does not arrive there is told, too.
    drop(crew.store.write(|_| Ok(())).await);
    let ids = crew.store.read(|verbs| verbs.pending_ids()).await?;
    for some in core.unknown(&ids).chunks(TOGETHER) {
        let some = some.to_vec();
        let mut new = crew.store.read(move |verbs| verbs.requests(&some)).await?;
        // Between the two looks a build may have taken one.
        new.retain(|it| !it.claimed && it.outcome.is_none());
        core.handle(Event::Learned(new));
    }
    Ok(Event::StillWaiting { ids })
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => future::pending().await,
    }
}

pub(super) fn look_at_clock(core: &mut Core) {
    core.set_clock(clock::now(), &Zone::from(clock::zone()));
}

fn carry_out(crew: &Arc<Crew>, assignments: Vec<Assignment>) {
    for assignment in assignments {
        let name = format!("build of {}", assignment.builder.name);
        crew.supervise(name, begin::run_new(Arc::clone(crew), assignment));
    }
}
