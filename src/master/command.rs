//! One command on a slave, over any number of lines: it is started or met
//! again, what it prints is kept before it is acknowledged, and its end is
//! taken once.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};
use tracing::debug;

use crate::clock;
use crate::logs::append::LogFile;
use crate::logs::disk;
use crate::master::crew::Crew;
use crate::master::growth::Growth;
use crate::master::receive::{KeepError, Receiver, SettleError};
use crate::master::side_logs::SideLogs;
use crate::master::slaves::{News, Session};
use crate::master::troubles::{Patience, Place};
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::CONTENT;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileResult;
use crate::model::Mask;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::hide;
use crate::store::{CommandRow, Store, StoreError};
use crate::wire::native;
use crate::wire::{FILES, MASKS, TERMS, WireFile};
use crate::wire::{FromMaster, WireCommand};

/// Pages hear of a growing log this often at most.
const NEWS_PAUSE: Duration = Duration::from_millis(50);
/// A slave that leaves out pieces of a log is asked again this often at most.
const ASK_PAUSE: Duration = Duration::from_millis(100);
/// How often in a row it is asked. What was under way when it was asked the first time comes
/// late and counts too, but not so often.
const ASKS: u32 = 30;
/// How often a slave may be cut off for nonsense in the course of one command.
const CUTS: u32 = 3;

/// A command and where it runs.
pub(crate) struct CommandLine<'a> {
    pub(crate) crew: &'a Crew,
    pub(crate) key: &'a BuildKey,
    pub(crate) slave: &'a SlaveName,
    pub(crate) id: CommandId,
    pub(crate) row: CommandRow,
    /// The spool in which a slave was given it first: in another one it is not begun again.
    pub(crate) spool: Option<String>,
    pub(crate) lease: u64,
    pub(crate) command: WireCommand,
    /// What hides the secrets in it. Its slave masks what it prints; this is for the words
    /// of the slave itself.
    pub(crate) masks: &'a [Mask],
    /// Hears why the build is to stop; `None` for a command that runs in spite of it.
    pub(crate) stop: Option<watch::Receiver<Option<String>>>,
    /// Hears why the slave will not be heard of again.
    pub(crate) left: watch::Receiver<Option<String>>,
    /// Takes in how far its step is.
    pub(super) growth: &'a mut Growth,
    /// Its logs besides `stdio`.
    pub(crate) side: SideLogs<'a>,
    /// What it sends, on the way to its place.
    pub(crate) content: Option<Receiver>,
}

/// How it ended and where its output ends in the log.
pub(crate) struct Finish {
    pub(crate) exit: Exit,
    pub(crate) end: u64,
    /// Is to be told that the spool may go, once the end is written down. None: the command
    /// may still run.
    pub(crate) session: Option<Session>,
    /// A line for the log that must not stand there before the end is written down: until
    /// then the place belongs to what the command may still say.
    pub(crate) postscript: Option<String>,
    /// The slave will not run it, and why.
    pub(crate) refusal: Option<String>,
    /// All of the log, if it is small and nobody has made its file safe.
    pub(crate) small: Option<Vec<u8>>,
}

impl Finish {
    /// The end of a command that the slave never hears of.
    pub(crate) fn unsent(log: &LogFile, why: String) -> Self {
        let exit = Exit::new(-1, ExitCause::NotStarted(why.clone()), 0);
        Self {
            exit,
            end: log.len(),
            session: None,
            postscript: Some(format!("{why}\n")),
            refusal: None,
            small: None,
        }
    }
}

/// What became of one line.
enum Line {
    Finished(Exit, u64),
    /// The slave will not run it.
    Refused(String),
    /// The master lets go of the slave.
    Lost(String),
    /// Some of the log is missing: the command must be asked for again.
    Gap,
    /// The line is gone.
    Again,
}

impl CommandLine<'_> {
    /// Runs it to its end. Its output begins at `start` of the log.
    pub(crate) async fn run(mut self, log: &mut LogFile, start: u64) -> Finish {
        let mut away_since = Instant::now();
        let (mut gaps, mut cuts) = (0, 0);
        loop {
            let session = match self.meet(away_since).await {
                Ok(session) => session,
                Err(cause) => return self.cut_off(log, cause),
            };
            let known = log.len();
            let line = self.attend(&session, log, start).await;
            if log.len() > known {
                gaps = 0;
            }
            match line {
                Line::Finished(exit, length) => {
                    let end = start.saturating_add(length);
                    return self.close(session, log, exit, end).await;
                }
                Line::Refused(why) => return self.turned_away(&session, log, why),
                Line::Lost(why) => return self.cut_off(log, ExitCause::Lost(why)),
                Line::Gap => {
                    gaps += 1;
                    if gaps > ASKS {
                        let id = self.id;
                        session.cut_off(format!("it leaves out pieces of the log of command {id}"));
                    } else {
                        time::sleep(ASK_PAUSE).await;
                        continue;
                    }
                }
                Line::Again => {
                    // Whoever ends the session comes to his turn: it may be the same thread.
                    drop(time::timeout(ASK_PAUSE, session.closed.cancelled()).await);
                }
            }
            away_since = Instant::now();
            if let Some(why) = session.nonsense() {
                cuts += 1;
                if cuts >= CUTS {
                    let slave = self.slave;
                    let why = format!("slave {slave} was cut off {cuts} times: {why}");
                    return self.cut_off(log, ExitCause::Lost(hide(&why, self.masks)));
                }
                gaps = 0;
            }
        }
    }

    /// Waits for the slave; a stop or too long an absence ends the command.
    async fn meet(&mut self, away_since: Instant) -> Result<Session, ExitCause> {
        let patience = self.crew.plan().master.lost_timeout;
        if let Some(why) = self.left.borrow().clone() {
            return Err(ExitCause::Lost(why));
        }
        let session = self.crew.slaves.session(self.slave);
        if let Some(session) = session.filter(|it| !it.closed.is_cancelled()) {
            return Ok(session);
        }
        tokio::select! {
            session = self.crew.slaves.attached(self.slave) => Ok(session),
            why = told(&mut self.left) => Err(ExitCause::Lost(why)),
            // The slave hears that the build is over when it comes back.
            () = stopped(&mut self.stop) => Err(ExitCause::Interrupted),
            () = time::sleep_until(away_since + patience) => {
                let (slave, patience) = (self.slave, clock::human(patience));
                Err(ExitCause::Lost(format!("slave {slave} was away for {patience}")))
            }
        }
    }

    async fn attend(&mut self, session: &Session, log: &mut LogFile, start: u64) -> Line {
        let mut news = session.listen(self.id);
        let mut have = self.side.offsets().await;
        have.insert("stdio".to_owned(), log.len().saturating_sub(start));
        if let Some(content) = &self.content {
            have.insert(CONTENT.to_owned(), content.len());
        }
        let (id, lease) = (self.id, self.lease);
        let begin = FromMaster::Start {
            id,
            lease,
            command: self.command.clone(),
            have,
        };
        if let Some(why) = self.lacking(session) {
            return Line::Refused(why);
        }
        if let Err(error) = native::fits(&begin) {
            return Line::Refused(error.to_string());
        }
        if let Err(why) = self.give(session).await {
            session.forget_route(self.id);
            return Line::Lost(why);
        }
        if !session.say(begin).await {
            return self.leave(session);
        }
        let mut stop = self.stop.clone();
        let mut left = self.left.clone();
        let mut tell_at = Instant::now();
        let mut dirty = false;
        loop {
            let said = tokio::select! {
                // Rare first: a command that never falls silent must not be deaf to a stop.
                biased;
                why = told(&mut left) => {
                    session.forget_route(self.id);
                    return Line::Lost(why);
                }
                () = session.closed.cancelled() => None,
                () = stopped(&mut stop) => {
                    let why = stop.take().and_then(|it| it.borrow().clone()).unwrap_or_default();
                    session.say(FromMaster::Interrupt { id, lease, why }).await;
                    if self.content.is_some() {
                        // It has no program to end: what is on its way is no longer wanted.
                        let exit = Exit::new(-1, ExitCause::Interrupted, 1);
                        return Line::Finished(exit, log.len().saturating_sub(start));
                    }
                    continue;
                }
                // What else is here already goes first, but not for long.
                () = passed(tell_at + pause(news.is_empty())), if dirty => {
                    self.tell_growth();
                    (tell_at, dirty) = (Instant::now() + NEWS_PAUSE, false);
                    continue;
                }
                said = news.recv() => said,
            };
            match said {
                None => return self.leave(session),
                Some(News::Started) => {}
                Some(News::Output {
                    log: name,
                    offset,
                    bytes,
                }) => {
                    let is_kept = match name.as_str() {
                        CONTENT if self.content.is_some() => {
                            match self.keep_content(offset, &bytes).await {
                                Ok(is_kept) => is_kept,
                                Err(why) => {
                                    let exit = refused(why);
                                    return Line::Finished(exit, log.len().saturating_sub(start));
                                }
                            }
                        }
                        "stdio" => {
                            let mut patience = Patience::new(self.crew, self.key);
                            let place = start.saturating_add(offset);
                            let is_kept = keep(log, place, &bytes, &mut patience).await;
                            self.growth.look(log.len());
                            if is_kept {
                                self.growth.hear(place, &bytes);
                            }
                            is_kept
                        }
                        _ => {
                            let is_kept = self.side.keep(&name, offset, &bytes).await;
                            if let Some((log, length)) = self.side.length(&name) {
                                self.growth.look_beside(log, length);
                            }
                            is_kept
                        }
                    };
                    if !is_kept {
                        debug!(command = %id, offset, "a piece of the log is missing");
                        session.forget_route(self.id);
                        return Line::Gap;
                    }
                    let offset = offset.saturating_add(bytes.len() as u64);
                    session
                        .say(FromMaster::Ack {
                            id,
                            log: name,
                            offset,
                        })
                        .await;
                    dirty = true;
                }
                Some(News::Finished { exit, logs }) => {
                    let sent = logs.get(CONTENT).copied().unwrap_or(0);
                    let here = self.content.as_ref().map_or(u64::MAX, Receiver::len);
                    let stdio = logs.get("stdio").copied().unwrap_or(0);
                    if log.len() < start.saturating_add(stdio)
                        || !self.side.are_whole(&logs)
                        || here < sent
                    {
                        debug!(command = %id, "the end came before all of the log");
                        session.forget_route(self.id);
                        return Line::Gap;
                    }
                    self.side.settle(&logs).await;
                    let exit = self.settle_content(exit).await;
                    return Line::Finished(self.hidden(exit), stdio);
                }
                Some(News::Refused { why }) => return Line::Refused(hide(&why, self.masks)),
            }
        }
    }

    /// Writes down who is given the command, before it is. `Err`: it may have run in a spool
    /// that is gone, and nobody will ever know.
    async fn give(&mut self, session: &Session) -> Result<(), String> {
        if matches!(self.command, WireCommand::File(_)) {
            // Done twice, it is done.
            return Ok(());
        }
        let here = session.facts.spool();
        match &self.spool {
            Some(known) if *known == here || session.has_brought(self.id) => Ok(()),
            Some(_) => {
                let slave = self.slave;
                Err(format!(
                    "slave {slave} no longer has it: its host was restarted, or its spool was \
                     taken away"
                ))
            }
            None => {
                let (build, row, spool) = (self.id.build, self.row, here.clone());
                let mut patience = Patience::new(self.crew, self.key);
                while let Err(error) = self.write_spool(build, row, spool.clone()).await {
                    patience.pause(Place::Database, error.what).await;
                }
                self.spool = Some(here);
                Ok(())
            }
        }
    }

    async fn write_spool(
        &self,
        build: BuildId,
        row: CommandRow,
        spool: String,
    ) -> Result<(), StoreError> {
        let writing = move |verbs: &mut dyn Store| verbs.give_command(build, row, &spool);
        self.crew.store.write(writing).await
    }

    /// Keeps a piece of what is sent; `false` if some is missing before it. `Err`: no more
    /// of it is wanted. A disk that is full is tried until it is not.
    async fn keep_content(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, String> {
        let Some(content) = &mut self.content else {
            return Ok(true);
        };
        let mut patience = Patience::new(self.crew, self.key);
        loop {
            match content.keep(offset, bytes) {
                Ok(()) => return Ok(true),
                Err(KeepError::Gap) => return Ok(false),
                Err(KeepError::Disk(path, error)) if disk::may_pass(&error) => {
                    let why = format!("`{}`: {error}", path.display());
                    patience.pause(Place::Uploads, why).await;
                    if is_stopped(self.stop.as_ref()) {
                        // Asked for again, and given up there.
                        return Ok(false);
                    }
                }
                Err(KeepError::Disk(path, error)) => {
                    return Err(format!("`{}` cannot be written: {error}", path.display()));
                }
                Err(error @ KeepError::TooMuch(_)) => return Err(error.to_string()),
            }
        }
    }

    /// Puts what was sent in its place, if it was sent well.
    async fn settle_content(&mut self, exit: Exit) -> Exit {
        let Some(mut content) = self.content.take() else {
            return exit;
        };
        let sent = match &exit.result {
            Some(FileResult::Sent(sent)) if exit.is_success() => sent.clone(),
            _ if exit.is_success() => {
                return refused("the slave does not say what it has sent".into());
            }
            _ => {
                content.discard();
                return exit;
            }
        };
        let mut patience = Patience::new(self.crew, self.key);
        loop {
            let said = sent.clone();
            let settling = move || {
                let settled = content.settle(&said);
                (content, settled)
            };
            let Ok((back, settled)) = tokio::task::spawn_blocking(settling).await else {
                return refused("it broke off; see the master's log".into());
            };
            match settled {
                Ok(()) => return exit,
                Err(SettleError::Disk(why)) => patience.pause(Place::Uploads, why).await,
                Err(SettleError::Refused(why)) => return refused(why),
            }
            content = back;
            if is_stopped(self.stop.as_ref()) {
                content.discard();
                return Exit::new(-1, ExitCause::Interrupted, 1);
            }
        }
    }

    /// Why the slave is too old for the command, if it is.
    fn lacking(&self, session: &Session) -> Option<String> {
        let shell = match &self.command {
            WireCommand::Shell(shell) => shell,
            WireCommand::File(WireFile::Upload(_)) if !session.can(FILES) => {
                let what =
                    "it is too old to send files; the same version of autobot as the master's does";
                return Some(what.to_owned());
            }
            WireCommand::File(_) => return None,
        };
        let has_terms = !shell.terms.is_plain() || !shell.logfiles.is_empty();
        let lacks = if !shell.secrets.is_empty() && !session.can(MASKS) {
            "keep secrets out of logs"
        } else if has_terms && !session.can(TERMS) {
            "run commands with a terminal, limits or log files of their own"
        } else {
            return None;
        };
        Some(format!(
            "it is too old to {lacks}; the same version of autobot as the master's does"
        ))
    }

    /// The end without what is secret: it is stored and shown.
    fn hidden(&self, exit: Exit) -> Exit {
        let cause = match exit.cause {
            ExitCause::NotStarted(why) => ExitCause::NotStarted(hide(&why, self.masks)),
            ExitCause::Lost(why) => ExitCause::Lost(hide(&why, self.masks)),
            plain @ (ExitCause::Exited
            | ExitCause::Signal(_)
            | ExitCause::Silence
            | ExitCause::Overtime
            | ExitCause::Interrupted) => plain,
        };
        Exit { cause, ..exit }
    }

    fn tell_growth(&mut self) {
        self.crew.set_reached(self.key, self.growth.reached());
        let mut logs = self.side.take_grown();
        logs.insert("stdio".into());
        for log in logs {
            let (build, step) = (self.key.clone(), self.id.step);
            self.crew.tell(Status::LogGrew { build, step, log });
        }
    }

    fn leave(&self, session: &Session) -> Line {
        session.forget_route(self.id);
        Line::Again
    }

    async fn close(&mut self, session: Session, log: &mut LogFile, exit: Exit, end: u64) -> Finish {
        session.forget_route(self.id);
        if let Some(content) = &self.content {
            // Given up before it was in its place.
            content.discard();
        }
        // A slave whose host broke down may know less of the log than is kept here, of which
        // the last record may be torn.
        let end = match exit.cause {
            ExitCause::Lost(_) => log.whole(),
            _ => end,
        };
        let mut patience = Patience::new(self.crew, self.key);
        let small = settle(log, end, &trailer(&exit), &mut patience).await;
        self.tell_growth();
        Finish {
            exit,
            end,
            session: Some(session),
            postscript: None,
            refusal: None,
            small,
        }
    }

    fn turned_away(&self, session: &Session, log: &LogFile, why: String) -> Finish {
        session.forget_route(self.id);
        let cause = ExitCause::NotStarted(why.clone());
        let exit = Exit::new(-1, cause, 0);
        Finish {
            exit,
            end: log.len(),
            session: Some(session.clone()),
            postscript: None,
            refusal: Some(why),
            small: None,
        }
    }

    /// The end of a command whose slave is not here.
    fn cut_off(&self, log: &mut LogFile, cause: ExitCause) -> Finish {
        if let Some(content) = &self.content {
            content.discard();
        }
        let end = log.len();
        let exit = Exit::new(-1, cause, 0);
        let postscript = Some(trailer(&exit));
        Finish {
            exit,
            end,
            session: None,
            postscript,
            refusal: None,
            small: None,
        }
    }
}

/// The end of an upload that is not kept.
fn refused(why: String) -> Exit {
    let mut exit = Exit::new(1, ExitCause::Exited, 0);
    exit.result = Some(FileResult::Refused(why));
    exit
}

/// Puts bytes into the log; `false` if some are missing before them. A disk that is full
/// is tried until it is not: nothing is acknowledged meanwhile, so the command waits.
async fn keep(log: &mut LogFile, offset: u64, bytes: &[u8], patience: &mut Patience<'_>) -> bool {
    loop {
        match log.append_at(offset, bytes) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return false,
            Err(error) => patience.pause(Place::Logs, error).await,
        }
    }
}

/// Ends the log of a command with a line that says how it ended. Half of the line is no log,
/// so a full disk is waited for here too. What stands in a small log is given back: it goes down
/// with the end of the command, because the disk takes long to make a new file safe.
async fn settle(
    log: &mut LogFile,
    end: u64,
    trailer: &str,
    patience: &mut Patience<'_>,
) -> Option<Vec<u8>> {
    loop {
        let settled = log
            .cut(end)
            .and_then(|()| log.add_header(trailer))
            .and_then(|()| log.small())
            .and_then(|small| match small {
                Some(bytes) => Ok(Some(bytes)),
                None => log.sync().map(|()| None),
            });
        match settled {
            Ok(small) => return small,
            Err(error) => patience.pause(Place::Logs, error).await,
        }
    }
}

fn trailer(exit: &Exit) -> String {
    match &exit.cause {
        ExitCause::NotStarted(why) => format!("program could not be started: {why}\n"),
        ExitCause::Lost(why) => format!("slave lost: {why}\n"),
        ExitCause::Interrupted if exit.elapsed_ms == 0 => {
            "stopped while its slave was away\n".into()
        }
        ExitCause::Exited
        | ExitCause::Signal(_)
        | ExitCause::Silence
        | ExitCause::Overtime
        | ExitCause::Interrupted => format!("program finished with exit code {}\n", exit.code),
    }
}

/// Returns when the moment has passed; at once if it has, where a timer takes a millisecond.
pub(super) async fn passed(moment: Instant) {
    if Instant::now() < moment {
        time::sleep_until(moment).await;
    }
}

/// How much later the growth of a log is told while the slave has more to say.
const fn pause(is_silent: bool) -> Duration {
    if is_silent {
        Duration::ZERO
    } else {
        NEWS_PAUSE
    }
}

/// Comes back when there is something to say, with that.
pub(super) async fn told(hear: &mut watch::Receiver<Option<String>>) -> String {
    let said = hear.wait_for(Option::is_some).await;
    match said.ok().and_then(|it| it.clone()) {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

/// Whether the build is to stop by now.
fn is_stopped(stop: Option<&watch::Receiver<Option<String>>>) -> bool {
    stop.is_some_and(|it| it.borrow().is_some())
}

/// Comes back when the build is to stop; never for a command that runs in spite of it.
pub(crate) async fn stopped(stop: &mut Option<watch::Receiver<Option<String>>>) {
    let Some(stop) = stop else {
        return std::future::pending().await;
    };
    if stop.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::config;
    use crate::master::crew::Beginnings;
    use crate::master::fleet::Fleet;
    use crate::model::BuildId;
    use crate::model::Command;
    use crate::model::FileCommand;
    use crate::model::Progress;
    use crate::model::Shell;
    use crate::model::ShellLine;
    use crate::model::StepRecord;
    use crate::model::Upload;
    use crate::model::UploadKind;
    use crate::store::StoreHandle;
    use crate::wire::SlaveFacts;

    fn crew(dir: &std::path::Path) -> Arc<Crew> {
        let ini = "[:master:]\nhtmlport = none\nslaveport = none\n";
        std::fs::write(dir.join("master.ini"), ini).expect("written");
        Crew::new(Beginnings {
            dir: dir.to_owned(),
            files: None,
            store: StoreHandle::open(&dir.join("state.sqlite")).expect("a store"),
            identity: "store".into(),
            started: clock::now(),
            core: mpsc::channel(1).0,
            returns: mpsc::unbounded_channel().0,
            plan: Arc::new(config::load(dir).expect("a plan")),
            fleet: Fleet::new(BTreeMap::new()),
            pauses: crate::master::pauses::Pauses::default(),
            absences: crate::master::absences::Absences::default(),
            stop: CancellationToken::new(),
        })
    }

    #[tokio::test]
    async fn a_slave_that_cannot_mask_gets_no_secret_and_no_words_of_one_tell_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let crew = crew(dir.path());
        let slave = SlaveName::from("old");
        let (say, mut said) = mpsc::channel(8);
        let facts = SlaveFacts::default();
        crew.slaves.sit_down(&slave, facts, Vec::new(), &[], say);
        let masks = [Mask {
            text: "hunter2".into(),
            shown: "<db>".into(),
        }];
        let mut shell = Shell::new(ShellLine::Script("login hunter2".into()), "b");
        shell.secrets = masks.to_vec();
        let key = BuildKey {
            builder: "b".into(),
            number: 0,
        };
        let id = CommandId {
            build: BuildId(1),
            step: 0,
            index: 0,
            attempt: 0,
        };
        let mut step = StepRecord {
            number: 0,
            name: "shell".into(),
            started: None,
            finished: None,
            outcome: None,
            text: vec![],
            build_text: vec![],
            statistics: vec![],
            urls: vec![],
            hidden: false,
            usage: None,
            ended: None,
            progress: Progress::default(),
            logs: vec![],
        };
        let side = SideLogs::new(&crew, &key, BuildId(1), &mut step, Vec::new());
        let mut line = CommandLine {
            side,
            content: None,
            crew: &crew,
            key: &key,
            slave: &slave,
            id,
            row: CommandRow {
                step: 0,
                index: 0,
                attempt: 0,
                log_start: 0,
            },
            spool: None,
            lease: 1,
            command: WireCommand::from(&Command::Shell(shell)),
            masks: &masks,
            left: watch::channel(None).1,
            growth: &mut Growth::default(),
            stop: None,
        };
        for (cause, expected) in [
            (
                ExitCause::NotStarted("no hunter2".into()),
                ExitCause::NotStarted("no <db>".into()),
            ),
            (
                ExitCause::Lost("hunter2!".into()),
                ExitCause::Lost("<db>!".into()),
            ),
        ] {
            let (code, elapsed_ms) = (-1, 0);
            let exit = Exit::new(code, cause, elapsed_ms);
            assert_eq!(line.hidden(exit).cause, expected);
        }
        let session = crew.slaves.session(&slave).expect("it is here");
        let own = line.command.clone();
        let mut nice = Shell::new(ShellLine::Script("true".into()), "b");
        nice.terms.nice = Some(1);
        let upload = FileCommand::Upload(Upload {
            path: "f".into(),
            kind: UploadKind::File,
            max_size: None,
            piece: None,
        });
        for (command, lacks) in [
            (Command::Shell(nice), Some("with a terminal, limits")),
            (Command::File(upload), Some("too old to send files")),
            (
                Command::Shell(Shell::new(ShellLine::Script("true".into()), "b")),
                None,
            ),
        ] {
            line.command = WireCommand::from(&command);
            let why = line.lacking(&session);
            match lacks {
                Some(lacks) => assert!(why.expect(lacks).contains(lacks)),
                None => assert_eq!(why, None),
            }
        }
        line.command = own;
        let mut log = LogFile::open(&dir.path().join("log")).expect("a log");
        let finish = line.run(&mut log, 0).await;
        let refusal = finish.refusal.expect("it is not asked");
        assert!(refusal.starts_with("it is too old"), "{refusal}");
        assert!(said.try_recv().is_err(), "nothing was said to it");
    }
}
