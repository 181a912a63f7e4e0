//! What happened besides builds, on its way to the store. Whoever has something to say goes on
//! at once: a task writes down what has gathered, and what a full disk does not take waits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time;
use tracing::warn;

use crate::clock;
use crate::config::Plan;
use crate::master::crew::Crew;
use crate::master::prune;
use crate::model::EventKind;
use crate::model::NewEvent;
use crate::model::SlaveName;
use crate::model::Subject;
use crate::model::Timestamp;
use crate::store::{Kept, Result, Store, StoreHandle};

/// Events that wait to be written: more than a minute of a bad day. The oldest go first.
const WAITING: usize = 4096;
/// Events in one transaction.
const TOGETHER: usize = 128;
/// Of the oldest events of somebody so many go with each that comes.
const FORGOTTEN: usize = 4;
/// How long to wait before a store that could not write is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// Who knocks with a wrong password all the time is written down once in this time.
const BETWEEN_REFUSALS_MS: i64 = 60_000;
/// What is kept of a note.
const NOTE: usize = 300;
/// The object whose state says whom the configuration had.
const OBJECT: &str = "diary";

/// Events that are not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    waiting: Mutex<VecDeque<NewEvent>>,
    more: Notify,
    /// When somebody was refused the last time, by the slave whose name was used.
    refused: Mutex<HashMap<SlaveName, Timestamp>>,
    /// Writers take turns, so that events keep their order.
    writing: tokio::sync::Mutex<()>,
}

impl Diary {
    /// Takes in that something happened just now.
    pub(crate) fn note(&self, subject: Subject, kind: EventKind, note: &str) {
        self.take_in(NewEvent {
            note: shortened(note),
            ..NewEvent::new(clock::now(), subject, kind)
        });
    }

    pub(super) fn of_slave(&self, slave: &SlaveName, kind: EventKind, note: &str) {
        self.note(Subject::Slave(slave.clone()), kind, note);
    }

    /// Takes in that who used the name of a slave was not let in; not every time.
    pub(super) fn refusal(&self, slave: &SlaveName, why: &str) {
        let now = clock::now();
        {
            let mut refused = locked(&self.refused);
            let last = refused.insert(slave.clone(), now);
            if let Some(last) = last.filter(|it| (0..BETWEEN_REFUSALS_MS).contains(&(now.0 - it.0)))
            {
                refused.insert(slave.clone(), last);
                return;
            }
        }
        self.of_slave(slave, EventKind::NotConnected, why);
    }

    fn take_in(&self, event: NewEvent) {
        let mut waiting = locked(&self.waiting);
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(event);
        drop(waiting);
        self.more.notify_one();
    }

    /// Writes down what has gathered, and forgets a little of what is older than is kept: somebody
    /// to whom much happens has no more than that in between, too.
    ///
    /// # Errors
    /// The store does not take it; it waits on.
    pub(crate) async fn flush(&self, store: &StoreHandle, plan: &Arc<Plan>) -> Result<()> {
        let _alone = self.writing.lock().await;
        loop {
            let piece: Arc<[NewEvent]> = {
                let waiting = locked(&self.waiting);
                waiting.iter().take(TOGETHER).cloned().collect()
            };
            if piece.is_empty() {
                return Ok(());
            }
            let (written, plan) = (Arc::clone(&piece), Arc::clone(plan));
            store
                .write(move |verbs| {
                    for event in written.iter() {
                        verbs.add_event(event)?;
                        let kept = prune::events::kept(&plan, &event.subject, event.at);
                        if kept != Kept::default() {
                            verbs.forget_events(&event.subject, kept, FORGOTTEN)?;
                        }
                    }
                    Ok(())
                })
                .await?;
            // What was pushed out meanwhile is not there to be taken away.
            let mut waiting = locked(&self.waiting);
            for event in piece.iter() {
                if waiting.front() == Some(event) {
                    waiting.pop_front();
                }
            }
        }
    }
}

/// Takes in that slaves lose their line because the master goes; those whose line ended before
/// have told it.
pub(crate) fn part(crew: &Crew, here: &[SlaveName]) {
    let still = here.iter().filter(|it| crew.slaves.has_seat(it));
    for name in still {
        crew.diary
            .of_slave(name, EventKind::Disconnected, "the master stops");
    }
}

/// Writes events down until the master stops. It is never cut off in between: nobody would know
/// what of a piece is written.
pub(crate) async fn run(crew: Arc<Crew>) {
    loop {
        let written = crew.diary.flush(&crew.store, &crew.plan()).await;
        if let Err(error) = &written {
            warn!(reason = %error, "failed to write down what happened; trying again");
        }
        let wait = async {
            match written {
                Ok(()) => crew.diary.more.notified().await,
                Err(_) => time::sleep(PAUSE).await,
            }
        };
        if crew.stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

/// Whom the configuration had that was in force the last time.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    builders: BTreeSet<String>,
    /// Slaves that are started when they are needed.
    latent: BTreeSet<String>,
}

impl Known {
    fn of(plan: &Plan) -> Self {
        let slaves = plan.slaves.iter().filter(|it| it.on_demand.is_some());
        Self {
            builders: plan.builders.iter().map(|it| it.name.to_string()).collect(),
            latent: slaves.map(|it| it.name.to_string()).collect(),
        }
    }
}

/// Writes down, with the configuration, which builders it makes and which of them it changes.
///
/// # Errors
/// The store does not take it.
pub(super) fn configured(
    verbs: &mut dyn Store,
    plan: &Plan,
    updated: &[String],
    now: Timestamp,
) -> Result<()> {
    let before: Known = match verbs.state(OBJECT)? {
        Value::Null => Known::default(),
        known => serde_json::from_value(known).unwrap_or_default(),
    };
    let after = Known::of(plan);
    let mut tell = |subject, kind| verbs.add_event(&NewEvent::new(now, subject, kind));
    let slave = |name: &String| Subject::Slave(name.as_str().into());
    let builder = |name: &String| Subject::Builder(name.as_str().into());
    for name in before.latent.difference(&after.latent) {
        tell(slave(name), EventKind::LatentRemoved)?;
    }
    for name in after.latent.difference(&before.latent) {
        tell(slave(name), EventKind::LatentAdded)?;
    }
    for name in after.builders.difference(&before.builders) {
        tell(builder(name), EventKind::BuilderCreated)?;
    }
    for name in updated.iter().filter(|it| before.builders.contains(*it)) {
        tell(builder(name), EventKind::ConfigUpdated)?;
    }
    if before != after {
        let known = serde_json::to_value(&after).unwrap_or_default();
        verbs.save_state(OBJECT, &known)?;
    }
    Ok(())
}

/// A note as it is kept.
pub(super) fn shortened(note: &str) -> String {
    match note.char_indices().nth(NOTE) {
        Some((end, _)) => format!("{}…", &note[..end]),
        None => note.to_owned(),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists are whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
