//! The way of a build through its steps: carries out what they say and writes
//! down every decision before it leaves. It knows no step type.

use std::io::ErrorKind;

use tokio::time;
use tracing::warn;

use crate::clock;
use crate::logs;
use crate::logs::append::LogFile;
use crate::master::build::{Build, STOPPED, WRITE_PAUSE};
use crate::master::command::{CommandLine, Finish};
use crate::master::output::LogSlice;
use crate::model::Channel;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::LogRecord;
use crate::model::Outcome;
use crate::model::Status;
use crate::steps::{Cx, Ended, Move, Run, Verdict};
use crate::store::{CommandHistory, CommandRow};
use crate::wire::WireCommand;

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

    fn take_in_stop(&mut self) {
        let reason = self.stop.borrow().clone();
        if let Some(reason) = reason
            && !self.stopped
        {
            self.stopped = true;
            self.course.stop();
            self.properties.set_runtime(STOPPED, reason, "Build");
            let (build, properties) = (self.id, self.properties.clone());
            self.due(move |verbs| verbs.set_build_properties(build, &properties));
        }
    }

    async fn run_step(&mut self, index: usize, earlier: Option<CommandHistory>) {
        let plan = self.steps[index].clone();
        let mut run = plan.body.begin();
        if earlier.is_none() {
            let wanted = plan
                .do_step_if
                .as_ref()
                .map(|it| it.holds(&self.properties));
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
        let verdict = self
            .run_commands(index, run.as_mut(), earlier.unwrap_or_default())
            .await;
        if let Some(hide) = &plan.hide_step_if {
            let mut seen = self.properties.clone();
            seen.set("result", verdict.outcome.as_str(), "Build");
            self.records[index].hidden = hide.holds(&seen).unwrap_or(false);
        }
        self.finish_step(index, verdict);
    }

    fn start_step(&mut self, index: usize, run: &dyn Run) {
        let text = self.with_cx(index, |cx| run.running_text(cx));
        let file = self.log_file(index, "stdio");
        let record = &mut self.records[index];
        record.started = Some(clock::now());
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
            outcome: Outcome::Skipped,
            text,
            build_text: vec![],
            statistics: vec![],
            urls: vec![],
            logs: vec![],
        };
        self.finish_step(index, verdict);
    }

    /// Runs the commands of a step one after another; `earlier` ones are only shown to it again.
    async fn run_commands(
        &mut self,
        index: usize,
        run: &mut dyn Run,
        earlier: CommandHistory,
    ) -> Verdict {
        let path = self.log_path(&self.records[index].logs[0].file);
        let mut log = loop {
            match LogFile::open(&path) {
                Ok(log) => break log,
                // A full disk holds a build where it is; it does not spoil it.
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    warn!(log = %path.display(), reason = %error, "failed to open a log; trying again");
                    time::sleep(WRITE_PAUSE).await;
                }
                Err(error) => {
                    let what = format!("failed to open the log `{}`: {error}", path.display());
                    return self.broken(index, &what);
                }
            }
        };
        let mut earlier = earlier.into_iter();
        let mut last: Option<(Exit, LogSlice)> = None;
        let step = self.records[index].number;
        let mut place = 0;
        loop {
            let said = match self.advance(index, run, last.take()) {
                Ok(said) => said,
                Err(error) => return self.broken(index, &error),
            };
            let command = match said {
                Move::Run(command) => command,
                Move::Done(verdict) => return verdict,
            };
            let was = earlier.next();
            let row = was.as_ref().map_or(
                CommandRow {
                    step,
                    index: place,
                    attempt: 0,
                    log_start: log.len(),
                },
                |(row, _)| *row,
            );
            if let Some((_, Some((exit, end)))) = was {
                last = Some((exit, LogSlice::new(&path, row.log_start, end)));
                place += 1;
                continue;
            }
            let build = self.id;
            self.due(move |verbs| verbs.start_command(build, row));
            self.flush().await;
            let id = CommandId {
                build,
                step,
                index: place,
                attempt: row.attempt,
            };
            let line = CommandLine {
                crew: &self.crew,
                key: &self.key,
                slave: &self.slave.name,
                id,
                lease: self.lease,
                command: WireCommand::from(&command),
                stop: if self.stopped {
                    None
                } else {
                    Some(self.stop.clone())
                },
            };
            self.open = Some(id);
            let finish = line.run(&mut log, row.log_start).await;
            let Finish { exit, end, .. } = finish;
            if let Some(session) = finish.session {
                self.open = None;
                self.forgettable.push((session, id));
            }
            if let Some(line) = finish.postscript {
                self.postscripts.push((path.clone(), line));
            }
            let said = exit.clone();
            self.due(move |verbs| verbs.finish_command(build, row, &said, end));
            if let Some(why) = finish.refusal {
                return self.broken(index, &format!("the slave refuses the command: {why}"));
            }
            if let Some(verdict) = self.judge_cut(index, run, &exit) {
                return verdict;
            }
            last = Some((exit, LogSlice::new(&path, row.log_start, end)));
            place += 1;
        }
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
                    outcome: Outcome::Exception,
                    text,
                    build_text: vec!["interrupted".into()],
                    statistics: vec![],
                    urls: vec![],
                    logs: vec![("interrupt".into(), format!("{reason}\n"))],
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
    fn broken(&mut self, index: usize, what: &str) -> Verdict {
        let name = self.records[index].name.clone();
        warn!(build = %self.key, step = name, reason = what, "the step cannot go on");
        Verdict {
            outcome: Outcome::Exception,
            text: vec![name.clone(), "exception".into()],
            build_text: vec![name],
            statistics: vec![],
            urls: vec![],
            logs: vec![("err.text".into(), format!("{what}\n"))],
        }
    }

    fn advance(
        &mut self,
        index: usize,
        run: &mut dyn Run,
        last: Option<(Exit, LogSlice)>,
    ) -> Result<Move, String> {
        let long = last.as_ref().is_some_and(|(_, output)| output.is_long());
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
    fn with_cx<T>(&mut self, index: usize, look: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let step = &self.steps[index];
        look(&mut Cx {
            name: &step.name,
            flags: step.flags,
            properties: &mut self.properties,
            stamp: &self.stamp,
            changes: &self.changes,
            builder_dir: &self.builder.builddir,
            workdir: self.builder.factory.workdir(),
            env: &self.builder.env,
        })
    }

    pub(super) fn finish_step(&mut self, index: usize, verdict: Verdict) {
        for (name, content) in &verdict.logs {
            let file = self.log_file(index, name);
            let path = self.log_path(&file);
            match logs::append::write_whole(&path, Channel::Stdout, content) {
                Ok(()) => {
                    let log = LogRecord {
                        name: name.clone(),
                        file,
                        complete: true,
                    };
                    self.records[index].logs.push(log);
                }
                Err(error) => {
                    warn!(build = %self.key, log = name, reason = %error, "failed to write a log");
                }
            }
        }
        let record = &mut self.records[index];
        record.finished = Some(clock::now());
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
        let (build, properties) = (self.id, self.properties.clone());
        self.due(move |verbs| verbs.set_build_properties(build, &properties));
        self.news.push(Status::StepFinished {
            build: self.key.clone(),
            step: self.records[index].number,
            outcome: verdict.outcome,
        });
    }
}

pub(super) fn lost_verdict(mut text: Vec<String>) -> Verdict {
    let lost = ["exception", "slave", "lost"].map(str::to_owned);
    text.extend_from_slice(&lost);
    Verdict {
        outcome: Outcome::Retry,
        text,
        build_text: lost.to_vec(),
        statistics: vec![],
        urls: vec![],
        logs: vec![],
    }
}
