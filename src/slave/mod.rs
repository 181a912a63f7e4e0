//! The slave: it dials its master, carries out commands and tells what they
//! say. A command outlives the line and this process: a detached runner owns
//! it, the spool on the disk remembers it, and the next attach meets it again.
//! The slave does not know what a build is for.
//!
//! - [`run`] dials and stays; [`run_over_stdio`] talks to whoever started it, [`run_over`] to whoever has the other end;
//!   [`run_at_socket`] stays and waits for those whom [`attach`] leads to it.
//! - `session` is one attach, `spool` what is on the disk, `runner` the
//!   process that carries out one command ([`runner_main`]), `forker` where most of them come from.

#[cfg(test)]
pub(crate) mod bench;
mod capability;
mod clean_up;
mod connect;
mod disk;
mod environment;
mod facts;
mod files;
mod follow;
mod forker;
mod glob;
mod header;
mod host;
mod launcher;
mod leases;
mod leftovers;
mod mirror;
mod order;
mod received;
mod runner;
mod runner_log;
mod running;
mod served;
mod session;
mod spool;
mod stamp;
mod stdio;
#[cfg(test)]
mod tests;
mod upgrade;
mod upload;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::clean_up::CleanUp;
pub(crate) use self::forker::forker_main;
pub(crate) use self::host::{attach, dismiss, run_at_socket};
pub(crate) use self::launcher::launcher_main;
pub(crate) use self::mirror::mirror_main;
pub(crate) use self::runner::runner_main;
use self::session::Left;
use self::session::SessionError;
use self::stamp::Stamp;
use self::work::Works;
use crate::model::Platform;
use crate::process::cgroup::Group;

/// The first argument that makes this program a runner; the second is the
/// spool directory of its command.
pub(crate) const RUNNER_VERB: &str = "__runner";

/// The first argument that makes this program the process from which runners are forked; the
/// second is the slave's base directory, for who reads the list of processes.
pub(crate) const FORKER_VERB: &str = "__runners";

/// The first argument that makes this program a launcher; the spool directory
/// of its command and the words of that follow.
pub(crate) const LAUNCHER_VERB: &str = "__launch";

/// The first argument that makes this program have a command line's repository from the mirror;
/// the same follow as behind [`LAUNCHER_VERB`].
pub(crate) const MIRROR_VERB: &str = "__mirror";

/// The directory of the base directory that belongs to the slave itself.
const SPOOL: &str = "spool";

/// Where its mirrors are, in the base directory.
const MIRRORS: &str = "mirrors";

/// What a slave must be told.
#[derive(Clone)]
pub(crate) struct SlaveSettings {
    pub(crate) basedir: PathBuf,
    /// What file commands work below: the base directory, if nothing else is said. With `/` they
    /// take absolute paths, too.
    pub(crate) grounds: Option<PathBuf>,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `None`: the line is plain.
    pub(crate) tls: Option<SlaveTls>,
    pub(crate) name: String,
    pub(crate) password: String,
    /// The longest wait before the master is dialled again.
    pub(crate) max_delay: Duration,
    /// Whether the system probes an idle line, and after how long; the
    /// heartbeats of the protocol do not depend on it.
    pub(crate) keepalive: Option<Duration>,
    pub(crate) umask: Option<u32>,
    /// Command lines whose first line of output the master is told.
    pub(crate) capabilities: BTreeMap<String, String>,
    /// Cancelled when the slave is to end as soon as its builds have.
    pub(crate) going: CancellationToken,
    /// Whether a newer `shutdown.stamp` in the base directory does that.
    pub(crate) watches_stamp: bool,
    /// This program, which is also the runner.
    pub(crate) program: PathBuf,
    /// Whether the slave goes on as the program that replaces it.
    pub(crate) follows_upgrades: bool,
}

/// Why a slave that dials has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to, here or by its master.
    Stopped,
    /// Another program has taken the place of this one, and is to go on.
    Replaced,
}

/// Whom a slave believes that dials with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlaveTls {
    /// The certificate of the master's authority; `None`: those that the system trusts.
    pub(crate) authority: Option<PathBuf>,
    /// What the master's certificate is for.
    pub(crate) name: String,
}

/// Why a slave cannot run, or not any longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlaveError {
    #[error("base directory `{}` cannot be used", path.display())]
    Basedir { path: PathBuf, source: io::Error },
    #[error("another slave runs in `{}`", .0.display())]
    InUse(PathBuf),
    #[error("the spool in `{}` cannot be used", path.display())]
    Spool { path: PathBuf, source: io::Error },
    #[error("standard input and output cannot be used as a line to the master")]
    Stdio(#[source] io::Error),
    #[error("the line to the master that started this slave failed")]
    Session(#[from] SessionError),
}

/// Dials the master and serves it until `stop`, or until the master says so.
/// Losing the line, or not being welcome, only means to dial again. Commands
/// go on in any case. `greeted` is called when a master has welcomed the slave
/// for the first time.
pub(crate) async fn run(
    settings: SlaveSettings,
    stop: CancellationToken,
    greeted: Box<dyn FnOnce() + Send>,
) -> Result<Ended, SlaveError> {
    let mut slave = Slave::new(settings)?;
    slave.greeted = Some(greeted);
    let stamp = slave.settings.watches_stamp.then(|| {
        let stamp = Stamp::of(&slave.settings.basedir);
        tokio::spawn(stamp.watch(slave.settings.going.clone()))
    });
    let replaced = CancellationToken::new();
    let stop = stop.child_token();
    let upgrade = slave.settings.follows_upgrades.then(|| {
        let program = slave.settings.program.clone();
        tokio::spawn(upgrade::watch(program, replaced.clone(), stop.clone()))
    });
    connect::stay_connected(&mut slave, &stop).await;
    if let Some(upgrade) = upgrade {
        upgrade.abort();
    }
    if let Some(stamp) = stamp {
        stamp.abort();
    }
    slave.end().await;
    match replaced.is_cancelled() {
        true => Ok(Ended::Replaced),
        false => Ok(Ended::Stopped),
    }
}

/// Serves the master at the other end of standard input and output, until it
/// closes them. Commands go on, and are met again by the next slave here.
pub(crate) async fn run_over_stdio(
    settings: SlaveSettings,
    stop: CancellationToken,
) -> Result<(), SlaveError> {
    let (stdin, stdout) = stdio::line().map_err(SlaveError::Stdio)?;
    run_over(settings, stdin, stdout, stop).await
}

/// The same over any line.
pub(crate) async fn run_over<R, W>(
    settings: SlaveSettings,
    read: R,
    write: W,
    stop: CancellationToken,
) -> Result<(), SlaveError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut slave = Slave::new(settings)?;
    let left = session::serve(&mut slave, read, write, &stop).await;
    slave.end().await;
    match left? {
        Left::Closed | Left::Stopped | Left::Dismissed => Ok(()),
    }
}

/// What a slave in `basedir` says of this machine before it has a master.
pub(crate) fn platform(basedir: &Path) -> Platform {
    facts::facts(basedir).platform
}

/// Makes commands in control groups of their own possible, where this process was given
/// one to itself (a service with `Delegate=yes`). Elsewhere their logs say that it was not.
fn make_room_for_groups() {
    let Some(group) = Group::own() else { return };
    match group.make_room(std::process::id()) {
        Ok(true) => info!(group = %group.dir().display(), "commands may have limits"),
        Ok(false) => {}
        Err(error) => {
            info!(group = %group.dir().display(), %error, "commands cannot have limits");
        }
    }
}

/// What outlives one attach.
struct Slave {
    settings: SlaveSettings,
    /// Where runners tell that there is more.
    news: pipe::Receiver,
    works: Works,
    clean_up: CleanUp,
    /// Somebody waits for the first welcome.
    greeted: Option<Box<dyn FnOnce() + Send>>,
    /// What programs of this machine say of themselves.
    capabilities: BTreeMap<String, String>,
    /// Whether it has asked a master to let it go.
    has_asked: bool,
    _only_one: File,
}

impl Slave {
    fn new(mut settings: SlaveSettings) -> Result<Self, SlaveError> {
        if let Some(umask) = settings.umask {
            rustix::process::umask(Mode::from_raw_mode(umask));
        }
        let named = settings.basedir.clone();
        let unusable = |source| SlaveError::Basedir {
            path: named.clone(),
            source,
        };
        settings.basedir = fs::canonicalize(&named).map_err(unusable)?;
        let lock = settings.basedir.join("slave.lock");
        let only_one = order::private().create(true).open(lock).map_err(unusable)?;
        match only_one.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SlaveError::InUse(named)),
            Err(fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let unusable = |source| SlaveError::Spool {
            path: named.clone(),
            source,
        };
        make_room_for_groups();
        let news = spool::make_news(&settings.basedir).map_err(unusable)?;
        // Also open for writing, so that it never ends when the last runner does.
        let mut options = pipe::OpenOptions::new();
        let news = options.read_write(true).open_receiver(news);
        info!(basedir = %settings.basedir.display(), name = settings.name, "slave started");
        Ok(Self {
            works: Works::new(
                settings.program.clone(),
                settings.grounds.clone().unwrap_or(settings.basedir.clone()),
            ),
            news: news.map_err(unusable)?,
            clean_up: CleanUp::open(&settings.basedir),
            settings,
            greeted: None,
            capabilities: BTreeMap::new(),
            has_asked: false,
            _only_one: only_one,
        })
    }

    /// Lets what happens in this process come to its end; runners go on.
    async fn end(&mut self) {
        self.works.finish().await;
        info!("slave ended; its commands go on");
    }
}
