//! How the parts of a plan become running things: pollers, schedulers, and
//! the slaves that the master starts itself.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::changes;
use crate::clock;
use crate::config::{Launch, SchedulerPlan, SlavePlan, SourcePlan};
use crate::master::crew::Crew;
use crate::master::leave::LAST_WORDS;
use crate::master::ports::{Ports, SchedulerDesk};
use crate::master::slaves;
use crate::model::SlaveName;
use crate::process::spawn_line;
use crate::schedulers;
use crate::wire::native::{FrameReader, FrameWriter};
use crate::wire::{PASSWORD_VARIABLE, STDIO_VERB};

/// A slave that ends sooner than this after its start is started again more slowly.
const TOO_SOON: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Polls a repository until `stop`.
pub(crate) async fn poll(crew: Arc<Crew>, source: Arc<SourcePlan>, stop: CancellationToken) {
    // Named after the source and what is cloned, so that neither another repository nor
    // another source finds this clone.
    let (name, cloned) = (&source.name, source.settings.describe());
    let digest = match *name == cloned {
        true => Sha256::digest(name.as_bytes()),
        false => Sha256::digest(format!("{name}\n{cloned}").as_bytes()),
    };
    let dir: String = digest[..10]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let workdir = crew.dir.join("pollers").join(dir);
    let sink = Arc::new(Ports(crew));
    let wake = Arc::new(Notify::new());
    changes::run(name, &source.settings, workdir, sink, stop, wake).await;
}

/// Drives a scheduler until `stop`.
pub(crate) async fn schedule(crew: Arc<Crew>, plan: Arc<SchedulerPlan>, stop: CancellationToken) {
    let name = plan.name.clone();
    debug!(scheduler = %name, "{}", plan.settings.describe());
    let scheduler = plan.settings.begin(&name, &clock::zone());
    let filter = plan.settings.filter().cloned();
    let news = match plan.settings.upstream() {
        Some(_) => crew.buildsets.subscribe(),
        None => crew.changes.subscribe(),
    };
    let desk = Arc::new(SchedulerDesk { crew, plan });
    schedulers::drive(name, scheduler, filter, news, desk, stop).await;
}

/// A slave that the master starts: what of its plan only another process can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launched {
    pub(crate) name: SlaveName,
    basedir: PathBuf,
}

impl Launched {
    /// `None` if the slave dials in.
    pub(crate) fn of(slave: &SlavePlan) -> Option<Self> {
        match &slave.launch {
            Launch::None => None,
            Launch::Local { basedir } => Some(Self {
                name: slave.name.clone(),
                basedir: basedir.clone(),
            }),
        }
    }
}

/// Keeps a slave running as a child of this process until `stop`. It ends when its line
/// closes; its commands go on and are met again by the next one.
pub(crate) async fn keep_slave(crew: Arc<Crew>, slave: Launched, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let mut run = pin!(run_slave(&crew, &slave));
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // Whoever stops it lets go of the slave too: its line is cut when it has heard
                // which commands are to end.
                drop(time::timeout(LAST_WORDS, run).await);
                return;
            }
            ended = run.as_mut() => ended,
        };
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
async fn run_slave(crew: &Arc<Crew>, slave: &Launched) -> String {
    let basedir = slave.basedir.as_path();
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
    let env = [(PASSWORD_VARIABLE, password.as_str())];
    // Commands inherit what the slave has, and a log may list it.
    let without = crew.plan().secrets.variables();
    let child = spawn_line(&program, &args, &env, &without);
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
