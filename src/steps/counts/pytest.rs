//! `pytest`, with `-q` too.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;
use super::pairs;

pub(super) const FORMAT: Format = Format {
    name: "pytest",
    begin: || Box::new(Pytest::default()),
};

/// The last line, which stands between `=` unless `-q` is given.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    let words = "failed|passed|skipped|deselected|xfailed|xpassed|warnings?|errors?|rerun";
    let all = format!(r"^(?:=+ )?((?:\d+ (?:{words})(?:, )?)+|no tests ran) in [\d.]+s");
    built_in(&all)
});

/// A line of signs, a sign for each test, or with `-v` the line of a test.
static SIGNS: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(?:\S+\.\w+ )?([.FEsxXR]+)(?: +\[ *\d+%\])?$"));
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^\S+::.* (?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: \(.*\))?(?: +\[ *\d+%\])?$")
});
static COLLECTED: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^collected (\d+) items?(?: / .*)?$"));

/// One run after the other is added: tox has several.
#[derive(Default)]
struct Pytest {
    sum: Option<Tests>,
    ended: u64,
    announced: Option<u64>,
}

impl Counter for Pytest {
    fn see(&mut self, line: &str) {
        let Some(found) = SUMMARY.captures(line) else {
            if let Some(found) = SIGNS.captures(line) {
                self.ended += found[1].len() as u64;
            } else if TEST.is_match(line) {
                self.ended += 1;
            } else if let Some(found) = COLLECTED.captures(line) {
                let before = self.announced.unwrap_or(0);
                self.announced = Some(before.saturating_add(number(&found, 1)));
            }
            return;
        };
        let sum = self.sum.get_or_insert_default();
        for (count, word) in pairs(&found[1]) {
            let mut tests = Tests::default();
            match word {
                "passed" | "xfailed" | "xpassed" => tests.passed = count,
                "failed" | "error" | "errors" => tests.failed = count,
                "skipped" => tests.skipped = count,
                _ => {}
            }
            *sum += tests;
        }
    }

    fn tests(&self) -> Option<Tests> {
        self.sum
    }

    fn ended(&self) -> u64 {
        self.ended
    }

    fn announced(&self) -> Option<u64> {
        self.announced
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::super::tests::counting;
    use super::*;

    #[test]
    fn the_last_line_counts_and_what_failed_as_expected_is_good() {
        let check = |said, expected| assert_eq!(counted(&FORMAT, said), Some(expected), "{said}");
        check(
            "collected 5 items\n==== 1 failed, 1 passed, 1 skipped, 1 xfailed, 1 warning, 1 error in 0.03s =====",
            (2, 2, 1),
        );
        check("2 passed, 3 deselected in 61.20s (0:01:01)", (2, 0, 0));
        check("====== no tests ran in 0.01s ======", (0, 0, 0));
        check("1 passed in 0.1s\n2 failed in 0.1s", (1, 2, 0));
    }

    #[test]
    fn what_a_test_prints_is_no_summary() {
        let said = "  3 passed in 0.1s\nthe 3 passed in 1s\n3 roads in 1s";
        assert_eq!(counted(&FORMAT, said), None);
    }

    #[test]
    fn signs_and_lines_are_counted_as_they_come() {
        let said = "collected 7 items\n\ntests/test_a.py ..F                          [ 42%]\n\
            tests/test_b.py s\ntests/test_c.py::test_x PASSED               [ 71%]\n\
            tests/test_c.py::test_y[a b] SKIPPED (later) [ 85%]\nx.y\n";
        assert_eq!(
            counting(&FORMAT, said),
            (vec![0, 0, 3, 4, 5, 6, 6], Some(7))
        );
    }
}
