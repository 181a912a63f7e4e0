//! Keeps a slave that the master starts: all the time, or from when a build
//! needs it until none has for a while. What was started is in the store
//! before it is; a restarted master finds it, or stops it.

use std::future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::config::{Launch, OnDemand, SlavePlan};
use crate::master::crew::Crew;
use crate::master::fleet::{Means, Record, State};
use crate::master::launch_command;
use crate::master::launch_local;
use crate::master::launch_ssh;
use crate::master::leave::LAST_WORDS;
use crate::master::phase::Phase;
use crate::model::EventKind;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::process::tree;

/// A line that ends sooner than this after its start is opened again more slowly.
const TOO_SOON: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long a slave is left alone that could not be started or stopped, at first and at most.
const FIRST_REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_mins(10);
/// Between two questions whether the machine of a slave that is away is still there.
const STATUS_EVERY: Duration = Duration::from_mins(1);

/// A slave that the master starts: what of its plan only another task can change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Launched {
    pub(crate) name: SlaveName,
    way: Way,
    on_demand: Option<OnDemand>,
}

#[derive(Clone, Debug, PartialEq)]
enum Way {
    /// Which of its settings may change in place.
    Kept(Launch),
    /// It is stopped, because the configuration has it no longer.
    Left(Means),
}

impl Launched {
    /// `None` if the slave dials in by itself.
    pub(crate) fn of(slave: &SlavePlan) -> Option<Self> {
        (slave.launch != Launch::None).then(|| Self {
            name: slave.name.clone(),
            way: Way::Kept(slave.launch.clone()),
            on_demand: slave.on_demand,
        })
    }

    pub(crate) fn left(name: SlaveName, means: Means) -> Self {
        let way = Way::Left(means);
        Self {
            name,
            way,
            on_demand: None,
        }
    }

    /// Whether the task that keeps `other` does so for this one, too.
    pub(crate) fn is_kept_by(&self, other: &Self) -> bool {
        let is_same = match (&self.way, &other.way) {
            (Way::Kept(one), Way::Kept(other)) => one.is_same(other),
            (one, other) => one == other,
        };
        is_same && self.on_demand == other.on_demand
    }
}

/// Keeps a slave until `stop`. What it has started goes on then, and is met by the next task
/// of this name, or by the next run of the master.
pub(crate) async fn keep(crew: Arc<Crew>, launched: Launched, stop: CancellationToken) {
    let keeper = Keeper {
        crew,
        name: launched.name,
        on_demand: launched.on_demand,
        last: Mutex::default(),
        stop: stop.clone(),
    };
    let Way::Kept(launch) = launched.way else {
        if let Way::Left(means) = launched.way {
            stop.run_until_cancelled(keeper.end(means)).await;
        }
        return;
    };
    let mut life = pin!(keeper.live());
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = &mut life => return,
    }
    if matches!(launch, Launch::Local { .. } | Launch::Ssh(_)) {
        // Whoever stops it may have let go of the slave too: then its line is cut when it has
        // heard which commands are to end.
        let session = keeper.crew.slaves.session(&keeper.name);
        if let Some(session) = session.filter(|it| !it.leaving.is_cancelled()) {
            session.closed.cancel();
        }
        drop(time::timeout(LAST_WORDS, life).await);
    }
}

struct Keeper {
    crew: Arc<Crew>,
    name: SlaveName,
    on_demand: Option<OnDemand>,
    /// How the last line to it ended.
    last: Mutex<Option<String>>,
    stop: CancellationToken,
}

/// Why a slave that was started is to be stopped.
enum End {
    /// Nothing needs it.
    Idle,
    Failed(String),
    /// It was here, and will not come back.
    Gone(String),
    /// This task ends.
    Told,
}

impl Keeper {
    async fn live(&self) {
        let mut is_up = self.take_over().await;
        let mut rest = FIRST_REST;
        loop {
            if !is_up {
                self.crew.set_phase(&self.name, Some(Phase::Down)).await;
                self.until_wanted().await;
            }
            let Some(slave) = self.plan() else { return };
            match self.run(&slave, is_up).await {
                End::Told => return,
                End::Idle => {
                    info!(slave = %self.name, "slave is not needed any more; stopping it");
                    self.halt(&slave).await;
                    rest = FIRST_REST;
                }
                End::Gone(why) => {
                    warn!(slave = %self.name, reason = why, "slave is lost; stopping what is left of it");
                    self.halt(&slave).await;
                    rest = FIRST_REST;
                }
                End::Failed(why) => {
                    warn!(slave = %self.name, reason = why, "failed to start a slave");
                    self.happened(EventKind::NotSubstantiated, &why);
                    // What opens a line by itself finds on its next try what this one has left.
                    if matches!(slave.launch, Launch::Command(_)) {
                        self.halt(&slave).await;
                    }
                    self.rest(why, rest).await;
                    rest = (rest * 2).min(LONGEST_REST);
                }
            }
            is_up = false;
        }
    }

    fn plan(&self) -> Option<Arc<SlavePlan>> {
        let plan = self.crew.plan();
        plan.slaves.iter().find(|it| it.name == self.name).cloned()
    }

    /// Waits until something needs it.
    async fn until_wanted(&self) {
        if self.on_demand.is_some() {
            let mut wanted = self.crew.fleet.wanted.subscribe();
            drop(wanted.wait_for(|it| it.contains(&self.name)).await);
        }
    }

    /// Notes what became of a slave that is started when it is needed.
    fn happened(&self, kind: EventKind, why: &str) {
        if self.on_demand.is_some() {
            self.crew.diary.of_slave(&self.name, kind, why);
        }
    }

    fn is_wanted(&self) -> bool {
        self.on_demand.is_none() || self.crew.fleet.wanted.borrow().contains(&self.name)
    }

    async fn rest(&self, why: String, length: Duration) {
        let until = Timestamp(clock::now().0 + i64::try_from(length.as_millis()).unwrap_or(0));
        let phase = Phase::Failed { why, until };
        self.crew.set_phase(&self.name, Some(phase)).await;
        let launch = |it: Arc<SlavePlan>| it.launch.clone();
        let before = self.plan().map(launch);
        let changed = async {
            let mut look = time::interval(FIRST_PAUSE);
            // Who has mended what was wrong sees at once whether it was that.
            while self.plan().map(launch) == before {
                look.tick().await;
            }
        };
        drop(time::timeout(length, changed).await);
    }

    /// Finds out what an earlier task or run of the master has left of it; `true` if it may
    /// be up.
    async fn take_over(&self) -> bool {
        let Some(record) = self.crew.fleet.record(&self.name) else {
            return false;
        };
        kill_starter(&record);
        let mine = self.plan().and_then(|it| Means::of(&it));
        let Some(mine) = mine.filter(|it| it.is_same(&record.means)) else {
            self.stop_by(&record.means).await;
            return false;
        };
        let may_be_up = match (record.state, &mine) {
            (State::Up, Means::Command(it)) => {
                launch_command::is_there(&self.crew, &self.name, it).await != Some(false)
            }
            // Its next line finds it.
            (State::Up | State::Starting, Means::Ssh(_)) => true,
            (State::Starting, Means::Command(_)) | (State::Stopping, _) => false,
        };
        if !may_be_up {
            self.stop_by(&mine).await;
        }
        may_be_up
    }

    /// From the start of the slave to a reason to stop it.
    async fn run(&self, slave: &SlavePlan, is_up: bool) -> End {
        let since = clock::now();
        if !is_up {
            self.write(slave, State::Starting, since).await;
            let phase = Phase::starting(since);
            self.crew.set_phase(&self.name, Some(phase)).await;
            info!(slave = %self.name, "starting slave");
            self.happened(EventKind::Substantiating, "");
        }
        let closing = self.stop.child_token();
        let mut bringing = pin!(self.bring_up(slave, is_up, &closing));
        let end = tokio::select! {
            biased;
            end = self.watch(slave, is_up) => end,
            end = &mut bringing => return end,
        };
        // A line ends well, so that the next one finds the way free.
        closing.cancel();
        if !matches!(slave.launch, Launch::Command(_)) {
            self.dismiss();
            drop(time::timeout(LAST_WORDS, bringing).await);
        }
        end
    }

    /// Does what brings the slave here; comes back only if that is of no use any more.
    async fn bring_up(&self, slave: &SlavePlan, is_up: bool, closing: &CancellationToken) -> End {
        if let Launch::Command(launch) = &slave.launch {
            if !is_up && let Err(why) = launch_command::start(&self.crew, slave, launch).await {
                return End::Failed(why);
            }
            return future::pending().await;
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            // How it is reached may have changed in place.
            let now = self.plan();
            let now = now.as_deref().filter(|it| it.launch.is_same(&slave.launch));
            let ended = self.line(now.unwrap_or(slave)).await;
            if closing.is_cancelled() {
                return End::Told;
            }
            pause = if started.elapsed() < TOO_SOON {
                (pause * 2).min(LONGEST_PAUSE)
            } else {
                FIRST_PAUSE
            };
            warn!(slave = %self.name, reason = ended, "the line to a slave ended; opening it again");
            if let Some(phase) = self.crew.fleet.phase(&self.name) {
                let phase = phase.with_trouble(&ended);
                self.crew.set_phase(&self.name, Some(phase)).await;
            }
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
            if closing
                .run_until_cancelled(time::sleep(pause))
                .await
                .is_none()
            {
                return End::Told;
            }
        }
    }

    /// Opens a line and serves it; says how it ended.
    async fn line(&self, slave: &SlavePlan) -> String {
        match &slave.launch {
            Launch::Local { basedir } => launch_local::line(&self.crew, &self.name, basedir).await,
            Launch::Ssh(launch) => launch_ssh::line(&self.crew, &self.name, launch).await,
            Launch::None | Launch::Command(_) => future::pending().await,
        }
    }

    /// Looks at who is here until there is a reason to stop the slave.
    async fn watch(&self, slave: &SlavePlan, is_up: bool) -> End {
        let mut deadline = slave.missing_timeout.map(|it| Instant::now() + it);
        let mut was_here = false;
        loop {
            let session = tokio::select! {
                biased;
                session = self.crew.slaves.attached(&self.name) => session,
                () = until(deadline) => {
                    return self.missing(slave, was_here);
                }
                () = self.idle(), if was_here || is_up => return End::Idle,
                why = self.vanished(slave), if was_here || is_up => {
                    self.lose_builds(&why);
                    return End::Gone(why);
                }
            };
            if !was_here {
                let since = clock::now();
                if !is_up {
                    self.happened(EventKind::Substantiated, "");
                }
                self.write(slave, State::Up, since).await;
                self.crew
                    .set_phase(&self.name, Some(Phase::up(since)))
                    .await;
                launch_command::forget_password(&self.crew, &self.name);
            }
            was_here = true;
            tokio::select! {
                biased;
                () = session.closed.cancelled() => {}
                () = self.idle() => return End::Idle,
            }
            deadline = match slave.launch {
                // Its builds are given back then.
                Launch::Command(_) => Some(Instant::now() + self.crew.plan().master.lost_timeout),
                // A new line may bring it back at any time.
                Launch::None | Launch::Local { .. } | Launch::Ssh(_) => None,
            };
        }
    }

    fn missing(&self, slave: &SlavePlan, was_here: bool) -> End {
        if was_here {
            let patience = self.crew.plan().master.lost_timeout;
            return End::Gone(format!("it was away for {}", clock::human(patience)));
        }
        let patience = slave.missing_timeout.unwrap_or_default();
        let mut why = format!(
            "it was not here within {} (missing_timeout)",
            clock::human(patience)
        );
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref() {
            why.push_str(": ");
            why.push_str(last);
        }
        End::Failed(why)
    }

    /// Waits until it was not needed for long enough, and gets no more builds.
    async fn idle(&self) {
        let patience = self.on_demand.and_then(|it| it.build_wait_timeout);
        let Some(patience) = patience else {
            return future::pending().await;
        };
        let mut wanted = self.crew.fleet.wanted.subscribe();
        loop {
            drop(wanted.wait_for(|it| !it.contains(&self.name)).await);
            let needed = wanted.wait_for(|it| it.contains(&self.name));
            if time::timeout(patience, needed).await.is_ok() {
                continue;
            }
            if self.crew.retire(&self.name).await {
                return;
            }
            // It is needed after all, as the core says next.
            drop(time::timeout(FIRST_PAUSE, wanted.changed()).await);
        }
    }

    /// Comes back when the machine of a slave that is away is gone; says how that is known.
    async fn vanished(&self, slave: &SlavePlan) -> String {
        let Some(Means::Command(means)) = Means::of(slave) else {
            return future::pending().await;
        };
        let mut look = time::interval(STATUS_EVERY);
        loop {
            look.tick().await;
            if launch_command::is_there(&self.crew, &self.name, &means).await == Some(false) {
                return "its status_command says that it is gone".into();
            }
        }
    }

    fn lose_builds(&self, why: &str) {
        for live in self.crew.live().values() {
            if live.slave == self.name {
                let why = format!("slave {} is gone: {why}", self.name);
                live.left.send_replace(Some(why));
            }
        }
    }

    async fn write(&self, slave: &SlavePlan, state: State, since: Timestamp) {
        if let Some(means) = Means::of(slave) {
            let starter = None;
            let record = Record {
                state,
                since,
                means,
                starter,
            };
            self.crew.write_slave(&self.name, Some(record)).await;
        }
    }

    /// Stops a slave that was started.
    async fn halt(&self, slave: &SlavePlan) {
        match Means::of(slave) {
            Some(means) => self.stop_by(&means).await,
            None => self.dismiss(),
        }
    }

    /// Ends its line.
    fn dismiss(&self) {
        if let Some(session) = self.crew.slaves.session(&self.name) {
            session.leaving.cancel();
            session.closed.cancel();
        }
    }

    /// Stops it until it is stopped, or, if its line is found again, needed; by what the
    /// configuration says now, or else by what started it.
    async fn stop_by(&self, means: &Means) {
        let since = clock::now();
        let record = Record {
            state: State::Stopping,
            since,
            means: means.clone(),
            starter: None,
        };
        self.crew.write_slave(&self.name, Some(record)).await;
        let phase = Phase::Stopping { since };
        self.crew.set_phase(&self.name, Some(phase)).await;
        launch_command::forget_password(&self.crew, &self.name);
        let mut rest = FIRST_REST;
        loop {
            // It may have been mended meanwhile.
            let now = self.plan().and_then(|it| Means::of(&it));
            let now = now.filter(|it| it.is_same(means));
            let stopped = match now.as_ref().unwrap_or(means) {
                Means::Command(means) => launch_command::stop(&self.crew, &self.name, means).await,
                Means::Ssh(means) => launch_ssh::stop(&self.crew, &self.name, means).await,
            };
            self.dismiss();
            let Err(why) = stopped else { break };
            if matches!(means, Means::Ssh(_)) && self.on_demand.is_some() && self.is_wanted() {
                return;
            }
            warn!(slave = %self.name, reason = why, "failed to stop a slave; trying again");
            self.rest(format!("it cannot be stopped: {why}"), rest)
                .await;
            rest = (rest * 2).min(LONGEST_REST);
        }
        self.crew.write_slave(&self.name, None).await;
        info!(slave = %self.name, "slave is stopped");
    }

    /// Stops a slave that the configuration has no longer.
    async fn end(&self, means: Means) {
        if let Some(record) = self.crew.fleet.record(&self.name) {
            kill_starter(&record);
            self.stop_by(&means).await;
        }
        self.crew.set_phase(&self.name, None).await;
    }
}

/// A command that was starting it must not go on beside the one that stops it.
fn kill_starter(record: &Record) {
    if let Some(starter) = record.starter
        && starter.is_alive()
    {
        tree::kill_named(starter);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => future::pending().await,
    }
}
