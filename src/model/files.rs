//! What a slave says of its files, and what it sends of them.

use serde::{Deserialize, Serialize};

/// What a file command found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileResult {
    /// Of `stat`.
    Stat(FileStat),
    /// Of `glob` and `listdir`, sorted.
    Names(Vec<String>),
    /// Of an upload: what the slave has sent.
    Sent(Sent),
    /// Of an upload: why the master does not keep what was sent.
    Refused(String),
}

/// A file as the system has it; links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStat {
    pub(crate) kind: FileKind,
    /// The permissions.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    /// When it was last changed, in seconds since 1970.
    pub(crate) modified: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileKind {
    File,
    Directory,
    /// A device, a pipe, a socket.
    Other,
}

/// What is to be sent to the master, as the log [`CONTENT`] of its command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Also absolute, or below `~`, the home of who runs the slave.
    pub(crate) path: String,
    pub(crate) kind: UploadKind,
    /// A file is cut off there; a directory that takes more is not sent.
    pub(crate) max_size: Option<u64>,
    /// The most that one message carries.
    pub(crate) piece: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadKind {
    File,
    /// All that is in a directory, in one stream.
    Directory,
}

/// The log of an upload that is the content.
pub(crate) const CONTENT: &str = "content";

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The length of the content.
    pub(crate) size: u64,
    /// Its checksum, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Whether there is more in the file.
    pub(crate) is_cut: bool,
    /// When the file was last read and changed, in nanoseconds since 1970.
    pub(crate) accessed: i64,
    pub(crate) modified: i64,
}
