//! A person, by what version control calls it.

use std::collections::BTreeMap;

use super::UserId;

/// A version control system whose authors become users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vc {
    Git,
    Svn,
    Hg,
    Cvs,
    Darcs,
    Bzr,
}

impl Vc {
    const ALL: [Self; 6] = [
        Self::Git,
        Self::Svn,
        Self::Hg,
        Self::Cvs,
        Self::Darcs,
        Self::Bzr,
    ];

    /// The kind of attribute that its authors are.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Svn => "svn",
            Self::Hg => "hg",
            Self::Cvs => "cvs",
            Self::Darcs => "darcs",
            Self::Bzr => "bzr",
        }
    }

    /// `None` for one whose authors become no users.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// A user as it stands in the store, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    /// What it is called on pages; two may be called the same.
    pub(crate) identifier: String,
    /// By kind: `git`, `email` and so on. No two users have the same value of one kind.
    pub(crate) attributes: BTreeMap<String, String>,
    /// What it logs in as.
    pub(crate) username: Option<String>,
    /// The section `[user:NAME]` that says who it is.
    pub(crate) section: Option<String>,
}

/// What a section `[user:NAME]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserSection {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
}
