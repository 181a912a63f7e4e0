//! Puts a master together and runs it: the second file to read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::config;
use crate::config::{LogPlan, Plan};
use crate::master::absences::Absences;
use crate::master::begin;
use crate::master::core::{Core, Event, Ticket};
use crate::master::crew::{Beginnings, Crew, Files};
use crate::master::diary;
use crate::master::dispatch;
use crate::master::figures;
use crate::master::fleet::Fleet;
use crate::master::fresh_logs;
use crate::master::handle::MasterHandle;
use crate::master::holding::LockDesk;
use crate::master::notices;
use crate::master::pages::{Access, Door, Pages};
use crate::master::pauses::Pauses;
use crate::master::prune;
use crate::master::reload::Fixtures;
use crate::master::troubles;
use crate::model::Status;
use crate::model::{EventKind, Subject};
use crate::store::{StoreError, StoreHandle};

/// Facts that may wait for the core: more make their senders wait.
const INBOX: usize = 1024;
/// How long tasks get to end when the master stops.
const GRACE: Duration = Duration::from_secs(3);

/// The control socket in the master's base directory: the pages and their
/// actions for whoever may open the file.
pub(crate) const SOCKET: &str = "autobot.sock";

/// Why a master does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The configuration's problems, rendered.
    #[error("{0}")]
    Config(String),
    #[error("failed to open the database `{}`", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: StoreError,
    },
    #[error("failed to read the database")]
    Store(#[from] StoreError),
    /// A port that cannot be had, most likely.
    #[error("{0}")]
    Begin(String),
    #[error("failed to listen on `{SOCKET}`")]
    Socket(#[source] std::io::Error),
}

/// Runs the master in `dir` until `stop`. `ready` is called when everything stands.
/// Every word on `hangup` reloads the configuration. `heed` hears what the configuration says of
/// the master's own log, at the start and whenever it may have changed.
///
/// # Errors
/// The master cannot start; nothing was built.
pub(crate) async fn run(
    dir: &Path,
    pages: Arc<dyn Pages>,
    ready: impl FnOnce(),
    heed: impl Fn(&LogPlan) + Send + 'static,
    mut hangup: mpsc::Receiver<()>,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let handle = put_together(dir, pages, &stop).await?;
    let crew = handle.crew();
    heed(&handle.plan().master.log);
    let (heeding, mut told) = (handle.clone(), handle.subscribe());
    crew.supervise("own log".into(), async move {
        loop {
            tokio::select! {
                () = heeding.crew().stop.cancelled() => return,
                it = told.recv() => match it {
                    Ok(status) if !matches!(*status, Status::Reloaded) => {}
                    Err(RecvError::Closed) => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => heed(&heeding.plan().master.log),
                }
            }
        }
    });
    if crew.logs_are_whole.load(Ordering::Relaxed) {
        crew.supervise("small logs".into(), fresh_logs::run(Arc::clone(crew)));
    }
    info!(dir = %dir.display(), "master started");
    ready();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(()) = hangup.recv() => {
                // Reported in the log; the command line asks over the socket instead.
                drop(handle.reload().await);
            }
        }
    }
    info!("master stops; running commands go on at their slaves");
    let here = crew.slaves.present();
    crew.tasks.close();
    if time::timeout(GRACE, crew.tasks.wait()).await.is_err() {
        warn!("some tasks did not end in time");
    }
    diary::part(crew, &here);
    crew.diary
        .note(Subject::Master, EventKind::MasterStopped, "");
    // A full disk holds nobody up who wants to go.
    match time::timeout(GRACE, crew.diary.flush(&crew.store, &crew.plan())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(reason = %error, "failed to write down that the master stops"),
        Err(_) => warn!("the database takes too long to write down that the master stops"),
    }
    if let Err(error) = crew.store.settle().await {
        warn!(reason = %error, "failed to put the database into one file");
    }
    drop(std::fs::remove_file(dir.join(SOCKET)));
    Ok(())
}

/// Puts everything up; it stands until `stop`.
pub(super) async fn put_together(
    dir: &Path,
    pages: Arc<dyn Pages>,
    stop: &CancellationToken,
) -> Result<MasterHandle, StartError> {
    info!(
        "loading configuration from {}",
        dir.join("master.ini").display()
    );
    let plan = config::load(dir).map_err(|problems| StartError::Config(problems.render(false)))?;
    if !plan.warnings.is_empty() {
        warn!("{}", plan.warnings.render(false).trim_end());
    }
    stand(dir, plan, None, pages, stop).await
}

/// Puts a master with this plan up; it stands until `stop`.
pub(super) async fn stand(
    dir: &Path,
    plan: Plan,
    files: Option<Files>,
    pages: Arc<dyn Pages>,
    stop: &CancellationToken,
) -> Result<MasterHandle, StartError> {
    let plan = Arc::new(plan);
    let database = dir.join(&plan.master.database);
    let store = StoreHandle::open(&database).map_err(|source| StartError::Open {
        path: plan.master.database.clone(),
        source,
    })?;
    let known = store.write(|verbs| {
        let fleet = Fleet::read(verbs)?;
        let kept = (Pauses::read(verbs)?, Absences::read(verbs)?);
        Ok((verbs.identity()?, verbs.unfinished_builds()?, fleet, kept))
    });
    let (identity, unfinished, fleet, (pauses, absences)) = known.await?;
    // Before a build goes on with what its commands have said.
    let logs_are_whole = fresh_logs::restore(&store, dir).await?;

    let (tell_core, inbox) = mpsc::channel(INBOX);
    let (returns, returned) = mpsc::unbounded_channel();
    let crew = Crew::new(Beginnings {
        dir: dir.to_owned(),
        files,
        store,
        identity,
        started: clock::now(),
        core: tell_core,
        returns: returns.clone(),
        plan: Arc::clone(&plan),
        fleet: Fleet::new(fleet),
        pauses,
        absences,
        stop: stop.clone(),
    });
    crew.logs_are_whole.store(logs_are_whole, Ordering::Relaxed);
    let mut core = Core::new(Arc::clone(&plan), unfinished.len() as u64);
    dispatch::look_at_clock(&mut core);
    for (slave, phase) in crew.fleet.phases() {
        core.handle(Event::SlavePhase { slave, phase });
    }

    for (slave, pause) in crew.pauses.all() {
        let pause = Some(pause);
        core.handle(Event::SlavePaused { slave, pause });
    }

    let names: Vec<_> = plan.builders.iter().map(|it| it.name.clone()).collect();
    let built = crew.store.read(move |verbs| {
        let mut built = Vec::new();
        for name in names {
            let slave = verbs.last_good_slave(&name)?;
            built.extend(slave.map(|it| (name, it)));
        }
        Ok(built)
    });
    core.handle(Event::BuiltBefore(built.await?));

    let mut resumed = Vec::new();
    // Before any slave can come: what they say about these builds finds its listener.
    for (number, was) in (1..).zip(unfinished) {
        let ticket = Ticket(number);
        let Some(mut taken) = begin::take_up(&crew, ticket, &was).await? else {
            continue;
        };
        let key = was.build.key.clone();
        let slave = was.build.slave.clone();
        core.handle(Event::BuildResumed {
            ticket,
            builder: key.builder.clone(),
            slave,
            key,
            locks: was.locks.build.clone(),
        });
        taken.take_back_locks(&mut core, &was.locks);
        resumed.push((ticket, taken, was));
    }
    // What is held is held again before anybody stands in line.
    let desk = LockDesk::new(returns);
    for (ticket, taken, was) in resumed {
        let name = format!("build {}", taken.key);
        crew.supervise(
            name,
            begin::run_resumed(Arc::clone(&crew), ticket, taken, was),
        );
    }
    let deciding = dispatch::run(Arc::clone(&crew), core, desk, inbox, returned);
    crew.supervise("core".into(), deciding);

    let fixtures = Arc::new(Fixtures::new(Arc::clone(&pages)));
    let handle = MasterHandle::new(Arc::clone(&crew), Arc::clone(&fixtures));
    // Before the first page, so that who has seen one can knock here too.
    let socket = control_socket(dir).map_err(StartError::Socket)?;
    fixtures
        .begin(&handle, &plan)
        .await
        .map_err(StartError::Begin)?;
    let control = pages.serve(
        Door::Unix(socket),
        handle.clone(),
        Access::Owner,
        stop.child_token(),
    );
    crew.supervise("control socket".into(), control);
    crew.supervise("notices".into(), notices::run(Arc::clone(&crew)));
    crew.supervise(
        "watching the database".into(),
        troubles::watch_database(Arc::clone(&crew)),
    );
    crew.supervise("pruning".into(), prune::run(Arc::clone(&crew)));
    crew.supervise("figures".into(), figures::run(handle.clone()));
    crew.diary
        .note(Subject::Master, EventKind::MasterStarted, "");
    // It ends by itself when the master stops, with what it writes.
    crew.tasks.spawn(diary::run(Arc::clone(&crew)));
    Ok(handle)
}

/// Listens where only the owner of the base directory can knock.
fn control_socket(dir: &Path) -> std::io::Result<UnixListener> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    // By way of the open directory, because an address has room for about 100 bytes only.
    let base = std::fs::File::open(dir)?;
    let path = Path::new("/proc/self/fd")
        .join(base.as_raw_fd().to_string())
        .join(SOCKET);
    // The lock of the base directory is ours, so a socket that is there is of a dead master.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
