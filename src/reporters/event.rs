//! What can be told, and the answer to whether it is.

use std::collections::BTreeMap;

use crate::model::BuilderName;
use crate::model::Outcome;
use crate::model::Properties;

/// Something that happened to a build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) builder: BuilderName,
    pub(crate) tags: Vec<String>,
    pub(crate) category: Option<String>,
    pub(crate) what: What,
    /// The build of this builder with the number before.
    pub(crate) previous: Previous,
    /// Authors of the build's changes.
    pub(crate) blamelist: Vec<String>,
    /// Addresses of authors, as `[user:NAME]` sections say them.
    pub(crate) addresses: BTreeMap<String, String>,
    /// The build's properties.
    pub(crate) properties: Properties,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the rules know it; nothing is sent yet")
    )]
    Started,
    Finished(Outcome),
}

/// How the build before this one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    /// This is the builder's first build.
    None,
    /// It still runs.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the rules know it; nothing is sent yet")
    )]
    Running,
    Ended(Outcome),
}

impl Previous {
    /// As a part of a sentence: `the build before was a success`.
    pub(super) fn words(self) -> String {
        match self {
            Self::None => "there is no build before".to_owned(),
            Self::Running => "the build before still runs".to_owned(),
            Self::Ended(outcome) => format!("the build before ended with {outcome}"),
        }
    }
}

/// Whether something is told, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) yes: bool,
    /// The rule that decided, as a sentence without its full stop.
    pub(crate) because: String,
    /// Addresses, channels or other targets; empty if it is not told.
    pub(crate) recipients: Vec<String>,
}

impl Verdict {
    pub(super) fn no(because: impl Into<String>) -> Self {
        Self {
            yes: false,
            because: because.into(),
            recipients: Vec::new(),
        }
    }

    pub(super) fn yes(because: impl Into<String>, recipients: Vec<String>) -> Self {
        Self {
            yes: true,
            because: because.into(),
            recipients,
        }
    }
}
