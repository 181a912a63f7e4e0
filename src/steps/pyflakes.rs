//! `pyflakes`: what Pyflakes finds in Python files, by kind.

use std::sync::Arc;

use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

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
    name: "pyflakes",
    aliases: &[],
    step_name: "pyflakes",
    summary: "Runs `make pyflakes`, or another command that runs Pyflakes, and sorts its messages.",
    example: r#"command = ["pyflakes", "src"]
flunking_issues = ["undefined", "redefs"]
flunk_on_failure = false"#,
    // Pyflakes ends with 1 whatever it finds, so that failures do not flunk a build by themselves.
    flags: Flags::NONE,
    read: |keys| {
        let line = keys.or("command", argv(&["make", "pyflakes"]));
        let judge = Pyflakes::read(keys);
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "running pyflakes",
                done: "pyflakes",
            }),
            judge: judge?,
        }))
    },
};

/// In the order in which they are shown.
const KINDS: &[&str] = &["unused", "undefined", "redefs", "import*", "misc"];

#[derive(Clone, Debug)]
struct Pyflakes {
    /// Kinds of which one message makes the step a failure.
    flunking: Vec<&'static str>,
}

impl Pyflakes {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let issues = keys.or("flunking_issues", Issues(vec!["undefined"]))?;
        Some(Self { flunking: issues.0 })
    }
}

struct Issues(Vec<&'static str>);

impl Value for Issues {
    const EXPECTED: &'static str =
        "a list of `unused`, `undefined`, `redefs`, `import*` and `misc`";
    const SHAPE: Shape = Shape::List(&Shape::Word(KINDS));

    fn read(node: &Node) -> Result<Self, Misread> {
        let known = |word: String| {
            let kind = KINDS.iter().copied().find(|it| *it == word);
            kind.ok_or_else(|| Misread {
                what: Some(format!("`{word}` is no kind of message")),
                ..Misread::default()
            })
        };
        let words = Vec::<String>::read(node)?.into_iter();
        words.map(known).collect::<Result<_, _>>().map(Self)
    }
}

impl Judge for Pyflakes {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let mut tally = Tally::new(KINDS);
        let mut has_begun = false;
        tally::said(ended, &mut |line| {
            // Make says what it runs before Pyflakes says anything.
            has_begun |= line.contains(':');
            if has_begun {
                tally.add(kind_of(line), line);
            }
        });
        let flunks = self.flunking.iter().any(|it| tally.of(it) > 0);
        let outcome = tally.outcome(!ended.exit.is_success() || flunks);
        done.extend(tally.texts());
        let mut verdict = verdict(cx, outcome, done);
        tally.tell("pyflakes", "pyflakes", cx, &mut verdict);
        verdict
    }

    fn sets(&self) -> Vec<String> {
        tally::properties("pyflakes", KINDS)
    }
}

fn kind_of(line: &str) -> &'static str {
    if line.contains("imported but unused") {
        "unused"
    } else if line.contains("*' used; unable to detect undefined names") {
        "import*"
    } else if line.contains("undefined name") {
        "undefined"
    } else if line.contains("redefinition of unused") {
        "redefs"
    } else {
        "misc"
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

    fn check(settings: &str, code: i32, lines: &[&str], expected: &str) -> Bench {
        let step = read_kind(&KIND, settings);
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.begin();
        let lines: Vec<_> = lines.iter().map(|it| out(it)).collect();
        assert_eq!(bench.ends(code, &lines), expected);
        bench
    }

    #[test]
    fn what_pyflakes_3_finds_is_sorted() {
        let step = read_kind(&KIND, "");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        assert_eq!(bench.running_text(), ["running", "pyflakes"]);
        assert_eq!(bench.begin(), "hello/build: make pyflakes");
        let lines = [
            out("pyflakes a.py"),
            out("a.py:1:1: 'os' imported but unused"),
            out("a.py:2:1: 'sys' imported but unused"),
            out("a.py:3:1: 'from json import *' used; unable to detect undefined names"),
            out("a.py:6:5: redefinition of unused 're' from line 2"),
            out("a.py:7:12: undefined name 'nobody'"),
            out("a.py:11:5: local variable 'y' is assigned to but never used"),
            err("make: *** [Makefile:2: pyflakes] Error 1"),
        ];
        let texts = "pyflakes unused=2 undefined=1 redefs=1 import*=1 misc=2";
        assert_eq!(bench.ends(2, &lines), format!("failure: {texts} failed"));
        let expected = [
            ("unused", 2),
            ("undefined", 1),
            ("redefs", 1),
            ("import*", 1),
            ("misc", 2),
            ("total", 7),
        ];
        for (word, count) in expected {
            let property = bench.properties.get(&format!("pyflakes-{word}"));
            assert_eq!(property, Some(&count.into()), "{word}");
        }
        let names: Vec<_> = bench.verdict().logs.iter().map(|it| &it.0).collect();
        assert_eq!(names, ["unused", "undefined", "redefs", "import*", "misc"]);
        let log = "a.py:1:1: 'os' imported but unused\na.py:2:1: 'sys' imported but unused\n";
        assert_eq!(bench.verdict().logs[0].1, log);
    }

    #[test]
    fn some_kinds_are_failures_and_the_others_warnings() {
        let unused = "a.py:1: 'os' imported but unused";
        let undefined = "a.py:2: undefined name 'x'";
        check("", 0, &[], "success: pyflakes");
        check("", 0, &[unused], "warnings: pyflakes unused=1 warnings");
        check("", 0, &[undefined], "failure: pyflakes undefined=1 failed");
        let settings = "flunking_issues = [\"unused\", \"import*\"]";
        check(settings, 0, &[unused], "failure: pyflakes unused=1 failed");
        let end = "warnings: pyflakes undefined=1 warnings";
        check(settings, 0, &[undefined], end);
    }

    #[test]
    fn every_count_is_a_property_even_if_there_is_nothing() {
        let bench = check("", 0, &["pyflakes src"], "success: pyflakes");
        let step = read_kind(&KIND, "");
        for name in step.sets() {
            assert_eq!(bench.properties.get(&name), Some(&0.into()), "{name}");
        }
        assert_eq!(bench.verdict().logs, []);
    }

    #[test]
    fn a_kind_that_is_none_is_told() {
        let problems = problems_of(&KIND, "flunking_issues = [\"x\"]");
        insta::assert_snapshot!(problems, @"factories/x.toml:2:19: bad value for `flunking_issues` in [[steps]]");
    }
}
