//! What one command said, as a piece of its step's log.

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
}

impl LogSlice {
    pub(crate) fn new(path: &Path, start: u64, end: u64) -> Self {
        Self {
            path: path.to_owned(),
            start,
            end,
        }
    }

    pub(crate) const fn is_long(&self) -> bool {
        self.end - self.start > LONG
    }
}

impl Output for LogSlice {
    fn lines(&self, see: &mut dyn FnMut(Channel, &str)) {
        if let Err(error) = read::lines(&self.path, self.start, self.end, see) {
            warn!(log = %self.path.display(), reason = %error, "failed to read a log back");
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
