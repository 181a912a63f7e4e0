//! `epydoc`: builds the documentation of Python modules, and counts what Epydoc complains about.

use std::sync::Arc;

use crate::model::Outcome;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::argv;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::tally;
use super::tally::Tally;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "epydoc",
    aliases: &["build_epydoc"],
    step_name: "epydoc",
    summary: "Runs `make epydocs`, or another command that runs Epydoc, and counts its complaints.",
    example: r#"command = ["epydoc", "--html", "src"]"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.or("command", argv(&["make", "epydocs"]));
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "building epydocs",
                done: "epydoc",
            }),
            judge: Epydoc,
        }))
    },
};

#[derive(Clone, Debug)]
struct Epydoc;

impl Judge for Epydoc {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let mut tally = Tally::new(&["ierr", "warn", "err"]);
        tally::said(ended, &mut |line| {
            if line.starts_with("Error importing ") {
                tally.add("ierr", line);
            }
            if line.contains("Warning: ") {
                tally.add("warn", line);
            }
            if line.contains("Error: ") {
                tally.add("err", line);
            }
        });
        let outcome = if !ended.exit.is_success() {
            Outcome::Failure
        } else if tally.of("warn") + tally.of("err") > 0 {
            Outcome::Warnings
        } else {
            // A module that cannot be imported is only told.
            Outcome::Success
        };
        done.extend(tally.texts());
        verdict(cx, outcome, done)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn complaints_are_counted_and_imports_that_fail_are_only_told() {
        let check = |code, lines: &[&str], expected: &str| {
            let step = read_kind(&KIND, "");
            let mut bench = Bench::new(step.as_ref(), &KIND);
            assert_eq!(bench.running_text(), ["building", "epydocs"]);
            assert_eq!(bench.begin(), "hello/build: make epydocs");
            let lines: Vec<_> = lines.iter().map(|it| out(it)).collect();
            assert_eq!(bench.ends(code, &lines), expected);
        };
        let import = "Error importing words.old: no module";
        let warning = "  Warning: @param for unknown parameter \"x\"";
        let error = "  Error: Line 4: Improper paragraph indentation.";
        check(0, &["Building documentation"], "success: epydoc");
        check(0, &[import], "success: epydoc ierr=1");
        let both = "warnings: epydoc ierr=1 warn=2 err=1 warnings";
        check(0, &[import, warning, warning, error], both);
        check(
            2,
            &[warning],
            "failure: epydoc warn=1 failed; build: epydoc",
        );
    }
}
