//! How the parts of a plan become running things: pollers, schedulers, and
//! the slaves that the master starts itself.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::changes::{self, GitPoller, HgPoller, SourceSettings};
use crate::config::{Launch, SchedulerPlan, SlavePlan, SourcePlan};
use crate::factories::Vcs;
use crate::master::crew::Crew;
use crate::master::ports::Ports;
use crate::master::slaves;
use crate::process::spawn_line;
use crate::schedulers::{self, ChangeFilter, DriveSettings, TreeStable};
use crate::wire::native::{FrameReader, FrameWriter};
use crate::wire::{PASSWORD_VARIABLE, STDIO_VERB};

/// A slave that ends sooner than this after its start is started again more slowly.
const TOO_SOON: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Polls a repository until `stop`.
pub(crate) async fn poll(crew: Arc<Crew>, source: Arc<SourcePlan>, stop: CancellationToken) {
    // Named after what is cloned, so that another repository finds no clone of this one.
    let digest = Sha256::digest(source.name.as_bytes());
    let dir: String = digest[..10]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let repository = &source.repository;
    let settings = SourceSettings {
        name: source.name.clone(),
        url: repository.url.clone(),
        branch: repository.branch.clone(),
        workdir: crew.dir.join("pollers").join(dir),
        poll_interval: source.poll_interval,
        program: None,
        use_timestamps: true,
        project: source.project.clone(),
        category: source.category.clone(),
    };
    let sink = Arc::new(Ports(crew));
    let wake = Arc::new(Notify::new());
    match repository.vcs {
        Vcs::Git => changes::run(GitPoller::new(settings), sink, stop, wake).await,
        Vcs::Hg => changes::run(HgPoller::new(settings), sink, stop, wake).await,
    }
}

/// Drives a scheduler until `stop`.
pub(crate) async fn schedule(crew: Arc<Crew>, plan: Arc<SchedulerPlan>, stop: CancellationToken) {
    let places = plan.follows.iter().map(|follow| schedulers::Place {
        repository: follow.repository.clone(),
        branch: follow.branch.clone(),
    });
    let settings = DriveSettings {
        name: plan.name.clone(),
        builders: plan.builders.clone(),
        filter: ChangeFilter {
            places: places.collect(),
            ..ChangeFilter::default()
        },
        is_important: Box::new(|_| true),
        reason: "scheduler".into(),
    };
    let news = crew.changes.subscribe();
    let scheduler = Box::new(TreeStable::new(plan.tree_stable));
    schedulers::drive(scheduler, settings, news, Arc::new(Ports(crew)), stop).await;
}

/// Keeps a slave running as a child of this process until `stop`. It ends when its line
/// closes; its commands go on and are met again by the next one.
pub(crate) async fn keep_slave(crew: Arc<Crew>, slave: Arc<SlavePlan>, stop: CancellationToken) {
    let Launch::Local { basedir } = &slave.launch else {
        return;
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let ended = stop
            .run_until_cancelled(run_slave(&crew, &slave, basedir))
            .await;
        let Some(ended) = ended else { return };
        pause = if started.elapsed() < TOO_SOON {
            (pause * 2).min(LONGEST_PAUSE)
        } else {
            FIRST_PAUSE
        };
        warn!(slave = %slave.name, reason = ended, "slave process ended; starting it again");
        if stop.run_until_cancelled(time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Starts the slave and serves its line; says how it ended.
async fn run_slave(crew: &Arc<Crew>, slave: &SlavePlan, basedir: &Path) -> String {
    if let Err(error) = std::fs::create_dir_all(basedir.join("info")) {
        return format!(
            "failed to make its base directory `{}`: {error}",
            basedir.display()
        );
    }
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("failed to find the program of this process: {error}"),
    };
    let mut random = [0_u8; 16];
    if let Err(error) = getrandom::fill(&mut random) {
        return format!("no random numbers: {error}");
    }
    // Good for this one line only, which nobody else can speak on.
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let args = [STDIO_VERB, slave.name.as_str()].map(OsStr::new);
    let args = [args[0], basedir.as_os_str(), args[1]];
    let child = spawn_line(&program, &args, &[(PASSWORD_VARIABLE, &password)]);
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return format!("failed to start `{}`: {error}", program.display()),
    };
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return "it was started without pipes".into();
    };
    let (reader, writer) = (FrameReader::new(stdout), FrameWriter::new(stdin));
    let password_of = |name: &str| (name == slave.name.as_str()).then(|| password.clone());
    slaves::serve(crew, "its own child", reader, writer, password_of).await;
    match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
