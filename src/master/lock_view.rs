//! Locks as pages show them.

use crate::model::Access;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::LockName;
use crate::model::SlaveName;

/// A lock as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockView {
    pub(crate) name: LockName,
    pub(crate) is_of_slaves: bool,
    /// The slave of which it is, if it is one of slaves and in use.
    pub(crate) slave: Option<SlaveName>,
    /// Holders at once with counting access.
    pub(crate) max_count: u32,
    /// Who has it, in the order in which they got it.
    pub(crate) holders: Vec<LockUserView>,
    /// Who waits for it, the next one first.
    pub(crate) waiting: Vec<LockUserView>,
}

/// Who has a lock, or waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockUserView {
    /// `None` has not begun.
    pub(crate) build: Option<BuildKey>,
    /// `None` if the build has just ended.
    pub(crate) builder: Option<BuilderName>,
    pub(crate) access: Access,
}
