//! The world of one seed: the master and its slaves while they are up, what
//! they leave behind when they are killed, and who asks for builds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::split;
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep};

use super::chance::Chance;
use super::farm::Farm;
use super::faults;
use super::line::Line;
use super::script;
use crate::clock;
use crate::master::bench::PlayedMaster;
use crate::master::outlook::Scope;
use crate::model::ChangeId;
use crate::model::NewChange;
use crate::model::RequestId;
use crate::model::Timestamp;
use crate::slave::bench::{Host, PlayedSlave};
use crate::store;

/// Long enough for everything to come to its end when nothing fails any more.
const PATIENCE: Duration = Duration::from_hours(24);

/// 1 March 2026.
const BEGIN: Timestamp = Timestamp(1_772_323_200_000);

/// Cheap to clone; all are one.
#[derive(Clone)]
pub(super) struct World(Arc<Inner>);

pub(super) struct Inner {
    pub(super) seed: u64,
    pub(super) farm: Farm,
    pub(super) dir: tempfile::TempDir,
    pub(super) hosts: BTreeMap<String, Host>,
    state: Mutex<State>,
    began: Instant,
}

#[derive(Default)]
struct State {
    master: Option<PlayedMaster>,
    slaves: BTreeMap<String, JoinHandle<()>>,
    lines: BTreeMap<String, Line>,
    dialled: u64,
    story: Vec<String>,
    asked: Asked,
    /// What made it right to give a build back.
    excuses: Vec<String>,
}

/// What the master said that it has taken in.
#[derive(Clone, Default)]
pub(super) struct Asked {
    pub(super) requests: Vec<RequestId>,
    pub(super) changes: Vec<ChangeId>,
}

impl std::ops::Deref for World {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        store::bench::stay_here();
        clock::bench::lend(BEGIN);
        let farm = Farm::new(seed);
        // In memory, if there is such a place: nothing here outlives the test.
        let shm = Path::new("/dev/shm");
        let dir = match shm.is_dir() {
            true => tempfile::tempdir_in(shm),
            false => tempfile::tempdir(),
        };
        let dir = dir.expect("a directory");
        let file = dir.path().join("master/master.toml");
        fs::create_dir(dir.path().join("master")).expect("a base directory");
        fs::write(&file, farm.toml()).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        let host = |name: &String| {
            let host = Host::new(&dir.path().join(name), Box::new(script::acts));
            (name.clone(), host)
        };
        let hosts = farm.slaves.iter().map(host).collect();
        Self(Arc::new(Inner {
            seed,
            farm,
            dir,
            hosts,
            state: Mutex::default(),
            began: Instant::now(),
        }))
    }

    /// Plays it to the end; gives what is wrong then.
    pub(super) async fn play(&self) -> Vec<String> {
        self.start_master().await;
        for slave in &self.farm.slaves {
            self.start_slave(slave);
        }
        let mut asking = JoinSet::new();
        let mut chance = Chance::new(self.seed, "asking");
        for _ in 0..1 + chance.below(6) {
            let builder = chance.place(self.farm.builders.len());
            asking.spawn(self.clone().ask(builder, chance.span(5)));
        }
        for number in 0..chance.below(4) {
            asking.spawn(self.clone().push(number, chance.span(5)));
        }
        faults::play(self).await;
        self.start_master().await;
        for slave in &self.farm.slaves {
            self.start_slave(slave);
        }
        let mut wrong = Vec::new();
        let end = Instant::now() + PATIENCE;
        let mut quiet = 0;
        // A scheduler may still wait for its timer.
        while quiet < 2 {
            if Instant::now() > end {
                wrong.push("it does not come to its end".to_owned());
                wrong.extend(self.why_not().await);
                break;
            }
            sleep(Duration::from_secs(40)).await;
            let is_quiet = asking.is_empty() && self.is_quiet().await;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            while asking.try_join_next().is_some() {}
        }
        // What is said last may still be on its way.
        sleep(Duration::from_mins(3)).await;
        wrong.extend(super::check::wrongs(self).await);
        self.tell("the end");
        wrong
    }

    /// Asks for a build until the master has taken it in.
    async fn ask(self, builder: usize, after: Duration) {
        sleep(after).await;
        let builder = self.farm.builders[builder].name.as_str();
        loop {
            if let Some(master) = self.master()
                && let Ok(request) = master.force(builder).await
            {
                self.tell(&format!("request {request} for {builder}"));
                self.state().asked.requests.push(request);
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// A change that is built where changes are.
    async fn push(self, number: u64, after: Duration) {
        sleep(after).await;
        loop {
            if let Some(master) = self.master() {
                let change = NewChange {
                    repository: "https://example.org/r.git".into(),
                    project: "r".into(),
                    branch: Some("main".into()),
                    revision: Some(format!("{number:040}")),
                    ..NewChange::by("ann")
                };
                if let Ok(id) = master.add_change(change).await {
                    self.tell(&format!("change {id}"));
                    self.state().asked.changes.push(id);
                    return;
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Whether everything that was asked for has come to its end.
    async fn is_quiet(&self) -> bool {
        let Some(master) = self.master() else {
            return false;
        };
        let read = master.handle().store().read(|verbs| {
            Ok((
                verbs.pending_requests()?.is_empty(),
                verbs.running_builds()?.is_empty(),
            ))
        });
        let (nothing_waits, nothing_runs) = read.await.expect("readable");
        nothing_waits && nothing_runs
    }

    async fn why_not(&self) -> Vec<String> {
        let Some(master) = self.master() else {
            return vec!["there is no master".to_owned()];
        };
        let mut lines: Vec<String> = Vec::new();
        let outlook = master
            .handle()
            .outlook(Scope::Everything)
            .await
            .expect("readable");
        for (request, why) in outlook.why {
            let why = why.text;
            lines.push(format!("request {request}: {why}"));
        }
        let running = master.handle().store().read(|verbs| verbs.running_builds());
        for build in running.await.expect("readable") {
            lines.push(format!("build {} runs on {}", build.key, build.slave));
        }
        lines
    }

    // --- who is up -----------------------------------------------------------

    pub(super) fn master_dir(&self) -> PathBuf {
        self.dir.path().join("master")
    }

    pub(super) fn master(&self) -> Option<PlayedMaster> {
        self.state().master.clone()
    }

    /// Does nothing if it is up.
    pub(super) async fn start_master(&self) {
        if self.master().is_some() {
            return;
        }
        self.tell("the master starts");
        let master = PlayedMaster::start(&self.master_dir()).await;
        let master = master.unwrap_or_else(|error| panic!("the master does not start: {error}"));
        self.state().master = Some(master);
    }

    /// Between any two of the things that happen at this moment.
    pub(super) async fn kill_master(&self, after: u64) {
        for _ in 0..after {
            yield_now().await;
        }
        let master = self.state().master.take();
        if let Some(master) = master {
            self.tell("the master is killed");
            master.kill().await;
        }
    }

    pub(super) fn start_slave(&self, name: &str) {
        if self.state().slaves.contains_key(name) {
            return;
        }
        self.tell(&format!("slave {name} starts"));
        let living = tokio::spawn(self.clone().live(name.to_owned()));
        self.state().slaves.insert(name.to_owned(), living);
    }

    pub(super) async fn kill_slave(&self, name: &str) {
        let living = self.state().slaves.remove(name);
        if let Some(living) = living {
            self.tell(&format!("slave {name} is killed"));
            living.abort();
            drop(living.await);
        }
    }

    pub(super) fn line(&self, name: &str) -> Option<Line> {
        self.state().lines.get(name).cloned()
    }

    /// The life of a slave's process.
    async fn live(self, name: String) {
        let started = PlayedSlave::start(&name, "x", &self.hosts[&name]);
        let mut slave = started.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let number = {
            let mut state = self.state();
            state.dialled += 1;
            state.dialled
        };
        let mut chance = Chance::new(self.seed, &format!("slave {name} {number}"));
        loop {
            if let Some(master) = self.master() {
                let (line, near, far) = Line::new(Chance::new(chance.next(), "line"));
                let (read, write) = split(far);
                master.answer(read, write);
                self.state().lines.insert(name.clone(), line);
                let (read, write) = split(near);
                self.tell(&format!("slave {name} dials"));
                let left = slave.serve(read, write).await;
                self.tell(&format!("slave {name} lost its line: {left:?}"));
                if matches!(left, Ok(true)) {
                    panic!("{name} is dismissed");
                }
            }
            sleep(chance.millis(100, 5_000)).await;
        }
    }

    // --- what happened -------------------------------------------------------

    pub(super) fn tell(&self, what: &str) {
        let at = self.began.elapsed().as_secs_f64();
        self.state().story.push(format!("{at:12.3} {what}"));
    }

    pub(super) fn story(&self) -> Vec<String> {
        self.state().story.clone()
    }

    pub(super) fn asked(&self) -> Asked {
        self.state().asked.clone()
    }

    /// Something happened after which a build may be given back.
    pub(super) fn excuse(&self, what: &str) {
        self.tell(what);
        self.state().excuses.push(what.to_owned());
    }

    pub(super) fn excuses(&self) -> usize {
        self.state().excuses.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
