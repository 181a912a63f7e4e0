//! The records of a log: one byte for the channel, four for the length (big
//! endian), then the bytes. Spools and log files are rows of them, so a log
//! can be mirrored without being understood.

use crate::model::Channel;

/// No record is longer; what claims to be is not a log.
pub(crate) const MAX_RECORD: usize = 1 << 20;

/// Channel and length.
pub(crate) const HEAD: usize = 5;

/// Appends `bytes` to `to` as records of `channel`: none for no bytes, more
/// than one for more than [`MAX_RECORD`].
pub(crate) fn push(channel: Channel, bytes: &[u8], to: &mut Vec<u8>) {
    for piece in bytes.chunks(MAX_RECORD) {
        let length = u32::try_from(piece.len()).expect("a record is at most 1 MiB");
        to.reserve(HEAD + piece.len());
        to.push(channel.byte());
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(piece);
    }
}

/// Why bytes are not a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("byte {offset} of the log is {byte:#04x}, which is no channel")]
    Channel { offset: u64, byte: u8 },
    #[error(
        "the record at byte {offset} of the log claims {length} bytes; the most is {MAX_RECORD}"
    )]
    Length { offset: u64, length: u32 },
}

/// Takes a log apart, from slices that may be cut anywhere. It keeps no more
/// than the head of one record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    head: [u8; HEAD],
    filled: usize,
    /// Bytes of the current record that are still to come.
    left: usize,
    offset: u64,
    /// Where the record of the last byte begins.
    record: u64,
}

impl Reader {
    /// Starts at the beginning of a log, or at any beginning of a record.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Starts at the record that begins at `offset` of the log.
    pub(crate) fn at(offset: u64) -> Self {
        Self {
            offset,
            record: offset,
            ..Self::default()
        }
    }

    /// Takes the next piece from the front of `bytes`; `None` when they are
    /// used up. A record that is cut comes as more than one piece.
    pub(crate) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> Result<Option<(Channel, &'a [u8])>, RecordError> {
        while !bytes.is_empty() {
            if self.filled < HEAD {
                self.read_head(bytes)?;
                continue;
            }
            let channel = Channel::from_byte(self.head[0]).expect("the head was checked");
            let piece = self.split(bytes, self.left);
            self.left -= piece.len();
            if self.left == 0 {
                self.filled = 0;
            }
            return Ok(Some((channel, piece)));
        }
        Ok(None)
    }

    /// Up to where the log was taken.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the record of the last piece begins.
    pub(crate) const fn record(&self) -> u64 {
        self.record
    }

    /// Whether the next byte begins a record.
    pub(crate) const fn is_between_records(&self) -> bool {
        self.filled == 0
    }

    fn read_head(&mut self, bytes: &mut &[u8]) -> Result<(), RecordError> {
        if self.filled == 0 && Channel::from_byte(bytes[0]).is_none() {
            return Err(RecordError::Channel {
                offset: self.offset,
                byte: bytes[0],
            });
        }
        if self.filled == 0 {
            self.record = self.offset;
        }
        let piece = self.split(bytes, HEAD - self.filled);
        self.head[self.filled..self.filled + piece.len()].copy_from_slice(piece);
        self.filled += piece.len();
        if self.filled < HEAD {
            return Ok(());
        }
        let [_, length @ ..] = self.head;
        let length = u32::from_be_bytes(length);
        self.left = length as usize;
        if self.left > MAX_RECORD {
            let offset = self.offset - HEAD as u64;
            return Err(RecordError::Length { offset, length });
        }
        if self.left == 0 {
            self.filled = 0;
        }
        Ok(())
    }

    fn split<'a>(&mut self, bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
        let (piece, rest) = bytes.split_at(most.min(bytes.len()));
        *bytes = rest;
        self.offset += piece.len() as u64;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<(Channel, Vec<u8>)>) {
        let said: Vec<(Channel, Vec<u8>)> = vec![
            (Channel::Header, b"make all\n".to_vec()),
            (Channel::Stdout, vec![b'x'; 700]),
            (Channel::Stderr, b"\0\xff\n".to_vec()),
        ];
        let mut log = Vec::new();
        for (channel, bytes) in &said {
            push(*channel, bytes, &mut log);
        }
        (log, said)
    }

    fn read_in_pieces(log: &[u8], size: usize) -> Vec<(Channel, Vec<u8>)> {
        let mut reader = Reader::new();
        let mut found: Vec<(Channel, Vec<u8>)> = Vec::new();
        for mut slice in log.chunks(size) {
            while let Some((channel, piece)) = reader.next(&mut slice).expect("a log") {
                match found.last_mut() {
                    Some((last, bytes)) if *last == channel => bytes.extend_from_slice(piece),
                    _ => found.push((channel, piece.to_vec())),
                }
            }
        }
        assert!(reader.is_between_records(), "a whole log");
        assert_eq!(reader.offset(), log.len() as u64);
        found
    }

    #[test]
    fn a_log_reads_the_same_wherever_it_is_cut() {
        let (log, said) = sample();
        for size in 1..=log.len() {
            assert_eq!(read_in_pieces(&log, size), said, "in pieces of {size}");
        }
    }

    #[test]
    fn long_output_becomes_more_than_one_record_and_none_makes_no_record() {
        let mut log = Vec::new();
        push(Channel::Stdout, b"", &mut log);
        assert_eq!(log, b"");
        push(Channel::Stdout, &vec![b'y'; MAX_RECORD + 1], &mut log);
        assert_eq!(log.len(), MAX_RECORD + 1 + 2 * HEAD);
        assert_eq!(read_in_pieces(&log, 4096)[0].1.len(), MAX_RECORD + 1);
    }

    #[test]
    fn what_is_not_a_log_is_named_with_its_place() {
        let (mut log, _) = sample();
        let good = log.len() as u64;
        log.extend_from_slice(b"GET / HTTP/1.1");
        let error = read_all(&log).expect_err("garbage");
        let (offset, byte) = (good, b'G');
        assert_eq!(error, RecordError::Channel { offset, byte });
        assert_eq!(
            error.to_string(),
            "byte 727 of the log is 0x47, which is no channel"
        );

        assert_eq!(
            read_all(b"o\xff\xff\xff\xffabc")
                .expect_err("too long")
                .to_string(),
            "the record at byte 0 of the log claims 4294967295 bytes; the most is 1048576"
        );
        assert!(
            read_all(b"o\0\0\0\0h\0\0\0\x01x").is_ok(),
            "an empty record is harmless"
        );
    }

    fn read_all(mut log: &[u8]) -> Result<(), RecordError> {
        let mut reader = Reader::new();
        while reader.next(&mut log)?.is_some() {}
        Ok(())
    }
}
