//! One command as the session knows it: how far it has come, what the master
//! has of it, and what is to be said next.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use tracing::warn;

use super::order::{CommandDir, Control, Ended, Order, STDIO};
use super::spool::{self, Stage};
use super::work::Works;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::wire::FromSlave;
use crate::wire::WireCommand;

/// So much output of a command may be on its way to the master.
const WINDOW: u64 = 1 << 20;

/// The most that one message carries.
const PIECE: u64 = 64 << 10;

/// How often a command that nobody began is begun again.
const TRIES: u32 = 5;

/// How much more the master must keep before the runner is told.
const TELL_RUNNER: u64 = 1 << 20;

/// A command of the master that is attached.
pub(super) struct ServedCommand {
    pub(super) dir: CommandDir,
    command: WireCommand,
    log: Option<File>,
    /// As far as it is known.
    length: u64,
    pub(super) ended: Option<Ended>,
    /// Whether the master has asked for it since it attached.
    is_wanted: bool,
    sent: u64,
    acknowledged: u64,
    told_runner: u64,
    is_end_said: bool,
    /// Whether nobody will ask how it ended.
    pub(super) is_forgotten: bool,
    /// How often it was begun in this session.
    tries: u32,
}

impl ServedCommand {
    pub(super) fn new(dir: CommandDir, order: Order) -> Self {
        Self {
            dir,
            command: order.command,
            log: None,
            length: 0,
            ended: None,
            is_wanted: false,
            sent: 0,
            acknowledged: 0,
            told_runner: 0,
            is_end_said: false,
            is_forgotten: false,
            tries: 0,
        }
    }

    pub(super) fn begin(&mut self, works: &mut Works) -> io::Result<()> {
        self.tries += 1;
        works.begin(&self.dir, &self.command)
    }

    /// Looks how far the command has come, and does what must be done.
    pub(super) fn look(&mut self, works: &mut Works) -> io::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        if !self.dir.path().is_dir() {
            let why = "its spool was removed by somebody else";
            self.ended = Some(Ended {
                exit: Exit::new(-1, ExitCause::Lost(why.to_owned()), 0),
                logs: [(STDIO.to_owned(), self.sent)].into(),
            });
            self.length = self.sent;
            return Ok(());
        }
        match spool::stage(&self.dir)? {
            Stage::Running => self.look_quickly()?,
            Stage::Ordered if works.has_runner(&self.dir) => {}
            Stage::Ordered if self.tries < TRIES => {
                if let Err(error) = self.begin(works) {
                    warn!(dir = %self.dir.path().display(), %error, "a command cannot be begun yet");
                }
            }
            Stage::Ordered => {
                // Only who holds the claim may say that nobody will begin.
                if let Some(_claim) = self.dir.claim()?
                    && self.dir.begun()?.is_none()
                {
                    self.lose("its runner cannot be started")?;
                }
            }
            Stage::Ended(ended) => self.take_end(ended)?,
            Stage::Lost(why) => self.lose(&why)?,
        }
        Ok(())
    }

    fn lose(&mut self, why: &str) -> io::Result<()> {
        warn!(dir = %self.dir.path().display(), why, "a command is lost");
        let ended = spool::write_lost(&self.dir, why)?;
        self.take_end(ended)
    }

    /// Looks for more output and for the end, and leaves the rest to [`look`](Self::look).
    pub(super) fn look_quickly(&mut self) -> io::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        if let Some(ended) = self.dir.ended()? {
            return self.take_end(ended);
        }
        if matches!(self.command, WireCommand::File(_)) {
            // Its log counts when it has ended: it may be written once more.
            return Ok(());
        }
        if let Some(log) = self.log()? {
            self.length = log.metadata()?.len();
        }
        Ok(())
    }

    fn take_end(&mut self, mut ended: Ended) -> io::Result<()> {
        let said = ended.logs.get(STDIO).copied().unwrap_or(0);
        let here = match self.log()? {
            Some(log) => log.metadata()?.len(),
            None => 0,
        };
        if here < said {
            // The host went down before all of it was on the disk.
            let why = format!("its log has {here} bytes of {said}");
            ended.exit.cause = ExitCause::Lost(why);
            ended.logs.insert(STDIO.to_owned(), here);
        }
        self.length = here.min(said);
        self.ended = Some(ended);
        Ok(())
    }

    fn log(&mut self) -> io::Result<Option<&File>> {
        if self.log.is_none() {
            self.log = match File::open(self.dir.log()) {
                Ok(log) => Some(log),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self.log.as_ref())
    }

    /// The master has asked for everything from `offset` on.
    pub(super) fn serve_from(&mut self, offset: u64) {
        self.is_wanted = true;
        self.is_end_said = false;
        self.is_forgotten = false;
        self.sent = offset;
        self.acknowledged = offset;
        self.told_runner = offset;
        if offset > 0 {
            self.tell_runner(Control::Acknowledged(offset));
        }
        if let Err(error) = self.look_quickly() {
            let dir = self.dir.path().display();
            warn!(%dir, %error, "the spool of a command cannot be read");
        }
    }

    pub(super) fn acknowledge(&mut self, offset: u64) {
        // Who acknowledges what was never sent is not believed.
        self.acknowledged = self.acknowledged.max(offset.min(self.sent));
        if self.acknowledged >= self.told_runner + TELL_RUNNER {
            self.told_runner = self.acknowledged;
            self.tell_runner(Control::Acknowledged(self.acknowledged));
        }
    }

    pub(super) fn tell_runner(&self, what: Control) {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // There is nobody to tell when the runner has ended, or has not begun.
        if let Ok(fifo) = rustix::fs::open(self.dir.control(), flags, Mode::empty()) {
            let _ = rustix::io::write(fifo, &what.to_bytes());
        }
    }

    /// What it has to say next, if anything.
    pub(super) fn speak(&mut self, id: CommandId) -> Option<FromSlave> {
        if !self.is_wanted || self.is_end_said {
            return None;
        }
        if self.sent < self.length {
            let window = (self.acknowledged + WINDOW).saturating_sub(self.sent);
            let size = (self.length - self.sent).min(PIECE).min(window);
            if size == 0 {
                return None;
            }
            let mut bytes = vec![0; usize::try_from(size).expect("a piece is small")];
            let read = self.log.as_ref()?.read_at(&mut bytes, self.sent).ok()?;
            if read == 0 {
                return None;
            }
            bytes.truncate(read);
            let offset = self.sent;
            self.sent += read as u64;
            return Some(FromSlave::Output {
                id,
                log: STDIO.to_owned(),
                offset,
                bytes: Bytes::from(bytes),
            });
        }
        let ended = self.ended.as_ref()?;
        self.is_end_said = true;
        Some(FromSlave::Finished {
            id,
            exit: ended.exit.clone(),
            logs: ended.logs.clone(),
        })
    }
}
