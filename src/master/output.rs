//! What one command said, as a piece of its step's log.

use std::borrow::Cow;
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
        let mut see = |channel, line: &str| see(channel, &without_colours(line));
        if let Err(error) = read::lines(&self.path, self.start, self.end, &mut see) {
            warn!(log = %self.path.display(), reason = %error, "failed to read a log back");
        }
    }

    fn logfile_lines(&self, see: &mut dyn FnMut(usize, &str)) {
        for (number, path) in self.logfiles.iter().enumerate() {
            match read::lines(path, 0, u64::MAX, &mut |_, line| {
                see(number, &without_colours(line));
            }) {
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

/// The line as steps look at it: a program that finds itself in continuous integration may
/// well paint what it says, and means the same.
pub(crate) fn without_colours(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(char) = rest.next() {
        if char != '\u{1b}' {
            plain.push(char);
            continue;
        }
        match rest.next() {
            // Parameters, then one that says what they are for.
            Some('[') => drop(rest.find(|it| ('@'..='~').contains(it))),
            // A title or a link: up to a bell, or an escape with what ends it.
            Some(']') => {
                let end = rest.find(|it| matches!(it, '\u{7}' | '\u{1b}'));
                if end == Some('\u{1b}') {
                    rest.next();
                }
            }
            // Which characters are meant.
            Some('(' | ')' | '#' | '%') => drop(rest.next()),
            _ => {}
        }
    }
    Cow::Owned(plain)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_see_lines_without_their_colours() {
        for (line, plain) in [
            ("plain [01m", "plain [01m"),
            (
                "\u{1b}[01mbuild succeeded.\u{1b}[39;49;00m",
                "build succeeded.",
            ),
            (
                "\u{1b}[01m\u{1b}[Ka.c:3:1:\u{1b}[m\u{1b}[K warning: x",
                "a.c:3:1: warning: x",
            ),
            (
                "\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7} end",
                "link end",
            ),
            ("\u{1b}(Bcut \u{1b}[1", "cut "),
            ("\u{1b}", ""),
        ] {
            assert_eq!(without_colours(line), plain, "{line:?}");
        }
    }
}
