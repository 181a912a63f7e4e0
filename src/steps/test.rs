//! `test`: runs the tests; a failure lets the later steps run.

use std::sync::Arc;

use crate::model::Outcome;
use crate::model::Shell;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Gauge;
use super::Line;
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
use super::texts::verdict;
use super::warnings::Warnings;

pub(super) const KIND: StepKind = StepKind {
    name: "test",
    aliases: &[],
    step_name: "test",
    summary: "Runs `make test`, or another test command, and counts its warnings and tests.",
    example: r#"command = ["cargo", "test"]
counts = "cargo"
warning_extractor = "rustc""#,
    flags: Flags {
        flunk_on_failure: true,
        warn_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.or("command", argv(&["make", "test"]));
        let counts = keys.or("counts", Counts::default());
        let settings = Settings::read(keys);
        let warnings = Warnings::read(keys);
        Some(Arc::new(OneCommand {
            judge: Tested {
                warnings: warnings?,
                counts: counts?,
            },
            ..step(line?, settings?)
        }))
    },
};

/// Judges by how the command ended, by its warnings, and by the tests that it told of.
#[derive(Clone, Debug, Default)]
pub(super) struct Tested {
    warnings: Warnings,
    counts: Counts,
}

impl Judge for Tested {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let counted = self.warnings.count(ended);
        let tests = self.counts.count(ended);
        let warnings = counted.count();
        let mut outcome = counted.outcome;
        if let Some(tests) = tests {
            // A command such as `check | tee log` may end well all the same.
            if tests.failed > 0 {
                outcome = Outcome::Failure;
            }
            done.extend(tests.texts(warnings));
        }
        let mut verdict = verdict(cx, outcome, done);
        counted.tell(cx, &mut verdict);
        if let Some(tests) = tests {
            tests.tell(warnings, &mut verdict);
        }
        verdict.tests = results::read(self.counts.words(), ended);
        verdict
    }

    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        self.counts.gauge()
    }

    fn asks(&self, settings: &Settings, cx: &Cx<'_>) -> Result<Option<Shell>, StepError> {
        self.warnings.asks(settings, cx)
    }

    fn hears(&mut self, ended: &Ended<'_>) {
        self.warnings.hears(ended);
    }
}

/// `line` as a step of this type.
pub(super) fn step(line: Line, settings: Settings) -> OneCommand<Tested> {
    OneCommand {
        line,
        settings,
        words: Some(Words {
            running: "testing",
            done: "test",
        }),
        judge: Tested::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn a_failing_test_names_itself_to_the_build_and_does_not_halt_it() {
        let mut bench = Bench::new(&step(argv(&["make", "check"]), Settings::default()), &KIND);
        assert_eq!(bench.running_text(), ["testing"]);
        bench.begin();
        assert_eq!(bench.ends(2, &[]), "failure: test failed; build: test");
        let expected = Flags {
            flunk_on_failure: true,
            warn_on_failure: true,
            ..Flags::NONE
        };
        assert_eq!(KIND.flags, expected);
    }

    fn with(lines: &str) -> Bench {
        Bench::new(read_kind(&KIND, lines).as_ref(), &KIND)
    }

    #[test]
    fn tests_are_counted_as_their_program_tells_them() {
        let mut bench = with("counts = \"cargo\"\nwarning_extractor = \"rustc\"\n");
        bench.begin();
        let lines = [
            err("warning: unused variable: `x`"),
            err(" --> src/lib.rs:2:9"),
            err("warning: `hello` (lib) generated 1 warning"),
            out("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out"),
        ];
        let end = "warnings: test 4 tests 3 passed 1 warning 1 skipped warnings";
        assert_eq!(bench.ends(0, &lines), end);
        let verdict = bench.verdict();
        let log = "src/lib.rs:2:9: warning: unused variable: `x`\n".to_owned();
        assert_eq!(verdict.logs, [("warnings (1)".to_owned(), log)]);
        let statistics = [
            ("warnings", 1),
            ("tests-total", 4),
            ("tests-passed", 3),
            ("tests-warnings", 1),
            ("tests-failed", 0),
            ("tests-skipped", 1),
        ];
        let statistics = statistics.map(|(name, it)| (name.to_owned(), it));
        assert_eq!(verdict.statistics, statistics);
    }

    #[test]
    fn a_failed_test_is_a_failure_however_the_command_ends() {
        let mut bench = with("counts = [\"pytest\", \"unittest\"]\n");
        bench.begin();
        let lines = [
            out("1 failed, 1 passed in 0.1s"),
            err("Ran 1 test in 0.1s"),
            err("OK"),
        ];
        let end = "failure: test 3 tests 2 passed 1 failed failed; build: test";
        assert_eq!(bench.ends(0, &lines), end);
        let mut bench = with("counts = \"cargo\"\n");
        bench.begin();
        // Nothing was said of tests.
        assert_eq!(bench.ends(0, &[]), "success: test");
        assert_eq!(bench.verdict().statistics.len(), 1);
    }

    #[test]
    fn a_format_that_nobody_knows_is_told() {
        let problems = problems_of(&KIND, "counts = \"junt\"\n");
        assert_eq!(
            problems,
            "factories/x.toml:2:10: bad value for `counts` in [[steps]]"
        );
    }
}
