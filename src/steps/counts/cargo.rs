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

#[derive(Default)]
struct Cargo(Option<Tests>);

impl Counter for Cargo {
    fn see(&mut self, line: &str) {
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
        *self.0.get_or_insert_default() += tests;
    }

    fn tests(&self) -> Option<Tests> {
        self.0
    }
}

static BRACKETS: LazyLock<Regex> = LazyLock::new(|| built_in(r"\([^)]*\)"));

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
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
}
