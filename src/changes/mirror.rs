//! What a poller looks with: a local clone that is brought up to date and
//! asked what is new. It knows no position, no store and no clock.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::SinkError;
use super::fetch::FetchError;
use super::program::ProgramError;
use super::record::Record;
use super::yard::Seen;
use crate::process::RunError;

/// Where the followed branch of the remote stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tips {
    /// Not empty; the newest is last. Only Mercurial has several.
    pub(crate) heads: Vec<String>,
    /// What changes say their branch is.
    pub(crate) branch: Option<String>,
}

/// A revision and its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
}

/// Which part of a revision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
    /// Without file names, for a revision that has too many of them.
    NoFiles,
}

/// One branch of a local clone, which may be there for others, too.
pub(crate) trait Mirror: Send + Sync {
    /// `git` or `hg`: the first word of every change's origin.
    const VCS: &'static str;

    /// Refuses what no program is to be asked for.
    fn check(&self) -> Result<(), PollError> {
        Ok(())
    }

    /// What of the repository is to be looked at.
    fn wants(&self) -> BTreeSet<String>;

    /// Looks at the remote, and brings the clone in `dir`, which exists and may be empty, up to
    /// date with all that is `wanted`.
    fn look(
        &self,
        dir: &Path,
        wanted: &BTreeSet<String>,
    ) -> impl Future<Output = Result<Seen, PollError>> + Send;

    /// Where the branch stands, by what was seen last.
    fn tips(&self, dir: &Path, seen: &Seen)
    -> impl Future<Output = Result<Tips, PollError>> + Send;

    /// Those of `revisions` that the clone has.
    fn known(
        &self,
        dir: &Path,
        revisions: &[String],
    ) -> impl Future<Output = Result<Vec<String>, PollError>> + Send;

    /// What the tips reach and `seen` does not, parents before children, the newest last.
    fn since(
        &self,
        dir: &Path,
        tips: &Tips,
        seen: &[String],
    ) -> impl Future<Output = Result<Vec<Revision>, PollError>> + Send;

    /// What people know the revisions by, in the same order.
    fn describe(
        &self,
        dir: &Path,
        revisions: &[Revision],
        detail: Detail,
    ) -> impl Future<Output = Result<Vec<Record>, PollError>> + Send;

    /// Clears up, when only what the tips reach is needed any more.
    fn tidy(&self, dir: &Path) -> impl Future<Output = Result<(), PollError>> + Send;
}

/// Why a poll came to nothing. The next one continues where the last good one ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PollError {
    #[error("{what} `{value}` is refused: {why}")]
    Refused {
        what: &'static str,
        value: String,
        why: &'static str,
    },
    #[error("`{url}` has no branch `{branch}` yet")]
    NoBranch { url: String, branch: String },
    /// The remote does not answer, or with a refusal.
    #[error("failed to reach `{url}`")]
    Remote {
        url: String,
        #[source]
        source: ProgramError,
    },
    /// The clone does not answer as it should.
    #[error("failed to use the clone `{}`", dir.display())]
    Clone {
        dir: PathBuf,
        #[source]
        source: ProgramError,
    },
    #[error("the clone `{}` misses revision `{revision}`", dir.display())]
    Missing { dir: PathBuf, revision: String },
    #[error("`{program}` printed something that cannot be read")]
    Unreadable { program: String },
    /// A line that has no place in what was asked for.
    #[error("`{program}` printed a line that cannot be read: `{line}`")]
    Line { program: String, line: String },
    #[error("failed to fetch `{url}`")]
    Fetch {
        url: String,
        #[source]
        source: FetchError,
    },
    /// What was fetched is not what was asked for.
    #[error("what `{url}` says cannot be used: {why}")]
    Document { url: String, why: String },
    #[error("`{}` is no maildir: {why}", dir.display())]
    Maildir { dir: PathBuf, why: String },
    #[error("failed to prepare `{}`", dir.display())]
    Io {
        dir: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// All who asked at the same time are told.
    #[error(transparent)]
    Shared(Arc<PollError>),
}

impl PollError {
    /// Whether a fresh clone may help.
    pub(super) fn blames_the_clone(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::Clone { source, .. } => source.is_refusal(),
            Self::Shared(error) => error.blames_the_clone(),
            Self::Refused { .. }
            | Self::NoBranch { .. }
            | Self::Remote { .. }
            | Self::Unreadable { .. }
            | Self::Line { .. }
            | Self::Fetch { .. }
            | Self::Document { .. }
            | Self::Maildir { .. }
            | Self::Io { .. }
            | Self::Sink(_) => false,
        }
    }

    pub(super) fn said_too_much(&self) -> bool {
        if let Self::Shared(error) = self {
            return error.said_too_much();
        }
        let (Self::Clone { source, .. } | Self::Remote { source, .. }) = self else {
            return false;
        };
        matches!(source, ProgramError::Run(RunError::TooMuch { .. }))
    }
}

/// Reads lines of a revision and its parents.
pub(super) fn revisions(lines: &str) -> Vec<Revision> {
    let read = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some(Revision {
            id: words.next()?,
            parents: words.collect(),
        })
    };
    lines.lines().filter_map(read).collect()
}
