//! The short strings that tell how a step ended, the same for every type.

use crate::model::Outcome;

use super::Cx;
use super::Flags;
use super::Verdict;

/// A verdict with `done` as its text, and what every step adds to it.
pub(super) fn verdict(cx: &Cx<'_>, outcome: Outcome, done: Vec<String>) -> Verdict {
    let mut text = done;
    text.extend(suffix(outcome).map(str::to_owned));
    Verdict {
        text,
        build_text: build_text(cx.name, cx.flags, outcome),
        ..Verdict::of(outcome)
    }
}

/// Ends the step as `outcome` instead.
pub(super) fn turn(cx: &Cx<'_>, verdict: &mut Verdict, outcome: Outcome) {
    if verdict.text.last().map(String::as_str) == suffix(verdict.outcome) {
        verdict.text.pop();
    }
    verdict.text.extend(suffix(outcome).map(str::to_owned));
    verdict.outcome = outcome;
    if verdict.build_text.is_empty() {
        verdict.build_text = build_text(cx.name, cx.flags, outcome);
    }
}

const fn suffix(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Success => None,
        Outcome::Warnings => Some("warnings"),
        Outcome::Failure => Some("failed"),
        Outcome::Skipped => Some("skipped"),
        Outcome::Exception => Some("exception"),
        Outcome::Retry => Some("retry"),
    }
}

/// The step's name, if its outcome matters to the build.
fn build_text(name: &str, flags: Flags, outcome: Outcome) -> Vec<String> {
    let matters = match outcome {
        Outcome::Success | Outcome::Skipped => false,
        Outcome::Warnings => flags.flunk_on_warnings || flags.warn_on_warnings,
        Outcome::Failure | Outcome::Exception | Outcome::Retry => {
            let flunks = flags.flunk_on_failure || flags.flunk_on_warnings;
            let warns = flags.warn_on_failure || flags.warn_on_warnings;
            flags.halt_on_failure || flunks || warns
        }
    };
    if matters {
        vec![name.to_owned()]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_names_itself_to_the_build_only_where_its_outcome_matters() {
        let none = Flags::default();
        let flunk = Flags {
            flunk_on_failure: true,
            ..none
        };
        let warn = Flags {
            warn_on_warnings: true,
            ..none
        };
        let check = |flags, outcome, expected: &[&str]| {
            assert_eq!(
                build_text("test", flags, outcome),
                expected,
                "{flags:?} {outcome}"
            );
        };
        check(flunk, Outcome::Success, &[]);
        check(flunk, Outcome::Warnings, &[]);
        check(flunk, Outcome::Failure, &["test"]);
        check(warn, Outcome::Warnings, &["test"]);
        // What makes a build of warnings does so of a failure all the more.
        check(warn, Outcome::Failure, &["test"]);
        check(none, Outcome::Failure, &[]);
    }
}
