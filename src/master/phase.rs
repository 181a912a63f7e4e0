//! How a slave that the master starts is doing, apart from whether it is
//! connected.

use std::fmt;

use crate::clock;
use crate::model::Timestamp;

/// A part of the life of a slave that the master starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is started.
    Down,
    /// It is being started, and not here yet.
    Starting {
        since: Timestamp,
        /// How the last try ended, if one has.
        trouble: Option<String>,
    },
    /// It was here.
    Up {
        since: Timestamp,
        /// How the last line to it ended, if one has.
        trouble: Option<String>,
    },
    /// It is being stopped and takes no builds.
    Stopping { since: Timestamp },
    /// It could not be started or stopped, and is left alone for a while.
    Failed { why: String, until: Timestamp },
}

impl Phase {
    pub(super) const fn starting(since: Timestamp) -> Self {
        let trouble = None;
        Self::Starting { since, trouble }
    }

    pub(super) const fn up(since: Timestamp) -> Self {
        let trouble = None;
        Self::Up { since, trouble }
    }

    /// The same after a line to the slave has ended.
    pub(super) fn with_trouble(self, why: &str) -> Self {
        let trouble = Some(why.to_owned());
        match self {
            Self::Starting { since, .. } => Self::Starting { since, trouble },
            Self::Up { since, .. } => Self::Up { since, trouble },
            other @ (Self::Down | Self::Stopping { .. } | Self::Failed { .. }) => other,
        }
    }

    pub(super) fn time(at: Timestamp) -> String {
        clock::iso(at)
    }
}

impl fmt::Display for Phase {
    /// Continues a sentence that begins with the slave.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => write!(f, "is not started; a build that needs it starts it"),
            Self::Starting { since, trouble } => {
                write!(f, "is being started since {}", Self::time(*since))?;
                trouble
                    .iter()
                    .try_for_each(|it| write!(f, "; so far: {it}"))
            }
            Self::Up { since, trouble } => {
                let since = Self::time(*since);
                write!(f, "was started at {since} and is not connected")?;
                trouble.iter().try_for_each(|it| write!(f, ": {it}"))
            }
            Self::Stopping { since } => write!(f, "is being stopped since {}", Self::time(*since)),
            Self::Failed { why, until } => write!(
                f,
                "failed: {why}; it is tried again at {}",
                Self::time(*until)
            ),
        }
    }
}
