//! A change: somebody altered the source.

use super::{ChangeId, Properties, Timestamp, Vc};

/// A change as a source saw it, before the store numbers it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewChange {
    pub(crate) author: String,
    /// File names in the repository; the store keeps them sorted.
    pub(crate) files: Vec<String>,
    pub(crate) comments: String,
    pub(crate) revision: Option<String>,
    /// `None` is the default branch, which is not the same as an empty name.
    pub(crate) branch: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) revlink: String,
    pub(crate) repository: String,
    pub(crate) project: String,
    /// When it was made; `None` means when it arrived.
    pub(crate) when: Option<Timestamp>,
    pub(crate) properties: Properties,
    /// A name that the same change always has in its source, such as
    /// `git REPOSITORY BRANCH REVISION`: the store keeps a change of one origin once.
    pub(crate) origin: Option<String>,
    /// Whose author its author is: that makes it a change of a user.
    pub(crate) vc: Option<Vc>,
}

impl NewChange {
    /// A change by `author` with everything else empty.
    pub(crate) fn by(author: impl Into<String>) -> Self {
        Self {
            author: author.into(),
            files: Vec::new(),
            comments: String::new(),
            revision: None,
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: None,
            properties: Properties::new(),
            origin: None,
            vc: None,
        }
    }
}

/// A change that is in the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) id: ChangeId,
    pub(crate) author: String,
    pub(crate) files: Vec<String>,
    pub(crate) comments: String,
    pub(crate) revision: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) revlink: String,
    pub(crate) repository: String,
    pub(crate) project: String,
    pub(crate) when: Timestamp,
    pub(crate) properties: Properties,
}
