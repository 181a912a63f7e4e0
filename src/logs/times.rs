//! When the bytes of a log came: beside the log, an entry where a second has gone by since the
//! last one. A log that came within a second of its step's start has no such file.
//!
//! An entry is the offset in the log and the time in milliseconds, eight bytes each (big
//! endian). Times are a courtesy: what cannot be written or read of them is in nobody's way.

use std::fs;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

use crate::logs::place::LogPlace;
use crate::model::Timestamp;

const ENTRY: u64 = 16;

/// Milliseconds between two entries at least.
const STEP: u64 = 1000;

/// What is noted down beside a log. No log has such a name: `+` is in none.
pub(crate) fn path_of(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push("+times");
    name.into()
}

fn count(file: &File) -> u64 {
    file.metadata().map_or(0, |it| it.len() / ENTRY)
}

fn entry(file: &File, index: u64) -> io::Result<(u64, Timestamp)> {
    let mut bytes = [0; ENTRY as usize];
    file.read_exact_at(&mut bytes, index * ENTRY)?;
    let (offset, at) = bytes.split_at(8);
    let number = |it: &[u8]| it.try_into().expect("eight bytes");
    let at = Timestamp(i64::from_be_bytes(number(at)));
    Ok((u64::from_be_bytes(number(offset)), at))
}

fn entry_bytes(offset: u64, at: Timestamp) -> [u8; ENTRY as usize] {
    let mut bytes = [0; ENTRY as usize];
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes[8..].copy_from_slice(&at.0.to_be_bytes());
    bytes
}

/// Notes down when what is added to a log comes.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    entries: u64,
    began: Timestamp,
    last: Timestamp,
    now: fn() -> Timestamp,
}

impl Notes {
    /// Goes on with the notes of a log that holds `length` bytes.
    pub(super) fn open(log: &Path, length: u64, began: Timestamp, now: fn() -> Timestamp) -> Self {
        let mut notes = Self {
            path: path_of(log),
            entries: 0,
            began,
            last: began,
            now,
        };
        if let Ok(file) = File::open(&notes.path) {
            notes.entries = count(&file);
        }
        notes.cut(length);
        notes
    }

    /// What comes next begins at `offset`.
    pub(super) fn note(&mut self, offset: u64) {
        let now = (self.now)();
        if now.0.abs_diff(self.last.0) < STEP {
            return;
        }
        let bytes = entry_bytes(offset, now);
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false);
        let file = file.open(&self.path);
        if file.is_ok_and(|it| it.write_all_at(&bytes, self.entries * ENTRY).is_ok()) {
            self.entries += 1;
            self.last = now;
        }
    }

    /// The log was cut off behind `length`.
    pub(super) fn cut(&mut self, length: u64) {
        if self.entries == 0 {
            return;
        }
        let Ok(file) = File::options().read(true).write(true).open(&self.path) else {
            return;
        };
        self.last = self.began;
        while self.entries > 0 {
            match entry(&file, self.entries - 1) {
                Ok((offset, at)) if offset < length => {
                    self.last = at;
                    break;
                }
                _ => self.entries -= 1,
            }
        }
        drop(file.set_len(self.entries * ENTRY));
    }
}

/// Removes the notes of a log that is changed or gone.
///
/// # Errors
/// They are there and stay.
pub(crate) fn remove(log: &Path) -> io::Result<()> {
    match fs::remove_file(path_of(log)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Some bytes of a log and when they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) bytes: Range<u64>,
}

/// Says when the bytes of a log came.
#[derive(Debug)]
pub(crate) struct Times {
    began: Timestamp,
    file: Option<File>,
}

impl Times {
    /// Opens what was noted down of a log whose step began at `began` and, if it has ended,
    /// took so many milliseconds. `None` for a log of which nothing is known.
    pub(crate) fn open(log: &LogPlace, began: Timestamp, took: Option<u64>) -> Option<Self> {
        let file = log.open_times();
        // The end of a command is in its log: where nothing was noted, it came at once.
        let is_known = file.is_some() || took.is_none_or(|it| it < 2 * STEP);
        is_known.then_some(Self { began, file })
    }

    /// When the byte at `offset` came, and which others came then.
    pub(crate) fn at(&self, offset: u64) -> io::Result<Moment> {
        let mut moment = Moment {
            at: self.began,
            bytes: 0..u64::MAX,
        };
        let Some(file) = &self.file else {
            return Ok(moment);
        };
        let (mut low, mut high) = (0, count(file));
        while low < high {
            let middle = low.midpoint(high);
            let (start, at) = entry(file, middle)?;
            if start <= offset {
                moment.at = at;
                moment.bytes.start = start;
                low = middle + 1;
            } else {
                moment.bytes.end = start;
                high = middle;
            }
        }
        Ok(moment)
    }
}

/// Notes down when bytes of a log came that go to other places.
#[derive(Debug)]
pub(super) struct Moved {
    times: Times,
    /// Of what was asked for last.
    moment: Moment,
    /// What the last entry says.
    last: Timestamp,
    entries: Vec<u8>,
}

impl Moved {
    /// Reads what was noted down of a log whose step began at `began`.
    pub(super) fn open(log: &Path, began: Timestamp) -> Self {
        Self {
            times: Times {
                began,
                file: File::open(path_of(log)).ok(),
            },
            moment: Moment {
                at: began,
                bytes: 0..0,
            },
            last: began,
            entries: Vec::new(),
        }
    }

    /// What was at `from` is at `to` from now on. Up to which byte everything came with it.
    pub(super) fn note(&mut self, from: u64, to: u64) -> u64 {
        if !self.moment.bytes.contains(&from) {
            let unknown = Moment {
                at: self.last,
                bytes: from..u64::MAX,
            };
            self.moment = self.times.at(from).unwrap_or(unknown);
        }
        if self.moment.at != self.last {
            self.last = self.moment.at;
            self.entries.extend(entry_bytes(to, self.last));
        }
        self.moment.bytes.end
    }

    /// Writes it beside the log that is there now, if anything was noted down of the one before.
    pub(super) fn write(&self, log: &Path) {
        if self.times.file.is_some() && fs::write(path_of(log), &self.entries).is_err() {
            drop(remove(log));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<i64> = const { Cell::new(0) };
    }

    fn now() -> Timestamp {
        Timestamp(NOW.get())
    }

    const BEGAN: Timestamp = Timestamp(10_000);

    /// Notes what came: offsets and milliseconds since the beginning.
    fn noted(log: &Path, came: &[(u64, i64)]) -> Notes {
        let mut notes = Notes::open(log, 0, BEGAN, now);
        for (offset, since) in came {
            NOW.set(BEGAN.0 + since);
            notes.note(*offset);
        }
        notes
    }

    fn told(log: &Path, offsets: &[u64]) -> Vec<i64> {
        let times = Times::open(&LogPlace::File(log.to_path_buf()), BEGAN, None).expect("known");
        let since = |it: &u64| times.at(*it).expect("readable").at.0 - BEGAN.0;
        offsets.iter().map(since).collect()
    }

    #[test]
    fn what_came_within_a_second_has_one_entry_and_the_first_second_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        noted(&log, &[(0, 0), (10, 999)]);
        assert!(!path_of(&log).exists());
        assert_eq!(told(&log, &[0, 15]), [0, 0]);
        noted(&log, &[(20, 1000), (30, 1900), (40, 2500), (50, 900)]);
        let length = fs::metadata(path_of(&log)).expect("there").len();
        assert_eq!(length, 3 * ENTRY);
        assert_eq!(
            told(&log, &[0, 19, 20, 39, 40, 49, 50, 99]),
            [0, 0, 1000, 1000, 2500, 2500, 900, 900],
            "a clock may be set back"
        );
        let times = Times::open(&LogPlace::File(log.to_path_buf()), BEGAN, None).expect("known");
        assert_eq!(times.at(25).expect("readable").bytes, 20..40);
        assert_eq!(times.at(50).expect("readable").bytes, 50..u64::MAX);
    }

    #[test]
    fn a_log_that_was_cut_off_or_torn_is_noted_on_from_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let mut notes = noted(&log, &[(0, 0), (20, 2000), (40, 4000)]);
        notes.cut(40);
        NOW.set(BEGAN.0 + 5000);
        notes.note(40);
        assert_eq!(told(&log, &[20, 40]), [2000, 5000]);

        let mut torn = fs::read(path_of(&log)).expect("there");
        torn.extend_from_slice(b"torn");
        fs::write(path_of(&log), torn).expect("written");
        let mut notes = Notes::open(&log, 45, BEGAN, now);
        NOW.set(BEGAN.0 + 5500);
        notes.note(45);
        NOW.set(BEGAN.0 + 6000);
        notes.note(50);
        assert_eq!(told(&log, &[40, 49, 50]), [5000, 5000, 6000]);
    }

    #[test]
    fn a_log_of_a_long_step_without_notes_has_no_times() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        assert!(Times::open(&LogPlace::File(log.to_path_buf()), BEGAN, Some(5000)).is_none());
        assert!(Times::open(&LogPlace::File(log.to_path_buf()), BEGAN, Some(1500)).is_some());
        noted(&log, &[(0, 3000)]);
        assert!(Times::open(&LogPlace::File(log.to_path_buf()), BEGAN, Some(5000)).is_some());
        remove(&log).expect("removed");
        remove(&log).expect("nothing to do");
        assert!(Times::open(&LogPlace::File(log.to_path_buf()), BEGAN, Some(5000)).is_none());
    }
}
