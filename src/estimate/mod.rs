//! How long a build still takes, and when one that waits begins: an interval
//! that holds the truth four times in five, with a middle value, from how long
//! the steps took in earlier builds.
//!
//! Everything in here is a pure function of a [`History`] and of how far a
//! build is. Nobody wakes this room; the master asks it when somebody asks the
//! master. What nobody can know is `None`: nothing is shown then.

mod history;
mod line;
mod normal;
mod points;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

pub(crate) use history::{History, StepNow};
pub(crate) use line::{Expected, Seat, Waiting, line_up};

/// The truth lies in it four times in five, and as often below the middle as above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) low: Duration,
    pub(crate) middle: Duration,
    pub(crate) high: Duration,
}

/// What is left of something that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Within(Interval),
    /// It has taken longer than what was expected at its longest; by how much.
    Overdue(Duration),
}

impl Left {
    /// The middle of what is left in seconds, below zero for what is late.
    pub(crate) fn secs(self) -> f64 {
        match self {
            Self::Within(it) => it.middle.as_secs_f64(),
            Self::Overdue(by) => -by.as_secs_f64(),
        }
    }
}
