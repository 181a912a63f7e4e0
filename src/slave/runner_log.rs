//! The runner's end of a log: records appended to the spool with one write
//! for each round, and a word to the slave that there is more. A disk that is
//! full loses nothing: what does not fit waits.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, ioctl_fionread};

use super::order::private;
use super::runner::{LOOK, now};
use crate::logs::record;
use crate::model::Channel;

/// The most that is read from a pipe at once: what one holds.
const PIECE: usize = 64 << 10;
/// The least that is asked for, also of one that seems to hold nothing.
const LEAST: usize = 4 << 10;

/// Room for what the pipe holds now, and no more: most commands say little, and memory that a
/// process touches first costs time.
fn room(pipe: impl AsFd) -> usize {
    let held = ioctl_fionread(pipe).map_or(PIECE, |it| usize::try_from(it).unwrap_or(PIECE));
    held.clamp(LEAST, PIECE)
}

/// A log that is being written.
#[derive(Debug)]
pub(super) struct RunnerLog {
    file: File,
    /// What is not in the file yet, from `written` on.
    pending: Vec<u8>,
    written: usize,
    /// Bytes in the file and pending.
    length: u64,
    is_line_open: bool,
    news: News,
}

impl RunnerLog {
    pub(super) fn create(path: &Path, news: News) -> io::Result<Self> {
        Ok(Self {
            file: private().create(true).truncate(true).open(path)?,
            pending: Vec::new(),
            written: 0,
            length: 0,
            is_line_open: false,
            news,
        })
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    pub(super) const fn has_pending(&self) -> bool {
        self.written < self.pending.len()
    }

    pub(super) const fn owes_news(&self) -> bool {
        self.news.owed.is_some()
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, channel: Channel, bytes: &[u8]) {
        let before = self.pending.len();
        record::push(channel, bytes, &mut self.pending);
        self.length += (self.pending.len() - before) as u64;
        if let Some(last) = bytes.last() {
            self.is_line_open = *last != b'\n';
        }
    }

    /// Adds header lines, on a line of their own.
    pub(super) fn push_header(&mut self, text: &str) {
        if self.is_line_open {
            self.push(Channel::Header, format!("\n{text}").as_bytes());
        } else {
            self.push(Channel::Header, text.as_bytes());
        }
    }

    /// Reads what a pipe holds straight into a record. Says how much it was.
    pub(super) fn read_from(
        &mut self,
        pipe: impl AsFd,
        channel: Channel,
        is_wanted: bool,
    ) -> Result<usize, Errno> {
        let start = self.pending.len();
        let head = start + record::HEAD;
        self.pending.resize(head + room(&pipe), 0);
        let read = rustix::io::read(pipe, &mut self.pending[head..]);
        let Ok(size @ 1..) = read else {
            self.pending.truncate(start);
            return read;
        };
        if !is_wanted {
            self.pending.truncate(start);
            return read;
        }
        self.pending.truncate(head + size);
        let length = u32::try_from(size).expect("a piece is at most 64 KiB");
        self.pending[start] = channel.byte();
        self.pending[start + 1..head].copy_from_slice(&length.to_be_bytes());
        self.length += (record::HEAD + size) as u64;
        self.is_line_open = self.pending.last() != Some(&b'\n');
        read
    }

    /// Reads what a pipe holds, and adds what `mask` lets through of it. Says how much was read.
    pub(super) fn read_masked(
        &mut self,
        pipe: impl AsFd,
        channel: Channel,
        is_wanted: bool,
        mask: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<usize, Errno> {
        let mut piece = vec![0; room(&pipe)];
        let size = rustix::io::read(pipe, &mut piece)?;
        if is_wanted {
            self.push(channel, &mask(&piece[..size]));
        }
        Ok(size)
    }

    /// Writes what is pending, as far as the disk takes it, and tells the slave.
    pub(super) fn write(&mut self) {
        if self.put() || self.news.is_late() {
            self.news.tell();
        }
    }

    /// The same for what more is likely to follow in a moment: the slave is told with that, or
    /// by a later [`Self::write`].
    pub(super) fn write_ahead(&mut self) {
        if self.put() {
            self.news.owe();
        }
    }

    /// Whether anything was written.
    fn put(&mut self) -> bool {
        let before = self.written;
        while self.has_pending() {
            match rustix::io::write(&self.file, &self.pending[self.written..]) {
                Ok(written @ 1..) => self.written += written,
                Err(Errno::INTR) => {}
                // A full disk, most of the time: kept and tried again.
                Ok(0) | Err(_) => {
                    self.news.tell_of_disk();
                    break;
                }
            }
        }
        let is_news = self.written > before;
        if !self.has_pending() {
            self.pending.clear();
            self.written = 0;
        }
        is_news
    }

    /// Tells the slave once more, when the exit record is there.
    pub(super) fn tell_the_end(&mut self) {
        self.news.tell();
    }
}

/// The way to the slave's ear. Nothing depends on it: a slave that hears
/// nothing looks for itself, only later.
#[derive(Debug)]
pub(super) struct News {
    path: Option<PathBuf>,
    token: [u8; 8],
    fifo: Option<OwnedFd>,
    /// Since when there is something that the slave was not told: more was to follow, or it had
    /// its ears full.
    owed: Option<Instant>,
}

impl News {
    pub(super) fn new(path: Option<PathBuf>, token: u64) -> Self {
        Self {
            path,
            token: token.to_be_bytes(),
            fifo: None,
            owed: None,
        }
    }

    fn owe(&mut self) {
        self.owed.get_or_insert_with(now);
    }

    fn is_late(&self) -> bool {
        self.owed.is_some_and(|since| now() >= since + LOOK)
    }

    fn tell(&mut self) {
        self.owed = match self.say(self.token) {
            Ok(()) => None,
            Err(Errno::AGAIN | Errno::INTR) => Some(now()),
            Err(_) => {
                self.fifo = None;
                None
            }
        };
    }

    /// Tells that the disk takes nothing more, and that the command waits. It is said again
    /// as long as that is so.
    pub(super) fn tell_of_disk(&mut self) {
        let _ = self.say(held(self.token));
    }

    fn say(&mut self, word: [u8; 8]) -> Result<(), Errno> {
        if self.fifo.is_none() {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let opened = self.path.as_ref();
            // Fails while there is no slave, which looks for itself when it comes.
            self.fifo = opened.and_then(|path| rustix::fs::open(path, flags, Mode::empty()).ok());
        }
        match &self.fifo {
            Some(fifo) => rustix::io::write(fifo, &word).map(drop),
            None => Ok(()),
        }
    }
}

/// The word of a command that waits for its disk: its token, turned over.
pub(super) fn held(token: [u8; 8]) -> [u8; 8] {
    token.map(|byte| !byte)
}
