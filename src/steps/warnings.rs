//! Counting warnings in what a compiler or a test said.

use std::fmt::Write as _;

use regex::Regex;

use crate::model::Channel;
use crate::model::Outcome;
use crate::syntax::Keys;
use crate::syntax::Pattern;

use super::Cx;
use super::Ended;
use super::Verdict;

/// Which lines are warnings, and how many are too many.
#[derive(Clone, Debug)]
pub(crate) struct Warnings {
    /// Fits from the start of a line.
    pattern: Regex,
    /// More than these make the step a failure.
    max_count: Option<u64>,
    directory_enter: Regex,
    directory_leave: Regex,
}

/// A log of warnings is kept in memory while it is counted, so it has an end.
const KEPT_BYTES: usize = 4 << 20;

const PATTERN: &str = ".*warning[: ].*";
const ENTER: &str = "make.*: Entering directory [\u{2019}\"`'](.*)[\u{2019}'`\"]";
const LEAVE: &str = "make.*: Leaving directory";

impl Default for Warnings {
    fn default() -> Self {
        Self {
            pattern: built_in(PATTERN),
            max_count: None,
            directory_enter: built_in(ENTER),
            directory_leave: built_in(LEAVE),
        }
    }
}

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the built-in patterns are tested")
}

impl Warnings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let usual = Self::default();
        let pattern = keys.optional::<Pattern>("warning_pattern");
        let max_count = keys.optional("max_warn_count");
        let enter = keys.optional::<Pattern>("directory_enter_pattern");
        let leave = keys.optional::<Pattern>("directory_leave_pattern");
        Some(Self {
            pattern: pattern?.map_or(usual.pattern, |it| it.0),
            max_count: max_count?,
            directory_enter: enter?.map_or(usual.directory_enter, |it| it.0),
            directory_leave: leave?.map_or(usual.directory_leave, |it| it.0),
        })
    }

    fn is_warning(&self, line: &str) -> bool {
        self.pattern.find(line).is_some_and(|it| it.start() == 0)
    }

    /// Counts the warnings of both streams and judges the command by them.
    pub(super) fn count(&self, ended: &Ended<'_>) -> Counted {
        let mut count = 0_u64;
        let mut lines = String::new();
        ended.output.lines(&mut |channel, line| {
            let is_said = matches!(channel, Channel::Stdout | Channel::Stderr);
            if !is_said
                || self.directory_enter.is_match(line)
                || self.directory_leave.is_match(line)
                || !self.is_warning(line)
            {
                return;
            }
            count += 1;
            if lines.len() + line.len() < KEPT_BYTES {
                let _ = writeln!(lines, "{line}");
            }
        });
        let too_many = self.max_count.is_some_and(|max| count > max);
        let outcome = if !ended.exit.is_success() || too_many {
            Outcome::Failure
        } else if count > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        };
        Counted {
            count: i64::try_from(count).unwrap_or(i64::MAX),
            lines,
            outcome,
        }
    }
}

/// What was counted.
pub(super) struct Counted {
    count: i64,
    lines: String,
    pub(super) outcome: Outcome,
}

impl Counted {
    /// Puts the count where others look for it: the step's statistics and log,
    /// and the build's property that sums over its steps.
    pub(super) fn tell(self, cx: &mut Cx<'_>, verdict: &mut Verdict) {
        if self.count > 0 {
            verdict
                .logs
                .push((format!("warnings ({})", self.count), self.lines));
        }
        verdict.statistics.push(("warnings".into(), self.count));
        let before = cx
            .properties
            .get("warnings-count")
            .and_then(serde_json::Value::as_i64);
        let sum = before.unwrap_or(0).saturating_add(self.count);
        cx.properties
            .set_runtime("warnings-count", sum, "WarningCountingShellCommand");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_from_the_start_of_the_line_only() {
        let warnings = Warnings {
            pattern: built_in("warning: |note"),
            ..Warnings::default()
        };
        assert!(warnings.is_warning("warning: x"));
        assert!(warnings.is_warning("note"));
        assert!(!warnings.is_warning("a.c: warning: x"));
        assert!(Warnings::default().is_warning("a.c: warning: x"));
    }
}
