//! One command on a slave, over any number of lines: it is started or met
//! again, what it prints is kept before it is acknowledged, and its end is
//! taken once.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};
use tracing::{debug, error};

use crate::clock;
use crate::logs::append::LogFile;
use crate::master::crew::Crew;
use crate::master::slaves::{News, Session};
use crate::model::BuildKey;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Mask;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::hide;
use crate::wire::native;
use crate::wire::{FromMaster, WireCommand};

/// Pages hear of a growing log this often at most.
const NEWS_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait before trying again to write to a full disk.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// A slave that leaves out pieces of a log is asked again this often at most.
const ASK_PAUSE: Duration = Duration::from_millis(100);

/// A command and where it runs.
pub(crate) struct CommandLine<'a> {
    pub(crate) crew: &'a Crew,
    pub(crate) key: &'a BuildKey,
    pub(crate) slave: &'a SlaveName,
    pub(crate) id: CommandId,
    pub(crate) lease: u64,
    pub(crate) command: WireCommand,
    /// What hides the secrets in it. Its slave masks what it prints; this is for the words
    /// of the slave itself.
    pub(crate) masks: &'a [Mask],
    /// Hears why the build is to stop; `None` for a command that runs in spite of it.
    pub(crate) stop: Option<watch::Receiver<Option<String>>>,
    /// Hears why the slave will not be heard of again.
    pub(crate) left: watch::Receiver<Option<String>>,
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
}

impl Finish {
    /// The end of a command that the slave never hears of.
    pub(crate) fn unsent(log: &LogFile, why: String) -> Self {
        let exit = Exit {
            code: -1,
            cause: ExitCause::NotStarted(why.clone()),
            elapsed_ms: 0,
        };
        Self {
            exit,
            end: log.len(),
            session: None,
            postscript: Some(format!("{why}\n")),
            refusal: None,
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
    /// The line is gone, or the command must be asked for again.
    Again,
}

impl CommandLine<'_> {
    /// Runs it to its end. Its output begins at `start` of the log.
    pub(crate) async fn run(mut self, log: &mut LogFile, start: u64) -> Finish {
        let mut away_since = Instant::now();
        loop {
            let session = match self.meet(away_since).await {
                Ok(session) => session,
                Err(cause) => return self.cut_off(log, cause),
            };
            match self.attend(&session, log, start).await {
                Line::Finished(exit, length) => {
                    return self.close(session, log, exit, start.saturating_add(length));
                }
                Line::Refused(why) => return self.turned_away(&session, log, why),
                Line::Lost(why) => return self.cut_off(log, ExitCause::Lost(why)),
                Line::Again => away_since = Instant::now(),
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
        let have = BTreeMap::from([("stdio".to_owned(), log.len().saturating_sub(start))]);
        let (id, lease) = (self.id, self.lease);
        let begin = FromMaster::Start {
            id,
            lease,
            command: self.command.clone(),
            have,
        };
        if self.has_secrets() && !session.has_masks {
            let why = "it is too old to keep secrets out of logs; \
                       the same version of autobot as the master's does";
            return Line::Refused(why.into());
        }
        if let Err(error) = native::fits(&begin) {
            return Line::Refused(error.to_string());
        }
        if !session.say(begin).await {
            return self.leave(session);
        }
        let mut stop = self.stop.clone();
        let mut left = self.left.clone();
        let mut grew = Instant::now();
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
                    continue;
                }
                () = time::sleep_until(grew + NEWS_PAUSE), if dirty => {
                    self.tell_growth();
                    (grew, dirty) = (Instant::now(), false);
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
                    if name == "stdio" && !keep(log, start.saturating_add(offset), &bytes).await {
                        debug!(command = %id, offset, "a piece of the log is missing");
                        time::sleep(ASK_PAUSE).await;
                        return self.leave(session);
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
                Some(News::Finished { exit, stdio }) => {
                    if log.len() < start.saturating_add(stdio) {
                        debug!(command = %id, "the end came before all of the log");
                        time::sleep(ASK_PAUSE).await;
                        return self.leave(session);
                    }
                    return Line::Finished(self.hidden(exit), stdio);
                }
                Some(News::Refused { why }) => return Line::Refused(hide(&why, self.masks)),
            }
        }
    }

    fn has_secrets(&self) -> bool {
        matches!(&self.command, WireCommand::Shell(shell) if !shell.secrets.is_empty())
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

    fn tell_growth(&self) {
        let (build, step) = (self.key.clone(), self.id.step);
        self.crew.tell(Status::LogGrew {
            build,
            step,
            log: "stdio".into(),
        });
    }

    fn leave(&self, session: &Session) -> Line {
        session.forget_route(self.id);
        Line::Again
    }

    fn close(&self, session: Session, log: &mut LogFile, exit: Exit, end: u64) -> Finish {
        session.forget_route(self.id);
        // A slave whose host broke down may know less of the log than is kept here.
        let end = match exit.cause {
            ExitCause::Lost(_) => end.max(log.whole()),
            _ => end,
        };
        settle(log, end, &trailer(&exit));
        self.tell_growth();
        Finish {
            exit,
            end,
            session: Some(session),
            postscript: None,
            refusal: None,
        }
    }

    fn turned_away(&self, session: &Session, log: &LogFile, why: String) -> Finish {
        session.forget_route(self.id);
        let cause = ExitCause::NotStarted(why.clone());
        let exit = Exit {
            code: -1,
            cause,
            elapsed_ms: 0,
        };
        Finish {
            exit,
            end: log.len(),
            session: Some(session.clone()),
            postscript: None,
            refusal: Some(why),
        }
    }

    /// The end of a command whose slave is not here.
    fn cut_off(&self, log: &mut LogFile, cause: ExitCause) -> Finish {
        let end = log.len();
        let exit = Exit {
            code: -1,
            cause,
            elapsed_ms: 0,
        };
        let postscript = Some(trailer(&exit));
        Finish {
            exit,
            end,
            session: None,
            postscript,
            refusal: None,
        }
    }
}

/// Puts bytes into the log; `false` if some are missing before them. A disk that is full
/// is tried until it is not: nothing is acknowledged meanwhile, so the command waits.
async fn keep(log: &mut LogFile, offset: u64, bytes: &[u8]) -> bool {
    loop {
        match log.append_at(offset, bytes) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return false,
            Err(error) => {
                error!(reason = %error, "failed to write a log; trying again");
                time::sleep(DISK_PAUSE).await;
            }
        }
    }
}

/// Ends the log of a command with a line that says how it ended.
fn settle(log: &mut LogFile, end: u64, trailer: &str) {
    let settled = log
        .cut(end)
        .and_then(|()| log.add_header(trailer))
        .and_then(|()| log.sync());
    if let Err(error) = settled {
        error!(reason = %error, "failed to finish a log");
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

/// Comes back when there is something to say, with that.
pub(super) async fn told(hear: &mut watch::Receiver<Option<String>>) -> String {
    let said = hear.wait_for(Option::is_some).await;
    match said.ok().and_then(|it| it.clone()) {
        Some(why) => why,
        None => std::future::pending().await,
    }
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
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::config;
    use crate::master::crew::Beginnings;
    use crate::master::fleet::Fleet;
    use crate::model::BuildId;
    use crate::model::Command;
    use crate::model::Shell;
    use crate::model::ShellLine;
    use crate::store::StoreHandle;
    use crate::wire::SlaveFacts;

    fn crew(dir: &std::path::Path) -> Arc<Crew> {
        let ini = "[:master:]\nhtmlport = none\nslaveport = none\n";
        std::fs::write(dir.join("master.ini"), ini).expect("written");
        Crew::new(Beginnings {
            dir: dir.to_owned(),
            store: StoreHandle::open(&dir.join("state.sqlite")).expect("a store"),
            identity: "store".into(),
            started: clock::now(),
            core: mpsc::channel(1).0,
            returns: mpsc::unbounded_channel().0,
            plan: Arc::new(config::load(dir).expect("a plan")),
            fleet: Fleet::new(BTreeMap::new()),
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
        crew.slaves.sit_down(&slave, facts, false, say);
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
        let line = CommandLine {
            crew: &crew,
            key: &key,
            slave: &slave,
            id,
            lease: 1,
            command: WireCommand::from(&Command::Shell(shell)),
            masks: &masks,
            left: watch::channel(None).1,
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
            let exit = Exit {
                code,
                cause,
                elapsed_ms,
            };
            assert_eq!(line.hidden(exit).cause, expected);
        }
        let mut log = LogFile::open(&dir.path().join("log")).expect("a log");
        let finish = line.run(&mut log, 0).await;
        let refusal = finish.refusal.expect("it is not asked");
        assert!(refusal.starts_with("it is too old"), "{refusal}");
        assert!(said.try_recv().is_err(), "nothing was said to it");
    }
}
