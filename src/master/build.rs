//! One build from its plan to its end: makes the steps, takes up again what a
//! restart cut off, ends. `begin.rs` claims it, `walk.rs` goes through its steps.
//!
//! What must be written is collected in `due` and goes down in one
//! transaction just before the next command is sent or the build ends.

use std::fmt;
use std::future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::BuilderPlan;
use crate::config::SlavePlan;
use crate::expr::Values;
use crate::logs;
use crate::logs::append;
use crate::logs::append::LogFile;
use crate::logs::disk;
use crate::master::command;
use crate::master::core::Ticket;
use crate::master::course::Course;
use crate::master::crew::Crew;
use crate::master::diary;
use crate::master::growth::Growth;
use crate::master::lock_walk::Holds;
use crate::master::properties::{Beginning, at_beginning};
use crate::master::slaves::Session;
use crate::master::troubles::{Patience, Place};
use crate::master::walk::lost_verdict;
use crate::model::Artifact;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::Change;
use crate::model::Channel;
use crate::model::CommandId;
use crate::model::EventKind;
use crate::model::Mask;
use crate::model::NewEvent;
use crate::model::Outcome;
use crate::model::Platform;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::model::StepRecord;
use crate::model::Subject;
use crate::model::Timestamp;
use crate::model::hex;
use crate::steps::Flags;
use crate::steps::StepPlan;
use crate::store::{BuildEnd, CommandRow, Promise, Result, Store, StoreError, UnfinishedBuild};
use crate::wire::FromMaster;

/// A build that was given back this often ends as an exception.
const RETRIES: u32 = 3;
/// How long to wait before a store that could not write is tried again.
pub(super) const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// The property that says that a stop was taken in, and why it was asked for.
pub(super) const STOPPED: &str = "stopped";

/// A verb that is due; it may have to be tried more than once.
type Write = Box<dyn Fn(&mut dyn Store) -> Result<()> + Send + Sync>;

/// A build while it runs.
pub(crate) struct Build {
    pub(super) crew: Arc<Crew>,
    pub(super) ticket: Ticket,
    /// Given back when the build is dropped, after its end was written down.
    pub(super) holds: Holds,
    pub(super) id: BuildId,
    pub(crate) key: BuildKey,
    pub(super) lease: u64,
    pub(super) builder: Arc<BuilderPlan>,
    pub(super) slave: Arc<SlavePlan>,
    pub(super) requests: Vec<RequestId>,
    pub(super) reason: String,
    pub(super) stamp: SourceStamp,
    pub(super) changes: Vec<Change>,
    /// When the last of its requests was made.
    pub(super) submitted: Option<Timestamp>,
    pub(super) properties: Properties,
    /// The properties as they are in the store, or will be with what is due.
    pub(super) written: Arc<Properties>,
    /// What the expressions of the step see besides the properties.
    pub(super) seen: Values,
    /// What the slave says that it runs on, under what the configuration says.
    pub(super) platform: Platform,
    pub(super) steps: Vec<StepPlan>,
    /// Where they work that say nothing else.
    pub(super) workdir: String,
    /// What hides every secret that a command of this build had so far.
    pub(super) masks: Vec<Mask>,
    pub(super) records: Vec<StepRecord>,
    pub(super) course: Course,
    /// Of the step that runs.
    pub(super) growth: Growth,
    pub(super) stop: watch::Receiver<Option<String>>,
    /// Hears why the slave will not be heard of again.
    pub(super) left: watch::Receiver<Option<String>>,
    /// Set when the stop has been taken in: what always runs is not stopped again.
    pub(super) stopped: bool,
    pub(super) due: Vec<Write>,
    /// What made it a build, until that is on disk.
    pub(super) claim: Option<Promise>,
    /// Logs that a step gave as a whole, on their way to their files.
    pub(super) whole_logs: Vec<(PathBuf, String)>,
    pub(super) postscripts: Vec<Postscript>,
    /// Commands whose ends are due: their slaves may forget them after that.
    pub(super) forgettable: Vec<(Session, CommandId)>,
    pub(super) news: Vec<Status>,
    /// What the running step has brought to the master.
    pub(super) received: Vec<Artifact>,
}

/// A line for a log that stands there only after what is due is written down.
pub(super) struct Postscript {
    pub(super) path: PathBuf,
    /// When its step began.
    pub(super) began: Timestamp,
    pub(super) line: String,
}

/// Takes in what is formatted into it; it never fails.
struct Hashed(Sha256);

impl fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Postscript {
    fn add(&self) -> io::Result<()> {
        let mut log = LogFile::open_timed(&self.path, self.began, clock::now)?;
        log.cut(log.whole())?;
        log.add_header(&self.line)
    }
}

impl Build {
    /// Runs a build from its first step.
    pub(super) async fn plan_and_walk(&mut self, requests: &[RequestRecord]) {
        let Some(session) = self.session_or_lost().await else {
            return self.end().await;
        };
        let basedir = session.facts.basedir.as_str();
        self.properties = at_beginning(&Beginning {
            global: &self.crew.plan().master.properties,
            changes: &self.changes,
            requests,
            number: self.key.number,
            stamp: &self.stamp,
            builder: &self.builder,
            slave: &self.slave,
            slave_basedir: (!basedir.is_empty()).then_some(basedir),
            is_windows: session.facts.platform.os.starts_with("win"),
        });
        info!(build = %self.key, slave = %self.slave.name, "build started");
        self.news.push(Status::BuildStarted {
            build: self.key.clone(),
            slave: self.slave.name.clone(),
        });
        match self.read_steps(&session) {
            Ok(fingerprint) => {
                let (id, records) = (self.id, self.records.clone());
                let properties = Arc::new(self.properties.clone());
                self.written = Arc::clone(&properties);
                self.due(move |verbs| verbs.plan_build(id, &fingerprint, &properties, &records));
                self.walk(None).await;
            }
            Err(error) => {
                warn!(build = %self.key, reason = error, "the factory gives no steps");
                self.happened(EventKind::NoSteps, &error);
                self.course = Course::new([Flags::NONE]);
                self.course
                    .judge(0, Outcome::Exception, &["setupBuild".into(), error]);
            }
        }
        self.end().await;
    }

    /// Goes on where the store says that the build was.
    pub(super) async fn resume(&mut self, was: UnfinishedBuild) {
        info!(build = %self.key, slave = %self.slave.name, "build goes on");
        // As it was begun: that is what is ended if it cannot be gone on with.
        self.records.clone_from(&was.steps);
        self.course = Course::new(was.steps.iter().map(|_| Flags::NONE));
        let Some(session) = self.session_or_lost().await else {
            return self.end().await;
        };
        if was.fingerprint.is_empty() {
            // It had its number and nothing else: it begins now.
            let ids = self.requests.clone();
            let requests = self.crew.store.read(move |verbs| {
                let found: Result<Vec<_>> = ids.iter().map(|id| verbs.request(*id)).collect();
                Ok(found?.into_iter().flatten().collect::<Vec<_>>())
            });
            let requests = requests.await.unwrap_or_default();
            return self.plan_and_walk(&requests).await;
        }
        if self.read_steps(&session).as_ref() != Ok(&was.fingerprint) {
            self.records.clone_from(&was.steps);
            self.course = Course::new(was.steps.iter().map(|_| Flags::NONE));
            self.give_back("its factory was changed while the master was down");
            return self.end().await;
        }
        self.records = was.steps;
        if self.properties.get(STOPPED).is_some() {
            // The stop did its work before the restart: what always runs is spared.
            self.stopped = true;
            self.course.stop();
        }
        let mut earlier = None;
        for index in 0..self.records.len() {
            let record = &self.records[index];
            if let (Some(outcome), Some(_)) = (record.outcome, record.finished) {
                self.course
                    .judge(index, outcome, &record.build_text.clone());
                self.learn_secrets(index);
            } else if record.started.is_some() {
                earlier = Some((index, was.commands));
                break;
            }
        }
        self.walk(earlier).await;
        self.end().await;
    }

    /// Makes the steps for this slave; gives their fingerprint.
    fn read_steps(&mut self, session: &Session) -> std::result::Result<String, String> {
        let mut platform: Platform = session.facts.platform.clone();
        if let Some(os) = &self.slave.os {
            platform.os.clone_from(os);
        }
        self.steps = self.builder.factory.steps(&platform)?;
        self.workdir = self.builder.factory.workdir(&self.stamp)?;
        self.platform = platform;
        self.course = Course::new(self.steps.iter().map(|it| it.flags));
        self.records = (0..)
            .zip(&self.steps)
            .map(|(number, step)| StepRecord {
                number,
                name: step.name.clone(),
                started: None,
                finished: None,
                outcome: None,
                text: Vec::new(),
                build_text: Vec::new(),
                statistics: Vec::new(),
                urls: Vec::new(),
                hidden: false,
                usage: None,
                ended: None,
                progress: Progress {
                    counts: step.use_progress && self.builder.use_progress,
                    ..Progress::default()
                },
                logs: Vec::new(),
            })
            .collect();
        let mut settings = Hashed(Sha256::new());
        let _ = fmt::write(
            &mut settings,
            format_args!("{:?} {:?}", self.steps, self.builder.env),
        );
        // A build that was begun before there was a choice goes on.
        if self.workdir != "build" {
            settings.0.update(self.workdir.as_bytes());
        }
        Ok(hex(&settings.0.finalize()))
    }

    /// Waits for the slave; after `lost_timeout` the build is given back.
    async fn session_or_lost(&mut self) -> Option<Session> {
        let patience = self.crew.plan().master.lost_timeout;
        let attached = self.crew.slaves.attached(&self.slave.name);
        let why = tokio::select! {
            biased;
            why = command::told(&mut self.left) => why,
            session = attached => return Some(session),
            () = time::sleep(patience) => format!(
                "slave {} did not come back within {}",
                self.slave.name,
                clock::human(patience)
            ),
        };
        self.give_back(&why);
        None
    }

    /// Ends the build as one to be built again, with the reason in the running step's log.
    fn give_back(&mut self, why: &str) {
        warn!(build = %self.key, why, "the build cannot be continued");
        self.properties.set_runtime("retry_reason", why, "Build");
        if let Some(index) = self
            .records
            .iter()
            .position(|it| it.started.is_some() && it.finished.is_none())
        {
            let record = &self.records[index];
            if let Some(log) = record.logs.first() {
                let line = format!("cannot be continued: {why}\n");
                self.postscripts.push(Postscript {
                    path: self.log_path(&log.file),
                    began: self.began(index),
                    line,
                });
            }
            self.finish_step(index, lost_verdict(vec![self.records[index].name.clone()]));
        }
        self.course.lose();
    }

    /// Ends a build in which autobot itself broke: an exception, and not the end of the master.
    pub(super) async fn break_off(&mut self) {
        error!(build = %self.key, "the build broke off; this is a bug in autobot");
        self.due.clear();
        self.course.stop();
        self.properties.set_runtime(
            "exception",
            "autobot broke off, see the master's log",
            "Build",
        );
        self.end().await;
    }

    pub(super) async fn end(&mut self) {
        if self.course.outcome() == Outcome::Retry {
            let request = self.requests.first().copied();
            let retries = match request {
                Some(request) => {
                    self.crew
                        .store
                        .read(move |verbs| verbs.retries(request))
                        .await
                }
                None => Ok(0),
            };
            if retries.is_ok_and(|so_far| so_far >= RETRIES) {
                let why = self
                    .properties
                    .text("retry_reason")
                    .unwrap_or("it was lost");
                let why = format!("{why}; its request was given back {RETRIES} times already");
                self.properties.set_runtime("retry_reason", why, "Build");
                self.course.give_up();
            }
        }
        let (build, now) = (self.id, clock::now());
        let outcome = self.course.outcome();
        let end = BuildEnd {
            outcome,
            text: self.course.text(),
            properties: self.properties.clone(),
        };
        let logs = self.records.iter().flat_map(|it| &it.logs);
        let files: Vec<_> = logs.map(|it| self.log_path(&it.file)).collect();
        // What still comes to a log is measured with it, later.
        let is_whole = self.postscripts.is_empty();
        self.due(move |verbs| {
            // First, so that it never stands among those that have ended and are not measured.
            if is_whole {
                verbs.measure(&[(build, logs::bytes_of(&files))])?;
            }
            verbs.finish_build(build, &end, now).map(drop)
        });
        self.news.push(Status::BuildFinished {
            build: self.key.clone(),
            slave: self.slave.name.clone(),
            outcome,
        });
        let completed: &[RequestId] = if outcome == Outcome::Retry {
            &[]
        } else {
            &self.requests
        };
        for request in completed {
            let builder = self.key.builder.clone();
            self.news.push(Status::RequestFinished {
                request: *request,
                builder,
            });
        }
        // Over as well when a build is given up whose claim has not come to the disk.
        let (crew, builder) = (Arc::clone(&self.crew), self.key.builder.clone());
        let ending = crew.histories.build_ends(&builder);
        self.write_due().await;
        if !is_whole {
            self.crew.unmeasured.store(true, Ordering::Relaxed);
        }
        drop(ending);
        // Before it is told: who hears of its end finds it among those that run no more.
        let open = self.crew.live().remove(&self.key).and_then(|it| it.open);
        self.tell_news();
        // A command that was given up must not run on beside the build that comes next.
        if let Some(id) = open
            && let Some(session) = self.crew.slaves.session(&self.slave.name)
        {
            let (lease, why) = (self.lease, "its build is over".to_owned());
            session.say(FromMaster::Interrupt { id, lease, why }).await;
            session.say(FromMaster::Forget { id }).await;
        }
        info!(build = %self.key, outcome = %outcome, "build finished");
    }

    /// Which command the slave may be running from now on.
    pub(super) fn set_open(&self, open: Option<CommandId>) {
        if let Some(live) = self.crew.live().get_mut(&self.key) {
            live.open = open;
        }
    }

    pub(super) fn command_id(&self, at: CommandRow) -> CommandId {
        CommandId {
            build: self.id,
            step: at.step,
            index: at.index,
            attempt: at.attempt,
        }
    }

    pub(super) fn due(
        &mut self,
        write: impl Fn(&mut dyn Store) -> Result<()> + Send + Sync + 'static,
    ) {
        self.due.push(Box::new(write));
    }

    /// Writes an event of the builder down with what else is due.
    pub(super) fn happened(&mut self, kind: EventKind, why: &str) {
        let subject = Subject::Builder(self.key.builder.clone());
        let event = NewEvent {
            note: diary::shortened(&format!("build {}: {why}", self.key.number)),
            ..NewEvent::new(clock::now(), subject, kind)
        };
        self.due(move |verbs| verbs.add_event(&event));
    }

    /// Has the properties written down with what else is due, if they are others than last time.
    pub(super) fn put_properties(&mut self) {
        if *self.written != self.properties {
            let (build, properties) = (self.id, Arc::new(self.properties.clone()));
            self.written = Arc::clone(&properties);
            self.due(move |verbs| verbs.set_build_properties(build, &properties));
        }
    }

    pub(super) fn put_step(&mut self, index: usize) {
        let (build, record) = (self.id, self.records[index].clone());
        self.due(move |verbs| verbs.put_step(build, &record));
    }

    /// Writes down what is due, and then tells slave and pages. A store that cannot write (a
    /// full disk) holds the build where it is: nothing leaves before it is written.
    pub(super) async fn flush(&mut self) {
        self.write_due().await;
        self.tell_news();
    }

    async fn write_due(&mut self) {
        let mut patience = Patience::new(&self.crew, &self.key);
        for (path, content) in self.whole_logs.drain(..) {
            while let Err(error) = append::write_whole(&path, Channel::Stdout, &content) {
                if !disk::may_pass(&error) {
                    let log = path.display();
                    warn!(build = %self.key, %log, reason = %error, "failed to write a log");
                    break;
                }
                patience.pause(Place::Logs, error).await;
            }
        }
        let mut patience = Patience::new(&self.crew, &self.key);
        let due: Arc<[Write]> = std::mem::take(&mut self.due).into();
        loop {
            let (writes, claim) = (Arc::clone(&due), self.claim.clone());
            let written = self.crew.store.write(move |verbs| {
                if claim.is_some_and(|it| it.is_broken()) {
                    return Err(StoreError::new("there is no such build"));
                }
                writes.iter().try_for_each(|write| write(verbs))
            });
            match (written.await, &self.claim) {
                (Ok(()), _) => break,
                // Whoever began it gives it up.
                (Err(_), Some(claim)) if claim.is_broken() => future::pending().await,
                (Err(error), _) => patience.pause(Place::Database, error.what).await,
            }
        }
        self.claim = None;
        let mut patience = Patience::new(&self.crew, &self.key);
        for it in self.postscripts.drain(..) {
            // Half of a record is cut off: of what was said before, and of this when it is tried again.
            while let Err(error) = it.add() {
                if !disk::may_pass(&error) {
                    warn!(log = %it.path.display(), reason = %error, "failed to end a log");
                    break;
                }
                patience.pause(Place::Logs, error).await;
            }
        }
        for (session, id) in self.forgettable.drain(..) {
            session.say(FromMaster::Forget { id }).await;
        }
    }

    fn tell_news(&mut self) {
        for status in self.news.drain(..) {
            self.crew.tell(status);
        }
    }

    /// When a step began, as the times in its logs have it.
    pub(super) fn began(&self, index: usize) -> Timestamp {
        self.records[index].started.unwrap_or_else(clock::now)
    }

    pub(super) fn log_path(&self, file: &str) -> PathBuf {
        self.crew.dir.join("builds").join(file)
    }

    pub(super) fn log_file(&self, index: usize, log: &str) -> String {
        let taken = |name: &str| {
            self.records
                .iter()
                .any(|step| step.logs.iter().any(|it| it.file == name))
        };
        let step = &self.records[index].name;
        logs::file_name(&self.builder.builddir, &self.key, step, log, &taken)
    }
}
