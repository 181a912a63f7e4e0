//! A copy of a repository that a slave keeps for all of its builds.

use serde::{Deserialize, Serialize};

/// That a command line may have its repository from the slave's mirror of it. A slave that keeps
/// none runs the line as it is, so this is never needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mirror {
    pub(crate) kind: MirrorKind,
    /// Which word of the line is the repository's URL, from 0.
    pub(crate) word: usize,
    /// What the line takes of the repository; its own first branch if `None`.
    pub(crate) branch: Option<String>,
    pub(crate) revision: Option<String>,
    /// What came from it before was no good: this line does without, and who comes next looks
    /// through it.
    #[serde(default)]
    pub(crate) is_doubted: bool,
    /// How many bytes all mirrors of the slave may take together; `None` is no limit.
    pub(crate) budget: Option<u64>,
}

/// Whose repository it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MirrorKind {
    Git,
    Hg,
}
