//! A run of tests as a database of Buildbot's `MTR` step has it.

use super::{BuildId, Text};

/// Where and as what a step records its run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recording {
    /// An SQLite file, relative to the master's directory.
    pub(crate) file: String,
    /// Whether the tables are made that are not there.
    pub(crate) makes_tables: bool,
    /// What kind of run it is.
    pub(crate) kind: String,
    pub(crate) info: Text,
}

/// The property that has the number of the run, and the one that counts its lists of warnings.
pub(crate) const RUN_PROPERTIES: [&str; 2] = ["mtr_id", "mtr_warn_id"];
/// Who sets them.
pub(crate) const RUN_SOURCE: &str = "MTR";

/// The row of a run. Which build and step it is of is its key: it is there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestRun {
    /// Names the store that the build is in.
    pub(crate) identity: String,
    pub(crate) build: BuildId,
    pub(crate) step: u32,
    pub(crate) branch: Option<String>,
    pub(crate) revision: String,
    pub(crate) builder: String,
    pub(crate) number: i64,
    /// Milliseconds since 1970.
    pub(crate) began: i64,
    pub(crate) kind: String,
    pub(crate) info: String,
}

/// What is recorded of a run at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunRows {
    pub(crate) failures: Vec<RunFailure>,
    /// Each list of tests after which a server's log had warnings.
    pub(crate) warnings: Vec<Vec<String>>,
}

/// A test that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunFailure {
    pub(crate) name: String,
    /// Empty for a test that has none.
    pub(crate) variant: String,
    /// What stands on its own line.
    pub(crate) info: String,
    /// What is said of it.
    pub(crate) text: String,
}
