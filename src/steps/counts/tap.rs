//! The Test Anything Protocol.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;

pub(super) const FORMAT: Format = Format {
    name: "tap",
    begin: || Box::new(Tap::default()),
};

/// A `#` with a backslash before it is part of the words.
static TEST: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(not )?ok\b(?:[^#\\]|\\.)*(?:# *(?i:(skip|todo))\b)?"));
static PLAN: LazyLock<Regex> = LazyLock::new(|| built_in(r"^1\.\.(\d+)(?: |$)"));

#[derive(Default)]
struct Tap {
    sum: Tests,
    /// How many tests were promised.
    planned: Option<u64>,
}

impl Counter for Tap {
    fn see(&mut self, line: &str) {
        // Those of a subtest are indented, and are in the test that they are of.
        if let Some(found) = TEST.captures(line) {
            let word = found.get(2).map(|it| it.as_str().to_ascii_lowercase());
            match (found.get(1), word.as_deref()) {
                (_, Some("skip")) => self.sum.skipped += 1,
                (None, _) | (Some(_), Some(_)) => self.sum.passed += 1,
                (Some(_), None) => self.sum.failed += 1,
            }
        } else if let Some(found) = PLAN.captures(line) {
            let planned = self.planned.unwrap_or(0);
            self.planned = Some(planned.saturating_add(number(&found, 1)));
        } else if line.starts_with("Bail out!") {
            self.sum.failed += 1;
        }
    }

    fn tests(&self) -> Option<Tests> {
        let mut sum = self.sum;
        if let Some(planned) = self.planned {
            // What was promised and did not come has failed.
            let missing = planned.saturating_sub(sum.total());
            sum.failed = sum.failed.saturating_add(missing);
        }
        (self.planned.is_some() || sum.total() > 0).then_some(sum)
    }

    fn ended(&self) -> u64 {
        self.sum.total()
    }

    fn announced(&self) -> Option<u64> {
        self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::super::tests::counting;
    use super::*;

    #[test]
    fn todo_may_fail_and_what_did_not_come_has_failed() {
        let check = |said, expected| assert_eq!(counted(&FORMAT, said), Some(expected), "{said}");
        check(
            "TAP version 13\n1..6\nok 1 - a\nnot ok 2 - b\n  ---\n  not ok: 1\n  ...\n\
             ok 3 - c # SKIP no network\nnot ok 4 # TODO later\nok 5 say \\# skip\n    ok 1 - of a subtest",
            (3, 2, 1),
        );
        check("1..0 # SKIP nothing here", (0, 0, 0));
        check("okay\nBail out! no database", (0, 1, 0));
    }

    #[test]
    fn the_plan_says_how_many_there_will_be() {
        let said = "1..3\nok 1\nnot ok 2\n";
        assert_eq!(counting(&FORMAT, said), (vec![0, 1, 2], Some(3)));
    }
}
