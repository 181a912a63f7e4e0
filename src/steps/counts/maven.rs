//! Maven's Surefire and Failsafe.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;

pub(super) const FORMAT: Format = Format {
    name: "maven",
    begin: || Box::new(Maven::default()),
};

/// The sum of a module; the line of a class has its time behind it.
static SUM: LazyLock<Regex> = LazyLock::new(|| {
    let counts = r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)";
    built_in(&format!(r"^(?:\[[A-Z]+\] +)?{counts} *$"))
});

/// A class of tests.
static CLASS: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(?:\[[A-Z]+\] +)?Tests run: (\d+), .*Time elapsed: "));

#[derive(Default)]
struct Maven {
    sum: Option<Tests>,
    ended: u64,
}

impl Counter for Maven {
    fn see(&mut self, line: &str) {
        if let Some(found) = SUM.captures(line) {
            let failed = number(&found, 2).saturating_add(number(&found, 3));
            *self.sum.get_or_insert_default() +=
                Tests::of(number(&found, 1), failed, number(&found, 4));
        } else if let Some(found) = CLASS.captures(line) {
            self.ended = self.ended.saturating_add(number(&found, 1));
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
    fn classes_are_in_the_sum_of_their_module() {
        let said = "[INFO] Running HelloTest\n\
            [ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 1, Time elapsed: 0.199 s <<< FAILURE! - in HelloTest\n\
            [ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 1\n\
            [WARNING] Tests run: 2, Failures: 0, Errors: 1, Skipped: 0\n\
            Tests run: 1, Failures: 0, Errors: 0, Skipped: 0\n";
        assert_eq!(counted(&FORMAT, said), Some((3, 2, 1)));
    }

    #[test]
    fn classes_are_counted_as_they_end() {
        let said = "[INFO] Running x.ATest\n\
            [INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.05 s - in x.ATest\n\
            [ERROR] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.05 s <<< FAILURE! - in x.B\n\
            [ERROR] Tests run: 5, Failures: 1, Errors: 0, Skipped: 0\n";
        assert_eq!(counting(&FORMAT, said), (vec![0, 3, 5, 5], None));
    }
}
