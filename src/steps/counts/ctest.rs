//! `ctest`, of CMake.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;

pub(super) const FORMAT: Format = Format {
    name: "ctest",
    begin: || Box::new(Ctest::default()),
};

/// What it did not run it counts among those that passed.
static SKIPPED: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^ *\d+/\d+ +Test +#\d+: .*\*\*\*(?:Skipped|Not Run \(Disabled\))"));

static RESULT: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^\d+% tests passed, (\d+) tests? failed out of (\d+)$"));

static TEST: LazyLock<Regex> = LazyLock::new(|| built_in(r"^ *\d+/(\d+) +Test +#\d+: "));

#[derive(Default)]
struct Ctest {
    ended: u64,
    announced: Option<u64>,
    sum: Option<Tests>,
    skipped: u64,
}

impl Counter for Ctest {
    fn see(&mut self, line: &str) {
        if let Some(found) = TEST.captures(line) {
            self.ended += 1;
            self.announced = Some(number(&found, 1));
        }
        if SKIPPED.is_match(line) {
            self.skipped += 1;
        } else if let Some(found) = RESULT.captures(line) {
            let tests = Tests::of(number(&found, 2), number(&found, 1), self.skipped);
            *self.sum.get_or_insert_default() += tests;
            self.skipped = 0;
        } else if line == "No tests were found!!!" {
            self.sum.get_or_insert_default();
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
    fn what_was_skipped_did_not_pass() {
        let said = "1/3 Test #1: good .............................   Passed    0.01 sec\n\
            2/3 Test #2: bad ..............................***Failed    0.00 sec\n\
            3/3 Test #3: later ............................***Skipped   0.01 sec\n\n\
            67% tests passed, 1 tests failed out of 3\n";
        assert_eq!(counted(&FORMAT, said), Some((1, 1, 1)));
        assert_eq!(counted(&FORMAT, "No tests were found!!!"), Some((0, 0, 0)));
    }

    #[test]
    fn each_test_says_how_many_there_are() {
        let said = "    Start 1: a\n1/3 Test #1: a ....   Passed    0.01 sec\n\
            2/3 Test #2: b ....***Failed    0.01 sec\n";
        assert_eq!(counting(&FORMAT, said), (vec![0, 1, 2], Some(3)));
    }
}
