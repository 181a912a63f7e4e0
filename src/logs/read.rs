//! Logs read back, in blocks: a log may be larger than memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::logs::record::Reader;
use crate::model::Channel;

const BLOCK: usize = 64 * 1024;
/// A longer line is shown to readers in pieces of this size.
const LONGEST_LINE: usize = 16 * 1024;

/// Shows every piece of the log from `start` (the beginning of a record) up to `end`.
/// What is not a log ends it; a record that is still being written is shown as far as it goes.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn pieces(
    path: &Path,
    start: u64,
    end: u64,
    see: &mut dyn FnMut(Channel, &[u8]),
) -> io::Result<()> {
    placed(path, start, end, &mut |_, channel, piece| {
        see(channel, piece);
    })
}

/// The same, each piece with the offset of its first byte.
///
/// # Errors
/// The file cannot be read.
pub(super) fn placed(
    path: &Path,
    start: u64,
    end: u64,
    see: &mut dyn FnMut(u64, Channel, &[u8]),
) -> io::Result<()> {
    let mut reader = Reader::at(start);
    let mut wrong = None;
    blocks(path, start, end, &mut |mut bytes| {
        loop {
            match reader.next(&mut bytes) {
                Ok(Some((channel, piece))) => {
                    see(reader.offset() - piece.len() as u64, channel, piece);
                }
                Ok(None) => return true,
                Err(error) => {
                    wrong = Some(error);
                    return false;
                }
            }
        }
    })?;
    match wrong {
        Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        None => Ok(()),
    }
}

/// Shows the bytes of the log from `start` up to `end`, until `see` has enough.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn blocks(
    path: &Path,
    start: u64,
    end: u64,
    see: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    blocks_of(File::open(path)?, start, end, see)
}

/// The same of a log that is open.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn blocks_of(
    mut file: File,
    start: u64,
    end: u64,
    see: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    let mut left = file.take(end.saturating_sub(start));
    let mut block = vec![0; BLOCK];
    loop {
        let got = left.read(&mut block)?;
        if got == 0 || !see(&block[..got]) {
            return Ok(());
        }
    }
}

/// Shows every line between `start` and `end` without its line end. Lines of one channel are
/// joined over the records in between; a last line without an end is shown too.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn lines(
    path: &Path,
    start: u64,
    end: u64,
    see: &mut dyn FnMut(Channel, &str),
) -> io::Result<()> {
    let mut lines = Lines::default();
    pieces(path, start, end, &mut |channel, piece| {
        lines.add(channel, piece, see);
    })?;
    lines.end(see);
    Ok(())
}

/// Makes lines of pieces, of each channel by itself.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What has no line end yet.
    open: [Vec<u8>; 3],
}

impl Lines {
    /// Takes in a piece and shows the lines that it ends.
    pub(crate) fn add(
        &mut self,
        channel: Channel,
        piece: &[u8],
        see: &mut dyn FnMut(Channel, &str),
    ) {
        let rest = &mut self.open[channel as usize];
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            rest.extend_from_slice(part);
            if rest.ends_with(b"\n") {
                rest.pop();
                if rest.ends_with(b"\r") {
                    rest.pop();
                }
            } else if rest.len() < LONGEST_LINE {
                continue;
            }
            see(channel, &String::from_utf8_lossy(rest));
            rest.clear();
        }
    }

    /// Shows what has no line end.
    pub(crate) fn end(&mut self, see: &mut dyn FnMut(Channel, &str)) {
        for channel in [Channel::Stdout, Channel::Stderr, Channel::Header] {
            let rest = &mut self.open[channel as usize];
            if !rest.is_empty() {
                see(channel, &String::from_utf8_lossy(rest));
                rest.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record;

    #[test]
    fn lines_are_joined_over_records_and_channels() {
        let mut bytes = Vec::new();
        record::push(Channel::Header, b"make\n", &mut bytes);
        let start = bytes.len() as u64;
        record::push(Channel::Stdout, b"one\r\ntw", &mut bytes);
        record::push(Channel::Stderr, b"oops\n", &mut bytes);
        record::push(Channel::Stdout, b"o\nthree", &mut bytes);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        std::fs::write(&path, &bytes).expect("written");

        let mut seen = Vec::new();
        lines(&path, start, u64::MAX, &mut |channel, line| {
            seen.push(format!("{}: {line}", channel.as_str()));
        })
        .expect("readable");

        assert_eq!(
            seen,
            [
                "stdout: one",
                "stderr: oops",
                "stdout: two",
                "stdout: three"
            ]
        );
    }
}
