//! The daemon itself: takes the lock, opens the log, listens to signals and
//! runs the master or slave until it ends.

use std::env;
use std::fs;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Resource;
use rustix::process::getpid;
use rustix::process::getrlimit;
use rustix::process::getsid;
use rustix::process::setrlimit;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::LOG;
use super::Lock;

use super::notify;
use super::voice;
use super::voice::log_to_stderr;
use crate::cli::exit::Done;
use crate::cli::exit::Failure;
use crate::cli::place::Base;
use crate::cli::place::Kind;
use crate::cli::rooms;
use crate::process::become_program;
use crate::process::own_program;
use crate::slave::Ended;

/// More than anybody sends before they are read; what does not fit says nothing new.
const SIGNALS: usize = 8;
/// What blocking work may take that was under way when everything else ended.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// What the operating system asks of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: end.
    Stop,
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Attached {
    /// To the terminal or service manager that started it.
    Foreground,
    /// To the log in the base directory; the process leaves its starter's session.
    Detached,
}

/// Files and sockets that a master may want at once: visitors, slaves, logs. Programs that close
/// all they might have inherited go up to this, so it is no more.
const FILES: u64 = 16_384;

/// Runs the daemon of `base` in this process until it ends.
pub(in crate::cli) fn run(base: &Base, attached: Attached) -> Done {
    let done = run_inner(base, attached);
    if let Err(failure) = &done {
        notify::failed(&failure.text());
    }
    done
}

fn run_inner(base: &Base, attached: Attached) -> Done {
    if attached == Attached::Detached {
        let left = rustix::process::setsid();
        // The program that this one has replaced has done it.
        if left != Err(Errno::PERM) || getsid(None) != Ok(getpid()) {
            left.map_err(|error| Failure::because("failed to leave the session", &error))?;
        }
    }
    let not_entered = |error: io::Error| {
        Failure::because(format!("failed to enter `{}`", base.dir.display()), &error)
    };
    let dir = fs::canonicalize(&base.dir).map_err(not_entered)?;
    env::set_current_dir(&dir).map_err(not_entered)?;
    let lock = Lock::take(&dir)
        .map_err(|error| Failure::because(format!("failed to start {base}"), &error))?;
    open_log(&dir, attached)?;

    if base.kind == Kind::Master {
        have_room_for_files();
    }
    // A slave only carries bytes; a master also draws pages and looks through logs. Half of the
    // cores are for what does not run here: the database, its readers, compilers beside us.
    let mut threads = match base.kind {
        Kind::Master => tokio::runtime::Builder::new_multi_thread(),
        Kind::Slave => tokio::runtime::Builder::new_current_thread(),
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    threads.worker_threads(cores.div_ceil(2));
    let runtime = threads
        .enable_all()
        .build()
        .map_err(|error| Failure::because("failed to start threads", &error))?;
    info!(version = env!("CARGO_PKG_VERSION"), dir = %dir.display(), "{} starts", base.kind);
    let ended = runtime.block_on(async {
        let signals = listen()?;
        let kind = base.kind;
        let on_ready = Box::new(move || {
            info!("{kind} is ready");
            notify::ready();
        });
        match base.kind {
            Kind::Master => {
                let ran = rooms::run_master(dir, on_ready, signals).await;
                ran.map(|()| Ended::Stopped)
            }
            Kind::Slave => rooms::run_slave(dir, on_ready, signals).await,
        }
    });
    if ended != Ok(Ended::Replaced) {
        notify::stopping();
    }
    runtime.shutdown_timeout(LAST_GRACE);
    drop(lock);
    match ended {
        Ok(Ended::Stopped) => {
            info!("{} ended", base.kind);
            Ok(())
        }
        Ok(Ended::Replaced) => {
            let failed = |error| Failure::because("failed to go on as the new program", &error);
            let mut argv = vec![own_program().map_err(failed)?.into_os_string()];
            argv.extend(env::args_os().skip(1));
            // The same process: what it has started stays its own.
            Err(failed(become_program(&argv)))
        }
        Err(why) => {
            error!("{} failed: {why}", base.kind);
            Err(Failure::new(why))
        }
    }
}

/// Asks for as many files as the system lets a process have without being asked twice.
fn have_room_for_files() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(FILES, |it| it.min(FILES));
    if limit.current.is_some_and(|it| it < most) {
        limit.current = Some(most);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            warn!(reason = %error, "the limit of open files stays low");
        }
    }
}

/// Turns the kernel's signals into ours from now on.
fn listen() -> Result<mpsc::Receiver<Signal>, String> {
    let open = |kind| signal(kind).map_err(|error| format!("failed to listen to signals: {error}"));
    let mut hangup = open(SignalKind::hangup())?;
    let mut terminate = open(SignalKind::terminate())?;
    let mut interrupt = open(SignalKind::interrupt())?;
    let (tx, rx) = mpsc::channel(SIGNALS);
    tokio::spawn(async move {
        loop {
            let (name, meaning) = tokio::select! {
                Some(()) = hangup.recv() => ("SIGHUP", Signal::Reload),
                Some(()) = terminate.recv() => ("SIGTERM", Signal::Stop),
                Some(()) = interrupt.recv() => ("SIGINT", Signal::Stop),
                else => return,
            };
            info!(signal = name, "received");
            if meaning == Signal::Stop {
                notify::status("stopping");
            }
            if let Err(mpsc::error::TrySendError::Closed(_)) = tx.try_send(meaning) {
                return;
            }
        }
    });
    Ok(rx)
}

fn open_log(dir: &Path, attached: Attached) -> Done {
    if attached == Attached::Foreground {
        return log_to_stderr();
    }
    voice::into_file(&dir.join(LOG), true)
}

/// Logs to a file that does not fill the disk.
pub(in crate::cli) fn log_to(path: &Path) -> Done {
    voice::into_file(path, false)
}
