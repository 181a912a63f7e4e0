//! What runs tests of JavaScript: Node itself, Jest, Vitest and Mocha.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;
use super::pairs;

pub(super) const FORMAT: Format = Format {
    name: "node",
    begin: || Box::new(Node::default()),
};

/// Node: `# pass 2`, or with a sign of its own where it draws a tree.
static NODE: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^[#ℹ] (pass|fail|cancelled|skipped|todo) (\d+)$"));

/// Jest: `Tests: 1 failed, 2 passed, 3 total`; Vitest: `Tests  1 failed | 2 passed (3)`.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^ *Tests:? +((?:\d+ (?:failed|passed|skipped|pending|todo|total)(?:, | \| )?)+)")
});

/// Mocha: `  2 passing (5ms)`.
static MOCHA: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^  (\d+) (passing|failing|pending)(?: \(.*\))?$"));

/// A test that has ended: Node and Mocha draw a sign, the protocol has words.
static TEST: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(?: *[✔✖✓✕×﹣] |(?:not )?ok \d+|  +\d+\) )"));

#[derive(Default)]
struct Node {
    sum: Option<Tests>,
    ended: u64,
}

impl Node {
    fn add(&mut self, count: u64, word: &str) {
        let mut tests = Tests::default();
        match word {
            "pass" | "passed" | "passing" => tests.passed = count,
            "fail" | "failed" | "failing" | "cancelled" => tests.failed = count,
            "skipped" | "pending" | "todo" => tests.skipped = count,
            _ => return,
        }
        *self.sum.get_or_insert_default() += tests;
    }
}

impl Counter for Node {
    fn see(&mut self, line: &str) {
        if let Some(found) = NODE.captures(line) {
            self.add(number(&found, 2), &found[1]);
        } else if let Some(found) = MOCHA.captures(line) {
            self.add(number(&found, 1), &found[2]);
        } else if let Some(found) = SUMMARY.captures(line) {
            for (count, word) in pairs(&found[1]) {
                self.add(count, word);
            }
        } else if self.sum.is_none() && TEST.is_match(line) {
            // What stands below the sum tells again of those that failed.
            self.ended += 1;
        }
    }

    fn tests(&self) -> Option<Tests> {
        self.sum
    }

    fn ended(&self) -> u64 {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::super::tests::counting;
    use super::*;

    #[test]
    fn each_of_them_is_understood() {
        let check = |said, expected| assert_eq!(counted(&FORMAT, said), Some(expected), "{said}");
        check(
            "ok 1 - good\n1..3\n# tests 3\n# suites 0\n# pass 1\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0",
            (1, 1, 1),
        );
        check(
            "\u{1b}[34mℹ tests 2\u{1b}[39m\nℹ pass 2\nℹ fail 0",
            (2, 0, 0),
        );
        check(
            "Test Suites: 1 failed, 1 passed, 2 total\nTests:       1 failed, 1 skipped, 2 passed, 4 total",
            (2, 1, 1),
        );
        check(
            " Test Files  1 failed | 1 passed (2)\n      Tests  1 failed | 2 passed (3)",
            (2, 1, 0),
        );
        check(
            "\n  2 passing (5ms)\n  1 pending\n  1 failing\n\n  1) hello",
            (2, 1, 1),
        );
    }

    #[test]
    fn tests_are_counted_as_they_end() {
        let said = "TAP version 13\nok 1 - adds\nnot ok 2 - fails\n# pass 1\n\
            ok 3 - again\n";
        assert_eq!(counting(&FORMAT, said), (vec![0, 1, 2, 2, 2], None));
    }
}
