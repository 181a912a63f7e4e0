//! `perl_module_test`: runs the tests of a Perl module, and counts them.

use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::Channel;
use crate::model::Outcome;
use crate::model::Shell;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Gauge;
use super::Settings;
use super::StepError;
use super::StepKind;
use super::Verdict;
use super::argv;
use super::counts::Counts;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::results;
use super::results::Prove;
use super::texts::verdict;
use super::warnings::Warnings;

pub(super) const KIND: StepKind = StepKind {
    name: "perl_module_test",
    aliases: &[],
    step_name: "test",
    summary: "Runs `prove`, or another command that runs Perl's tests, and counts them and the warnings.",
    example: r#"command = ["prove", "--blib", "-r", "t"]"#,
    flags: Flags {
        flunk_on_failure: true,
        warn_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let prove = ["prove", "--lib", "lib", "-r", "t"];
        let line = keys.or("command", argv(&prove));
        let settings = Settings::read(keys);
        let warnings = Warnings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "testing",
                done: "test",
            }),
            judge: PerlTests {
                warnings: warnings?,
            },
        }))
    },
};

#[derive(Clone, Debug)]
struct PerlTests {
    warnings: Warnings,
}

impl Judge for PerlTests {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let mut harness = Harness::default();
        let mut warnings = 0_u64;
        ended.output.lines(&mut |channel, line| {
            if channel == Channel::Stdout {
                let line = line.trim_end_matches('\r');
                harness.see(line);
                warnings += u64::from(self.warnings.is_in(line));
            }
        });
        let counted = self.warnings.count(ended);
        let tests = harness.tests;
        let is_bad = tests.is_bad || tests.failed > 0;
        let outcome = if is_bad || counted.outcome == Outcome::Failure {
            Outcome::Failure
        } else if warnings > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        };
        let passed = tests.total.saturating_sub(tests.failed);
        let shown = [
            (tests.total, "tests"),
            (passed, "passed"),
            (warnings, "warnings"),
            (tests.failed, "failed"),
        ];
        if tests.total > 0 {
            let there = shown.iter().filter(|it| it.0 > 0);
            done.extend(there.map(|(count, word)| format!("{count} {word}")));
        }
        let mut verdict = verdict(cx, outcome, done);
        counted.tell(cx, &mut verdict);
        verdict.tests = results::read_with(&mut Prove::default(), ended);
        if tests.total > 0 {
            let names = [
                "tests-total",
                "tests-passed",
                "tests-warnings",
                "tests-failed",
            ];
            for (name, (count, _)) in names.into_iter().zip(shown) {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                verdict.statistics.push((name.to_owned(), count));
            }
        }
        verdict
    }

    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        Counts::tap().gauge()
    }

    fn asks(&self, settings: &Settings, cx: &Cx<'_>) -> Result<Option<Shell>, StepError> {
        self.warnings.asks(settings, cx)
    }

    fn hears(&mut self, ended: &Ended<'_>) {
        self.warnings.hears(ended);
    }
}

/// What a harness says of all tests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tests {
    total: u64,
    failed: u64,
    is_bad: bool,
}

/// Reads what `Test::Harness` says, the old one or the new one.
#[derive(Default)]
struct Harness {
    tests: Tests,
    place: Place,
}

/// How far the harness has come.
#[derive(Clone, Copy, Default, PartialEq)]
enum Place {
    #[default]
    Tests,
    /// It has said that all is well, and says next of how many tests.
    Totals,
    /// It has said everything.
    Told,
    /// The line below the title of the report, which only underlines it.
    Underline,
    /// The new one's report, which counts instead of what was said before.
    Report,
}

static FAILED_OF: LazyLock<Regex> = LazyLock::new(|| built_in(r"(\d+)/(\d+) subtests failed"));
static TOTAL: LazyLock<Regex> = LazyLock::new(|| built_in(r"Tests=(\d+),"));
static FILES: LazyLock<Regex> = LazyLock::new(|| built_in(r"^Files=\d+, Tests=(\d+)"));
static FAILED: LazyLock<Regex> = LazyLock::new(|| built_in(r"Tests: \d+ Failed: (\d+)\)"));

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are tested")
}

fn number(pattern: &Regex, group: usize, line: &str) -> Option<u64> {
    pattern.captures(line)?.get(group)?.as_str().parse().ok()
}

impl Harness {
    fn see(&mut self, line: &str) {
        if line == "Test Summary Report" {
            self.tests = Tests::default();
            self.place = Place::Underline;
            return;
        }
        match self.place {
            Place::Tests if line.starts_with("All tests successful") => {
                self.place = Place::Totals;
            }
            Place::Tests => {
                if let Some(failed) = number(&FAILED_OF, 1, line) {
                    self.tests = Tests {
                        total: number(&FAILED_OF, 2, line).unwrap_or(failed),
                        failed,
                        is_bad: true,
                    };
                    self.place = Place::Told;
                }
            }
            Place::Totals => {
                if let Some(total) = number(&TOTAL, 1, line) {
                    self.tests.total = total;
                    self.place = Place::Told;
                }
            }
            Place::Told => {}
            Place::Underline => self.place = Place::Report,
            Place::Report => {
                if line.starts_with("Result: FAIL") {
                    self.tests.is_bad = true;
                }
                if let Some(failed) = number(&FAILED, 1, line) {
                    self.tests.failed = self.tests.failed.saturating_add(failed);
                }
                if let Some(total) = number(&FILES, 1, line) {
                    self.tests.total = total;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::Line;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    fn check(code: i32, lines: &[Line<'_>], expected: &str) -> Bench {
        let step = read_kind(&KIND, "");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        assert_eq!(bench.running_text(), ["testing"]);
        assert_eq!(bench.begin(), "hello/build: prove --lib lib -r t");
        assert_eq!(bench.ends(code, lines), expected);
        bench
    }

    #[test]
    fn the_report_of_prove_3_is_read() {
        let lines = [
            out("t/a.t .. ok"),
            out("t/b.t .. "),
            out("Dubious, test returned 2 (wstat 512, 0x200)"),
            out("Failed 2/4 subtests "),
            out("\t(less 1 skipped subtest: 1 okay)"),
            out(""),
            out("Test Summary Report"),
            out("-------------------"),
            out("t/b.t (Wstat: 512 (exited 2) Tests: 4 Failed: 2)"),
            out("  Failed tests:  2, 4"),
            out("  Non-zero exit status: 2"),
            out(
                "Files=2, Tests=7,  0 wallclock secs ( 0.02 usr  0.00 sys +  0.05 cusr  0.02 csys =  0.09 CPU)",
            ),
            out("Result: FAIL"),
        ];
        let end = "failure: test 7 tests 5 passed 2 failed failed; build: test";
        let bench = check(1, &lines, end);
        let expected = [
            ("warnings", 0),
            ("tests-total", 7),
            ("tests-passed", 5),
            ("tests-warnings", 0),
            ("tests-failed", 2),
        ];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(bench.verdict().statistics, expected);
        // A harness that fails is a failure whatever the exit code is.
        check(0, &lines, end);
    }

    #[test]
    fn good_tests_are_counted_and_warnings_too() {
        let totals = out("Files=1, Tests=3,  0 wallclock secs ( 0.01 usr  0.00 sys =  0.04 CPU)");
        let good = [
            out("t/a.t .. ok\r"),
            out("All tests successful.\r"),
            totals,
            out("Result: PASS"),
        ];
        check(0, &good, "success: test 3 tests 3 passed");
        check(
            255,
            &good,
            "failure: test 3 tests 3 passed failed; build: test",
        );

        let lines = [&[out("a warning: old")], good.as_slice()].concat();
        let end = "warnings: test 3 tests 3 passed 1 warnings warnings";
        let bench = check(0, &lines, end);
        assert_eq!(bench.properties.get("warnings-count"), Some(&1.into()));
        assert_eq!(bench.verdict().logs[0].0, "warnings (1)");

        // What is said on the other stream is no test's, but is in the log.
        let lines = [&[err("a warning: old")], good.as_slice()].concat();
        let bench = check(0, &lines, "success: test 3 tests 3 passed");
        assert_eq!(bench.verdict().logs[0].0, "warnings (1)");
    }

    #[test]
    fn an_old_harness_is_read_up_to_what_it_decides() {
        let lines = [
            out("Failed 1/3 test scripts, 66.67% okay. 2/9 subtests failed, 77.78% okay."),
            out("All tests successful."),
            out("Files=3, Tests=100, 0 secs"),
        ];
        let end = "failure: test 9 tests 7 passed 2 failed failed; build: test";
        check(0, &lines, end);
        // How many they were is not known.
        check(0, &lines[1..2], "success: test");
        check(0, &[], "success: test");
        check(-1, &[], "failure: test failed; build: test");
    }

    #[test]
    fn more_failures_than_tests_and_numbers_of_any_length_are_borne() {
        let long = format!("t/b.t (Wstat: 0 Tests: 1 Failed: {})", u64::MAX);
        let lines = [
            out("Test Summary Report"),
            out("Tests: 1 Failed: 5)"),
            out(&long),
            out(&long),
            out("Files=1, Tests=1, "),
            out("Files=1, Tests=99999999999999999999999, "),
        ];
        let end = format!(
            "failure: test 1 tests {} failed failed; build: test",
            u64::MAX
        );
        let bench = check(0, &lines, &end);
        assert_eq!(bench.verdict().statistics[4].1, i64::MAX);
    }
}
