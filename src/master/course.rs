//! The course of a build: which step comes next, and what the outcomes of
//! the steps make of the whole. Plain values; `build.rs` walks it.

use crate::model::Outcome;
use crate::steps::Flags;

/// What has been decided of a build so far.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    steps: Vec<Flags>,
    next: usize,
    outcome: Outcome,
    /// From here on only steps that always run are begun.
    halted: bool,
    /// From here on nothing is begun.
    lost: bool,
    text: Vec<String>,
}

impl Course {
    pub(crate) fn new(steps: impl IntoIterator<Item = Flags>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            next: 0,
            outcome: Outcome::Success,
            halted: false,
            lost: false,
            text: Vec::new(),
        }
    }

    /// The step to begin now; steps that are passed over stay not started.
    pub(crate) fn next_step(&mut self) -> Option<usize> {
        while !self.lost && self.next < self.steps.len() {
            let step = self.next;
            self.next += 1;
            if !self.halted || self.steps[step].always_run {
                return Some(step);
            }
        }
        None
    }

    /// Takes in how a step ended and what it adds to the build's text.
    pub(crate) fn judge(&mut self, step: usize, outcome: Outcome, build_text: &[String]) {
        let flags = self.steps[step];
        self.next = self.next.max(step + 1);
        self.text.extend_from_slice(build_text);
        let bad = |flunk: bool, warn: bool| match (flunk, warn) {
            (true, _) => Outcome::Failure,
            (false, true) => Outcome::Warnings,
            (false, false) => Outcome::Success,
        };
        let share = match outcome {
            Outcome::Success | Outcome::Skipped => Outcome::Success,
            Outcome::Warnings => bad(flags.flunk_on_warnings, flags.warn_on_warnings),
            // What flunks or warns on warnings does so on a failure all the more.
            Outcome::Failure => bad(
                flags.flunk_on_failure || flags.flunk_on_warnings,
                flags.warn_on_failure || flags.warn_on_warnings,
            ),
            Outcome::Exception | Outcome::Retry => outcome,
        };
        self.outcome = self.outcome.worst(share);
        self.halted |= match outcome {
            Outcome::Failure => flags.halt_on_failure,
            Outcome::Exception | Outcome::Retry => true,
            Outcome::Success | Outcome::Warnings | Outcome::Skipped => false,
        };
    }

    /// Somebody asked the build to stop.
    pub(crate) fn stop(&mut self) {
        self.outcome = self.outcome.worst(Outcome::Exception);
        self.halted = true;
    }

    /// The build cannot be continued: not even steps that always run are begun.
    pub(crate) fn lose(&mut self) {
        self.outcome = Outcome::Retry;
        self.lost = true;
    }

    pub(crate) const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Turns a retry that was tried too often into an exception.
    pub(crate) fn give_up(&mut self) {
        self.outcome = Outcome::Exception;
    }

    /// The build's text: how it ended, then what its steps add.
    pub(crate) fn text(&self) -> Vec<String> {
        let head: &[&str] = match self.outcome {
            Outcome::Failure => &["failed"],
            Outcome::Warnings => &["warnings"],
            Outcome::Exception => &["exception"],
            Outcome::Retry => &["retry"],
            Outcome::Success | Outcome::Skipped => &["build", "successful"],
        };
        head.iter()
            .map(|it| (*it).to_owned())
            .chain(self.text.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Exception, Failure, Retry, Skipped, Success, Warnings};

    const PLAIN: Flags = Flags {
        halt_on_failure: false,
        flunk_on_warnings: false,
        flunk_on_failure: true,
        warn_on_warnings: false,
        warn_on_failure: false,
        always_run: false,
    };
    const HALTS: Flags = Flags {
        halt_on_failure: true,
        ..PLAIN
    };
    const ALWAYS: Flags = Flags {
        always_run: true,
        ..PLAIN
    };

    /// Walks the steps, each ending as given; says which were begun and how it all ends.
    fn check(steps: &[(Flags, Outcome)], begun: &[usize], expected: Outcome) {
        let mut course = Course::new(steps.iter().map(|it| it.0));
        let mut seen = Vec::new();
        while let Some(step) = course.next_step() {
            seen.push(step);
            course.judge(step, steps[step].1, &[]);
        }
        assert_eq!(
            (seen.as_slice(), course.outcome()),
            (begun, expected),
            "{steps:?}"
        );
    }

    #[test]
    fn the_flags_decide_what_a_step_does_to_its_build() {
        let warns = Flags {
            flunk_on_failure: false,
            warn_on_failure: true,
            ..PLAIN
        };
        let flunks = Flags {
            flunk_on_warnings: true,
            ..PLAIN
        };
        let shows = Flags {
            warn_on_warnings: true,
            ..PLAIN
        };
        let soft = Flags {
            flunk_on_failure: false,
            ..HALTS
        };
        check(&[], &[], Success);
        check(&[(PLAIN, Skipped), (PLAIN, Skipped)], &[0, 1], Success);
        check(&[(PLAIN, Warnings), (PLAIN, Success)], &[0, 1], Success);
        check(&[(warns, Failure), (PLAIN, Success)], &[0, 1], Warnings);
        check(&[(flunks, Warnings)], &[0], Failure);
        check(&[(shows, Warnings)], &[0], Warnings);
        // What is said of warnings is said of a failure, too.
        let odd = Flags {
            flunk_on_failure: false,
            ..flunks
        };
        check(&[(odd, Failure)], &[0], Failure);
        check(&[(PLAIN, Failure), (shows, Warnings)], &[0, 1], Failure);
        check(
            &[(HALTS, Failure), (PLAIN, Success), (ALWAYS, Success)],
            &[0, 2],
            Failure,
        );
        check(&[(HALTS, Warnings), (PLAIN, Success)], &[0, 1], Success);
        check(&[(soft, Failure), (PLAIN, Success)], &[0], Success);
        check(&[(soft, Failure), (ALWAYS, Failure)], &[0, 1], Failure);
        check(&[(PLAIN, Exception), (PLAIN, Success)], &[0], Exception);
        check(&[(PLAIN, Exception), (ALWAYS, Retry)], &[0, 1], Retry);
    }

    #[test]
    fn a_lost_slave_ends_everything_and_a_stop_spares_what_always_runs() {
        let mut lost = Course::new([PLAIN, ALWAYS]);
        lost.next_step();
        lost.lose();
        assert_eq!((lost.next_step(), lost.outcome()), (None, Retry));
        assert_eq!(lost.text(), ["retry"]);

        let mut stopped = Course::new([PLAIN, PLAIN, ALWAYS]);
        stopped.next_step();
        stopped.stop();
        assert_eq!(
            (stopped.next_step(), stopped.outcome()),
            (Some(2), Exception)
        );
    }

    #[test]
    fn the_text_says_how_it_ended_and_which_steps_made_it_so() {
        let mut course = Course::new([PLAIN, PLAIN]);
        course.judge(0, Warnings, &[]);
        course.judge(1, Failure, &["test".into()]);
        assert_eq!(course.text(), ["failed", "test"]);
    }
}
