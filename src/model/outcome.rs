//! How a step or build ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a step or build ended. The numbers are stored and exported and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Success = 0,
    Warnings = 1,
    Failure = 2,
    Skipped = 3,
    Exception = 4,
    Retry = 5,
}

impl Outcome {
    pub(crate) const ALL: [Self; 6] = [
        Self::Success,
        Self::Warnings,
        Self::Failure,
        Self::Skipped,
        Self::Exception,
        Self::Retry,
    ];

    /// The exported number.
    pub(crate) const fn code(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// The word that pages, CSS classes and the command line use.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warnings => "warnings",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
            Self::Exception => "exception",
            Self::Retry => "retry",
        }
    }

    /// The worse of two: retry, exception, failure, warnings, skipped, success.
    pub(crate) fn worst(self, other: Self) -> Self {
        if self.badness() >= other.badness() {
            self
        } else {
            other
        }
    }

    const fn badness(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Skipped => 1,
            Self::Warnings => 2,
            Self::Failure => 3,
            Self::Exception => 4,
            Self::Retry => 5,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_outcome_wins_in_either_order() {
        use Outcome::{Exception, Failure, Retry, Skipped, Success, Warnings};
        let worst_first = [Retry, Exception, Failure, Warnings, Skipped, Success];
        for (rank, worse) in worst_first.into_iter().enumerate() {
            for better in worst_first.into_iter().skip(rank) {
                assert_eq!(worse.worst(better), worse);
                assert_eq!(better.worst(worse), worse);
            }
        }
    }

    #[test]
    fn outcomes_are_numbered_and_called_as_they_always_were() {
        let told = Outcome::ALL.map(|it| (it.code(), it.as_str()));
        let expected = [
            (0, "success"),
            (1, "warnings"),
            (2, "failure"),
            (3, "skipped"),
            (4, "exception"),
            (5, "retry"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn codes_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
        }
        assert_eq!(Outcome::from_code(6), None);
    }
}
