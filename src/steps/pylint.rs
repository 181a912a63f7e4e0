//! `pylint`: what Pylint finds in Python files, by category.

use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::ExitCause;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::tally;
use super::tally::Tally;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "pylint",
    aliases: &[],
    step_name: "pylint",
    summary: "Runs a command that runs Pylint, and sorts its messages.",
    example: r#"command = ["pylint", "--output-format=parseable", "src"]"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.required("command");
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "running pylint",
                done: "pylint",
            }),
            judge: Pylint,
        }))
    },
};

/// In the order in which they are shown; the first letter stands in Pylint's messages.
const CATEGORIES: &[&str] = &[
    "error",
    "fatal",
    "convention",
    "refactor",
    "warning",
    "info",
];

/// The forms of a message. The first line that has one of them decides: the others are not looked for any more.
static FORMS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        // `a.py:3: [W0611, main] text`, and `[W0611(unused-import), ]` since Pylint 1.
        r"^[^:]+:\d+: \[([CRWEFI])(?:\d{4})?(?:\([^)]*\))?[,\]]",
        // `W0611:  3,10: text`, before Pylint 1.5.
        r"^([CRWEFI])(?:\d{4})?: *\d+(?:, *\d+)?:",
        // `a.py:3:0: W0611: text (unused-import)`, since Pylint 1.5.
        r"^[^:]+:\d+:\d+: ([CRWEFI])\d{4}: ",
    ]
    .map(|it| Regex::new(it).expect("the forms are tested"))
});

/// The bits of Pylint's exit code that say it failed: fatal, error, usage. The
/// others say only that there are messages.
const FAILED: i32 = 1 | 2 | 32;

#[derive(Clone, Debug)]
struct Pylint;

impl Judge for Pylint {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let mut tally = Tally::new(CATEGORIES);
        let mut form: Option<&Regex> = None;
        tally::said(ended, &mut |line| {
            form = form.or_else(|| FORMS.iter().find(|it| it.is_match(line)));
            let letter = form.and_then(|it| it.captures(line)?.get(1));
            if let Some(letter) = letter {
                tally.add(category(letter.as_str()), line);
            }
        });
        let exit = ended.exit;
        let has_failed = exit.cause != ExitCause::Exited || exit.code & FAILED != 0;
        let outcome = tally.outcome(has_failed || tally.of("fatal") > 0 || tally.of("error") > 0);
        done.extend(tally.texts());
        let mut verdict = verdict(cx, outcome, done);
        // Buildbot names no source of these.
        tally.tell("pylint", "Unknown", cx, &mut verdict);
        verdict
    }

    fn sets(&self) -> Vec<String> {
        tally::properties("pylint", CATEGORIES)
    }
}

fn category(letter: &str) -> &'static str {
    let letter = letter.to_ascii_lowercase();
    let found = CATEGORIES.iter().find(|it| it.starts_with(&letter));
    found.expect("the forms know no other letter")
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    fn check(code: i32, lines: &[&str], expected: &str) -> Bench {
        let step = read_kind(&KIND, "command = \"pylint src\"");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        assert_eq!(bench.running_text(), ["running", "pylint"]);
        bench.begin();
        let lines: Vec<_> = lines.iter().map(|it| out(it)).collect();
        assert_eq!(bench.ends(code, &lines), expected);
        bench
    }

    #[test]
    fn what_pylint_4_finds_is_sorted() {
        let lines = [
            "************* Module a",
            "a.py:1:0: C0114: Missing module docstring (missing-module-docstring)",
            "a.py:6:4: W0621: Redefining name 're' from outer scope (line 2) (redefined-outer-name)",
            "a.py:7:11: E0602: Undefined variable 'undefined_thing' (undefined-variable)",
            "a.py:10:4: W0404: Reimport 'sys' (imported line 2) (reimported)",
            "",
            "-----------------------------------",
            "Your code has been rated at 0.00/10",
        ];
        let end = "failure: pylint error=1 convention=1 warning=2 failed; build: pylint";
        let bench = check(22, &lines, end);
        let count = |word| bench.properties.get(&format!("pylint-{word}")).cloned();
        let counts = ["convention", "refactor", "warning", "error", "total"].map(count);
        assert_eq!(counts, [1, 0, 2, 1, 4].map(|it| Some(it.into())));
        let (name, log) = &bench.verdict().logs[2];
        assert_eq!(name, "warning");
        assert_eq!(*log, format!("{}\n{}\n", lines[2], lines[4]));
    }

    #[test]
    fn both_forms_that_programs_read_are_understood() {
        let lines = [
            "a.py:1: [C0114(missing-module-docstring), ] Missing module docstring",
            "a.py:6: [W0621(redefined-outer-name), f] Redefining name 're' from outer scope",
        ];
        let end = "warnings: pylint convention=1 warning=1 warnings";
        check(20, &lines, end);
        let lines = [
            "a.py:1: [C0111] Missing docstring",
            "a.py:6: [W, f] Redefining name 're'",
        ];
        check(20, &lines, end);
    }

    #[test]
    fn the_first_form_that_fits_is_the_only_one() {
        let lines = [
            "C0111:  1: Missing docstring",
            "R0201:  3,4:f: Method could be a function",
            "a.py:6: [W0621, f] is no message here",
            "E: 7: nor",
            "I0011: 8",
        ];
        let end = "failure: pylint error=1 convention=1 refactor=1 failed; build: pylint";
        check(0, &lines, end);
    }

    #[test]
    fn only_some_bits_of_the_exit_code_are_failures() {
        let line = ["a.py:1:0: R0903: Too few public methods (too-few-public-methods)"];
        for code in [0, 4, 8, 16, 28] {
            check(code, &line, "warnings: pylint refactor=1 warnings");
            check(code, &[], "success: pylint");
        }
        for code in [1, 2, 32, 33, 127, -1] {
            check(code, &[], "failure: pylint failed; build: pylint");
        }
    }
}
