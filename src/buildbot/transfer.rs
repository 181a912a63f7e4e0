//! Files on their way: to the master by calls of `write`, from it by calls of `read`. A call that is
//! answered with an error makes such a slave hang for ever, so none is: what goes wrong here is
//! remembered, and the command is stopped.

use crate::model::CONTENT;
use crate::model::FileResult;
use crate::model::Sent;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::model::Written;
use crate::wire::Checksum;
use crate::wire::FromSlave;
use crate::wire::WireWrite;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::jelly::Value;

use super::job::Job;
use super::order::BLOCK;
use super::tarball::Tarball;

/// What a slave sends.
pub(super) struct Incoming {
    most: Option<u64>,
    /// Of a directory.
    tarball: Option<Tarball>,
    sum: Checksum,
    size: u64,
    /// When the file was last read and changed, in seconds.
    times: (f64, f64),
    /// What went wrong here.
    pub(super) wrong: Option<String>,
}

impl Incoming {
    pub(super) fn new(upload: &Upload) -> Self {
        Self {
            most: upload.max_size,
            tarball: match upload.kind {
                UploadKind::File => None,
                UploadKind::Directory => Some(Tarball::new(upload.max_size)),
            },
            sum: Checksum::default(),
            size: 0,
            times: (0.0, 0.0),
            wrong: None,
        }
    }

    pub(super) fn write(&mut self, bytes: Vec<u8>, job: &mut Job, out: &mut Vec<FromSlave>) {
        if self.wrong.is_some() {
            return;
        }
        let mut content = Vec::new();
        match &mut self.tarball {
            None => content = bytes,
            Some(tarball) => {
                if let Err(error) = tarball.push(&bytes, &mut content) {
                    self.wrong = Some(error.to_string());
                    return;
                }
            }
        }
        self.take(content, job, out);
    }

    fn take(&mut self, content: Vec<u8>, job: &mut Job, out: &mut Vec<FromSlave>) {
        // A sum takes whatever it is given.
        let _ = std::io::Write::write_all(&mut self.sum, &content);
        self.size += content.len() as u64;
        job.give(CONTENT, content, out);
    }

    /// The whole directory has come.
    pub(super) fn unpack(&mut self, job: &mut Job, out: &mut Vec<FromSlave>) {
        let Some(tarball) = &mut self.tarball else {
            return;
        };
        let mut content = Vec::new();
        match tarball.finish(&mut content) {
            Ok(()) if self.wrong.is_none() => self.take(content, job, out),
            Ok(()) => {}
            Err(error) => self.wrong = Some(error.to_string()),
        }
    }

    pub(super) fn utime(&mut self, times: &Value) {
        if let Some([accessed, modified]) = times.items() {
            let time = |it: &Value| it.as_float().unwrap_or_default();
            self.times = (time(accessed), time(modified));
        }
    }

    /// The command has ended: what was sent, if it is whole.
    pub(super) fn settle(self, job: &mut Job) {
        // The slave calls it a failure that it sent no more than it was asked for.
        let is_cut = self.tarball.is_none()
            && job.rc() == Some(1)
            && self.most.is_some_and(|it| it == self.size);
        if is_cut {
            job.ended(0);
        }
        if self.wrong.is_some() && job.rc() == Some(0) {
            job.ended(1);
        }
        #[expect(clippy::cast_possible_truncation, reason = "times of files")]
        let nanos = |seconds: f64| (seconds * 1e9) as i64;
        job.found(FileResult::Sent(Sent {
            size: self.size,
            sha256: self.sum.into_hex(),
            is_cut,
            accessed: nanos(self.times.0),
            modified: nanos(self.times.1),
        }));
    }
}

/// What the master sends, in pieces that are commands of their own.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) path: String,
    pub(super) version: String,
    /// Bytes that the slave has asked for and got.
    pub(super) end: u64,
    piece: Option<Piece>,
    /// The slave waits for the next piece.
    asking: Option<(Owed, usize)>,
    /// There is no more: the next answer is empty.
    pub(super) is_over: bool,
}

#[derive(Debug)]
struct Piece {
    /// The command that brought it.
    job: u64,
    bytes: Vec<u8>,
    taken: usize,
    size: u64,
    is_last: bool,
}

/// An answer for the slave.
#[derive(Debug)]
pub(super) struct Block(pub(super) Owed, pub(super) Value);

impl Outgoing {
    pub(super) fn of(piece: &WireWrite) -> Self {
        Self {
            path: piece.path.clone(),
            version: piece.version.clone(),
            ..Self::default()
        }
    }

    /// The command that brought the piece under way.
    pub(super) fn job(&self) -> Option<u64> {
        self.piece.as_ref().map(|it| it.job)
    }

    pub(super) fn bring(&mut self, job: u64, piece: WireWrite) -> Option<Block> {
        self.piece = Some(Piece {
            job,
            bytes: piece.bytes,
            taken: 0,
            size: piece.size,
            is_last: piece.is_last,
        });
        let (owed, most) = self.asking.take()?;
        self.read(owed, most)
    }

    /// The slave asks for the next block.
    pub(super) fn read(&mut self, owed: Owed, most: usize) -> Option<Block> {
        if self.is_over {
            return Some(Block(owed, Value::Bytes(Vec::new())));
        }
        let most = most.clamp(1, BLOCK as usize);
        let left = self.piece.as_ref().map(|it| it.bytes.len() - it.taken);
        match (&mut self.piece, left) {
            (Some(piece), Some(0)) if piece.is_last => {
                self.is_over = true;
                Some(Block(owed, Value::Bytes(Vec::new())))
            }
            (Some(piece), Some(left)) if left > 0 => {
                let end = piece.taken + left.min(most);
                let block = piece.bytes[piece.taken..end].to_vec();
                piece.taken = end;
                self.end += block.len() as u64;
                Some(Block(owed, Value::Bytes(block)))
            }
            _ => {
                self.asking = Some((owed, most));
                None
            }
        }
    }

    /// The command whose piece the slave has, and what is to be said of it. The last one ends with
    /// the slave's own command.
    pub(super) fn taken(&mut self) -> Option<(u64, Written)> {
        let piece = self
            .piece
            .take_if(|it| !it.is_last && it.taken == it.bytes.len())?;
        Some((piece.job, self.written(piece.size)))
    }

    pub(super) fn written(&self, size: u64) -> Written {
        Written {
            end: self.end,
            size,
            version: self.version.clone(),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.piece.as_ref().map_or(self.end, |it| it.size)
    }

    /// Nothing more will come.
    pub(super) fn give_up(&mut self) -> Option<Block> {
        self.is_over = true;
        let (owed, _) = self.asking.take()?;
        Some(Block(owed, Value::Bytes(Vec::new())))
    }
}
