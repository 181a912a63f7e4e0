//! Who carries commands out: a detached runner for a command line, a thread
//! of this process for a file command. Both claim the command first, so that
//! starting it twice carries it out once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

use super::RUNNER_VERB;
use super::files;
use super::order::{self, CommandDir, Ended, STDIO};
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

/// The work that this process has begun.
#[derive(Debug)]
pub(super) struct Works {
    /// Stands for the host, where there is none.
    #[cfg(test)]
    pub(super) host: Option<super::bench::Host>,
    program: PathBuf,
    basedir: PathBuf,
    /// Each with the directory of its command.
    runners: Vec<(CommandDir, Child)>,
    threads: JoinSet<()>,
}

impl Works {
    pub(super) fn new(program: PathBuf, basedir: PathBuf) -> Self {
        Self {
            #[cfg(test)]
            host: None,
            program,
            basedir,
            runners: Vec::new(),
            threads: JoinSet::new(),
        }
    }

    /// Has the command of `dir` carried out.
    pub(super) fn begin(&mut self, dir: &CommandDir, command: &WireCommand) -> io::Result<()> {
        match command {
            #[cfg(test)]
            WireCommand::Shell(_) if let Some(host) = &self.host => host.begin(dir)?,
            WireCommand::Shell(_) => {
                let complaint = dir.complaint();
                let complaint = order::private().create(true).append(true).open(complaint)?;
                let args = [OsStr::new(RUNNER_VERB), dir.path().as_os_str()];
                let runner = spawn_detached(&self.program, &args, &self.basedir, complaint)?;
                self.runners.push((dir.clone(), runner));
            }
            WireCommand::File(file) => {
                let (dir, basedir, file) = (dir.clone(), self.basedir.clone(), file.clone());
                self.threads.spawn_blocking(move || {
                    if let Err(error) = carry_out(&dir, &file, &basedir) {
                        // Tried again, as nobody has it claimed any more.
                        warn!(dir = %dir.path().display(), %error, "a file command is not written down");
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

    /// Buries runners that have ended.
    pub(super) fn reap(&mut self) {
        self.runners
            .retain_mut(|(_, runner)| matches!(runner.try_wait(), Ok(None)));
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

    /// Waits for the file commands.
    pub(super) async fn finish(&mut self) {
        while self.threads.join_next().await.is_some() {}
    }
}

fn carry_out(dir: &CommandDir, command: &WireFile, basedir: &Path) -> io::Result<()> {
    let started = Instant::now();
    let Some(_claim) = claim_soon(dir, std::thread::sleep)? else {
        return Ok(());
    };
    if dir.ended()?.is_some() {
        return Ok(());
    }
    let mut log = Vec::new();
    let mut code = 0;
    let mut result = None;
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
        Err(error) => {
            record::push(Channel::Stderr, format!("{error}\n").as_bytes(), &mut log);
            code = 1;
        }
    }
    std::fs::write(dir.log(0), &log)?;
    let elapsed = started.elapsed();
    let mut logs = BTreeMap::from([(STDIO.to_owned(), log.len() as u64)]);
    if let Some(FileResult::Sent(sent)) = &result {
        logs.insert(CONTENT.to_owned(), sent.size);
    }
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let mut exit = Exit::new(code, ExitCause::Exited, elapsed_ms);
    exit.result = result;
    dir.write_ended(&Ended::new(exit, logs))
}

/// Claims a command. A slave that only looks how far it has come holds the
/// claim for an instant, so one that is taken is tried again, unless somebody
/// has begun.
pub(super) fn claim_soon(
    dir: &CommandDir,
    sleep: fn(Duration),
) -> io::Result<Option<std::fs::File>> {
    for _ in 0..1000 {
        if let Some(claim) = dir.claim()? {
            return Ok(Some(claim));
        }
        if dir.begun()?.is_some() {
            break;
        }
        sleep(Duration::from_millis(2));
    }
    Ok(None)
}
