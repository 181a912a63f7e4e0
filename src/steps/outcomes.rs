//! What an exit code or a line of a log counts as, where a step says so:
//! `exit.5 = warnings`, `log_eval = [["PATTERN", "failure"]]`.

use std::collections::BTreeMap;

use regex::Regex;

use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Outcome;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Pattern;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Cx;
use super::Ended;
use super::Verdict;
use super::spans::Spans;
use super::texts;

/// What a step says of ends and lines that its type does not know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcomes {
    by_code: BTreeMap<i32, Outcome>,
    by_line: Vec<Row>,
}

/// A text that fits makes the step end so, or worse.
#[derive(Clone, Debug)]
struct Row {
    /// `.` fits the end of a line too, and `^` and `$` are the ends of lines.
    pattern: Regex,
    outcome: Outcome,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.outcome == other.outcome
    }
}

impl Outcomes {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let by_code = codes(keys);
        let by_line = keys.or("log_eval", Rows(Vec::new()));
        Some(Self {
            by_code: by_code?,
            by_line: by_line?.0,
        })
    }

    /// The end as the step's type is to see it: a code that is named and counts as no failure
    /// is as good as 0, so that only what was said decides.
    pub(super) fn seen(&self, exit: &Exit) -> Exit {
        let mut seen = exit.clone();
        match self.of_code(exit) {
            Some(Outcome::Success | Outcome::Warnings | Outcome::Skipped) => seen.code = 0,
            Some(Outcome::Failure | Outcome::Exception | Outcome::Retry) | None => {}
        }
        seen
    }

    /// What the type says, made worse by what the code and the lines count as.
    pub(super) fn applied(&self, cx: &Cx<'_>, ended: &Ended<'_>, mut verdict: Verdict) -> Verdict {
        let judged = verdict.outcome;
        let by_code = self.of_code(ended.exit).unwrap_or(judged);
        let outcome = judged.worst(by_code).worst(self.of_lines(ended));
        if outcome != judged {
            texts::turn(cx, &mut verdict, outcome);
        }
        verdict
    }

    fn of_code(&self, exit: &Exit) -> Option<Outcome> {
        let by_itself = exit.cause == ExitCause::Exited;
        by_itself.then(|| self.by_code.get(&exit.code).copied())?
    }

    fn of_lines(&self, ended: &Ended<'_>) -> Outcome {
        let mut worst = Outcome::Success;
        if self.by_line.is_empty() {
            return worst;
        }
        let mut spans = Spans::new(|text: &str, from| {
            for row in &self.by_line {
                // What changes nothing is not looked for.
                if worst.worst(row.outcome) != worst && row.pattern.is_match_at(text, from) {
                    worst = row.outcome;
                }
            }
        });
        ended.output.lines(&mut |channel, line| {
            if channel != Channel::Header {
                spans.line(line);
            }
        });
        let mut last = None;
        ended.output.logfile_lines(&mut |number, line| {
            if last.replace(number) != Some(number) {
                spans.end();
            }
            spans.line(line);
        });
        spans.end();
        worst
    }
}

fn codes(keys: &mut Keys<'_>) -> Option<BTreeMap<i32, Outcome>> {
    let mut codes = BTreeMap::new();
    let mut is_good = true;
    for (name, (place, outcome)) in keys.placed_map::<Outcome>("exit")? {
        match name.parse() {
            Ok(code @ 0..=255) => {
                codes.insert(code, outcome);
            }
            _ => {
                let what = format!("`{name}` is no exit code");
                let problem = Problem::error(Code::BadName, what).at(&place);
                keys.note(problem.label("expected a number from 0 to 255 behind `exit.`"));
                is_good = false;
            }
        }
    }
    is_good.then_some(codes)
}

impl Value for Outcome {
    const EXPECTED: &'static str =
        "`success`, `warnings`, `failure`, `skipped`, `exception` or `retry`";
    const SHAPE: Shape = Shape::Word(&[
        "success",
        "warnings",
        "failure",
        "skipped",
        "exception",
        "retry",
    ]);

    fn read(node: &Node) -> Result<Self, Misread> {
        let word = node.as_text()?.trim().to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|it| it.as_str() == word);
        found.ok_or_else(Misread::default)
    }
}

struct Rows(Vec<Row>);

impl Value for Rows {
    const EXPECTED: &'static str =
        "a list of patterns and outcomes, such as `[[\"out of licenses\", \"retry\"]]`";
    const SHAPE: Shape = Shape::Json;

    fn read(node: &Node) -> Result<Self, Misread> {
        let Content::List(rows) = &node.content else {
            return Err(Misread::default());
        };
        rows.iter().map(row).collect::<Result<_, _>>().map(Self)
    }
}

fn row(node: &Node) -> Result<Row, Misread> {
    let wrong = |node: &Node, what: String| Misread {
        what: Some(what),
        place: Some(node.place.clone()),
        ..Misread::default()
    };
    let Content::List(pair) = &node.content else {
        return Err(wrong(node, "expected a pattern and an outcome".into()));
    };
    let [pattern, outcome] = pair.as_slice() else {
        return Err(wrong(node, "expected a pattern and an outcome".into()));
    };
    let placed = |node: &Node, expected: &str, misread: Misread| {
        let what = misread
            .what
            .unwrap_or_else(|| format!("expected {expected}"));
        wrong(node, what)
    };
    let read = Pattern::read(pattern).map_err(|it| placed(pattern, Pattern::EXPECTED, it))?;
    let spanning = Regex::new(&format!("(?sm){}", read.0.as_str()));
    Ok(Row {
        pattern: spanning.map_err(|it| wrong(pattern, it.to_string()))?,
        outcome: Outcome::read(outcome).map_err(|it| placed(outcome, Outcome::EXPECTED, it))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::Line;
    use super::super::bench::err;
    use super::super::bench::header;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::{compile, set_property, shell, subunit};

    fn check(kind: &super::super::StepKind, rules: &str, code: i32, lines: &[Line<'_>]) -> String {
        let more = match kind.name {
            "set_property" => "property = \"p\"\n",
            _ => "",
        };
        let step = read_kind(kind, &format!("command = \"make\"\n{more}{rules}"));
        let mut bench = Bench::new(step.as_ref(), kind);
        bench.begin();
        bench.ends(code, lines)
    }

    #[test]
    fn a_code_counts_as_what_is_said_of_it() {
        let rules = "exit.5 = \"warnings\"\nexit.77 = \"SKIPPED\"\nexit.75 = \"retry\"\nexit.3 = \"exception\"\nexit.0 = \"failure\"\nexit.6 = \"success\"\n";
        let check = |code, expected| assert_eq!(check(&shell::KIND, rules, code, &[]), expected);
        check(5, "warnings: 'make' warnings");
        check(6, "success: 'make'");
        check(77, "skipped: 'make' skipped");
        check(75, "retry: 'make' retry; build: shell");
        check(3, "exception: 'make' exception; build: shell");
        check(0, "failure: 'make' failed; build: shell");
        check(1, "failure: 'make' failed; build: shell");
    }

    #[test]
    fn what_is_said_still_counts() {
        let rules = "exit.5 = \"success\"\nexit.6 = \"failure\"\nmax_warn_count = 1\n";
        let warning = out("a: warning: b");
        let check = |code, lines: &[Line<'_>], expected| {
            assert_eq!(check(&compile::KIND, rules, code, lines), expected);
        };
        check(5, &[], "success: compile");
        check(5, &[warning], "warnings: compile warnings");
        let failed = "failure: compile failed; build: compile";
        check(5, &[warning, warning], failed);
        check(6, &[warning], failed);
    }

    #[test]
    fn a_line_makes_it_worse_and_never_better() {
        let rules = r#"log_eval = [["(?i)licen[cs]e", "retry"], ["^ld: ", "failure"], ["slow", "warnings"], ["fine", "success"]]"#;
        let check = |code, lines: &[Line<'_>], expected| {
            assert_eq!(check(&shell::KIND, rules, code, lines), expected);
        };
        check(0, &[out("slow")], "warnings: 'make' warnings");
        let failed = "failure: 'make' failed; build: shell";
        check(0, &[err("ld: no x"), out("slow")], failed);
        check(1, &[out("fine"), out("slow")], failed);
        let retry = "retry: 'make' retry; build: shell";
        check(1, &[out("slow"), out("no License")], retry);
        check(
            0,
            &[header("ld: license"), out("old: x")],
            "success: 'make'",
        );
    }

    #[test]
    fn a_pattern_spans_lines_of_one_log_and_no_two_logs() {
        let rules = r#"log_eval = [["begin.*end", "warnings"], ["^only$", "failure"]]"#;
        let check = |lines: &[Line<'_>], expected| {
            assert_eq!(check(&shell::KIND, rules, 0, lines), expected);
        };
        let warned = "warnings: 'make' warnings";
        check(&[out("begin"), out("middle"), err("the end")], warned);
        check(&[out("end"), out("begin")], "success: 'make'");
        check(&[out("begin"), header("end"), out("x")], "success: 'make'");
        check(
            &[out("x"), out("only"), out("y")],
            "failure: 'make' failed; build: shell",
        );

        let rules = format!("logfiles.a = \"a.log\"\nlogfiles.b = \"b.log\"\n{rules}");
        let step = read_kind(&shell::KIND, &format!("command = \"make\"\n{rules}"));
        let ended = |logfiles: &[&str]| {
            let mut bench = Bench::new(step.as_ref(), &shell::KIND);
            bench.logfiles = logfiles.iter().map(|it| (*it).to_owned()).collect();
            bench.begin();
            bench.ends(0, &[out("begin")])
        };
        assert_eq!(ended(&["x\nend", "begin", "end"]), "success: 'make'");
        assert_eq!(ended(&["x", "begin\ny\nend"]), warned);
    }

    #[test]
    fn log_files_are_looked_through_too() {
        let rules = "logfiles.test = \"test.log\"\nlog_eval = [[\"leak\", \"warnings\"]]";
        let step = read_kind(&shell::KIND, &format!("command = \"make\"\n{rules}"));
        let mut bench = Bench::new(step.as_ref(), &shell::KIND);
        bench.logfiles = vec!["a leak of 5 bytes".into()];
        bench.begin();
        assert_eq!(bench.ends(0, &[]), "warnings: 'make' warnings");
    }

    #[test]
    fn texts_of_types_are_kept_and_say_the_new_end() {
        let rules = r#"log_eval = [["slow", "warnings"], ["crash", "exception"]]"#;
        let test = [out("test: a"), out("success: a"), out("slow")];
        let told = check(&subunit::KIND, rules, 0, &test);
        assert_eq!(told, "warnings: shell 1 test passed warnings");
        let bad = [out("test: a"), out("failure: a"), out("crash")];
        let told = check(&subunit::KIND, rules, 1, &bad);
        let expected = "exception: shell Total 1 test 1 failure exception; build: 1 test";
        assert_eq!(told, expected);
        let told = check(&set_property::KIND, "exit.1 = \"warnings\"", 1, &[out("v")]);
        assert_eq!(told, "warnings: property 'p' set warnings");
    }

    #[test]
    fn mistakes_have_their_places() {
        let problems = problems_of(
            &shell::KIND,
            "command = \"make\"\nexit.x = \"failure\"\nexit.256 = \"failure\"\n\
             log_eval = [[\"a(\", \"failure\"]]\n",
        );
        insta::assert_snapshot!(problems, @"
        factories/x.toml:3:10: `x` is no exit code
        factories/x.toml:4:12: `256` is no exit code
        factories/x.toml:5:14: bad value for `log_eval` in [[steps]]
        ");
        let problems = problems_of(
            &shell::KIND,
            "command = \"make\"\nlog_eval = [[\"a\", \"failure\"], [\"b\"]]\n",
        );
        insta::assert_snapshot!(problems, @"factories/x.toml:3:31: bad value for `log_eval` in [[steps]]");
        let problems = problems_of(
            &shell::KIND,
            "command = \"make\"\nlog_eval = [[\"a\", \"failed\"]]\nexit.1 = \"bad\"\n",
        );
        insta::assert_snapshot!(problems, @"
        factories/x.toml:3:19: bad value for `log_eval` in [[steps]]
        factories/x.toml:4:10: bad value for `exit.1` in [[steps]]
        ");
    }
}
