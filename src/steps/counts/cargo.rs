//! `cargo test`, and `cargo nextest run`.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;
use super::pairs;

pub(super) const FORMAT: Format = Format {
    name: "cargo",
    begin: || Box::new(Cargo::default()),
};

/// Each program of tests says it of its own.
static RESULT: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;")
});

/// What nextest says of all of them.
static SUMMARY: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^ *Summary \[.*\] +[\d/]+ tests? run: (.*)$"));

/// A test that has ended, of either.
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    let cargo = r"test .* \.\.\. (?:ok|FAILED|ignored)(?:,|$)";
    built_in(&format!(
        r"^(?:{cargo}| +(?:PASS|FAIL|LEAK|SKIP|TIMEOUT|ABORT|SIG[A-Z]+) \[)"
    ))
});

/// What nextest says at first.
static STARTS: LazyLock<Regex> = LazyLock::new(|| built_in(r"^ *Starting (\d+) tests? across "));

#[derive(Default)]
struct Cargo {
    sum: Option<Tests>,
    ended: u64,
    announced: Option<u64>,
}

impl Counter for Cargo {
    fn see(&mut self, line: &str) {
        if TEST.is_match(line) {
            self.ended += 1;
            return;
        }
        if let Some(found) = STARTS.captures(line) {
            self.announced = Some(number(&found, 1));
            return;
        }
        let mut tests = Tests::default();
        if let Some(found) = RESULT.captures(line) {
            tests = Tests {
                passed: number(&found, 1),
                failed: number(&found, 2),
                skipped: number(&found, 3),
            };
        } else if let Some(found) = SUMMARY.captures(line) {
            // What is in brackets, `2 passed (1 slow)`, is counted already.
            for (count, word) in pairs(&BRACKETS.replace_all(&found[1], "")) {
                match word {
                    "passed" => tests.passed = count,
                    "failed" | "timed" | "exec" => {
                        tests.failed = tests.failed.saturating_add(count);
                    }
                    "skipped" => tests.skipped = count,
                    _ => {}
                }
            }
        } else {
            return;
        }
        *self.sum.get_or_insert_default() += tests;
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

static BRACKETS: LazyLock<Regex> = LazyLock::new(|| built_in(r"\([^)]*\)"));

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::super::tests::counting;
    use super::*;

    #[test]
    fn the_programs_of_one_run_are_added() {
        let said = "running 3 tests\n\
            test tests::later ... ignored\n\
            test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.14s\n\
            \u{1b}[1mtest result: \u{1b}[32mok\u{1b}[m. 2 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out\r\n";
        assert_eq!(counted(&FORMAT, said), Some((3, 1, 1)));
    }

    #[test]
    fn nextest_says_it_once() {
        let said = "     Summary [   0.008s] 5 tests run: 2 passed (1 slow, 1 flaky), 1 failed, 2 timed out, 4 skipped\n";
        assert_eq!(counted(&FORMAT, said), Some((2, 3, 4)));
        let said = "     Summary [   0.008s] 3/9 tests run: 2 passed, 1 failed, 0 skipped\n";
        assert_eq!(counted(&FORMAT, said), Some((2, 1, 0)));
    }

    #[test]
    fn tests_are_counted_as_they_end() {
        let said = "running 3 tests\ntest tests::a ... ok\ntest tests::b ... ignored, slow\n\
            test tests::c - should panic ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed; 1 ignored; x\n\
            test d ... ok\n";
        assert_eq!(counting(&FORMAT, said), (vec![0, 1, 2, 3, 3, 3, 4], None));
    }

    #[test]
    fn nextest_says_beforehand_how_many_there_will_be() {
        let said = "    Starting 5 tests across 2 binaries\n        PASS [   0.004s] x tests::a\n        \
            FAIL [   0.004s] x tests::b\n     SIGABRT [   0.004s] x tests::c\n";
        assert_eq!(counting(&FORMAT, said), (vec![0, 1, 2, 3], Some(5)));
    }

    #[test]
    fn programs_that_say_only_their_sums_are_counted_by_these() {
        let said = "test result: ok. 4 passed; 0 failed; 0 ignored; x\ntest result: ok. 2 passed; 0 failed; 1 ignored; x\n";
        assert_eq!(counting(&FORMAT, said), (vec![4, 7], None));
    }
}
