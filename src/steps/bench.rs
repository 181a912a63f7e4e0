//! A build for one step: shows it how its commands end and tells in a line
//! what it does then. [`Bench::run_for_real`] runs the commands here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Seek;
use std::io::Write;
use std::path::Path;

use crate::expr::Values;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Channel;
use crate::model::Command;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileCommand;
use crate::model::Properties;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::SourceStamp;
use crate::model::Text;
use crate::model::Timestamp;
use crate::model::Written;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Move;
use super::Output;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::StepPlan;
use super::TriggerOrder;
use super::Verdict;

/// One step of a build of `hello`.
pub(crate) struct Bench {
    pub(crate) properties: Properties,
    pub(crate) stamp: SourceStamp,
    pub(crate) changes: Vec<Change>,
    pub(crate) submitted: Option<Timestamp>,
    pub(crate) env: BTreeMap<String, Option<Text>>,
    pub(crate) seen: Values,
    /// What is in the log files of its commands.
    pub(crate) logfiles: Vec<String>,
    /// Why trees were removed, where the step said that.
    pub(crate) whys: Vec<String>,
    /// The programs that ran.
    pub(crate) shells: Vec<Shell>,
    name: String,
    flags: Flags,
    run: Box<dyn Run>,
    verdict: Option<Verdict>,
}

pub(crate) type Line<'a> = (Channel, &'a str);

pub(crate) fn out(line: &str) -> Line<'_> {
    (Channel::Stdout, line)
}

pub(crate) fn err(line: &str) -> Line<'_> {
    (Channel::Stderr, line)
}

pub(crate) fn header(line: &str) -> Line<'_> {
    (Channel::Header, line)
}

/// A change of these files.
pub(crate) fn change(files: &[&str]) -> Change {
    Change {
        id: ChangeId(1),
        author: "ann".into(),
        files: files.iter().map(|it| (*it).to_owned()).collect(),
        comments: String::new(),
        revision: None,
        branch: None,
        category: None,
        revlink: String::new(),
        repository: String::new(),
        project: String::new(),
        when: Timestamp(0),
        properties: Properties::new(),
    }
}

/// What a step counts in these lines while it runs: each metric, and of how much.
pub(crate) fn counted(step: &dyn Step, lines: &[Line<'_>]) -> Vec<(String, u64, Option<u64>)> {
    let mut gauge = step.gauge().expect("it counts");
    for (channel, line) in lines {
        gauge.see(*channel, line);
    }
    let reached = gauge.reached().into_iter();
    reached
        .map(|it| (it.name, it.value, it.announced))
        .collect()
}

impl Bench {
    pub(crate) fn new(step: &dyn Step, kind: &StepKind) -> Self {
        Self::of_run(step.begin(), kind)
    }

    /// A step that has begun.
    pub(crate) fn of_run(run: Box<dyn Run>, kind: &StepKind) -> Self {
        Self {
            properties: Properties::new(),
            stamp: SourceStamp::default(),
            changes: Vec::new(),
            submitted: None,
            env: BTreeMap::new(),
            seen: Values::new(),
            logfiles: Vec::new(),
            whys: Vec::new(),
            shells: Vec::new(),
            name: kind.step_name.to_owned(),
            flags: kind.flags,
            run,
            verdict: None,
        }
    }

    /// The step of a factory, with the properties that the steps before it left.
    pub(crate) fn of(plan: &StepPlan, properties: Properties) -> Self {
        Self {
            properties,
            stamp: SourceStamp::default(),
            changes: Vec::new(),
            submitted: None,
            env: BTreeMap::new(),
            seen: Values::new(),
            logfiles: Vec::new(),
            whys: Vec::new(),
            shells: Vec::new(),
            name: plan.name.clone(),
            flags: plan.flags,
            run: plan.body.begin(),
            verdict: None,
        }
    }

    pub(crate) fn running_text(&mut self) -> Vec<String> {
        self.with(|run, cx| run.running_text(cx))
    }

    /// A build of another step, which knows the same.
    pub(crate) fn begin_again(&mut self, step: &dyn Step) {
        self.run = step.begin();
    }

    pub(crate) fn done_text(&mut self) -> Vec<String> {
        self.with(|run, cx| run.done_text(cx))
    }

    /// The first move, in a line.
    pub(crate) fn begin(&mut self) -> String {
        self.advance(None)
    }

    /// The first move, which is to run a program.
    pub(crate) fn begin_shell(&mut self) -> Shell {
        match self.with(|run, cx| run.advance(cx, None)) {
            Ok(Move::Run(Command::Shell(shell))) => shell,
            other => panic!("runs no program: {other:?}"),
        }
    }

    /// Shows the step that its command ended with `code`; the next move is to run a program.
    pub(crate) fn ends_shell(&mut self, code: i32) -> Shell {
        let exit = Exit::new(code, ExitCause::Exited, 1);
        let output = Said {
            lines: Vec::new(),
            logfiles: Vec::new(),
        };
        let ended = Ended {
            exit: &exit,
            output: &output,
        };
        match self.with(|run, cx| run.advance(cx, Some(&ended))) {
            Ok(Move::Run(Command::Shell(shell))) => shell,
            other => panic!("runs no program: {other:?}"),
        }
    }

    /// The first move, which is to ask schedulers for builds.
    pub(crate) fn begin_trigger(&mut self) -> TriggerOrder {
        match self.with(|run, cx| run.advance(cx, None)) {
            Ok(Move::Trigger(order)) => order,
            other => panic!("triggers nothing: {other:?}"),
        }
    }

    /// Shows the step that its command ended with `code`, and tells its next move.
    pub(crate) fn ends(&mut self, code: i32, lines: &[Line<'_>]) -> String {
        let exit = Exit::new(code, ExitCause::Exited, 1);
        self.ends_with(&exit, lines)
    }

    /// Shows the step how its command ended, and tells its next move.
    pub(crate) fn ends_with(&mut self, exit: &Exit, lines: &[Line<'_>]) -> String {
        let lines = lines.iter();
        let output = Said {
            lines: lines
                .map(|(channel, line)| (*channel, (*line).to_owned()))
                .collect(),
            logfiles: self.logfiles.clone(),
        };
        self.advance(Some(&Ended {
            exit,
            output: &output,
        }))
    }

    /// How the step ended.
    pub(crate) fn verdict(&self) -> &Verdict {
        self.verdict.as_ref().expect("the step is done")
    }

    /// Plays pairs of an expected move and how it ends; the last move ends nothing.
    pub(crate) fn plays(&mut self, script: &[(&str, i32, &[Line<'_>])], end: &str) {
        let mut told = self.begin();
        for (expected, code, lines) in script {
            assert_eq!(told, *expected);
            told = self.ends(*code, lines);
        }
        assert_eq!(told, end);
    }

    /// Runs the step's commands below `basedir`, as a slave does, and tells them and the end.
    pub(crate) fn run_for_real(&mut self, basedir: &Path) -> Vec<String> {
        let mut told = Vec::new();
        let mut last: Option<(Exit, Said)> = None;
        loop {
            let next = self.with(|run, cx| {
                let ended = last.as_ref().map(|(exit, output)| Ended { exit, output });
                run.advance(cx, ended.as_ref())
            });
            told.push(told_of(&next));
            match next {
                Ok(Move::Run(command)) => last = Some(carried_out(&command, basedir)),
                Ok(Move::Trigger(order)) => panic!("there is nobody to trigger: {order:?}"),
                Ok(Move::Done(verdict)) => {
                    self.verdict = Some(verdict);
                    return told;
                }
                Ok(Move::Send(_) | Move::Receive(_) | Move::OnMaster(_)) | Err(_) => return told,
            }
        }
    }

    fn advance(&mut self, last: Option<&Ended<'_>>) -> String {
        let next = self.with(|run, cx| run.advance(cx, last));
        if let Ok(Move::Run(Command::File(FileCommand::Rmdir { why, .. }))) = &next {
            self.whys.extend(why.clone());
        }
        let told = told_of(&next);
        match next {
            Ok(Move::Done(verdict)) => self.verdict = Some(verdict),
            Ok(Move::Run(Command::Shell(shell))) => self.shells.push(shell),
            _ => {}
        }
        told
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut dyn Run, &mut Cx<'_>) -> T) -> T {
        let mut cx = Cx {
            name: &self.name,
            flags: self.flags,
            properties: &mut self.properties,
            seen: &self.seen,
            stamp: &self.stamp,
            changes: &self.changes,
            submitted: self.submitted,
            builder_dir: "hello",
            workdir: "build",
            env: &self.env,
        };
        act(self.run.as_mut(), &mut cx)
    }
}

fn told_of(next: &Result<Move, StepError>) -> String {
    match next {
        Ok(Move::Run(Command::Shell(shell))) => match &shell.line {
            ShellLine::Argv(words) => format!("{}: {}", shell.workdir, words.join(" ")),
            ShellLine::Script(text) => format!("sh {}: {text}", shell.workdir),
        },
        Ok(Move::Run(Command::File(file))) => match file {
            FileCommand::Mkdir { dir } => format!("mkdir {dir}"),
            FileCommand::Rmdir { dir, .. } => format!("rmdir {dir}"),
            FileCommand::Cpdir { from, to } => format!("cpdir {from} {to}"),
            FileCommand::Stat { path } => format!("stat {path}"),
            FileCommand::Glob { pattern } => format!("glob {pattern}"),
            FileCommand::Listdir { dir } => format!("listdir {dir}"),
            FileCommand::Rmfile { path } => format!("rmfile {path}"),
            FileCommand::Upload(it) => format!("upload {}", it.path),
            FileCommand::Write(it) => {
                let mut told = format!("write {}", it.path);
                if it.size != it.bytes.len() as u64 {
                    let more = if it.is_last { "" } else { "…" };
                    told.push_str(&format!(" {} of {}{more}", it.offset, it.size));
                }
                if let Some(mode) = it.mode {
                    told.push_str(&format!(" {mode:o}"));
                }
                format!("{told}: {}", String::from_utf8_lossy(&it.bytes))
            }
        },
        Ok(Move::OnMaster(it)) => {
            let mut told = format!("on the master, in `{}`", it.shell.workdir);
            if it.shell.terms.use_pty {
                told.push_str(", on a terminal");
            }
            if !it.inherits {
                let env = it.shell.env.iter();
                let env =
                    env.map(|(name, it)| format!("{name}={}", it.as_deref().unwrap_or_default()));
                told.push_str(&format!(
                    ", only with {}",
                    env.collect::<Vec<_>>().join(" ")
                ));
            }
            match &it.shell.line {
                ShellLine::Argv(words) => format!("{told}: {}", words.join(" ")),
                ShellLine::Script(text) => format!("{told}: sh: {text}"),
            }
        }
        Ok(Move::Trigger(order)) => {
            let names: Vec<_> = order.schedulers.iter().map(|it| it.as_str()).collect();
            let wait = if order.wait { " and wait" } else { "" };
            format!("trigger {}{wait}", names.join(" "))
        }
        Ok(Move::Send(it)) => {
            let version = it.version.as_deref();
            let version = version.map_or(String::new(), |it| format!(" of version {it}"));
            format!(
                "send {} to {} from {}{version}",
                it.file, it.path, it.offset
            )
        }
        Ok(Move::Receive(it)) => {
            let mut told = format!("receive {} from {}", it.target, it.upload.path);
            if let Some(most) = it.upload.max_size {
                told.push_str(&format!(", at most {most}"));
            }
            if let Some(anchor) = &it.anchor {
                told.push_str(&format!(", below {anchor}"));
            }
            if let Some(mode) = it.mode {
                told.push_str(&format!(", mode {mode:o}"));
            }
            if it.keep_stamp {
                told.push_str(", with its times");
            }
            told
        }
        Ok(Move::Done(verdict)) => {
            let mut told = format!("{}: {}", verdict.outcome, verdict.text.join(" "));
            if !verdict.build_text.is_empty() {
                told.push_str("; build: ");
                told.push_str(&verdict.build_text.join(" "));
            }
            told
        }
        Err(error) => format!("error: {error}"),
    }
}

/// Runs a program that must end well, and tells what it printed.
#[expect(
    clippy::disallowed_methods,
    reason = "a test builds its world with programs"
)]
pub(crate) fn run_program(dir: &Path, program: &str, argv: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(argv)
        .current_dir(dir)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{program} {argv:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

struct Said {
    lines: Vec<(Channel, String)>,
    logfiles: Vec<String>,
}

impl Output for Said {
    fn lines(&self, see: &mut dyn FnMut(Channel, &str)) {
        for (channel, line) in &self.lines {
            see(*channel, line);
        }
    }

    fn logfile_lines(&self, see: &mut dyn FnMut(usize, &str)) {
        for (number, text) in self.logfiles.iter().enumerate() {
            text.lines().for_each(|it| see(number, it));
        }
    }

    fn stdout(&self, limit: usize) -> String {
        let mut text = String::new();
        for (channel, line) in &self.lines {
            if *channel == Channel::Stdout {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.truncate(limit);
        text
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test runs the programs that it is about"
)]
fn carried_out(command: &Command, basedir: &Path) -> (Exit, Said) {
    let mut said = Vec::new();
    let code = match command {
        Command::File(FileCommand::Mkdir { dir }) => done(fs::create_dir_all(basedir.join(dir))),
        Command::File(FileCommand::Rmdir { dir, .. }) if basedir.join(dir).is_file() => {
            done(fs::remove_file(basedir.join(dir)))
        }
        Command::File(FileCommand::Rmdir { dir, .. }) => {
            match fs::remove_dir_all(basedir.join(dir)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
                result => done(result),
            }
        }
        Command::File(FileCommand::Stat { path }) => done(fs::metadata(basedir.join(path))),
        Command::File(FileCommand::Write(piece)) => {
            assert!(
                piece.offset == 0 && piece.is_last,
                "the slave's tests do that"
            );
            let path = basedir.join(&piece.path);
            let parent = path.parent().expect("a directory");
            let written = Written {
                end: piece.size,
                size: piece.size,
                version: String::new(),
            };
            said.push((Channel::Stdout, written.to_string()));
            done(fs::create_dir_all(parent).and_then(|()| fs::write(&path, &piece.bytes)))
        }
        Command::File(FileCommand::Rmfile { path }) => done(fs::remove_file(basedir.join(path))),
        Command::File(
            FileCommand::Glob { .. } | FileCommand::Listdir { .. } | FileCommand::Upload(_),
        ) => panic!("the slave's tests do that"),
        Command::File(FileCommand::Cpdir { from, to }) => {
            let copied = std::process::Command::new("cp")
                .args(["-R", "-P", "-p"])
                .args([basedir.join(from), basedir.join(to)])
                .status();
            copied.expect("cp runs").code().unwrap_or(-1)
        }
        Command::Shell(shell) => {
            let workdir = basedir.join(&shell.workdir);
            fs::create_dir_all(&workdir).expect("a work directory");
            let mut process = match &shell.line {
                ShellLine::Argv(words) => {
                    let mut process = std::process::Command::new(&words[0]);
                    process.args(&words[1..]);
                    process
                }
                ShellLine::Script(text) => {
                    let mut process = std::process::Command::new("/bin/sh");
                    process.args(["-c", text]);
                    process
                }
            };
            for (name, value) in &shell.env {
                match value {
                    Some(value) => process.env(name, value),
                    None => process.env_remove(name),
                };
            }
            let output = process
                .current_dir(&workdir)
                .stdin(fed(&shell.initial_stdin))
                .output()
                .expect("the program starts");
            for (channel, bytes) in [
                (Channel::Stdout, &output.stdout),
                (Channel::Stderr, &output.stderr),
            ] {
                let text = String::from_utf8_lossy(bytes);
                said.extend(text.lines().map(|line| (channel, line.to_owned())));
            }
            output.status.code().unwrap_or(-1)
        }
    };
    let exit = Exit::new(code, ExitCause::Exited, 1);
    let output = Said {
        lines: said,
        logfiles: Vec::new(),
    };
    (exit, output)
}

/// What a program reads.
fn fed(bytes: &[u8]) -> std::process::Stdio {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file.rewind().expect("at its begin");
    file.into()
}

fn done<T>(result: std::io::Result<T>) -> i32 {
    i32::from(result.is_err())
}
