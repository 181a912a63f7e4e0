//! A log file that grows: pieces come with the place they belong to, so one
//! that comes twice is taken once, and one that skips is refused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::logs::pack::SMALL;
use crate::logs::record;
use crate::logs::times::Notes;
use crate::model::Channel;
use crate::model::Timestamp;

/// A log file open for its one writer.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    length: u64,
    /// Where it is noted down when what comes.
    notes: Option<Notes>,
}

impl LogFile {
    /// Opens a log, keeping what it holds.
    ///
    /// # Errors
    /// The file or its directory cannot be made or written.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // Not truncated: what it holds is kept.
        options.read(true).write(true).create(true).truncate(false);
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(path))?;
                options.open(path)?
            }
            other => other?,
        };
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            notes: None,
        })
    }

    /// Opens a log, keeping what it holds, of a step that began at `began`. From now on it is
    /// noted down when what comes, as `now` says.
    ///
    /// # Errors
    /// The file or its directory cannot be made or written.
    pub(crate) fn open_timed(
        path: &Path,
        began: Timestamp,
        now: fn() -> Timestamp,
    ) -> io::Result<Self> {
        let mut log = Self::open(path)?;
        log.notes = Some(Notes::open(path, log.length, began, now));
        Ok(log)
    }

    /// How many bytes it holds.
    pub(crate) const fn len(&self) -> u64 {
        self.length
    }

    /// Puts `bytes` at `offset`. What is there already is skipped; a gap is refused with
    /// [`io::ErrorKind::InvalidInput`], and the log must be asked for from [`LogFile::len`].
    ///
    /// # Errors
    /// A gap, or the disk.
    pub(crate) fn append_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let known = self.length.checked_sub(offset).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("bytes {} to {offset} of the log are missing", self.length),
            )
        })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        if let Some(fresh) = bytes.get(known..).filter(|it| !it.is_empty()) {
            // First, so that nobody reads bytes whose time is still to come.
            if let Some(notes) = &mut self.notes {
                notes.note(self.length);
            }
            self.file.write_all_at(fresh, self.length)?;
            self.length += fresh.len() as u64;
        }
        Ok(())
    }

    /// Adds a line about the command.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn add_header(&mut self, text: &str) -> io::Result<()> {
        let mut bytes = Vec::new();
        record::push(Channel::Header, text.as_bytes(), &mut bytes);
        self.append_at(self.length, &bytes)
    }

    /// Cuts off what a master that died had added after `length`.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn cut(&mut self, length: u64) -> io::Result<()> {
        if length < self.length {
            self.file.set_len(length)?;
            self.length = length;
            if let Some(notes) = &mut self.notes {
                notes.cut(length);
            }
        }
        Ok(())
    }

    /// How many of its bytes are whole records.
    pub(crate) fn whole(&self) -> u64 {
        let mut reader = record::Reader::new();
        let mut block = vec![0; 64 * 1024];
        let mut place = 0;
        while let Ok(got @ 1..) = self.file.read_at(&mut block, place) {
            let mut bytes = &block[..got];
            while let Ok(Some(_)) = reader.next(&mut bytes) {}
            place += got as u64;
        }
        if reader.is_between_records() {
            reader.offset()
        } else {
            reader.record()
        }
    }

    /// All of it, if it is a small one.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn small(&self) -> io::Result<Option<Vec<u8>>> {
        if self.length > SMALL {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(self.length).expect("few bytes")];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(Some(bytes))
    }

    /// Makes sure that a power cut does not lose it.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        bench::is_safe(&self.file, self.length);
        self.file.sync_data()
    }
}

/// Writes a whole log of one channel (`warnings (2)`, `interrupt`, `err.text`).
///
/// # Errors
/// The disk.
pub(crate) fn write_whole(path: &Path, channel: Channel, text: &str) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(text.len() + record::HEAD);
    record::push(channel, text.as_bytes(), &mut bytes);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, bytes)
}

/// What a power cut leaves of the logs of this thread.
#[cfg(test)]
pub(crate) mod bench {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::fs::{self, File};
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    thread_local! {
        /// How much of each file was made safe, by the number of the file.
        static SAFE: RefCell<HashMap<u64, u64>> = RefCell::default();
    }

    pub(super) fn is_safe(file: &File, length: u64) {
        let number = file.metadata().expect("an open file").ino();
        SAFE.with_borrow_mut(|it| it.insert(number, length));
    }

    /// Cuts the logs below `dir` off: of what was not made safe, as much is left as `kept` says.
    pub(crate) fn lose_power(dir: &Path, kept: &mut dyn FnMut(u64) -> u64) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                lose_power(&path, kept);
                continue;
            }
            let metadata = entry.metadata().expect("a file");
            let safe = SAFE.with_borrow(|it| it.get(&metadata.ino()).copied());
            let safe = safe.unwrap_or(0).min(metadata.len());
            let left = safe + kept(metadata.len() - safe);
            match left {
                0 => fs::remove_file(&path).expect("removed"),
                _ => {
                    let file = File::options().write(true).open(&path);
                    file.and_then(|it| it.set_len(left)).expect("cut");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_comes_twice_is_taken_once_and_a_gap_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("new/0-log-shell-stdio");
        let mut log = LogFile::open(&path).expect("opened");

        log.append_at(0, b"abc").expect("fits");
        log.append_at(0, b"abc").expect("known");
        log.append_at(1, b"bcde").expect("overlaps");
        let gap = log.append_at(9, b"x").expect_err("a gap");

        assert_eq!(gap.to_string(), "bytes 5 to 9 of the log are missing");
        assert_eq!(fs::read(&path).expect("readable"), b"abcde");
        drop(log);
        let mut again = LogFile::open(&path).expect("opened");
        assert_eq!(again.len(), 5);
        again.cut(2).expect("cut");
        again.append_at(2, b"C").expect("fits");
        assert_eq!(fs::read(&path).expect("readable"), b"abC");
    }
}
