//! Reads a log file forward, in blocks, while it grows: the records as they
//! come, and the window of its last lines. Never more than a block is held.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::ops::Range;

use crate::logs::record::HEAD;
use crate::logs::record::Reader;
use crate::model::Channel;

use super::log_index::Spot;
use super::log_index::walk;

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// A longer line goes on as the next one, so that a log without line ends can be shown.
pub(super) const LONGEST_LINE: usize = 16 * 1024;

/// A place in a log that survives its growth: a record's offset in the file
/// and how many of its bytes lie before the place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) record: u64,
    pub(super) skip: u32,
}

impl Place {
    /// Which byte of the file lies there.
    pub(super) fn byte(self) -> u64 {
        self.record + HEAD as u64 + u64::from(self.skip)
    }
}

/// Some bytes of one channel, and where they begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) channel: Channel,
    pub(super) place: Place,
    pub(super) bytes: &'a [u8],
}

/// Reads records one after the other.
pub(super) struct Records<R> {
    inner: R,
    reader: Reader,
    block: Vec<u8>,
    /// What of `block` has not been given out.
    unread: Range<usize>,
    /// Where to begin: what lies before it in its record is passed over.
    from: Place,
}

impl Records<File> {
    /// Reads `file` from `place`.
    pub(super) fn open(mut file: File, place: Place) -> io::Result<Self> {
        file.seek(SeekFrom::Start(place.record))?;
        Ok(Self::new(file, place))
    }
}

impl<R: Read> Records<R> {
    /// Reads from `inner`, which stands at the record of `place`.
    pub(super) fn new(inner: R, place: Place) -> Self {
        Self {
            inner,
            reader: Reader::at(place.record),
            block: vec![0; BLOCK],
            unread: 0..0,
            from: place,
        }
    }

    /// The next bytes. `None` means that this is all for now; more may come later.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let (channel, place, range) = loop {
            let mut bytes = &self.block[self.unread.clone()];
            let next = self
                .reader
                .next(&mut bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let end = self.unread.end - bytes.len();
            self.unread.start = end;
            let Some((channel, piece)) = next else {
                if !self.fill()? {
                    return Ok(None);
                }
                continue;
            };
            let record = self.reader.record();
            let skip = self.reader.offset() - record - (HEAD + piece.len()) as u64;
            let skip = u32::try_from(skip).expect("a record is at most 1 MiB");
            let passed = if record == self.from.record {
                (self.from.skip.saturating_sub(skip) as usize).min(piece.len())
            } else {
                0
            };
            if passed < piece.len() {
                let skip = skip + u32::try_from(passed).expect("a block is small");
                let place = Place { record, skip };
                break (channel, place, end - piece.len() + passed..end);
            }
        };
        let bytes = &self.block[range];
        Ok(Some(Piece {
            channel,
            place,
            bytes,
        }))
    }

    /// Reads more when all was given out; `false` if there is nothing more for now.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            match self.inner.read(&mut self.block) {
                Ok(count) => {
                    self.unread = 0..count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Cuts bytes into lines, the too long ones in several.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cutter {
    /// How much of the line came before.
    have: usize,
}

impl Cutter {
    /// The length of what belongs to the line from `bytes`, its line end included, and
    /// whether the line ends there.
    pub(super) fn cut(&mut self, bytes: &[u8]) -> (usize, bool) {
        let room = LONGEST_LINE - self.have;
        let seen = &bytes[..bytes.len().min(room)];
        let (length, ends) = match memchr::memchr(b'\n', seen) {
            Some(at) => (at + 1, true),
            None => (seen.len(), seen.len() == room),
        };
        self.have = if ends { 0 } else { self.have + length };
        (length, ends)
    }
}

/// The last lines of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// Where its first line begins, and the number of that line, from 1.
    pub(super) start: Place,
    pub(super) first_line: u64,
    /// Bytes of output in the whole log, and in the window.
    pub(super) total: u64,
    pub(super) shown: u64,
}

/// Finds the window of at most `lines` lines and `bytes` bytes at the end of a log, among what
/// begins at `from`, where `records` stand.
pub(super) fn window<R: Read>(
    records: &mut Records<R>,
    from: Spot,
    lines: usize,
    bytes: u64,
) -> io::Result<Window> {
    let mut starts = VecDeque::from([from]);
    let mut total = from.bytes;
    walk(records, from, &mut |part| {
        if starts.back().is_some_and(|it| it.line < part.start.line) {
            starts.push_back(part.start);
        }
        total += part.bytes.len() as u64;
        while starts.len() > 1 && (starts.len() > lines || total - starts[0].bytes > bytes) {
            starts.pop_front();
        }
        true
    })?;
    Ok(Window {
        start: starts[0].place,
        first_line: starts[0].line,
        total,
        shown: total - starts[0].bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record;

    fn record(channel: Channel, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        record::push(channel, bytes, &mut all);
        all
    }

    fn sample() -> Vec<u8> {
        [
            record(Channel::Header, b"make\n"),
            b"o\0\0\0\0".to_vec(),
            record(Channel::Stdout, b"one\ntwo"),
            record(Channel::Stderr, b"bad\n"),
            record(Channel::Stdout, b" three\n"),
        ]
        .concat()
    }

    fn all<R: Read>(records: &mut Records<R>) -> Vec<(Channel, Vec<u8>)> {
        let mut all: Vec<(Channel, Vec<u8>)> = Vec::new();
        while let Some(piece) = records.next().expect("readable") {
            match all.last_mut() {
                Some((channel, bytes)) if *channel == piece.channel => bytes.extend(piece.bytes),
                _ => all.push((piece.channel, piece.bytes.to_vec())),
            }
        }
        all
    }

    /// Gives out what it has in pieces, as a file that grows does.
    struct Growing<'a>(&'a [u8], usize);

    impl Read for Growing<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            self.1 -= count;
            Ok(count)
        }
    }

    #[test]
    fn a_log_cut_anywhere_is_read_on_when_the_rest_is_there() {
        let bytes = sample();
        let whole = all(&mut Records::new(bytes.as_slice(), Place::default()));
        assert_eq!(whole.len(), 4);
        for cut in 0..=bytes.len() {
            let mut records = Records::new(Growing(&bytes, cut), Place::default());
            let mut seen = all(&mut records);
            records.inner.1 = usize::MAX;
            for (channel, more) in all(&mut records) {
                match seen.last_mut() {
                    Some((last, bytes)) if *last == channel => bytes.extend(more),
                    _ => seen.push((channel, more)),
                }
            }
            assert_eq!(seen, whole, "cut at {cut}");
        }
    }

    #[test]
    fn reading_goes_on_from_every_place() {
        let bytes = sample();
        let mut records = Records::new(bytes.as_slice(), Place::default());
        let mut places = Vec::new();
        while let Some(piece) = records.next().expect("readable") {
            for at in 0..=piece.bytes.len() {
                let skip = piece.place.skip + u32::try_from(at).expect("short");
                let place = Place {
                    record: piece.place.record,
                    skip,
                };
                places.push((place, piece.bytes[at..].to_vec()));
            }
        }
        for (place, rest) in places {
            let from = usize::try_from(place.record).expect("short");
            let mut records = Records::new(&bytes[from..], place);
            let next = records.next().expect("readable");
            if !rest.is_empty() {
                assert_eq!(next.expect("more").bytes, rest, "{place:?}");
            }
        }
    }

    #[test]
    fn what_is_no_log_is_an_error_with_its_place() {
        let error = Records::new(&b"x\0\0\0\0"[..], Place::default())
            .next()
            .expect_err("no channel");
        assert_eq!(
            error.to_string(),
            "byte 0 of the log is 0x78, which is no channel"
        );
    }

    #[test]
    fn the_window_holds_the_last_lines() {
        let bytes = sample();
        let check = |lines, most, line, expected: &[u8]| {
            let mut records = Records::new(bytes.as_slice(), Place::default());
            let window = window(&mut records, Spot::START, lines, most).expect("readable");
            assert_eq!((window.first_line, window.total), (line, 23));
            let from = usize::try_from(window.start.record).expect("short");
            let mut records = Records::new(&bytes[from..], window.start);
            let text: Vec<u8> = all(&mut records).into_iter().flat_map(|it| it.1).collect();
            assert_eq!(text, expected, "{lines} lines, {most} bytes");
            assert_eq!(window.shown, text.len() as u64);
        };
        check(100, 100, 1, b"make\none\ntwobad\n three\n");
        check(2, 100, 3, b"twobad\n three\n");
        check(1, 100, 4, b" three\n");
        check(100, 8, 4, b" three\n");
        check(100, 1, 4, b" three\n");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; 2 * LONGEST_LINE + 1];
        let bytes = record(Channel::Stdout, &long);
        let mut records = Records::new(bytes.as_slice(), Place::default());
        let window = window(&mut records, Spot::START, 1, u64::MAX).expect("readable");
        assert_eq!((window.first_line, window.shown), (3, 1));
    }
}
