//! Disks that do not take what is to be written, here or at a slave: who waits
//! for which, since when and why. Pages, `autobot status` and the log say it;
//! the log once for each disk, however often it is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;
use tokio::time;
use tracing::{error, info};

use crate::clock;
use crate::master::crew::Crew;
use crate::model::BuildKey;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;

/// How long to wait before a disk is tried again.
pub(crate) const DISK_PAUSE: Duration = Duration::from_secs(1);
/// A trouble that comes back so soon is not worth another line in the log.
const QUIET: Duration = Duration::from_mins(10);

/// What cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Database,
    Logs,
    Uploads,
    /// A database of test runs.
    Runs,
    Slave(SlaveName),
}

impl Place {
    /// Whether it is the master's own disk.
    pub(crate) const fn is_here(&self) -> bool {
        !matches!(self, Self::Slave(_))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("the database cannot be written"),
            Self::Logs => f.write_str("logs cannot be written"),
            Self::Uploads => f.write_str("uploads cannot be written"),
            Self::Runs => f.write_str("test runs cannot be recorded"),
            Self::Slave(name) => write!(f, "slave {name} cannot write to its disk"),
        }
    }
}

/// A disk in trouble, as pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) place: Place,
    pub(crate) since: Timestamp,
    pub(crate) why: String,
    /// The builds that wait for it.
    pub(crate) builds: BTreeSet<BuildKey>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, why, since) = (&self.place, &self.why, clock::iso(self.since));
        write!(f, "{place} since {since}: {why}")?;
        let names: Vec<_> = self.builds.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => Ok(()),
            [one] => write!(f, "; build {one} waits"),
            many => write!(f, "; builds {} wait", many.join(", ")),
        }
    }
}

/// All disks in trouble.
#[derive(Debug)]
pub(crate) struct Troubles {
    known: Mutex<Known>,
    tell: broadcast::Sender<Arc<Status>>,
}

#[derive(Debug, Default)]
struct Known {
    troubles: BTreeMap<Place, Entry>,
    /// When the log said it the last time.
    told: BTreeMap<Place, Timestamp>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    since: Timestamp,
    why: String,
    waiting: BTreeMap<u64, BTreeSet<BuildKey>>,
    is_told: bool,
}

/// Somebody who waits for a disk. Dropping it says that the wait is over.
#[derive(Debug)]
pub(crate) struct Waiting {
    all: Arc<Troubles>,
    place: Place,
    number: u64,
}

impl Troubles {
    pub(crate) fn new(tell: broadcast::Sender<Arc<Status>>) -> Arc<Self> {
        let known = Mutex::default();
        Arc::new(Self { known, tell })
    }

    pub(crate) fn all(&self) -> Vec<Trouble> {
        let known = self.known();
        let shown = known.troubles.iter().map(|(place, entry)| Trouble {
            place: place.clone(),
            since: entry.since,
            why: entry.why.clone(),
            builds: entry.waiting.values().flatten().cloned().collect(),
        });
        shown.collect()
    }

    /// Takes note that somebody waits.
    pub(crate) fn wait(
        self: &Arc<Self>,
        place: Place,
        builds: impl IntoIterator<Item = BuildKey>,
        why: impl fmt::Display,
    ) -> Waiting {
        let now = clock::now();
        let mut known = self.known();
        let number = known.next;
        known.next += 1;
        let told = known.told.get(&place).copied();
        let is_quiet = told.is_some_and(|it| now.since(it) < QUIET);
        let entry = known.troubles.entry(place.clone());
        let entry = entry.or_insert_with(|| Entry {
            since: now,
            why: why.to_string(),
            waiting: BTreeMap::new(),
            is_told: false,
        });
        entry.waiting.insert(number, builds.into_iter().collect());
        if !entry.is_told && !is_quiet {
            entry.is_told = true;
            error!(reason = %why, "{place}; what needs it waits, and goes on by itself");
            known.told.insert(place.clone(), now);
        }
        drop(known);
        self.tell();
        Waiting {
            all: Arc::clone(self),
            place,
            number,
        }
    }

    fn tell(&self) {
        // Nobody may be looking.
        drop(self.tell.send(Arc::new(Status::TroubleChanged)));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whole between statements, so a panic elsewhere spoils nothing.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut known = self.all.known();
        let Some(entry) = known.troubles.get_mut(&self.place) else {
            return;
        };
        entry.waiting.remove(&self.number);
        if entry.waiting.is_empty() {
            if entry.is_told {
                let secs = clock::now().since(entry.since).as_secs();
                info!(secs, "it is over that {}", self.place);
            }
            known.troubles.remove(&self.place);
        }
        drop(known);
        self.all.tell();
    }
}

/// Tries something until it works or fails for good, and says meanwhile who waits. A pause
/// lies between two tries.
pub(crate) struct Patience<'a> {
    crew: &'a Crew,
    build: &'a BuildKey,
    waiting: Option<Waiting>,
}

impl<'a> Patience<'a> {
    pub(crate) const fn new(crew: &'a Crew, build: &'a BuildKey) -> Self {
        let waiting = None;
        Self {
            crew,
            build,
            waiting,
        }
    }

    /// Waits before the next try.
    pub(crate) async fn pause(&mut self, place: Place, why: impl fmt::Display) {
        if self.waiting.is_none() {
            let builds = [self.build.clone()];
            self.waiting = Some(self.crew.troubles.wait(place, builds, why));
        }
        time::sleep(DISK_PAUSE).await;
    }
}

/// Says how the disk of the database does, and tries while it does not do well.
pub(crate) async fn watch_database(crew: Arc<Crew>) {
    let mut health = crew.store.health();
    loop {
        let ill = health.borrow_and_update().clone();
        let Some(error) = ill else {
            if health.changed().await.is_err() {
                return;
            }
            continue;
        };
        let _waiting = crew.troubles.wait(Place::Database, [], &error.what);
        while health.borrow_and_update().is_some() {
            time::sleep(DISK_PAUSE).await;
            let now = json!(clock::now().0);
            // Whether it works is told by the health of the store.
            let tried = crew
                .store
                .write(move |verbs| verbs.save_state("disk", &now));
            drop(tried.await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_in_trouble_as_long_as_somebody_waits_for_it() {
        let (tell, mut told) = broadcast::channel(16);
        let troubles = Troubles::new(tell);
        let key = |number| BuildKey {
            builder: "hello".into(),
            number,
        };
        let first = troubles.wait(Place::Logs, [key(1)], "it is full");
        let second = troubles.wait(Place::Logs, [key(2)], "it is full");
        let slave = troubles.wait(Place::Slave("linux".into()), [], "no inodes");
        let all = troubles.all();
        let since = clock::iso(all[0].since);
        assert_eq!(
            all[0].to_string(),
            format!(
                "logs cannot be written since {since}: it is full; builds hello/1, hello/2 wait"
            )
        );
        assert_eq!(all[1].place, Place::Slave("linux".into()));
        drop(first);
        let said = troubles.all()[0].to_string();
        assert!(said.ends_with("; build hello/2 waits"), "{said}");
        drop((second, slave));
        assert_eq!(troubles.all(), []);
        for _ in 0..6 {
            let status = told.try_recv().expect("told");
            assert!(matches!(*status, Status::TroubleChanged));
        }
    }
}
