//! What the master's tasks share: the store, the plan in force, who is here,
//! and the ways to tell the core and the pages.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::changes::Yards;
use crate::config::Plan;
use crate::master::absences::Absences;
use crate::master::core::Event;
use crate::master::core::Ticket;
use crate::master::core::{Lineup, Reason, Scope, TOLD};
use crate::master::diary::Diary;
use crate::master::figures::Figures;
use crate::master::fleet::Fleet;
use crate::master::holding::{Returns, Turn, line};
use crate::master::lock_view::LockView;
use crate::master::outlook::Histories;
use crate::master::pauses::Pauses;
use crate::master::phase::Phase;
use crate::master::ping::Pings;
use crate::master::readiness::Readiness;
use crate::master::serving::Serving;
use crate::master::shutdown::{CleanShutdown, Wish};
use crate::master::slaves::Slaves;
use crate::master::source_view::SourceView;
use crate::master::troubles::Troubles;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::CommandId;
use crate::model::ConfigId;
use crate::model::LockUse;
use crate::model::Reached;
use crate::model::SchedulerName;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::store::StoreHandle;
use crate::wire::CommandState;

/// The slaves of a builder; those that cannot take its next build have a reason.
pub(crate) type SlavesOf = Vec<(SlaveName, Option<Reason>)>;

/// What is said to the core's loop.
pub(crate) enum ToCore {
    Event(Event),
    /// Answers who has which lock.
    Locks(oneshot::Sender<Vec<LockView>>),
    /// Answers why requests of the scope wait, what is built, and what stands in line.
    Lineup(Scope, oneshot::Sender<Lineup>),
    /// Answers what each slave of a builder says to its next build.
    SlavesOf(BuilderName, oneshot::Sender<SlavesOf>),
    /// Puts a build in line for locks.
    Lock {
        ticket: Ticket,
        uses: Vec<LockUse>,
        tell: mpsc::Sender<Turn>,
    },
    /// A build no longer stands in line.
    LeftLine,
    /// Gives a slave no more builds, if nothing needs it; answers whether that is so.
    Retire {
        slave: SlaveName,
        phase: Phase,
        tell: oneshot::Sender<bool>,
    },
    /// Begins a clean shutdown or cancels it; answers whether that made a difference.
    Shutdown {
        wish: Wish,
        tell: oneshot::Sender<bool>,
    },
}

/// A build that is running in this process.
pub(crate) struct Live {
    pub(crate) id: BuildId,
    pub(crate) slave: SlaveName,
    pub(crate) lease: u64,
    /// Says why the build is to stop.
    pub(crate) stop: watch::Sender<Option<String>>,
    /// Says why its slave will not be heard of again.
    pub(crate) left: watch::Sender<Option<String>>,
    /// The command that the slave may still be running.
    pub(crate) open: Option<CommandId>,
    /// How far the step is that runs.
    pub(super) reached: Vec<Reached>,
}

/// Shared by every task of the master.
pub(crate) struct Crew {
    pub(crate) dir: PathBuf,
    /// Where the files are that it sends to slaves, and where those go that they send.
    pub(crate) files: Files,
    pub(crate) store: StoreHandle,
    /// Names the store to slaves: command ids are unique in it.
    pub(crate) identity: String,
    pub(crate) started: Timestamp,
    pub(crate) slaves: Slaves,
    /// Those that the master starts.
    pub(crate) fleet: Fleet,
    pub(super) serving: Serving,
    /// Those that somebody has paused.
    pub(crate) pauses: Pauses,
    /// Those that are away.
    pub(crate) absences: Absences,
    /// What happened besides builds.
    pub(crate) diary: Diary,
    pub(super) pings: Pings,
    pub(crate) status: broadcast::Sender<Arc<Status>>,
    /// Disks that do not take what is to be written.
    pub(crate) troubles: Arc<Troubles>,
    /// What is counted.
    pub(crate) figures: Figures,
    pub(super) readiness: Readiness,
    /// What estimates go by.
    pub(super) histories: Histories,
    /// Marked when a change was stored: schedulers wake and read.
    pub(crate) changes: watch::Sender<()>,
    /// Marked when a buildset was made or may have ended, and when a configuration came into
    /// force: who waits for buildsets wakes and reads.
    pub(crate) buildsets: watch::Sender<()>,
    /// Held by who forgets what is old: one at a time.
    pub(super) pruning: tokio::sync::Mutex<()>,
    /// Whether there may be builds that have ended and whose logs nobody has measured.
    pub(super) unmeasured: AtomicBool,
    /// Whether every log that the database has from before the start has its file.
    pub(super) logs_are_whole: AtomicBool,
    /// Has a permit for each small log that has come into the database.
    pub(super) fresh_logs: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Where locks go that a build gives back.
    pub(crate) returns: Returns,
    core: mpsc::Sender<ToCore>,
    plan: Mutex<InForce>,
    /// Since when the files of the configuration cannot be put into force.
    bad_since: Mutex<Option<Timestamp>>,
    /// As the core has it.
    shutdown: Mutex<Option<CleanShutdown>>,
    live: Mutex<HashMap<BuildKey, Live>>,
    sources: Mutex<BTreeMap<String, SourceView>>,
    /// What sources of the same repository share.
    pub(crate) yards: Yards,
    /// Has a source look now, by its name.
    wakers: Mutex<BTreeMap<String, Arc<Notify>>>,
    /// When a scheduler does something by its own plan.
    planned: Mutex<BTreeMap<SchedulerName, Timestamp>>,
}

/// The configuration in force, and its number once it was written down.
struct InForce {
    plan: Arc<Plan>,
    config: Option<ConfigId>,
}

/// The directories that relative paths of the master's own files are in.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) sent: PathBuf,
    pub(crate) received: PathBuf,
}

impl Files {
    fn of(dir: &Path) -> Self {
        let (sent, received) = (dir.to_owned(), dir.to_owned());
        Self { sent, received }
    }
}

/// What a [`Crew`] is made of.
pub(crate) struct Beginnings {
    pub(crate) dir: PathBuf,
    /// The base directory, if nothing else is said.
    pub(crate) files: Option<Files>,
    pub(crate) store: StoreHandle,
    pub(crate) identity: String,
    pub(crate) started: Timestamp,
    pub(crate) core: mpsc::Sender<ToCore>,
    pub(crate) returns: Returns,
    pub(crate) plan: Arc<Plan>,
    pub(crate) fleet: Fleet,
    pub(crate) pauses: Pauses,
    pub(crate) absences: Absences,
    pub(crate) stop: CancellationToken,
}

/// Events that somebody may lag behind before there is a gap: a page that comes back soon misses none.
const STATUS_BUFFER: usize = 4096;

impl Crew {
    pub(crate) fn new(it: Beginnings) -> Arc<Self> {
        let status = broadcast::Sender::new(STATUS_BUFFER);
        Arc::new(Self {
            files: it.files.unwrap_or_else(|| Files::of(&it.dir)),
            yards: Yards::new(it.dir.join("pollers")),
            dir: it.dir,
            store: it.store,
            identity: it.identity,
            started: it.started,
            slaves: Slaves::default(),
            fleet: it.fleet,
            serving: Serving::default(),
            pauses: it.pauses,
            absences: it.absences,
            diary: Diary::default(),
            pings: Pings::default(),
            troubles: Troubles::new(status.clone()),
            status,
            figures: Figures::default(),
            readiness: Readiness::default(),
            histories: Histories::default(),
            changes: watch::Sender::new(()),
            buildsets: watch::Sender::new(()),
            pruning: tokio::sync::Mutex::default(),
            unmeasured: AtomicBool::default(),
            logs_are_whole: AtomicBool::default(),
            fresh_logs: Arc::new(Semaphore::new(0)),
            stop: it.stop,
            tasks: TaskTracker::new(),
            returns: it.returns,
            core: it.core,
            plan: Mutex::new(InForce {
                plan: it.plan,
                config: None,
            }),
            bad_since: Mutex::default(),
            shutdown: Mutex::default(),
            live: Mutex::default(),
            sources: Mutex::default(),
            wakers: Mutex::default(),
            planned: Mutex::default(),
        })
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&locked(&self.plan).plan)
    }

    /// The number of the configuration in force.
    pub(crate) fn config(&self) -> Option<ConfigId> {
        locked(&self.plan).config
    }

    pub(crate) fn set_plan(&self, plan: Arc<Plan>, config: ConfigId) {
        *locked(&self.plan) = InForce {
            plan,
            config: Some(config),
        };
    }

    /// Since when the files on the disk are not the configuration in force, because there
    /// are mistakes in them.
    pub(crate) fn bad_since(&self) -> Option<Timestamp> {
        *locked(&self.bad_since)
    }

    pub(crate) fn config_is_bad(&self, now: Timestamp) {
        locked(&self.bad_since).get_or_insert(now);
    }

    pub(crate) fn config_is_good(&self) {
        *locked(&self.bad_since) = None;
    }

    /// That the master ends when its builds have.
    pub(crate) fn shutdown(&self) -> Option<CleanShutdown> {
        locked(&self.shutdown).clone()
    }

    pub(super) fn set_shutdown(&self, shutdown: Option<CleanShutdown>) {
        *locked(&self.shutdown) = shutdown;
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, HashMap<BuildKey, Live>> {
        locked(&self.live)
    }

    pub(crate) fn sources(&self) -> MutexGuard<'_, BTreeMap<String, SourceView>> {
        locked(&self.sources)
    }

    /// What has the source of this name look.
    pub(crate) fn waker(&self, source: &str) -> Arc<Notify> {
        let mut wakers = locked(&self.wakers);
        Arc::clone(wakers.entry(source.to_owned()).or_default())
    }

    /// Has these sources look now, or all; `false` if there is none of them.
    pub(crate) fn wake_sources(&self, names: &[String]) -> bool {
        let plan = self.plan();
        let polled = plan.sources.iter().filter(|it| it.settings.looks());
        let mut found = false;
        for source in polled.filter(|it| names.is_empty() || names.contains(&it.name)) {
            self.waker(&source.name).notify_one();
            found = true;
        }
        found
    }

    /// Takes in how far the step is that the build is at.
    pub(super) fn set_reached(&self, build: &BuildKey, reached: Vec<Reached>) {
        if let Some(live) = self.live().get_mut(build) {
            live.reached = reached;
        }
    }

    /// How far the steps are that run.
    pub(super) fn reached(&self) -> HashMap<BuildKey, Vec<Reached>> {
        let live = self.live();
        let all = live
            .iter()
            .map(|(key, it)| (key.clone(), it.reached.clone()));
        all.collect()
    }

    /// Whether a task of this process drives the build.
    pub(crate) fn is_live(&self, build: BuildId) -> bool {
        self.live().values().any(|it| it.id == build)
    }

    /// Whether nobody will ask how a command in the spool of a slave ended: its build is over,
    /// or has gone on with another one. Its slave may not have heard that.
    pub(crate) fn is_over(&self, command: &CommandState) -> bool {
        match self.live().values().find(|it| it.id == command.id.build) {
            Some(live) => command.finished && live.open != Some(command.id),
            None => true,
        }
    }

    /// The build of this number, if a task of this process drives it.
    pub(crate) fn live_key(&self, build: BuildId) -> Option<BuildKey> {
        let live = self.live();
        let mut all = live.iter();
        all.find(|(_, it)| it.id == build)
            .map(|(key, _)| key.clone())
    }

    /// The running builds of each slave, in order of their names.
    pub(crate) fn running_by_slave(&self) -> HashMap<SlaveName, Vec<BuildKey>> {
        let mut running: HashMap<_, Vec<_>> = HashMap::new();
        for (key, it) in self.live().iter() {
            running
                .entry(it.slave.clone())
                .or_default()
                .push(key.clone());
        }
        running.values_mut().for_each(|builds| builds.sort());
        running
    }

    /// Tells the pages, and those who wait for buildsets. Nobody may be listening.
    pub(crate) fn tell(&self, status: Status) {
        if matches!(
            status,
            Status::RequestAdded { .. } | Status::RequestFinished { .. } | Status::Reloaded
        ) {
            self.buildsets.send_replace(());
        }
        self.figures.note(&status);
        drop(self.status.send(Arc::new(status)));
    }

    /// Tells the core; it reads the store at every tick, so a word that is lost at the
    /// end of the process does no harm.
    pub(crate) async fn tell_core(&self, event: Event) {
        drop(self.core.send(ToCore::Event(event)).await);
    }

    /// Says something to the core that is no event; it may be gone at the end of the process.
    pub(super) async fn say_to_core(&self, word: ToCore) {
        drop(self.core.send(word).await);
    }

    /// Puts a build in line for locks; it hears when it is its turn.
    pub(crate) async fn ask_locks(
        &self,
        ticket: Ticket,
        uses: Vec<LockUse>,
    ) -> mpsc::Receiver<Turn> {
        let (tell, hear) = line();
        drop(self.core.send(ToCore::Lock { ticket, uses, tell }).await);
        hear
    }

    /// Tells the core that a build no longer listens for its turn.
    pub(crate) async fn left_line(&self) {
        drop(self.core.send(ToCore::LeftLine).await);
    }

    /// See [`Crew::retire`].
    pub(super) async fn ask_to_retire(&self, slave: &SlaveName, phase: Phase) -> bool {
        let (tell, told) = oneshot::channel();
        let slave = slave.clone();
        drop(self.core.send(ToCore::Retire { slave, phase, tell }).await);
        told.await.unwrap_or(false)
    }

    /// Asks the core why requests wait, what is built, and what stands in line.
    pub(super) async fn lineup(&self, scope: Scope) -> Lineup {
        let Scope::Requests(ids) = scope else {
            return self.ask_lineup(scope).await;
        };
        // In pieces: decisions go on in between.
        let mut pieces = ids.chunks(TOLD);
        let first = pieces.next().unwrap_or_default().to_vec();
        let mut lineup = self.ask_lineup(Scope::Requests(first)).await;
        for piece in pieces {
            let more = self.ask_lineup(Scope::Why(piece.to_vec())).await;
            lineup.why.extend(more.why);
        }
        lineup
    }

    async fn ask_lineup(&self, scope: Scope) -> Lineup {
        let (tell, told) = oneshot::channel();
        drop(self.core.send(ToCore::Lineup(scope, tell)).await);
        told.await.unwrap_or_default()
    }

    /// Asks the core what each slave of a builder says to its next build.
    pub(super) async fn slaves_of(&self, builder: BuilderName) -> SlavesOf {
        let (tell, told) = oneshot::channel();
        drop(self.core.send(ToCore::SlavesOf(builder, tell)).await);
        told.await.unwrap_or_default()
    }

    /// Asks the core who has which lock.
    pub(crate) async fn locks(&self) -> Vec<LockView> {
        let (tell, told) = oneshot::channel();
        drop(self.core.send(ToCore::Locks(tell)).await);
        told.await.unwrap_or_default()
    }

    /// Notes when a scheduler does something by its own plan.
    pub(crate) fn announce(&self, scheduler: &SchedulerName, next: Option<Timestamp>) {
        let mut planned = locked(&self.planned);
        match next {
            Some(next) => drop(planned.insert(scheduler.clone(), next)),
            None => drop(planned.remove(scheduler)),
        }
    }

    /// When that is, if it has a plan.
    pub(crate) fn next_of(&self, scheduler: &SchedulerName) -> Option<Timestamp> {
        locked(&self.planned).get(scheduler).copied()
    }

    /// Runs a task until it ends or the master stops; a panic in it is logged.
    pub(crate) fn supervise(
        self: &Arc<Self>,
        name: String,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        // All of one kind: of each kind the program has a copy of all that runs tasks.
        let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
        self.tasks.spawn(async move {
            // What is cut off here is gone on with by the next run: it is all written down.
            let ended = stop.run_until_cancelled(AssertUnwindSafe(task).catch_unwind());
            if let Some(Err(_)) = ended.await {
                error!(task = name, "the task broke off; this is a bug in autobot");
            }
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded maps are whole between statements, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
