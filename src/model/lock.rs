//! Locks as their users name them.

use std::fmt;

use super::LockName;

/// How a lock is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Access {
    /// Together with others, up to the lock's count.
    #[default]
    Counting,
    /// Alone.
    Exclusive,
}

impl Access {
    /// The word that files have.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Exclusive => "exclusive",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Counting, Self::Exclusive]
            .into_iter()
            .find(|it| it.as_str() == word)
    }
}

/// One lock as one holder wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LockUse {
    pub(crate) lock: LockName,
    pub(crate) access: Access,
}

impl fmt::Display for LockUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.lock, self.access.as_str())
    }
}

/// What a build holds while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldLocks {
    /// For all of the build.
    pub(crate) build: Vec<LockUse>,
    /// For the step that is running.
    pub(crate) step: Vec<LockUse>,
}
