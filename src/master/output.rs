//! What one command said, as a piece of its step's log.

use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::logs::read;
use crate::model::Channel;
use crate::steps::Output;

/// More than this is read away from the threads that serve everybody.
const LONG: u64 = 256 * 1024;

/// Bytes of a log file, from the beginning of a record.
#[derive(Debug)]
pub(crate) struct LogSlice {
    path: PathBuf,
    start: u64,
    end: u64,
    /// The logs of the files that the command wrote.
    logfiles: Vec<PathBuf>,
}

impl LogSlice {
    pub(crate) fn new(path: &Path, start: u64, end: u64) -> Self {
        Self {
            path: path.to_owned(),
            start,
            end,
            logfiles: Vec::new(),
        }
    }

    /// With the logs that the command has besides.
    pub(crate) fn with(mut self, logfiles: Vec<PathBuf>) -> Self {
        self.logfiles = logfiles;
        self
    }

    pub(crate) fn is_long(&self) -> bool {
        // How long the others are is not known.
        self.end - self.start > LONG || !self.logfiles.is_empty()
    }
}

impl Output for LogSlice {
    fn lines(&self, see: &mut dyn FnMut(Channel, &str)) {
        if let Err(error) = read::lines(&self.path, self.start, self.end, see) {
            warn!(log = %self.path.display(), reason = %error, "failed to read a log back");
        }
    }

    fn logfile_lines(&self, see: &mut dyn FnMut(&str)) {
        for path in &self.logfiles {
            match read::lines(path, 0, u64::MAX, &mut |_, line| see(line)) {
                // One that nothing was written to has no file.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    warn!(log = %path.display(), reason = %error, "failed to read a log back");
                }
                _ => {}
            }
        }
    }

    fn stdout(&self, limit: usize) -> String {
        let mut bytes = Vec::new();
        let read = read::pieces(&self.path, self.start, self.end, &mut |channel, piece| {
            if channel == Channel::Stdout && bytes.len() < limit {
                bytes.extend_from_slice(&piece[..piece.len().min(limit - bytes.len())]);
            }
        });
        if let Err(error) = read {
            warn!(log = %self.path.display(), reason = %error, "failed to read a log back");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A command that said nothing.
#[derive(Debug)]
pub(crate) struct Silent;

impl Output for Silent {
    fn lines(&self, _: &mut dyn FnMut(Channel, &str)) {}

    fn stdout(&self, _: usize) -> String {
        String::new()
    }
}
