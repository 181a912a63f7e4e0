//! Bytes that a step has at hand, on their way into a file of the slave.

use sha2::{Digest, Sha256};

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::FileWrite;
use crate::model::hex;

/// As many bytes as one command carries at most; a frame holds a little more.
pub(super) const PIECE: u64 = 512 << 10;

/// What becomes a file, piece by piece. After each the slave says how far it is:
/// [`Written`](crate::model::Written).
pub(super) struct Bytes<'a> {
    /// As the slave is told it.
    pub(super) path: &'a str,
    pub(super) bytes: &'a [u8],
    /// What lies behind is left out.
    pub(super) max_size: Option<u64>,
    pub(super) mode: Option<u32>,
}

impl Bytes<'_> {
    /// The piece of at most `length` bytes that begins at `offset`.
    pub(super) fn piece(&self, offset: u64, length: u64) -> Command {
        let size = self.bytes.len() as u64;
        let total = self.max_size.map_or(size, |it| it.min(size));
        let end = total.min(offset.saturating_add(length));
        let span = usize::try_from(offset).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(0);
        Command::File(FileCommand::Write(FileWrite {
            path: self.path.to_owned(),
            offset,
            bytes: self.bytes.get(span).unwrap_or_default().to_vec(),
            size,
            is_last: end == total,
            sha256: (end == total).then(|| {
                let total = usize::try_from(total).unwrap_or(self.bytes.len());
                let digest = Sha256::digest(self.bytes.get(..total).unwrap_or_default());
                hex(&digest)
            }),
            version: String::new(),
            mode: self.mode,
        }))
    }
}
