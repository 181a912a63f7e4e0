//! What of the slaves that the master starts outlives it: which were started,
//! and by which means they are stopped. It is written down before anything is
//! started, so nothing that was is ever forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time;
use tracing::error;

use crate::clock;
use crate::config::{Launch, Plan, SlavePlan};
use crate::master::build::WRITE_PAUSE;
use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::master::phase::Phase;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::process::tree::ProcessName;
use crate::store::Result;
use crate::store::Store;

/// Under which the store keeps all of it.
const OBJECT: &str = "launched slaves";

/// The slaves that were started, and which are needed.
pub(crate) struct Fleet {
    phases: Mutex<BTreeMap<SlaveName, Phase>>,
    records: Mutex<BTreeMap<SlaveName, Record>>,
    /// Those on demand that a build or a request needs.
    pub(super) wanted: watch::Sender<BTreeSet<SlaveName>>,
}

/// A slave that was started, or is about to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) state: State,
    pub(super) since: Timestamp,
    pub(super) means: Means,
    /// The command that was starting it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) starter: Option<ProcessName>,
}

/// How far it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Starting,
    Up,
    Stopping,
}

/// How it can be stopped without the configuration that started it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "launch", rename_all = "snake_case")]
pub(super) enum Means {
    Command(CommandMeans),
    Ssh(SshMeans),
}

/// Commands as a file has them: the values of secrets are not in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CommandMeans {
    pub(super) stop: Option<Line>,
    pub(super) status: Option<Line>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Option<String>>,
    /// Of the slave.
    #[serde(default)]
    pub(super) properties: BTreeMap<String, serde_json::Value>,
}

/// A command line as a file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Argv(Vec<String>),
    Script(String),
}

/// Where it was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SshMeans {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) key_file: Option<std::path::PathBuf>,
    pub(super) known_hosts: std::path::PathBuf,
    pub(super) proxy_command: Option<String>,
    pub(super) basedir: String,
}

impl Means {
    /// `None` if nothing outlives the line to such a slave.
    pub(super) fn of(slave: &SlavePlan) -> Option<Self> {
        match &slave.launch {
            Launch::None | Launch::Local { .. } => None,
            Launch::Command(it) => Some(Self::Command(CommandMeans {
                stop: it.stop.as_ref().map(Line::of),
                status: it.status.as_ref().map(Line::of),
                env: it
                    .env
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_ref().map(ToString::to_string)))
                    .collect(),
                properties: slave
                    .properties
                    .iter()
                    .map(|(name, it)| (name.to_owned(), it.value.clone()))
                    .collect(),
            })),
            Launch::Ssh(it) => Some(Self::Ssh(SshMeans::of(it))),
        }
    }

    /// Whether what one has started can go on as the other: only how it is stopped differs.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Command(_), Self::Command(_)) => true,
            (Self::Ssh(one), Self::Ssh(other)) => {
                let place = |it: &SshMeans| {
                    (
                        it.host.clone(),
                        it.port,
                        it.user.clone(),
                        it.basedir.clone(),
                    )
                };
                place(one) == place(other)
            }
            _ => false,
        }
    }
}

impl Fleet {
    /// Reads what an earlier run has left.
    pub(super) fn read(verbs: &mut dyn Store) -> Result<BTreeMap<SlaveName, Record>> {
        let state = verbs.state(OBJECT)?;
        if state.is_null() {
            return Ok(BTreeMap::new());
        }
        let read: serde_json::Result<BTreeMap<String, Record>> = serde_json::from_value(state);
        match read {
            Ok(all) => Ok(all
                .into_iter()
                .map(|(name, it)| (name.as_str().into(), it))
                .collect()),
            Err(error) => {
                // A newer version's, most likely: nothing can be done about these slaves.
                error!(reason = %error, "failed to read which slaves were started");
                Ok(BTreeMap::new())
            }
        }
    }

    pub(super) fn new(records: BTreeMap<SlaveName, Record>) -> Self {
        let phases = records.iter().map(|(name, it)| {
            let since = it.since;
            let phase = match it.state {
                State::Starting => Phase::starting(since),
                State::Up => Phase::up(since),
                State::Stopping => Phase::Stopping { since },
            };
            (name.clone(), phase)
        });
        Self {
            phases: Mutex::new(phases.collect()),
            records: Mutex::new(records),
            wanted: watch::Sender::default(),
        }
    }

    /// `None` of a slave that the master does not start.
    pub(crate) fn phase(&self, slave: &SlaveName) -> Option<Phase> {
        locked(&self.phases).get(slave).cloned()
    }

    pub(super) fn phases(&self) -> BTreeMap<SlaveName, Phase> {
        locked(&self.phases).clone()
    }

    pub(super) fn record(&self, slave: &SlaveName) -> Option<Record> {
        locked(&self.records).get(slave).cloned()
    }

    /// Whether a slave that commands start may dial in now.
    pub(super) fn is_expected(&self, slave: &SlaveName) -> bool {
        matches!(
            self.phase(slave),
            Some(Phase::Starting { .. } | Phase::Up { .. })
        )
    }

    /// What was started and is started by no slave of the plan any more.
    pub(super) fn left_over(&self, plan: &Plan) -> Vec<(SlaveName, Means)> {
        let stays = |name: &SlaveName, means: &Means| {
            let slave = plan.slaves.iter().find(|it| it.name == *name);
            let wanted = slave.and_then(|it| Means::of(it));
            wanted.is_some_and(|it| it.is_same(means))
        };
        locked(&self.records)
            .iter()
            .filter(|(name, it)| !stays(name, &it.means))
            .map(|(name, it)| (name.clone(), it.means.clone()))
            .collect()
    }
}

impl Crew {
    /// Says how a slave is doing that the master starts; `None` if nobody starts it any more.
    pub(super) async fn set_phase(&self, slave: &SlaveName, phase: Option<Phase>) {
        match &phase {
            Some(phase) => drop(locked(&self.fleet.phases).insert(slave.clone(), phase.clone())),
            None => drop(locked(&self.fleet.phases).remove(slave)),
        }
        let (slave, phase) = (slave.clone(), phase.unwrap_or(Phase::Down));
        let told = Event::SlavePhase {
            slave: slave.clone(),
            phase,
        };
        self.tell_core(told).await;
        self.tell(Status::SlaveChanged { slave });
    }

    /// Gives a slave no more builds, because it is about to be stopped; `false` if it is needed.
    pub(super) async fn retire(&self, slave: &SlaveName) -> bool {
        let since = clock::now();
        if !self.ask_to_retire(slave, Phase::Stopping { since }).await {
            return false;
        }
        locked(&self.fleet.phases).insert(slave.clone(), Phase::Stopping { since });
        if let Some(session) = self.slaves.session(slave) {
            session.leaving.cancel();
        }
        true
    }

    /// Writes down what became of a slave; `None` when nothing of it is left. A store that
    /// cannot write holds it where it is.
    pub(super) async fn write_slave(self: &Arc<Self>, slave: &SlaveName, record: Option<Record>) {
        match &record {
            Some(record) => drop(locked(&self.fleet.records).insert(slave.clone(), record.clone())),
            None => drop(locked(&self.fleet.records).remove(slave)),
        }
        loop {
            let (name, record) = (slave.to_string(), record.clone());
            let written = self.store.write(move |verbs| {
                let mut all = match verbs.state(OBJECT)? {
                    serde_json::Value::Object(all) => all,
                    _ => serde_json::Map::new(),
                };
                match record.map(serde_json::to_value) {
                    Some(Ok(record)) => drop(all.insert(name, record)),
                    Some(Err(_)) | None => drop(all.shift_remove(&name)),
                }
                verbs.save_state(OBJECT, &all.into())
            });
            match written.await {
                Ok(()) => return,
                Err(why) => {
                    error!(slave = %slave, reason = %why, "failed to write a slave down; trying again");
                    time::sleep(WRITE_PAUSE).await;
                }
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
