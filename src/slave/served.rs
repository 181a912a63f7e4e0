//! One command as the session knows it: how far it has come, what the master
//! has of it, and what is to be said next.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use tokio::time::Instant;
use tracing::warn;

use super::disk::HELD;
use super::order::{CommandDir, Control, Ended, Order, log_names, private};
use super::spool::{self, Stage};
use super::work::Works;
use crate::logs::disk;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::wire::FromSlave;
use crate::wire::WireCommand;
use crate::wire::WireFile;

/// So much output of a command may be on its way to the master.
const WINDOW: u64 = 1 << 20;

/// The most that one message carries.
const PIECE: u64 = 64 << 10;

/// Smaller ones would only be more messages.
const SMALLEST_PIECE: u64 = 1 << 10;

/// How often a command that nobody began is begun again.
const TRIES: u32 = 5;

/// How much more the master must keep before the runner is told.
const TELL_RUNNER: u64 = 1 << 20;

/// A command of the master that is attached.
pub(super) struct ServedCommand {
    pub(super) dir: CommandDir,
    command: WireCommand,
    /// In their order; `stdio` is the first.
    logs: Vec<ServedLog>,
    pub(super) ended: Option<Ended>,
    /// Whether the master has asked for it since it attached.
    is_wanted: bool,
    is_end_said: bool,
    /// Whether nobody will ask how it ended.
    pub(super) is_forgotten: bool,
    /// How often it was begun in this session.
    tries: u32,
    /// Whether it is to end.
    is_interrupted: bool,
    /// When it was heard the last time that it waits for room on the disk.
    held: Option<Instant>,
}

/// One of its logs.
struct ServedLog {
    name: String,
    file: Option<File>,
    /// As far as it is known.
    length: u64,
    sent: u64,
    acknowledged: u64,
    told_runner: u64,
    /// The most that one message carries.
    piece: u64,
}

impl ServedLog {
    fn new(name: String, piece: u64) -> Self {
        Self {
            name,
            piece,
            file: None,
            length: 0,
            sent: 0,
            acknowledged: 0,
            told_runner: 0,
        }
    }

    /// How long its file is, which may not be there.
    fn here(&mut self, dir: &CommandDir, place: usize) -> io::Result<u64> {
        if self.file.is_none() {
            self.file = match File::open(dir.log(place)) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        match &self.file {
            Some(file) => Ok(file.metadata()?.len()),
            None => Ok(0),
        }
    }

    /// The next piece, with its offset; `None` if there is none or the master must keep
    /// something first.
    fn next(&mut self) -> Option<(u64, Bytes)> {
        let window = (self.acknowledged + WINDOW).saturating_sub(self.sent);
        let size = self
            .length
            .saturating_sub(self.sent)
            .min(self.piece)
            .min(window);
        if size == 0 {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(size).expect("a piece is small")];
        let read = self.file.as_ref()?.read_at(&mut bytes, self.sent).ok()?;
        if read == 0 {
            return None;
        }
        bytes.truncate(read);
        let offset = self.sent;
        self.sent += read as u64;
        Some((offset, Bytes::from(bytes)))
    }
}

impl ServedCommand {
    pub(super) fn new(dir: CommandDir, order: Order) -> Self {
        let names = log_names(&order.command);
        let piece = match &order.command {
            WireCommand::File(WireFile::Upload(upload)) => upload.piece,
            WireCommand::File(_) | WireCommand::Shell(_) => None,
        };
        let piece = piece.map_or(PIECE, |it| it.clamp(SMALLEST_PIECE, PIECE));
        let log = |name| ServedLog::new(name, piece);
        Self {
            dir,
            command: order.command,
            logs: names.into_iter().map(log).collect(),
            ended: None,
            is_wanted: false,
            is_end_said: false,
            is_forgotten: false,
            tries: 0,
            is_interrupted: false,
            held: None,
        }
    }

    pub(super) fn begin(&mut self, works: &mut Works) -> io::Result<()> {
        match works.begin(&self.dir, &self.command) {
            Err(error) if disk::may_pass(&error) => {
                self.waits_for_disk();
                Ok(())
            }
            begun => {
                self.tries += 1;
                begun
            }
        }
    }

    /// Its disk takes nothing more; that is so until somebody says otherwise, or nothing more.
    pub(super) fn waits_for_disk(&mut self) {
        self.held = Some(Instant::now());
    }

    /// Its disk has taken something.
    pub(super) fn goes_on(&mut self) {
        self.held = None;
    }

    pub(super) fn is_held(&self, works: &Works) -> bool {
        let is_over = self.ended.is_some();
        !is_over && (self.held.is_some_and(|it| it.elapsed() < HELD) || works.is_held(&self.dir))
    }

    /// Tells the runner to end the command. One that waits for its disk before it has begun hears
    /// nothing yet, and may find no file either: [`look`](Self::look) says it again.
    pub(super) fn interrupt(&mut self) -> io::Result<()> {
        self.is_interrupted = true;
        let written = private().create(true).open(self.dir.interrupt());
        self.tell_runner(Control::Interrupt);
        written.map(drop)
    }

    /// Gives up a file command that waits for its disk.
    pub(super) fn interrupt_held(&mut self, works: &Works) {
        if matches!(self.command, WireCommand::File(_)) && works.is_held(&self.dir) {
            works.give_up(&self.dir, &self.command);
            let exit = Exit::new(-1, ExitCause::Interrupted, 1);
            let logs = BTreeMap::new();
            self.ended = Some(Ended::new(exit, logs));
        }
    }

    /// Looks how far the command has come, and does what must be done.
    pub(super) fn look(&mut self, works: &mut Works) -> io::Result<()> {
        if self.is_interrupted && self.ended.is_none() {
            // What cannot be written down now is said again at the next look.
            let _ = self.interrupt();
        }
        match self.look_closely(works) {
            Err(error) if disk::may_pass(&error) => {
                self.waits_for_disk();
                Ok(())
            }
            looked => looked,
        }
    }

    fn look_closely(&mut self, works: &mut Works) -> io::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        if works.is_held(&self.dir) {
            // It was not its own failure.
            self.tries = 0;
        }
        if !self.dir.path().is_dir() {
            let why = "its spool was removed by somebody else";
            let mut logs = BTreeMap::new();
            for log in &mut self.logs {
                log.length = log.sent;
                logs.insert(log.name.clone(), log.sent);
            }
            let exit = Exit::new(-1, ExitCause::Lost(why.to_owned()), 0);
            self.ended = Some(Ended::new(exit, logs));
            return Ok(());
        }
        match spool::stage(&self.dir)? {
            Stage::Running => self.look_quickly()?,
            Stage::Ordered if works.has_runner(&self.dir) || works.rests(&self.dir) => {}
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
        for (place, log) in self.logs.iter_mut().enumerate() {
            log.length = log.here(&self.dir, place)?;
        }
        Ok(())
    }

    fn take_end(&mut self, mut ended: Ended) -> io::Result<()> {
        for (place, log) in self.logs.iter_mut().enumerate() {
            let said = ended.logs.get(&log.name).copied().unwrap_or(0);
            let here = log.here(&self.dir, place)?;
            if here < said {
                // The host went down before all of it was on the disk.
                let why = match place {
                    0 => format!("its log has {here} bytes of {said}"),
                    _ => format!("its log `{}` has {here} bytes of {said}", log.name),
                };
                ended.exit.cause = ExitCause::Lost(why);
                ended.logs.insert(log.name.clone(), here);
            }
            log.length = here.min(said);
        }
        self.ended = Some(ended);
        self.keep_to_the_truth();
        Ok(())
    }

    /// A log of which the master has more than a power cut has left here ends with what the
    /// master has: what was added here to complete it does not belong there.
    fn keep_to_the_truth(&mut self) {
        let Some(ended) = &mut self.ended else {
            return;
        };
        for log in &mut self.logs {
            if ended.said.get(&log.name).is_some_and(|it| *it < log.sent) {
                log.length = log.sent;
                ended.logs.insert(log.name.clone(), log.sent);
            }
        }
    }

    /// The master has asked for everything from these offsets on.
    pub(super) fn serve_from(&mut self, have: &BTreeMap<String, u64>) {
        self.is_wanted = true;
        self.is_end_said = false;
        self.is_forgotten = false;
        for place in 0..self.logs.len() {
            let log = &mut self.logs[place];
            let offset = have.get(&log.name).copied().unwrap_or(0);
            log.sent = offset;
            log.acknowledged = offset;
            log.told_runner = offset;
            if offset > 0 {
                self.tell_how_far(place, offset);
            }
        }
        self.keep_to_the_truth();
        if let Err(error) = self.look_quickly() {
            let dir = self.dir.path().display();
            warn!(%dir, %error, "the spool of a command cannot be read");
        }
    }

    pub(super) fn acknowledge(&mut self, name: &str, offset: u64) {
        let Some(place) = self.logs.iter().position(|it| it.name == name) else {
            return;
        };
        let log = &mut self.logs[place];
        // Who acknowledges what was never sent is not believed.
        log.acknowledged = log.acknowledged.max(offset.min(log.sent));
        if log.acknowledged >= log.told_runner + TELL_RUNNER {
            log.told_runner = log.acknowledged;
            let offset = log.acknowledged;
            self.tell_how_far(place, offset);
        }
    }

    fn tell_how_far(&self, place: usize, offset: u64) {
        if let Ok(log) = u8::try_from(place) {
            self.tell_runner(Control::Acknowledged { log, offset });
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
        if !self.is_wanted || self.is_end_said || self.is_forgotten {
            return None;
        }
        for log in &mut self.logs {
            if let Some((offset, bytes)) = log.next() {
                return Some(FromSlave::Output {
                    id,
                    log: log.name.clone(),
                    offset,
                    bytes,
                });
            }
        }
        if self.logs.iter().any(|it| it.sent < it.length) {
            return None;
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
