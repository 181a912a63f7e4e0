//! What is still to be done for a checkout, and how often it may begin from nothing.

use std::collections::VecDeque;

/// Jobs that are still to be done, and how many more tries are allowed.
#[derive(Debug)]
pub(in crate::steps) struct Plan<J> {
    pub(in crate::steps) jobs: VecDeque<J>,
    /// What the running command is for.
    pub(in crate::steps) running: Option<J>,
    /// Whether a clone from nothing was tried because something else failed.
    pub(in crate::steps) has_fallen_back: bool,
    pub(in crate::steps) tries_left: u32,
}

impl<J> Plan<J> {
    pub(in crate::steps) fn new(jobs: impl Into<VecDeque<J>>, tries: u32) -> Self {
        Self {
            jobs: jobs.into(),
            running: None,
            has_fallen_back: false,
            tries_left: tries,
        }
    }

    /// Puts `jobs` before what is left.
    pub(in crate::steps) fn first(
        &mut self,
        jobs: impl IntoIterator<Item = J, IntoIter: DoubleEndedIterator>,
    ) {
        for job in jobs.into_iter().rev() {
            self.jobs.push_front(job);
        }
    }

    /// Whether a clone from nothing may still be tried.
    pub(in crate::steps) fn may_start_over(&mut self) -> bool {
        if !self.has_fallen_back {
            self.has_fallen_back = true;
            return true;
        }
        self.tries_left = match self.tries_left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}
