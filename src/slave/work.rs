//! Who carries commands out: a runner of its own for a command line, a thread
//! of this process for a file command. Both claim the command first, so that
//! starting it twice carries it out once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

use super::RUNNER_VERB;
use super::disk::DISK;
use super::files;
use super::forker::Forker;
use super::order::{self, CommandDir, Ended, STDIO};
use super::received;
use crate::logs::disk;
use crate::logs::record;
use crate::model::CONTENT;
use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileResult;
use crate::model::Written;
use crate::process::spawn_detached;
use crate::wire::WireCommand;
use crate::wire::WireFile;

/// So long a forked runner may take to show itself, on a busy host.
const FORKING: Duration = Duration::from_secs(10);

/// The work that this process has begun.
#[derive(Debug)]
pub(super) struct Works {
    /// Stands for the host, where there is none.
    #[cfg(test)]
    pub(super) host: Option<super::bench::Host>,
    program: PathBuf,
    basedir: PathBuf,
    /// Where most runners come from, while commands come.
    forker: Option<Forker>,
    /// Each with the directory of its command.
    runners: Vec<(CommandDir, Runner)>,
    threads: JoinSet<()>,
    /// File commands that wait for room on the disk, by their directories.
    held: Arc<Mutex<HashMap<PathBuf, Held>>>,
}

/// A runner, as far as it is known here.
#[derive(Debug)]
enum Runner {
    Started(Child),
    /// It was asked for then, and shows itself by what it writes down.
    Forked(Instant),
}

/// A file command that waits.
#[derive(Debug)]
struct Held {
    since: Instant,
    /// How it ended, if only that could not be written down: it is not carried out twice.
    done: Option<Done>,
}

/// How a file command ended.
#[derive(Debug)]
struct Done {
    log: Vec<u8>,
    ended: Ended,
}

impl Works {
    pub(super) fn new(program: PathBuf, basedir: PathBuf) -> Self {
        Self {
            #[cfg(test)]
            host: None,
            program,
            basedir,
            forker: None,
            runners: Vec::new(),
            threads: JoinSet::new(),
            held: Arc::default(),
        }
    }

    /// Has the command of `dir` carried out.
    pub(super) fn begin(&mut self, dir: &CommandDir, command: &WireCommand) -> io::Result<()> {
        match command {
            #[cfg(test)]
            WireCommand::Shell(_) if let Some(host) = &self.host => host.begin(dir)?,
            WireCommand::Shell(_) => {
                let runner = match self.fork(dir) {
                    true => Runner::Forked(Instant::now()),
                    false => Runner::Started(self.start(dir)?),
                };
                self.runners.push((dir.clone(), runner));
            }
            WireCommand::File(file) => {
                let (dir, basedir, file) = (dir.clone(), self.basedir.clone(), file.clone());
                let all = Arc::clone(&self.held);
                let mut done = locked(&all)
                    .get_mut(dir.path())
                    .and_then(|it| it.done.take());
                self.threads.spawn_blocking(move || {
                    let written = carry_out(&dir, &file, &basedir, &mut done);
                    let since = Instant::now();
                    match written {
                        Ok(()) => drop(locked(&all).remove(dir.path())),
                        Err(error) if disk::may_pass(&error) => {
                            let held = Held { since, done };
                            drop(locked(&all).insert(dir.path().to_owned(), held));
                        }
                        // Tried again, as nobody has it claimed any more.
                        Err(error) => {
                            let dir = dir.path().display();
                            warn!(%dir, %error, "a file command is not written down");
                        }
                    }
                });
            }
        }
        Ok(())
    }

    /// Returns when a file command has ended; never, if there is none.
    pub(super) async fn next_ended(&mut self) {
        if self.threads.join_next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Has a runner forked, if that is possible now.
    fn fork(&mut self, dir: &CommandDir) -> bool {
        // The tests' program has threads.
        if cfg!(test) {
            return false;
        }
        if !self.forker.as_mut().is_some_and(Forker::is_there) {
            self.part_with_forker();
            match Forker::start(&self.program, &self.basedir) {
                Ok(forker) => self.forker = Some(forker),
                Err(error) => warn!(%error, "the process that forks runners cannot be started"),
            }
        }
        let forker = self.forker.as_mut();
        forker.is_some_and(|it| it.fork(dir).is_ok())
    }

    fn start(&self, dir: &CommandDir) -> io::Result<Child> {
        let complaint = dir.complaint();
        let complaint = order::private().create(true).append(true).open(complaint)?;
        let args = [OsStr::new(RUNNER_VERB), dir.path().as_os_str()];
        spawn_detached(&self.program, &args, &self.basedir, complaint)
    }

    fn part_with_forker(&mut self) {
        if let Some(forker) = self.forker.take() {
            forker.end();
        }
        // Whom it has not forked it never will.
        self.runners
            .retain(|(_, runner)| matches!(runner, Runner::Started(_)));
    }

    /// Buries runners that have ended, and the forker if it has nothing to do.
    pub(super) fn reap(&mut self) {
        if self
            .forker
            .as_mut()
            .is_some_and(|it| it.has_rested() || !it.is_there())
        {
            self.part_with_forker();
        }
        self.runners.retain_mut(|(_, runner)| match runner {
            Runner::Started(it) => matches!(it.try_wait(), Ok(None)),
            Runner::Forked(since) => since.elapsed() < FORKING,
        });
    }

    /// Whether a runner for the command of `dir` is there, even if it has not
    /// begun: on a busy host that may take its time.
    pub(super) fn has_runner(&mut self, dir: &CommandDir) -> bool {
        #[cfg(test)]
        if let Some(host) = &self.host {
            return host.has_runner(dir);
        }
        self.reap();
        self.runners.iter().any(|(it, _)| it == dir)
    }

    /// Whether a file command waits for room on the disk.
    pub(super) fn is_held(&self, dir: &CommandDir) -> bool {
        locked(&self.held).contains_key(dir.path())
    }

    /// Whether that was tried a moment ago.
    pub(super) fn rests(&self, dir: &CommandDir) -> bool {
        let held = locked(&self.held);
        let since = held.get(dir.path()).map(|it| it.since);
        since.is_some_and(|it| it.elapsed() < DISK)
    }

    /// Lets go of a command that nobody wants any more.
    pub(super) fn give_up(&self, dir: &CommandDir, command: &WireCommand) {
        locked(&self.held).remove(dir.path());
        let _ = std::fs::remove_file(dir.log(1));
        if let WireCommand::File(WireFile::Write(piece)) = command {
            received::abandon(piece, &self.basedir);
        }
    }

    /// Waits for the file commands, and has no more runners forked.
    pub(super) async fn finish(&mut self) {
        self.part_with_forker();
        while self.threads.join_next().await.is_some() {}
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries a command out, unless that is `done`, and writes down how it ended.
fn carry_out(
    dir: &CommandDir,
    command: &WireFile,
    basedir: &Path,
    done: &mut Option<Done>,
) -> io::Result<()> {
    let started = Instant::now();
    let Some(_claim) = claim_soon(dir, std::thread::sleep)? else {
        return Ok(());
    };
    if dir.ended()?.is_some() {
        return Ok(());
    }
    if done.is_none() {
        *done = Some(come_to_an_end(dir, command, basedir, started)?);
    }
    let Some(Done { log, ended }) = done else {
        return Ok(());
    };
    std::fs::write(dir.log(0), log)?;
    dir.write_ended(ended)
}

/// What a command came to. An error says that the disk has no room for it.
fn come_to_an_end(
    dir: &CommandDir,
    command: &WireFile,
    basedir: &Path,
    started: Instant,
) -> io::Result<Done> {
    let mut log = Vec::new();
    let mut code = 0;
    let mut result = None;
    if let WireFile::Rmdir { why: Some(why), .. } = command {
        record::push(Channel::Header, format!("{why}\n").as_bytes(), &mut log);
    }
    match files::carry_out(command, basedir, &dir.log(1)) {
        Ok(found) => {
            result = found;
            if let WireFile::Write(piece) = command {
                let written = Written {
                    end: piece.offset + piece.bytes.len() as u64,
                    size: piece.size,
                    version: piece.version.clone(),
                };
                let line = format!("{written}\n");
                record::push(Channel::Stdout, line.as_bytes(), &mut log);
            }
        }
        Err(error) if error.is_full() => {
            return Err(io::Error::new(io::ErrorKind::StorageFull, error));
        }
        Err(error) => {
            record::push(Channel::Stderr, format!("{error}\n").as_bytes(), &mut log);
            code = 1;
        }
    }
    let elapsed = started.elapsed();
    let mut logs = BTreeMap::from([(STDIO.to_owned(), log.len() as u64)]);
    if let Some(FileResult::Sent(sent)) = &result {
        logs.insert(CONTENT.to_owned(), sent.size);
    }
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let mut exit = Exit::new(code, ExitCause::Exited, elapsed_ms);
    exit.result = result;
    let ended = Ended::new(exit, logs);
    Ok(Done { log, ended })
}

/// Claims a command. A slave that only looks how far it has come holds the
/// claim for an instant, so one that is taken is tried again, unless somebody
/// has begun.
pub(super) fn claim_soon(
    dir: &CommandDir,
    sleep: fn(Duration),
) -> io::Result<Option<std::fs::File>> {
    // An instant is shorter than what a short command takes.
    let mut pause = Duration::from_micros(50);
    for _ in 0..1000 {
        if let Some(claim) = dir.claim()? {
            return Ok(Some(claim));
        }
        if dir.begun()?.is_some() {
            break;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
    Ok(None)
}
