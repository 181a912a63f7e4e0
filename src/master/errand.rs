//! A command that the master itself runs for a step. It lives no longer than the master: one
//! that was running when a master ended is ended too, and its build is given back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::logs::append::LogFile;
use crate::logs::mask::{Masks, Stream};
use crate::logs::record;
use crate::master::build::Build;
use crate::master::command::{passed, stopped};
use crate::master::troubles::{Patience, Place};
use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Status;
use crate::process::tree;
use crate::process::{Heard, Said};
use crate::steps::Errand;
use crate::store::CommandRow;

/// Stands where a command of a slave has its spool: who runs it, and the process's name as
/// soon as there is one.
const MASTER: &str = "master";

/// Pages hear of a growing log this often at most.
const NEWS_PAUSE: Duration = Duration::from_millis(50);

impl Build {
    /// Runs the command and keeps what it says. `runner` is what was written down of an
    /// earlier run.
    pub(super) async fn run_errand(
        &mut self,
        errand: &Errand,
        revealed: Shell,
        (row, runner): (CommandRow, Option<&str>),
        log: &mut LogFile,
    ) -> Exit {
        // Nothing of it runs at the slave.
        self.set_open(None);
        let begun = Instant::now();
        if let Some(runner) = runner {
            end_what_is_left(runner);
            let why = "the master was restarted while it ran a command of its own";
            self.put(log, Channel::Header, format!("{why}\n").as_bytes())
                .await;
            return Exit::new(-1, ExitCause::Lost(why.into()), 0);
        }
        let exit = match self.listen(errand, &revealed, row, log).await {
            Ok(Some(status)) => ended(status, begun),
            Ok(None) => Exit::new(-1, ExitCause::Interrupted, millis(begun).max(1)),
            Err(why) => {
                let line = format!("program could not be started: {why}\n");
                self.put(log, Channel::Header, line.as_bytes()).await;
                return Exit::new(-1, ExitCause::NotStarted(why), millis(begun));
            }
        };
        let line = match exit.cause {
            ExitCause::Signal(number) => format!("exit signal {number}\n"),
            ExitCause::Interrupted => "command interrupted, it was killed\n".to_owned(),
            _ => format!("exit status {}\n", exit.code),
        };
        self.put(log, Channel::Header, line.as_bytes()).await;
        exit
    }

    /// `None` if the build is to stop.
    async fn listen(
        &mut self,
        errand: &Errand,
        shell: &Shell,
        row: CommandRow,
        log: &mut LogFile,
    ) -> Result<Option<ExitStatus>, String> {
        let masks = Masks::new(&self.masks);
        let dir = self.crew.files.sent.join(&shell.workdir);
        let header = header(&errand.shell, &dir);
        self.put(log, Channel::Header, masks.hide(&header).as_bytes())
            .await;
        let argv = argv(&shell.line);
        let heard = Heard {
            argv: &argv,
            env: &self.environment(errand.inherits, shell),
            dir: &dir,
            on_terminal: shell.terms.use_pty,
        };
        // Whoever finds this knows that it may have run.
        self.write_runner(row, MASTER.to_owned()).await;
        let mut hearing = heard.spawn().map_err(|error| {
            masks.hide(&format!("`{}` in `{}`: {error}", argv[0], dir.display()))
        })?;
        if let Some(name) = hearing.name() {
            self.write_runner(row, format!("{MASTER} {} {}", name.pid, name.started))
                .await;
        }
        let mut stop = (!self.stopped).then(|| self.stop.clone());
        let mut streams = [Stream::default(), Stream::default()];
        let (mut tell_at, mut is_news) = (Instant::now(), false);
        loop {
            let said = tokio::select! {
                biased;
                // What it says is not waited for any more: it is killed as it is dropped.
                () = stopped(&mut stop) => return Ok(None),
                () = passed(tell_at), if is_news => {
                    let (build, step) = (self.key.clone(), row.step);
                    self.crew.tell(Status::LogGrew { build, step, log: "stdio".into() });
                    (tell_at, is_news) = (Instant::now() + NEWS_PAUSE, false);
                    continue;
                }
                said = hearing.next() => said,
            };
            let (channel, piece) = match said {
                Ok(Said::Stdout(piece)) => (Channel::Stdout, streams[0].push(&piece, &masks)),
                Ok(Said::Stderr(piece)) => (Channel::Stderr, streams[1].push(&piece, &masks)),
                Ok(Said::Ended(status)) => {
                    for (channel, mut stream) in
                        [Channel::Stdout, Channel::Stderr].into_iter().zip(streams)
                    {
                        self.put(log, channel, &stream.finish(&masks)).await;
                    }
                    return Ok(Some(status));
                }
                Err(error) => return Err(format!("it cannot be heard: {error}")),
            };
            self.put(log, channel, &piece).await;
            is_news = true;
        }
    }

    /// Adds to the log of the step; a disk that is full is waited for.
    async fn put(&self, log: &mut LogFile, channel: Channel, bytes: &[u8]) {
        let mut records = Vec::new();
        record::push(channel, bytes, &mut records);
        let mut patience = Patience::new(&self.crew, &self.key);
        while let Err(error) = log.append_at(log.len(), &records) {
            patience.pause(Place::Logs, error).await;
        }
    }

    async fn write_runner(&self, row: CommandRow, runner: String) {
        let build = self.id;
        let mut patience = Patience::new(&self.crew, &self.key);
        loop {
            let runner = runner.clone();
            let written = self
                .crew
                .store
                .write(move |verbs| verbs.give_command(build, row, &runner));
            match written.await {
                Ok(()) => return,
                Err(error) => patience.pause(Place::Database, error.what).await,
            }
        }
    }

    /// The master's own but for the variables that hold secrets, or only what is said.
    fn environment(&self, inherits: bool, shell: &Shell) -> BTreeMap<OsString, OsString> {
        if inherits {
            let secret = self.crew.plan().secrets.variables();
            return std::env::vars_os()
                .filter(|(name, _)| !secret.contains(name))
                .collect();
        }
        let said = shell.env.iter();
        said.filter_map(|(name, value)| Some((name.into(), value.as_ref()?.into())))
            .collect()
    }
}

fn argv(line: &ShellLine) -> Vec<String> {
    match line {
        ShellLine::Argv(words) => words.clone(),
        ShellLine::Script(text) => vec!["/bin/sh".into(), "-c".into(), text.clone()],
    }
}

/// What the log says before the command does.
fn header(shown: &Shell, dir: &Path) -> String {
    let command = match &shown.line {
        ShellLine::Argv(words) => words.join(" "),
        ShellLine::Script(text) => text.trim().to_owned(),
    };
    let words: Vec<_> = argv(&shown.line)
        .iter()
        .map(|it| format!("'{it}'"))
        .collect();
    format!(
        "{command}\n\n** RUNNING ON BUILDMASTER **\n in dir {}\n argv: [{}]\n",
        dir.display(),
        words.join(", ")
    )
}

fn ended(status: ExitStatus, begun: Instant) -> Exit {
    let (code, cause) = match (status.code(), status.signal()) {
        (Some(code), _) => (code, ExitCause::Exited),
        (None, signal) => (-1, ExitCause::Signal(signal.unwrap_or_default())),
    };
    Exit::new(code, cause, millis(begun))
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Kills what a master that was killed has left of its command.
fn end_what_is_left(runner: &str) {
    let mut words = runner.split(' ').skip(1);
    let pid = words.next().and_then(|it| it.parse().ok());
    let started = words.next().and_then(|it| it.parse().ok());
    if let (Some(pid), Some(started)) = (pid, started) {
        tree::kill_named(tree::ProcessName { pid, started });
    } else {
        warn!("a command of the master may have been started, and is not known by name");
    }
}
