//! A slave on a host that is only played: its session and its spool are the
//! real ones, its command lines are acts in a time that may be paused.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::order::{Begun, CommandDir, Ended, STDIO, boot_id};
use super::runner_log::{News, RunnerLog};
use super::session::{Left, SessionError, serve};
use super::work::Works;
use super::{Slave, SlaveError, SlaveSettings};
use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::wire::{WireCommand, WireShell};

thread_local! {
    static BOOT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Which start of the host this is, on this thread.
pub(super) fn played_boot() -> Option<String> {
    BOOT.with_borrow(Clone::clone)
}

/// From now on this is another start of the host.
pub(super) fn play_boot(boot: &str) {
    BOOT.set(Some(boot.to_owned()));
}

/// What a command does, one thing after another.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Wait(Duration),
    Say(Channel, Vec<u8>),
    End(i32),
}

/// What becomes of a command line in its work directory.
pub(crate) type Play = dyn Fn(&WireShell, &Path) -> Vec<Act> + Send + Sync;

/// That a command has begun to run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// The name of its directory in the spool.
    pub(crate) id: String,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Instant>,
}

/// The machine of a slave. What runs there outlives the slave.
#[derive(Clone)]
pub(crate) struct Host(Arc<Inner>);

struct Inner {
    basedir: PathBuf,
    play: Box<Play>,
    runners: Mutex<Vec<(CommandDir, AbortHandle)>>,
    ran: Mutex<Vec<Ran>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Host").field(&self.0.basedir).finish()
    }
}

impl Host {
    pub(crate) fn new(basedir: &Path, play: Box<Play>) -> Self {
        fs::create_dir_all(basedir).expect("a base directory");
        Self(Arc::new(Inner {
            basedir: basedir.to_owned(),
            play,
            runners: Mutex::default(),
            ran: Mutex::default(),
        }))
    }

    /// Every command that has begun to run so far.
    pub(crate) fn ran(&self) -> Vec<Ran> {
        locked(&self.0.ran).clone()
    }

    /// What is left of commands in the spool.
    pub(crate) fn spooled(&self) -> Vec<String> {
        let mut left = Vec::new();
        for master in fs::read_dir(self.0.basedir.join(super::SPOOL))
            .into_iter()
            .flatten()
            .flatten()
        {
            for command in fs::read_dir(master.path()).into_iter().flatten().flatten() {
                if command.path().is_dir() {
                    left.push(command.file_name().to_string_lossy().into_owned());
                }
            }
        }
        left
    }

    /// Kills runners without a chance to say anything: all of them, or one.
    pub(crate) fn kill_runners(&self, which: Option<usize>) -> Vec<String> {
        let mut runners = locked(&self.0.runners);
        runners.retain(|(_, runner)| !runner.is_finished());
        let count = runners.len();
        let mut killed = Vec::new();
        for (place, (dir, runner)) in runners.iter().enumerate() {
            if which.is_none_or(|it| it % count == place) {
                runner.abort();
                killed.push(name_of(dir));
            }
        }
        killed
    }

    /// The power is cut: nothing runs, and of each file there is as much as `kept` says of
    /// what was written since the last time it was made safe, which for a spool is never.
    pub(crate) fn lose_power(&self, boot: &str, mut kept: impl FnMut(u64) -> Option<u64>) {
        self.kill_runners(None);
        play_boot(boot);
        let mut files = Vec::new();
        files_below(&self.0.basedir.join(super::SPOOL), &mut files);
        files.sort();
        for file in files {
            let length = fs::metadata(&file).expect("a file").len();
            match kept(length) {
                Some(kept) => {
                    let open = fs::File::options().write(true).open(&file);
                    open.and_then(|it| it.set_len(kept.min(length)))
                        .expect("cut");
                }
                None => fs::remove_file(&file).expect("removed"),
            }
        }
    }

    pub(super) fn begin(&self, dir: &CommandDir) -> io::Result<()> {
        let runner = tokio::spawn(run(self.clone(), dir.clone())).abort_handle();
        locked(&self.0.runners).push((dir.clone(), runner));
        Ok(())
    }

    pub(super) fn has_runner(&self, dir: &CommandDir) -> bool {
        let mut runners = locked(&self.0.runners);
        runners.retain(|(_, runner)| !runner.is_finished());
        runners.iter().any(|(it, _)| it == dir)
    }
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

fn name_of(dir: &CommandDir) -> String {
    let name = dir.path().file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does with the files of a command what a runner does.
async fn run(host: Host, dir: CommandDir) {
    sleep(Duration::from_millis(1)).await;
    let mut claim = dir.claim().ok().flatten();
    while claim.is_none() {
        if dir.path().is_dir() && dir.begun().is_ok_and(|it| it.is_none()) {
            sleep(Duration::from_millis(2)).await;
            claim = dir.claim().ok().flatten();
        } else {
            return;
        }
    }
    if !matches!((dir.begun(), dir.ended()), (Ok(None), Ok(None))) {
        return;
    }
    let begun = Begun {
        boot_id: boot_id(),
        runner: None,
        child: None,
        group: None,
    };
    dir.write_begun(&begun).expect("begun");
    let order = dir.order().expect("an order");
    let WireCommand::Shell(shell) = &order.command else {
        unreachable!("only command lines have a runner");
    };
    let workdir = host.0.basedir.join(&shell.workdir);
    let acts = (host.0.play)(shell, &workdir);
    let began = Instant::now();
    locked(&host.0.ran).push(Ran {
        id: name_of(&dir),
        began,
        ended: None,
    });
    let mut log =
        RunnerLog::create(&dir.log(0), News::new(dir.news(), order.token)).expect("a log");
    let mut end = (0, ExitCause::Exited);
    for act in acts {
        if dir.interrupt().exists() {
            end = (-1, ExitCause::Interrupted);
            break;
        }
        match act {
            Act::Wait(span) => sleep(span).await,
            Act::Say(channel, bytes) => {
                log.push(channel, &bytes);
                log.write();
            }
            Act::End(code) => end.0 = code,
        }
    }
    let (code, cause) = end;
    let elapsed = u64::try_from(began.elapsed().as_millis()).expect("not that long");
    let exit = Exit::new(code, cause, elapsed.max(1));
    let logs = BTreeMap::from([(STDIO.to_owned(), log.length())]);
    {
        let mut ran = locked(&host.0.ran);
        let own = ran
            .iter_mut()
            .rev()
            .find(|it| it.id == name_of(&dir) && it.began == began);
        own.expect("its own beginning").ended = Some(Instant::now());
    }
    dir.write_ended(&Ended::new(exit, logs)).expect("ended");
    log.tell_the_end();
}

/// The slave's process on such a host.
pub(crate) struct PlayedSlave(Slave);

impl PlayedSlave {
    /// Starts it. It ends when it is dropped; what it has begun goes on.
    ///
    /// # Errors
    /// As of a slave; another one runs in this directory, most likely.
    pub(crate) fn start(name: &str, password: &str, host: &Host) -> Result<Self, SlaveError> {
        let basedir = host.0.basedir.clone();
        let settings = SlaveSettings {
            basedir: basedir.clone(),
            grounds: None,
            host: "the bench".to_owned(),
            port: 0,
            tls: None,
            name: name.to_owned(),
            password: password.to_owned(),
            max_delay: Duration::from_secs(10),
            keepalive: None,
            umask: None,
            capabilities: BTreeMap::new(),
            going: CancellationToken::new(),
            watches_stamp: false,
            follows_upgrades: false,
            program: PathBuf::new(),
        };
        let mut slave = Slave::new(settings)?;
        slave.works = Works::new(PathBuf::new(), slave.settings.basedir.clone());
        slave.works.host = Some(host.clone());
        Ok(Self(slave))
    }

    /// Serves a master over one line. `Ok` says whether the slave is dismissed.
    ///
    /// # Errors
    /// The line failed, or the master refuses the slave.
    pub(crate) async fn serve<R, W>(&mut self, read: R, write: W) -> Result<bool, SessionError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let stop = CancellationToken::new();
        let left = serve(&mut self.0, read, write, &stop).await?;
        Ok(left == Left::Dismissed)
    }
}
