//! A log of lines, such as a daemon's: a file that starts anew when it has become large, the old
//! ones numbered, the newest `.1`.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// When a log starts anew, and how many old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) largest: u64,
    pub(crate) kept: u32,
}

impl Default for Rotation {
    /// Size and number are Buildbot's.
    fn default() -> Self {
        Self {
            largest: 10_000_000,
            kept: 10,
        }
    }
}

/// Bytes of lines that wait for room on the disk.
const WAITING: usize = 64 << 10;

/// A file that rotates.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Rotation,
    /// Whether standard output and error go to the file and must move with it.
    carries_stdio: bool,
    /// What a full disk did not take; it goes before the next line.
    waiting: Vec<u8>,
    /// Lines that there was no room for here either.
    lost: usize,
}

impl LogFile {
    /// Opens the log at `path`, at its end. With `carries_stdio`, what a panic
    /// prints is in it too.
    pub(crate) fn open(path: &Path, carries_stdio: bool) -> io::Result<Self> {
        let mut log = Self::with_rotation(path, Rotation::default())?;
        log.carries_stdio = carries_stdio;
        log.carry_stdio()?;
        Ok(log)
    }

    /// Opens the log at `path`, at its end, which is for its lines alone.
    pub(crate) fn with_rotation(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = append(path)?;
        Ok(Self {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            file,
            rotation,
            carries_stdio: false,
            waiting: Vec::new(),
            lost: 0,
        })
    }

    /// Says when it starts anew from now on.
    pub(crate) fn set_rotation(&mut self, rotation: Rotation) {
        self.rotation = rotation;
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.rotation.kept == 0 {
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        // Only those that there are: all may be kept.
        let is_free = |it: &u32| !self.numbered(*it).exists();
        let free = (1..self.rotation.kept).find(is_free);
        for number in (1..free.unwrap_or(self.rotation.kept)).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        fs::rename(&self.path, self.numbered(1))?;
        self.file = append(&self.path)?;
        self.size = 0;
        self.carry_stdio()
    }

    fn carry_stdio(&self) -> io::Result<()> {
        if self.carries_stdio {
            rustix::stdio::dup2_stdout(&self.file)?;
            rustix::stdio::dup2_stderr(&self.file)?;
        }
        Ok(())
    }

    /// Writes a line, after those that wait. On a full disk it waits, as far as there is room
    /// for it here: whoever logs has better to do.
    fn put(&mut self, line: &[u8]) {
        if self.waiting.is_empty() || self.waiting.len() + line.len() <= WAITING {
            self.waiting.extend_from_slice(line);
        } else {
            self.lost += 1;
        }
        while !self.waiting.is_empty() {
            match self.file.write(&self.waiting) {
                Ok(taken @ 1..) => {
                    self.waiting.drain(..taken);
                    self.size += taken as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.put(format!("({lost} lines are missing here: the disk was full)\n").as_bytes());
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        // A log that cannot be rotated grows on: better than one that is silent.
        if self.size > 0 && self.size + length > self.rotation.largest && self.rotate().is_err() {
            self.size = 0;
        }
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(largest: u64, kept: u32) -> Rotation {
        Rotation { largest, kept }
    }

    fn read(path: &Path, suffix: &str) -> Option<String> {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::read_to_string(PathBuf::from(name)).ok()
    }

    #[test]
    fn a_full_log_is_numbered_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("autobot.log");
        let mut log = LogFile::with_rotation(&path, rotation(10, 2)).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path, "").as_deref(), Some("six\n"));
        assert_eq!(read(&path, ".1").as_deref(), Some("four\nfive\n"));
        assert_eq!(read(&path, ".2").as_deref(), Some("three\n"));
        assert_eq!(read(&path, ".3"), None);
    }

    #[test]
    fn all_old_logs_are_kept_where_that_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("autobot.log");
        let mut log = LogFile::with_rotation(&path, rotation(4, u32::MAX)).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path, "").as_deref(), Some("three\n"));
        assert_eq!(read(&path, ".1").as_deref(), Some("two\n"));
        assert_eq!(read(&path, ".2").as_deref(), Some("one\n"));
    }

    #[test]
    fn a_restarted_daemon_goes_on_where_the_log_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("autobot.log");
        fs::write(&path, "12345678\n").unwrap();
        let mut log = LogFile::with_rotation(&path, rotation(10, 2)).unwrap();
        log.write_all(b"more\n").unwrap();
        assert_eq!(read(&path, "").as_deref(), Some("more\n"));
        assert_eq!(read(&path, ".1").as_deref(), Some("12345678\n"));
    }

    #[test]
    fn lines_wait_for_room_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("autobot.log");
        let mut log = LogFile::with_rotation(&path, rotation(1 << 20, 2)).unwrap();
        // A device that is always full stands for the disk.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut log.file, full);
        log.write_all(b"one\n").unwrap();
        log.write_all(&[b'x'; WAITING]).unwrap();
        log.file = file;
        log.write_all(b"two\n").unwrap();
        let lost = "(1 lines are missing here: the disk was full)\n";
        assert_eq!(read(&path, ""), Some(format!("one\ntwo\n{lost}")));
    }

    #[test]
    fn a_line_longer_than_the_limit_is_kept_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("autobot.log");
        let mut log = LogFile::with_rotation(&path, rotation(4, 1)).unwrap();
        log.write_all(b"long line\n").unwrap();
        assert_eq!(read(&path, "").as_deref(), Some("long line\n"));
        assert_eq!(read(&path, ".1"), None);
    }

    #[test]
    fn where_no_old_log_is_kept_the_log_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("http.log");
        let mut log = LogFile::with_rotation(&path, rotation(10, 2)).unwrap();
        log.write_all(b"one\n").unwrap();
        log.set_rotation(rotation(4, 0));
        log.write_all(b"two\n").unwrap();
        assert_eq!(read(&path, "").as_deref(), Some("two\n"));
        assert_eq!(read(&path, ".1"), None);
    }
}
