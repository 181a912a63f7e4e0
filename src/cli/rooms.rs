//! Where the command line meets the rooms that it runs, and nothing else: a
//! master, a slave, a runner, the store of a new master, the factories.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::daemon::Signal;
use super::daemon::heed;
use super::exit::Failure;
use super::place::Base;
use super::place::Kind;
use super::slave_ini;
use super::slave_ini::AllowShutdown;
use crate::config;
use crate::factories;
use crate::master;
use crate::model::ConfigId;
use crate::process::Inherited;
use crate::slave;
use crate::slave::SlaveSettings;
use crate::store;
use crate::store::ConfigFile;
use crate::store::ConfigRecord;
use crate::store::Store;
use crate::web::Site;
use crate::wire::PASSWORD_VARIABLE;

/// The database of a master, in its base directory.
const STORE: &str = "state.sqlite";
/// How often is looked whether somebody has to be buried.
const BURY: Duration = Duration::from_secs(5);

/// Called once, when a daemon does its work.
pub(super) type OnReady = Box<dyn FnOnce() + Send>;

/// Says what is wrong with the configuration of `base`.
pub(super) fn check(base: &Base) -> Result<(), String> {
    let checked = match base.kind {
        Kind::Master => config::load(&base.dir).map(drop),
        Kind::Slave => slave_ini::load(&base.dir).map(drop),
    };
    checked.map_err(|problems| problems.render(false))
}

/// Runs the master in `dir` until a signal ends it.
pub(super) async fn run_master(
    dir: PathBuf,
    on_ready: OnReady,
    signals: mpsc::Receiver<Signal>,
) -> Result<(), String> {
    let stop = CancellationToken::new();
    let (hangup, reloads) = mpsc::channel(1);
    tokio::spawn(hand_on(signals, stop.clone(), move || {
        // One that waits already reads what this one is about.
        let _ = hangup.try_send(());
    }));
    master::run(&dir, Arc::<Site>::default(), on_ready, heed, reloads, stop)
        .await
        .map_err(|error| Failure::from(error).text())
}

/// Turns signals into what the rooms listen to.
async fn hand_on(
    mut signals: mpsc::Receiver<Signal>,
    stop: CancellationToken,
    mut reload: impl FnMut(),
) {
    loop {
        match signals.recv().await {
            Some(Signal::Reload) => reload(),
            Some(Signal::Stop) | None => return stop.cancel(),
        }
    }
}

/// Runs the slave in `dir` until a signal ends it.
pub(super) async fn run_slave(
    dir: PathBuf,
    on_ready: OnReady,
    signals: mpsc::Receiver<Signal>,
) -> Result<slave::Ended, String> {
    let mut inherited = Inherited::now();
    tokio::spawn(async move {
        while inherited.bury() {
            tokio::time::sleep(BURY).await;
        }
    });
    let ini = slave_ini::load(&dir).map_err(|problems| problems.render(false))?;
    let going = CancellationToken::new();
    let settings = SlaveSettings {
        basedir: dir,
        grounds: None,
        host: ini.host,
        port: ini.port,
        tls: ini.tls,
        name: ini.name,
        password: ini.password,
        max_delay: ini.max_delay,
        keepalive: ini.keepalive,
        umask: ini.umask,
        capabilities: ini.capabilities,
        going: going.clone(),
        watches_stamp: ini.allow_shutdown == Some(AllowShutdown::File),
        program: program()?,
        follows_upgrades: ini.follow_upgrades,
    };
    let stop = CancellationToken::new();
    let obeys = ini.allow_shutdown == Some(AllowShutdown::Signal);
    tokio::spawn(hand_on(signals, stop.clone(), move || {
        if obeys {
            going.cancel();
        } else {
            info!("slave.ini is read when the slave is started");
        }
    }));
    slave::run(settings, stop, on_ready)
        .await
        .map_err(|error| Failure::from(error).text())
}

/// The settings of a slave that does not dial.
pub(super) fn kept_slave(basedir: PathBuf, name: String) -> Result<SlaveSettings, String> {
    Ok(SlaveSettings {
        basedir,
        grounds: None,
        host: String::new(),
        port: 0,
        tls: None,
        name,
        password: env::var(PASSWORD_VARIABLE).unwrap_or_default(),
        max_delay: Duration::ZERO,
        keepalive: None,
        umask: None,
        capabilities: BTreeMap::new(),
        going: CancellationToken::new(),
        watches_stamp: false,
        program: program()?,
        follows_upgrades: false,
    })
}

/// Runs a slave whose master speaks through standard input and output, and
/// gave it a password for this one line.
pub(super) async fn run_over_stdio(basedir: PathBuf, name: String) -> Result<(), String> {
    let settings = kept_slave(basedir, name)?;
    slave::run_over_stdio(settings, CancellationToken::new())
        .await
        .map_err(|error| Failure::from(error).text())
}

/// This program, which is the runner too.
pub(super) fn program() -> Result<PathBuf, String> {
    crate::process::own_program().map_err(|error| format!("failed to find this program: {error}"))
}

/// Makes the database of a new master.
pub(super) fn create_store(path: &Path) -> Result<(), String> {
    store::create(path).map_err(|error| error.to_string())
}

/// The newest configurations that the master in `dir` applied, newest first.
pub(super) fn configs(dir: &Path, limit: usize) -> Result<Vec<ConfigRecord>, Failure> {
    Ok(read_store(dir, |verbs| verbs.recent_configs(limit))?.unwrap_or_default())
}

/// A configuration that the master in `dir` applied, with its files.
pub(super) fn config(
    dir: &Path,
    number: i64,
) -> Result<Option<(ConfigRecord, Vec<ConfigFile>)>, Failure> {
    Ok(read_store(dir, |verbs| verbs.config(ConfigId(number)))?.flatten())
}

/// Whether a master has its database in `dir`.
pub(super) fn has_store(dir: &Path) -> bool {
    dir.join(STORE).is_file()
}

/// Reads the database of a master; `None` if it has none yet.
fn read_store<T>(
    dir: &Path,
    verbs: impl FnOnce(&mut dyn Store) -> store::Result<T>,
) -> Result<Option<T>, Failure> {
    if !has_store(dir) {
        return Ok(None);
    }
    let path = dir.join(STORE);
    let read = store::read_file(&path, verbs).map(Some);
    read.map_err(|error| Failure::because(format!("failed to read `{}`", path.display()), &error))
}

/// Every factory: built in, or a recipe in one of `dirs`.
pub(super) fn known_factories(dirs: &[PathBuf]) -> Vec<factories::Known> {
    factories::Library::new(dirs.to_vec()).known()
}

/// Where recipes are installed: beside the program, `../share/autobot/factories`.
pub(super) fn share_factories() -> Vec<PathBuf> {
    let dir = || {
        let program = crate::process::own_program().ok()?.canonicalize().ok()?;
        let prefix = program.parent()?.parent()?;
        let dir = prefix.join("share/autobot/factories");
        dir.is_dir().then_some(dir)
    };
    dir().into_iter().collect()
}
