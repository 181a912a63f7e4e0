//! The way of a build through its steps: carries out what they say and writes
//! down every decision before it leaves. It knows no step type.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time;
use tracing::warn;

use crate::clock;
use crate::expr::Values;
use crate::logs;
use crate::logs::append::LogFile;
use crate::logs::disk;
use crate::master::build::{Build, Postscript, STOPPED};
use crate::master::command::{CommandLine, Finish};
use crate::master::growth::Growth;
use crate::master::output::{LogSlice, Silent};
use crate::master::receive::{Receiver, SettleError};
use crate::master::seen::{self, Around};
use crate::master::side_logs::SideLogs;
use crate::master::supply;
use crate::master::troubles::{Patience, Place};
use crate::model::Artifact;
use crate::model::Command;
use crate::model::CommandId;
use crate::model::EventKind;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileCommand;
use crate::model::FileResult;
use crate::model::LogRecord;
use crate::model::Outcome;
use crate::model::Status;
use crate::model::UploadKind;
use crate::secrets::SecretError;
use crate::steps::{Cx, Ended, Move, Receipt, Run, Verdict};
use crate::store::{CommandHistory, CommandRow};
use crate::wire::WireCommand;

/// How long a log that has ended is left whole for those who watch it.
const WATCHED: Duration = Duration::from_secs(5);

/// Of so many commands of a step that has ended, secrets are learnt again.
const COMMANDS_LEARNT: usize = 8;

impl Build {
    /// Goes from step to step to the end; `earlier` is the step that was running when an
    /// earlier run of the master ended, and its commands so far.
    pub(super) async fn walk(&mut self, mut earlier: Option<(usize, CommandHistory)>) {
        loop {
            if let Some((index, commands)) = earlier.take() {
                // A stop that was asked for meets its command there.
                self.run_step(index, Some(commands)).await;
                continue;
            }
            self.take_in_stop();
            let Some(index) = self.course.next_step() else {
                return;
            };
            self.run_step(index, None).await;
        }
    }

    pub(super) fn take_in_stop(&mut self) {
        let reason = self.stop.borrow().clone();
        if let Some(reason) = reason
            && !self.stopped
        {
            self.stopped = true;
            self.course.stop();
            self.happened(EventKind::Interrupted, &reason);
            self.properties.set_runtime(STOPPED, reason, "Build");
            self.put_properties();
        }
    }

    async fn run_step(&mut self, index: usize, earlier: Option<CommandHistory>) {
        let plan = self.steps[index].clone();
        let mut run = plan.body.begin();
        self.look_round(index);
        self.growth = Growth::default();
        // What the step before it has counted says nothing of it.
        self.crew.set_reached(&self.key, self.growth.reached());
        if earlier.is_none() {
            let wanted = plan
                .do_step_if
                .as_ref()
                .map(|it| it.holds_over(&self.seen()));
            match wanted.transpose() {
                Ok(Some(false)) => return self.skip_step(index, run.as_ref()),
                Ok(_) => {}
                Err(error) => {
                    self.start_step(index, run.as_ref());
                    let what = format!("do_step_if cannot be computed: {error}");
                    let verdict = self.broken(index, &what);
                    return self.finish_step(index, verdict);
                }
            }
            self.start_step(index, run.as_ref());
        }
        let earlier = earlier.unwrap_or_default();
        let locks = self
            .hold_step_locks(index, &plan.locks, run.as_mut(), &earlier)
            .await;
        let verdict = match locks {
            Ok(()) => self.run_recorded(index, run.as_mut(), earlier).await,
            Err(verdict) => verdict,
        };
        self.hide_or_not(index, verdict.outcome);
        self.finish_step(index, verdict);
        self.release_step_locks().await;
        self.cut_logs(index).await;
    }

    fn start_step(&mut self, index: usize, run: &dyn Run) {
        let text = self.with_cx(index, |cx| run.running_text(cx));
        let file = self.log_file(index, "stdio");
        let has_locks = !self.steps[index].locks.is_empty();
        let record = &mut self.records[index];
        record.started = Some(clock::now());
        // How long it waits for its locks is not part of how long it takes.
        record.progress.began = record.started.filter(|_| !has_locks);
        record.text = text;
        record.logs = vec![LogRecord {
            name: "stdio".into(),
            file,
            complete: false,
        }];
        self.put_step(index);
        let step = self.records[index].number;
        self.news.push(Status::StepStarted {
            build: self.key.clone(),
            step,
        });
    }

    fn skip_step(&mut self, index: usize, run: &dyn Run) {
        let mut text = self.with_cx(index, |cx| run.done_text(cx));
        text.push("skipped".into());
        self.records[index].started = Some(clock::now());
        let verdict = Verdict {
            text,
            ..Verdict::of(Outcome::Skipped)
        };
        self.hide_or_not(index, verdict.outcome);
        self.finish_step(index, verdict);
    }

    /// Takes in what the expressions of a step see besides the properties.
    fn look_round(&mut self, index: usize) {
        self.seen = seen::around(&Around {
            builder: &self.builder,
            slave: &self.slave,
            platform: &self.platform,
            number: self.key.number,
            reason: &self.reason,
            earlier: &self.records[..index],
        });
    }

    /// What the expressions of the step see.
    fn seen(&self) -> Values {
        self.seen.clone().with_properties(&self.properties)
    }

    /// Decides whether pages show a step that has ended.
    fn hide_or_not(&mut self, index: usize, outcome: Outcome) {
        let Some(hide) = self.steps[index].hide_step_if.clone() else {
            return;
        };
        let seen = self.seen.clone();
        let seen = seen
            .with("outcome", outcome.as_str())
            .with("result", outcome.as_str())
            .with_properties(&self.properties);
        match hide.holds_over(&seen) {
            Ok(hidden) => self.records[index].hidden = hidden,
            Err(error) => {
                let step = &self.records[index].name;
                warn!(build = %self.key, step, reason = %error, "hide_step_if cannot be computed");
            }
        }
    }

    /// Runs the commands of a step one after another; `earlier` ones are only shown to it again.
    pub(super) async fn run_commands(
        &mut self,
        index: usize,
        run: &mut dyn Run,
        earlier: CommandHistory,
    ) -> Verdict {
        let path = self.log_path(&self.records[index].logs[0].file);
        let mut patience = Patience::new(&self.crew, &self.key);
        let mut log = loop {
            match LogFile::open_timed(&path, self.began(index), clock::now) {
                Ok(log) => break log,
                // A full disk holds a build where it is; it does not spoil it.
                Err(error) if disk::may_pass(&error) => patience.pause(Place::Logs, error).await,
                Err(error) => {
                    let what = format!("failed to open the log `{}`: {error}", path.display());
                    return self.broken(index, &what);
                }
            }
        };
        let plan = &self.steps[index];
        let (gauge, wanted) = (plan.body.gauge(), plan.progress_metrics.clone());
        self.growth = match earlier.is_empty() {
            true => Growth::begin(gauge, wanted),
            false => Growth::resumed(gauge, wanted),
        };
        self.growth.catch_up(&path, log.len()).await;
        self.crew.set_reached(&self.key, self.growth.reached());
        let mut earlier = earlier.into_iter();
        self.received.clear();
        let mut last: Option<(Exit, LogSlice)> = None;
        // What earlier commands took is counted as they are shown again.
        self.records[index].usage = None;
        self.records[index].ended = None;
        let step = self.records[index].number;
        let mut place = 0;
        loop {
            let said = match self.advance(index, run, last.take()) {
                Ok(said) => said,
                Err(error) => return self.broken(index, &error),
            };
            if let Move::Done(verdict) = said {
                return verdict;
            }
            let was = earlier.next();
            let is_met_again = was.is_some();
            let mut spool = was.as_ref().and_then(|it| it.spool.clone());
            let row = was.as_ref().map_or(
                CommandRow {
                    step,
                    index: place,
                    attempt: 0,
                    log_start: log.len(),
                },
                |was| was.at,
            );
            // What an earlier command was given is masked from here on too.
            let revealed = match &said {
                Move::Run(command) => Some(self.reveal(command)),
                Move::OnMaster(errand) => Some(self.reveal(&Command::Shell(errand.shell.clone()))),
                Move::Trigger(_) | Move::Send(_) | Move::Receive(_) | Move::Done(_) => None,
            };
            let logfiles: Vec<String> = match &said {
                Move::Run(Command::Shell(shell)) => shell.logfiles.keys().cloned().collect(),
                _ => Vec::new(),
            };
            let target = match &said {
                Move::Receive(it) => Some((it.target.clone(), it.upload.kind)),
                _ => None,
            };
            if let Some((exit, end)) = was.and_then(|it| it.end) {
                self.records[index].tally(&exit);
                self.take_in(step, target, &exit);
                let logs = self.logs_of(index, place, &logfiles);
                last = Some((exit, LogSlice::new(&path, row.log_start, end).with(logs)));
                place += 1;
                continue;
            }
            let revealed = match (revealed, &said) {
                (Some(Ok(revealed)), _) => Some(revealed),
                // The slave has it and does not begin it anew: it only has to be met.
                (Some(Err(_)), Move::Run(command)) if log.len() > row.log_start => {
                    Some(command.clone())
                }
                (Some(Err(error)), _) => return self.broken(index, &error.to_string()),
                (None, _) => None,
            };
            let build = self.id;
            if !is_met_again {
                let session = self.crew.slaves.session(&self.slave.name);
                spool = match said {
                    Move::OnMaster(_) => None,
                    _ => session.map(|it| it.facts.spool()),
                };
                let spool = spool.clone();
                self.due(move |verbs| verbs.start_command(build, row, spool.as_deref()));
            }
            let exit = match &said {
                Move::Trigger(order) => Some(self.trigger(order, step, &mut log).await),
                Move::OnMaster(errand) => {
                    self.flush().await;
                    let shell = match &revealed {
                        Some(Command::Shell(shell)) => shell.clone(),
                        _ => errand.shell.clone(),
                    };
                    let at = (row, spool.as_deref());
                    Some(self.run_errand(errand, shell, at, &mut log).await)
                }
                Move::Run(_) | Move::Send(_) | Move::Receive(_) | Move::Done(_) => None,
            };
            if let Some(exit) = exit {
                let (ended, end) = (exit.clone(), log.len());
                self.growth.look(end);
                self.due(move |verbs| verbs.finish_command(build, row, &ended, end));
                if let Some(mut verdict) = self.judge_cut(index, run, &exit) {
                    if matches!(
                        (&said, &exit.cause),
                        (Move::OnMaster(_), ExitCause::Lost(_))
                    ) {
                        blame_the_master(&mut verdict);
                    }
                    return verdict;
                }
                last = Some((exit, LogSlice::new(&path, row.log_start, end)));
                place += 1;
                continue;
            }
            let mut receipt = None;
            let command = match said {
                Move::Receive(it) => {
                    let upload = Command::File(FileCommand::Upload(it.upload.clone()));
                    receipt = Some(it);
                    Ok(upload)
                }
                Move::Run(command) => Ok(revealed.unwrap_or(command)),
                Move::Send(piece) => supply::read(&self.crew.files.sent, piece).await,
                Move::Trigger(_) | Move::OnMaster(_) => unreachable!("it has ended here"),
                Move::Done(verdict) => return verdict,
            };
            let planned = match &command {
                Ok(command) => self.plan_side_logs(index, place, command),
                Err(_) => Vec::new(),
            };
            self.flush().await;
            let id = self.command_id(row);
            let content = match receipt {
                Some(receipt) => self.open_content(receipt, id).await.map(Some),
                None => Ok(None),
            };
            let command = command.and_then(|command| Ok((command, content?)));
            let finish = match command {
                Ok((command, content)) => {
                    self.set_open(Some(id));
                    let line = CommandLine {
                        crew: &self.crew,
                        key: &self.key,
                        slave: &self.slave.name,
                        id,
                        row,
                        spool,
                        lease: self.lease,
                        command: WireCommand::from(&command),
                        masks: &self.masks,
                        stop: if self.stopped {
                            None
                        } else {
                            Some(self.stop.clone())
                        },
                        left: self.left.clone(),
                        growth: &mut self.growth,
                        content,
                        side: SideLogs::new(
                            &self.crew,
                            &self.key,
                            build,
                            &mut self.records[index],
                            planned,
                        ),
                    };
                    line.run(&mut log, row.log_start).await
                }
                Err(why) => Finish::unsent(&log, why),
            };
            let Finish { exit, end, .. } = finish;
            if let Some(session) = finish.session {
                self.set_open(None);
                self.forgettable.push((session, id));
            }
            self.records[index].tally(&exit);
            self.take_in(step, target, &exit);
            if let Some(line) = finish.postscript {
                self.postscripts.push(Postscript {
                    path: path.clone(),
                    began: self.began(index),
                    line,
                });
            }
            if let Some(bytes) = finish.small {
                let file = self.records[index].logs[0].file.clone();
                let fresh = Arc::clone(&self.crew.fresh_logs);
                self.due(move |verbs| {
                    fresh.add_permits(1);
                    verbs.keep_fresh_log(build, &file, &bytes)
                });
            }
            let said = exit.clone();
            self.due(move |verbs| verbs.finish_command(build, row, &said, end));
            if let Some(why) = finish.refusal {
                return self.broken(index, &format!("the slave refuses the command: {why}"));
            }
            if let Some(verdict) = self.judge_cut(index, run, &exit) {
                return verdict;
            }
            let logs = self.logs_of(index, place, &logfiles);
            last = Some((exit, LogSlice::new(&path, row.log_start, end).with(logs)));
            place += 1;
        }
    }

    /// Remembers what a command has brought to the master, if it is all there.
    fn take_in(&mut self, step: u32, target: Option<(String, UploadKind)>, exit: &Exit) {
        let (Some((path, kind)), Some(FileResult::Sent(sent))) = (target, &exit.result) else {
            return;
        };
        if !exit.is_success() || sent.is_cut {
            return;
        }
        let is_directory = kind == UploadKind::Directory;
        self.received.push(Artifact {
            step,
            path,
            is_directory,
            size: sent.size,
            sha256: match is_directory {
                true => String::new(),
                false => sent.sha256.clone(),
            },
            made: clock::now(),
        });
    }

    /// Where the logs of a command's files are, as far as they are there.
    fn logs_of(&self, index: usize, place: u32, names: &[String]) -> Vec<PathBuf> {
        let shown = names.iter().map(|it| shown_name(it, place));
        let record = |name: String| self.records[index].logs.iter().find(|it| it.name == name);
        let there = shown.filter_map(record);
        there.map(|it| self.log_path(&it.file)).collect()
    }

    /// Makes room for what the slave is to send.
    async fn open_content(&self, receipt: Receipt, id: CommandId) -> Result<Receiver, String> {
        let mut patience = Patience::new(&self.crew, &self.key);
        loop {
            let (files, identity) = (self.crew.files.clone(), self.crew.identity.clone());
            let receipt = receipt.clone();
            let open = move || Receiver::open(&files.received, receipt, &identity, id);
            let opened = tokio::task::spawn_blocking(open).await;
            match opened.map_err(|_| "it broke off; see the master's log".to_owned())? {
                Ok(receiver) => return Ok(receiver),
                Err(SettleError::Disk(why)) => patience.pause(Place::Uploads, why).await,
                Err(SettleError::Refused(why)) => return Err(why),
            }
        }
    }

    /// The logs of a command besides `stdio`, each with the name that its slave has for it.
    /// One that is there in any case is in the step's record from now on.
    fn plan_side_logs(
        &mut self,
        index: usize,
        place: u32,
        command: &Command,
    ) -> Vec<(String, LogRecord)> {
        let Command::Shell(shell) = command else {
            return Vec::new();
        };
        let mut planned: Vec<(String, LogRecord)> = Vec::new();
        for (name, logfile) in &shell.logfiles {
            let shown = shown_name(name, place);
            let known = self.records[index].logs.iter();
            if let Some(record) = known.clone().find(|it| it.name == shown) {
                planned.push((name.clone(), record.clone()));
                continue;
            }
            let mut file = self.log_file(index, &shown);
            while planned.iter().any(|(_, it)| it.file == file) {
                file.push('_');
            }
            let record = LogRecord {
                name: shown,
                file,
                complete: false,
            };
            if !logfile.lazy {
                self.records[index].logs.push(record.clone());
                self.put_step(index);
            }
            planned.push((name.clone(), record));
        }
        planned
    }

    /// Fills in the secrets of a command, and has all that this build had of them so far
    /// masked in what it says.
    fn reveal(&mut self, command: &Command) -> Result<Command, SecretError> {
        let revealed = self.crew.plan().secrets.reveal(command)?;
        for mask in revealed.masks {
            if !self.masks.contains(&mask) {
                self.masks.push(mask);
            }
        }
        let mut command = revealed.command;
        if let Command::Shell(shell) = &mut command {
            shell.secrets.clone_from(&self.masks);
            if let Some(mirror) = &mut shell.mirror {
                mirror.budget = self.slave.mirror_budget;
            }
            if !self.slave.mirrors {
                shell.mirror = None;
            }
        }
        Ok(command)
    }

    /// Learns again which secrets a step had that ended before the master was restarted: a
    /// later one must not print them either. What it runs tells, as long as all goes well.
    pub(super) fn learn_secrets(&mut self, index: usize) {
        let properties = self.properties.clone();
        self.look_round(index);
        let mut run = self.steps[index].body.begin();
        let well = Exit::new(0, ExitCause::Exited, 0);
        let ended = Ended {
            exit: &well,
            output: &Silent,
        };
        let mut last = None;
        for _ in 0..COMMANDS_LEARNT {
            let said = self.with_cx(index, |cx| run.advance(cx, last));
            let command = match said {
                Ok(Move::Run(command)) => command,
                Ok(Move::OnMaster(errand)) => Command::Shell(errand.shell),
                _ => break,
            };
            if let Err(error) = self.reveal(&command) {
                warn!(build = %self.key, reason = %error, "a secret of an earlier step is not masked");
            }
            last = Some(&ended);
        }
        self.properties = properties;
    }

    /// Commands that were stopped or lost are not for the step to judge.
    fn judge_cut(&mut self, index: usize, run: &dyn Run, exit: &Exit) -> Option<Verdict> {
        let done = self.with_cx(index, |cx| run.done_text(cx));
        match &exit.cause {
            ExitCause::Interrupted => {
                let reason = self.stop.borrow().clone().unwrap_or_default();
                self.take_in_stop();
                let mut text = done;
                text.push("interrupted".into());
                Some(Verdict {
                    text,
                    build_text: vec!["interrupted".into()],
                    logs: vec![("interrupt".into(), format!("{reason}\n"))],
                    ..Verdict::of(Outcome::Exception)
                })
            }
            ExitCause::Lost(why) => {
                warn!(build = %self.key, step = self.records[index].name, why, "command lost");
                self.properties
                    .set_runtime("retry_reason", why.as_str(), "Build");
                self.course.lose();
                Some(lost_verdict(done))
            }
            ExitCause::Exited
            | ExitCause::Signal(_)
            | ExitCause::Silence
            | ExitCause::Overtime
            | ExitCause::NotStarted(_) => None,
        }
    }

    /// The verdict of a step that cannot go on, with the reason in its log `err.text`.
    pub(super) fn broken(&mut self, index: usize, what: &str) -> Verdict {
        let name = self.records[index].name.clone();
        warn!(build = %self.key, step = name, reason = what, "the step cannot go on");
        Verdict {
            text: vec![name.clone(), "exception".into()],
            build_text: vec![name],
            logs: vec![("err.text".into(), format!("{what}\n"))],
            ..Verdict::of(Outcome::Exception)
        }
    }

    fn advance(
        &mut self,
        index: usize,
        run: &mut dyn Run,
        last: Option<(Exit, LogSlice)>,
    ) -> Result<Move, String> {
        // A runtime of one thread has nobody to hold up.
        let is_shared = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        let long = is_shared && last.as_ref().is_some_and(|(_, output)| output.is_long());
        let ended = last.as_ref().map(|(exit, output)| Ended { exit, output });
        let said = self.with_cx(index, |cx| {
            let mut step = || run.advance(cx, ended.as_ref());
            // Looking through a long log must not hold up those who share the thread.
            if long {
                tokio::task::block_in_place(step)
            } else {
                step()
            }
        });
        said.map_err(|error| error.to_string())
    }

    /// Lets a step look at its build.
    pub(super) fn with_cx<T>(&mut self, index: usize, look: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let step = &self.steps[index];
        look(&mut Cx {
            name: &step.name,
            flags: step.flags,
            properties: &mut self.properties,
            seen: &self.seen,
            stamp: &self.stamp,
            changes: &self.changes,
            submitted: self.submitted,
            builder_dir: &self.builder.slavebuilddir,
            workdir: &self.workdir,
            env: &self.builder.env,
        })
    }

    /// Leaves of long logs what is to be kept. Until here they are whole: the slave's spool,
    /// the step and whoever watches see everything.
    async fn cut_logs(&mut self, index: usize) {
        let limits = self.crew.plan().master.logs;
        let Some(most) = limits.max_size else { return };
        let files = self.records[index].logs.iter();
        let paths: Vec<_> = files.map(|it| self.log_path(&it.file)).collect();
        let is_long = |it: &PathBuf| std::fs::metadata(it).is_ok_and(|it| it.len() > most);
        let long: Vec<_> = paths.into_iter().filter(is_long).collect();
        if long.is_empty() {
            return;
        }
        // A step that has not ended in the store would be played again, with all of its log.
        self.flush().await;
        let tail = limits.max_tail_size.unwrap_or(0);
        let began = self.began(index);
        let (crew, build) = (Arc::clone(&self.crew), self.id);
        self.crew.supervise("cutting logs".into(), async move {
            time::sleep(WATCHED).await;
            for path in long {
                let shown = path.display().to_string();
                let cut = move || logs::cut::cut(&path, most, tail, began);
                let cut = tokio::task::spawn_blocking(cut);
                if let Ok(Err(error)) = cut.await {
                    warn!(log = shown, reason = %error, "failed to cut a long log");
                }
            }
            // It may have been measured while it was whole.
            let written = crew.store.write(move |verbs| verbs.remeasure(build));
            match written.await {
                Ok(()) => crew.unmeasured.store(true, Ordering::Relaxed),
                Err(error) => warn!(reason = %error, "the size of cut logs is not known"),
            }
        });
    }

    pub(super) fn finish_step(&mut self, index: usize, verdict: Verdict) {
        for (name, content) in &verdict.logs {
            let file = self.log_file(index, name);
            // Written before the store says that it is there.
            self.whole_logs
                .push((self.log_path(&file), content.clone()));
            let log = LogRecord {
                name: name.clone(),
                file,
                complete: true,
            };
            self.records[index].logs.push(log);
        }
        let record = &mut self.records[index];
        let now = clock::now();
        record.finished = Some(now);
        if let Some(began) = record.progress.began {
            record.progress.metrics = self.growth.metrics(now.since(began));
        }
        record.outcome = Some(verdict.outcome);
        record.text = verdict.text;
        record.build_text = verdict.build_text;
        record.statistics = verdict.statistics;
        record.urls = verdict.urls;
        for log in &mut record.logs {
            log.complete = true;
        }
        self.course
            .judge(index, verdict.outcome, &self.records[index].build_text);
        self.put_step(index);
        let (build, step) = (self.id, self.records[index].number);
        if !verdict.tests.is_empty() {
            let tests = verdict.tests;
            self.due(move |verbs| verbs.put_tests(build, step, &tests));
        }
        let received = std::mem::take(&mut self.received);
        if !received.is_empty() {
            self.due(move |verbs| verbs.put_artifacts(build, step, &received));
        }
        self.put_properties();
        self.news.push(Status::StepFinished {
            build: self.key.clone(),
            step,
            outcome: verdict.outcome,
        });
    }
}

/// A step of many commands may have logs of one name from several.
fn shown_name(name: &str, place: u32) -> String {
    match place {
        0 => name.to_owned(),
        _ => format!("{name}_{place}"),
    }
}

/// It was not the slave that was lost.
fn blame_the_master(verdict: &mut Verdict) {
    for text in [&mut verdict.text, &mut verdict.build_text] {
        text.truncate(text.len().saturating_sub(2));
        text.extend(["master", "restarted"].map(str::to_owned));
    }
}

pub(super) fn lost_verdict(mut text: Vec<String>) -> Verdict {
    let lost = ["exception", "slave", "lost"].map(str::to_owned);
    text.extend_from_slice(&lost);
    Verdict {
        text,
        build_text: lost.to_vec(),
        ..Verdict::of(Outcome::Retry)
    }
}
