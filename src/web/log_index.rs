//! Where the lines of a log begin: a spot every so often, found by reading the
//! log once, kept while the log is looked at, and gone on with while it grows.
//! So a page in the middle of a large log costs what it shows.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::time::Instant;

use crate::logs::place::LogPlace;
use crate::model::Channel;

use super::log_file::Cutter;
use super::log_file::Place;
use super::log_file::Records;

/// The start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: Place,
    /// The number of the line, from 1.
    pub(super) line: u64,
    /// Bytes before it: of all channels, and of output alone.
    pub(super) bytes: u64,
    pub(super) output: u64,
}

impl Spot {
    pub(super) const START: Self = Self {
        place: Place { record: 0, skip: 0 },
        line: 1,
        bytes: 0,
        output: 0,
    };
}

/// A part of a line.
pub(super) struct Part<'a> {
    /// Where its line begins.
    pub(super) start: Spot,
    pub(super) channel: Channel,
    /// With the line end.
    pub(super) bytes: &'a [u8],
    /// Whether the line ends here.
    pub(super) ends: bool,
}

/// How far one has come: where the line begins at which one is, and what was read in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// Of the line that has not ended.
    pub(super) start: Spot,
    pub(super) bytes: u64,
    pub(super) output: u64,
}

impl Reached {
    fn at(start: Spot) -> Self {
        Self {
            start,
            bytes: start.bytes,
            output: start.output,
        }
    }

    /// The number of the last line of which there is anything; 0 if there is none.
    pub(super) fn last_line(&self) -> u64 {
        self.start.line - u64::from(self.bytes == self.start.bytes)
    }
}

/// Shows the parts of all lines from `from` on, where `records` stand, until `see` has enough.
pub(super) fn walk<R: Read>(
    records: &mut Records<R>,
    from: Spot,
    see: &mut dyn FnMut(&Part<'_>) -> bool,
) -> io::Result<Reached> {
    let mut reached = Reached::at(from);
    let mut cutter = Cutter::default();
    while let Some(piece) = records.next()? {
        let mut rest = piece.bytes;
        let mut place = piece.place;
        while !rest.is_empty() {
            let (length, ends) = cutter.cut(rest);
            let part = Part {
                start: reached.start,
                channel: piece.channel,
                bytes: &rest[..length],
                ends,
            };
            place.skip += u32::try_from(length).expect("a line is short");
            reached.bytes += length as u64;
            if piece.channel != Channel::Header {
                reached.output += length as u64;
            }
            if ends {
                reached.start = Spot {
                    place,
                    line: reached.start.line + 1,
                    bytes: reached.bytes,
                    output: reached.output,
                };
            }
            if !see(&part) {
                return Ok(reached);
            }
            rest = &rest[length..];
        }
    }
    Ok(reached)
}

/// Bytes between two spots.
const STRIDE: u64 = 256 * 1024;

/// Lines after which the time is asked for again.
const LOOK_UP: u64 = 4096;

/// What is known of the lines of a log.
#[derive(Clone, Debug)]
pub(super) struct Index {
    spots: Vec<Spot>,
    reached: Reached,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            spots: vec![Spot::START],
            reached: Reached::at(Spot::START),
        }
    }
}

impl Index {
    /// Takes in what follows; `records` stand where its last line begins. `false` if it had to
    /// stop before the end.
    fn extend<R: Read>(
        &mut self,
        records: &mut Records<R>,
        until: Option<Instant>,
        most: u64,
    ) -> io::Result<bool> {
        let from = self.reached.start;
        let spots = &mut self.spots;
        let mut is_whole = true;
        self.reached = walk(records, from, &mut |part| {
            let start = part.start;
            if start.bytes >= spots.last().map_or(0, |it| it.bytes) + STRIDE {
                spots.push(start);
            }
            if part.ends && start.line.is_multiple_of(LOOK_UP) {
                let late = until.is_some_and(|it| Instant::now() >= it);
                is_whole = !late && start.bytes - from.bytes < most;
            }
            is_whole
        })?;
        Ok(is_whole)
    }

    /// What was read of the log.
    pub(super) const fn reached(&self) -> &Reached {
        &self.reached
    }

    /// The last spot for which something holds that holds for all spots before it.
    fn last(&self, holds: impl Fn(&Spot) -> bool) -> Spot {
        let behind = self.spots.partition_point(holds);
        self.spots[behind.saturating_sub(1)]
    }

    /// The last spot at or before a line.
    pub(super) fn before_line(&self, line: u64) -> Spot {
        self.last(|it| it.line <= line)
    }

    /// The last spot with at most so many bytes before it.
    pub(super) fn before_byte(&self, bytes: u64) -> Spot {
        self.last(|it| it.bytes <= bytes)
    }

    /// The last spot with at most so many bytes of output before it.
    pub(super) fn before_output(&self, output: u64) -> Spot {
        self.last(|it| it.output <= output)
    }

    /// The spots from which the lines below `line` are read block by block, backwards.
    pub(super) fn backwards(&self, line: u64) -> impl Iterator<Item = Spot> {
        let behind = self.spots.partition_point(|it| it.line < line);
        self.spots[..behind].iter().rev().copied()
    }
}

/// Bytes that are indexed in one go, before others who want to know get their turn.
const GO: u64 = 64 * 1024 * 1024;

/// Logs whose lines are remembered.
const KEPT: usize = 32;

/// A file, whatever becomes of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    path: PathBuf,
    device: u64,
    inode: u64,
}

#[derive(Default)]
struct Entry {
    index: Arc<Index>,
    /// How much of the file was there when it was read.
    length: u64,
}

/// What is known of a log now.
pub(super) struct Known {
    pub(super) index: Arc<Index>,
    /// Whether all of the file was read.
    pub(super) is_whole: bool,
    pub(super) file: File,
}

impl Known {
    /// Reads the log from a spot on.
    pub(super) fn records(&self, spot: Spot) -> io::Result<Records<File>> {
        Records::open(self.file.try_clone()?, spot.place)
    }
}

/// The logs that were looked at last.
#[derive(Default)]
pub(super) struct Shelf(Mutex<VecDeque<(Key, Arc<Mutex<Entry>>)>>);

impl Shelf {
    /// Reads on in a log as far as there is time, to its end if `until` says nothing. `None` if
    /// there is no file.
    pub(super) fn look(&self, log: &LogPlace, until: Option<Instant>) -> io::Result<Option<Known>> {
        let Some(file) = log.open()? else {
            return Ok(None);
        };
        let entry = match log {
            LogPlace::File(path) => {
                let data = file.metadata()?;
                self.entry(Key {
                    path: path.clone(),
                    device: data.dev(),
                    inode: data.ino(),
                })
            }
            // A small one, which is read as fast as it is found again.
            LogPlace::Packed(_) => Arc::default(),
        };
        loop {
            let mut entry = entry.lock().unwrap_or_else(PoisonError::into_inner);
            let length = file.metadata()?.len();
            if length < entry.length {
                // It was cut where it lies: nothing of what was known has to be true.
                entry.index = Arc::default();
                entry.length = 0;
            }
            let mut is_whole = length == entry.length;
            if !is_whole {
                let start = entry.index.reached.start;
                let mut records = Records::open(file.try_clone()?, start.place)?;
                let index = Arc::make_mut(&mut entry.index);
                match index.extend(&mut records, until, GO) {
                    Ok(it) => is_whole = it,
                    Err(error) => {
                        // Something else lies there than what was known: read anew next time.
                        entry.index = Arc::default();
                        entry.length = 0;
                        return Err(error);
                    }
                }
                if is_whole {
                    entry.length = length;
                }
            }
            if is_whole || until.is_some_and(|it| Instant::now() >= it) {
                return Ok(Some(Known {
                    index: Arc::clone(&entry.index),
                    is_whole,
                    file,
                }));
            }
        }
    }

    fn entry(&self, key: Key) -> Arc<Mutex<Entry>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(it, _)| *it == key);
        let (key, entry) = known
            .and_then(|it| kept.remove(it))
            .unwrap_or_else(|| (key, Arc::default()));
        let found = Arc::clone(&entry);
        kept.push_back((key, entry));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::logs::record;

    /// A log of `lines` lines on two channels, with headers between them.
    fn log(lines: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 1..=lines {
            let text = format!("line {number} {}\n", "x".repeat((number % 700) as usize));
            let channel = match number % 5 {
                0 => Channel::Header,
                1 => Channel::Stderr,
                _ => Channel::Stdout,
            };
            // Records end anywhere.
            let (first, second) = text.split_at(text.len() / 3);
            record::push(channel, first.as_bytes(), &mut bytes);
            record::push(channel, second.as_bytes(), &mut bytes);
        }
        bytes
    }

    /// The line that begins at a spot.
    fn line_at(known: &Known, spot: Spot) -> String {
        let mut text = Vec::new();
        let mut records = known.records(spot).expect("readable");
        walk(&mut records, spot, &mut |part| {
            text.extend_from_slice(part.bytes);
            !part.ends
        })
        .expect("a log");
        let text = String::from_utf8(text).expect("text");
        text.split(" x").next().expect("a part").trim().to_owned()
    }

    #[test]
    fn every_spot_is_the_start_of_the_line_that_it_names() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, log(9000)).expect("written");
        let shelf = Shelf::default();
        let known = shelf
            .look(&LogPlace::File(path.clone()), None)
            .expect("readable")
            .expect("a log");
        assert!(known.is_whole);
        assert!(known.index.spots.len() > 8, "{}", known.index.spots.len());
        assert_eq!(known.index.reached.last_line(), 9000);
        for spot in &known.index.spots {
            assert_eq!(line_at(&known, *spot), format!("line {}", spot.line));
            assert_eq!(known.index.before_line(spot.line), *spot);
            assert_eq!(known.index.before_byte(spot.bytes), *spot);
            assert_eq!(known.index.before_output(spot.output), *spot);
            assert!(spot.output < spot.bytes || spot.bytes == 0);
        }
        let backwards: Vec<_> = known.index.backwards(9000).map(|it| it.line).collect();
        assert!(backwards.is_sorted_by(|a, b| a > b));
        assert_eq!(backwards.last(), Some(&1));
    }

    #[test]
    fn a_log_that_grows_is_read_on_from_where_it_was_read_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let bytes = log(4000);
        let shelf = Shelf::default();
        let mut file = File::create(&path).expect("a file");
        for part in bytes.chunks(bytes.len() / 7 + 1) {
            file.write_all(part).expect("written");
            let known = shelf
                .look(&LogPlace::File(path.clone()), None)
                .expect("readable")
                .expect("a log");
            assert!(known.is_whole);
        }
        let grown = shelf
            .look(&LogPlace::File(path.clone()), None)
            .expect("readable")
            .expect("a log");
        let anew = Shelf::default();
        let anew = anew
            .look(&LogPlace::File(path.clone()), None)
            .expect("readable")
            .expect("a log");
        assert_eq!(grown.index.spots, anew.index.spots);
        assert_eq!(grown.index.reached, anew.index.reached);
    }

    #[test]
    fn a_log_that_was_cut_is_read_anew_and_one_that_is_gone_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let shelf = Shelf::default();
        fs::write(&path, log(2000)).expect("written");
        shelf
            .look(&LogPlace::File(path.clone()), None)
            .expect("readable");
        fs::write(dir.path().join("new"), log(3)).expect("written");
        fs::rename(dir.path().join("new"), &path).expect("renamed");
        let lines = |shelf: &Shelf| {
            let known = shelf
                .look(&LogPlace::File(path.clone()), None)
                .expect("readable")?;
            Some(known.index.reached.last_line())
        };
        assert_eq!(lines(&shelf), Some(3));
        fs::write(&path, log(1)).expect("written");
        assert_eq!(lines(&shelf), Some(1));
        fs::remove_file(&path).expect("removed");
        assert_eq!(lines(&shelf), None);
    }

    #[test]
    fn who_has_no_time_gets_what_is_known_and_reads_on_later() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, log(20_000)).expect("written");
        let shelf = Shelf::default();
        let now = Some(Instant::now());
        let part = shelf
            .look(&LogPlace::File(path.clone()), now)
            .expect("readable")
            .expect("a log");
        assert!(!part.is_whole);
        assert!(part.index.reached.last_line() < 20_000);
        let whole = shelf
            .look(&LogPlace::File(path.clone()), None)
            .expect("readable")
            .expect("a log");
        assert_eq!(whole.index.reached.last_line(), 20_000);
    }

    #[test]
    fn only_so_many_logs_are_remembered() {
        let dir = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::default();
        for number in 0..KEPT + 5 {
            let path = dir.path().join(number.to_string());
            fs::write(&path, log(2)).expect("written");
            shelf
                .look(&LogPlace::File(path.clone()), None)
                .expect("readable");
        }
        assert_eq!(shelf.0.lock().expect("not poisoned").len(), KEPT);
    }
}
