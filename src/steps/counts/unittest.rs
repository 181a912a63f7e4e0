//! Python's own `unittest`, as Django and others show it too.

use std::sync::LazyLock;

use regex::Regex;

use super::Counter;
use super::Format;
use super::Tests;
use super::built_in;
use super::number;

pub(super) const FORMAT: Format = Format {
    name: "unittest",
    begin: || Box::new(Unittest::default()),
};

static RAN: LazyLock<Regex> = LazyLock::new(|| built_in(r"^Ran (\d+) tests? in "));
static END: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$"));
static PART: LazyLock<Regex> = LazyLock::new(|| built_in(r"([a-z ]+)=(\d+)"));

/// A line of signs, a sign for each test, or with `-v` the line of a test.
static SIGNS: LazyLock<Regex> = LazyLock::new(|| built_in(r"^[.FEsxu]+$"));
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    let ends = r#"ok|FAIL|ERROR|skipped .*|expected failure|unexpected success"#;
    built_in(&format!(r"^.* \.\.\. (?:{ends})$"))
});

#[derive(Default)]
struct Unittest {
    sum: Option<Tests>,
    ended: u64,
    /// A run whose last line is still to come.
    ran: Option<u64>,
}

impl Counter for Unittest {
    fn see(&mut self, line: &str) {
        if let Some(found) = RAN.captures(line) {
            self.ran = Some(number(&found, 1));
            return;
        }
        let Some(found) = END.captures(line) else {
            if SIGNS.is_match(line) {
                self.ended += line.len() as u64;
            } else if TEST.is_match(line) {
                self.ended += 1;
            }
            return;
        };
        let Some(ran) = self.ran.take() else { return };
        let mut failed = 0_u64;
        let mut skipped = 0;
        for part in PART.captures_iter(found.get(1).map_or("", |it| it.as_str())) {
            match part[1].trim_start() {
                "failures" | "errors" => failed = failed.saturating_add(number(&part, 2)),
                "skipped" => skipped = number(&part, 2),
                // Expected failures are good, and unexpected successes are no failures here.
                _ => {}
            }
        }
        *self.sum.get_or_insert_default() += Tests::of(ran, failed, skipped);
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
    fn errors_are_failures_and_runs_are_added() {
        let said = "----------\nRan 10 tests in 0.001s\n\n\
            FAILED (failures=1, errors=2, skipped=3, expected failures=1)\n\
            Ran 1 test in 0.000s\n\nOK\n";
        assert_eq!(counted(&FORMAT, said), Some((5, 3, 3)));
    }

    #[test]
    fn an_end_without_a_run_is_somebody_elses() {
        assert_eq!(counted(&FORMAT, "OK\nFAILED (failures=3)\n"), None);
        let nothing = "Ran 0 tests in 0.000s\n\nNO TESTS RAN\n";
        assert_eq!(counted(&FORMAT, nothing), Some((0, 0, 0)));
    }

    #[test]
    fn signs_and_lines_are_counted_as_they_come() {
        let said =
            "..F\ntest_a (x.T.test_a) ... ok\ntest_b (x.T) ... skipped 'no'\nRan 5 tests in 0.1s\n";
        assert_eq!(counting(&FORMAT, said), (vec![3, 4, 5, 5], None));
    }
}
