//! `meson test`.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;

pub(super) const FORMAT: Format = Format {
    name: "meson",
    begin: || Box::new(Meson::default()),
};

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^(Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout): +(\d+) *$")
});

static TEST: LazyLock<Regex> = LazyLock::new(|| built_in(r"^ *\d+/(\d+) .+"));

#[derive(Default)]
struct Meson {
    sum: Option<Tests>,
    ended: u64,
    announced: Option<u64>,
}

impl Counter for Meson {
    fn see(&mut self, line: &str) {
        let Some(found) = LINE.captures(line) else {
            if let Some(found) = TEST.captures(line) {
                self.ended += 1;
                self.announced = Some(number(&found, 1));
            }
            return;
        };
        let count = number(&found, 2);
        let mut tests = Tests::default();
        match &found[1] {
            "Ok" | "Expected Fail" => tests.passed = count,
            "Skipped" => tests.skipped = count,
            _ => tests.failed = count,
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

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::super::tests::counting;
    use super::*;

    #[test]
    fn timeouts_and_unexpected_passes_are_failures() {
        let said = "1/3 good  OK              0.02s\n\nOk:                 2   \n\
            Expected Fail:      1   \nFail:               1   \nUnexpected Pass:    1   \n\
            Skipped:            1   \nTimeout:            1   \n";
        assert_eq!(counted(&FORMAT, said), Some((3, 3, 1)));
    }

    #[test]
    fn each_test_says_how_many_there_are() {
        let said = "1/2 words:good        OK              0.01s\n2/2 words:bad         FAIL            0.01s   exit status 1\n\
            Ok:                 1\n";
        assert_eq!(counting(&FORMAT, said), (vec![1, 2, 2], Some(2)));
    }
}
