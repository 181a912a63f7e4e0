//! `maxq`: runs the web tests of a directory with MaxQ.

use std::sync::Arc;

use crate::model::Outcome;
use crate::model::Text;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::tally;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "maxq",
    aliases: &[],
    step_name: "maxq",
    summary: "Runs `run_maxq.py` on a directory of web tests, and counts their failures.",
    example: r#"testdir = "tests/web""#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let testdir = keys.required::<Text>("testdir");
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: Line::Script(Text::literal("run_maxq.py ").then(&testdir?)),
            settings: settings?,
            words: None,
            judge: MaxQ,
        }))
    },
};

#[derive(Clone, Debug)]
struct MaxQ;

impl Judge for MaxQ {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, _: Vec<String>) -> Verdict {
        let mut failures = 0_u64;
        tally::said(ended, &mut |line| {
            failures += u64::from(line.starts_with("TEST FAILURE:"));
        });
        if failures == 0 && !ended.exit.is_success() {
            failures = 1;
        }
        let (outcome, text) = match failures {
            0 => (Outcome::Success, vec!["maxq".into(), "tests".into()]),
            _ => (
                Outcome::Failure,
                vec![failures.to_string(), "maxq".into(), "failures".into()],
            ),
        };
        Verdict {
            text,
            ..verdict(cx, outcome, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::Line;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn failures_are_counted_from_the_first_line_on() {
        let check = |code, lines: &[Line<'_>], expected: &str| {
            let step = read_kind(&KIND, "testdir = \"web\"");
            let mut bench = Bench::new(step.as_ref(), &KIND);
            assert_eq!(bench.running_text(), ["'run_maxq.py", "web'"]);
            assert_eq!(bench.begin(), "sh hello/build: run_maxq.py web");
            assert_eq!(bench.ends(code, lines), expected);
        };
        check(0, &[out("all is well")], "success: maxq tests");
        let lines = [
            out("TEST FAILURE: a"),
            out("no TEST FAILURE: b"),
            out("TEST FAILURE: c"),
        ];
        check(0, &lines, "failure: 2 maxq failures; build: maxq");
        check(1, &lines[1..2], "failure: 1 maxq failures; build: maxq");
    }
}
