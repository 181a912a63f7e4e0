//! That a builder fails, and since which build.

use super::Timestamp;

/// A run of failures that has not ended: what a branch of a builder is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// `None` for builds that name none.
    pub(crate) branch: Option<String>,
    /// The number of the build that began it.
    pub(crate) first: i64,
    /// When that one ended.
    pub(crate) since: Timestamp,
    /// The newest build of it.
    pub(crate) last: i64,
    /// The newest build before it that went well, if there was one.
    pub(crate) good: Option<i64>,
    /// Authors of the changes between the two, sorted.
    pub(crate) suspects: Vec<String>,
}
