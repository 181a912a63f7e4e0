//! What is still to be done for a checkout, and how often it may begin from nothing.

use std::collections::VecDeque;
use std::time::Duration;

use super::retry::Pause;
use super::retry::Retry;

/// Jobs that are still to be done, and how many more tries are allowed.
#[derive(Debug)]
pub(in crate::steps) struct Plan<J> {
    pub(in crate::steps) jobs: VecDeque<J>,
    /// What the running command is for.
    pub(in crate::steps) running: Option<J>,
    /// Whether a clone from nothing was tried because something else failed.
    pub(in crate::steps) has_fallen_back: bool,
    /// Why the tree is removed next, for the log.
    pub(super) why: Option<String>,
    tries_left: u32,
    delay: Duration,
    pause: Option<Pause>,
}

impl<J> Plan<J> {
    pub(in crate::steps) fn new(jobs: impl Into<VecDeque<J>>, retry: Retry) -> Self {
        Self {
            jobs: jobs.into(),
            running: None,
            has_fallen_back: false,
            why: None,
            tries_left: retry.times,
            delay: retry.delay,
            pause: None,
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
        self.pause = Some(Pause {
            length: self.delay,
            left: self.tries_left,
        });
        true
    }

    /// How long to wait before the next try from nothing, if there is one to wait for. It is
    /// [`Checkout::wait`](super::Checkout::wait)ed for before the next job.
    pub(in crate::steps) fn take_pause(&mut self) -> Option<Pause> {
        self.pause.take().filter(|it| !it.length.is_zero())
    }
}
