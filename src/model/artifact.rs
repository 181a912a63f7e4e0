//! What a step has brought to the master.

use super::Timestamp;

/// A file or a directory that came from a slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// Of its build.
    pub(crate) step: u32,
    /// As its step was told: relative to the master's directory, absolute, or below `~`.
    pub(crate) path: String,
    pub(crate) is_directory: bool,
    /// Of what came: of a directory that is the archive of all that was in it.
    pub(crate) size: u64,
    /// In hexadecimal digits; empty for a directory, which nobody can check by it.
    pub(crate) sha256: String,
    pub(crate) made: Timestamp,
}
