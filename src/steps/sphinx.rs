//! `sphinx`: builds documentation with Sphinx, and counts its warnings.

use std::sync::Arc;

use crate::model::Outcome;
use crate::model::Text;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::text_with_secrets;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::read;
use super::tally;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "sphinx",
    aliases: &[],
    step_name: "sphinx",
    summary: "Builds documentation with Sphinx, and counts its warnings.",
    example: r#"sphinx_sourcedir = "docs"
sphinx_builddir = "docs/_build"
sphinx_builder = "html"
tags = ["release"]
defines = { version = "%(got_revision:-)s", nitpicky = true }
mode = "full""#,
    flags: Flags {
        halt_on_failure: true,
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = line(keys);
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "building",
                done: "sphinx",
            }),
            judge: Sphinx,
        }))
    },
};

/// The command that the type's own parameters are about.
fn line(keys: &mut Keys<'_>) -> Option<Line> {
    let program = keys.or("sphinx", Text::literal("sphinx-build"));
    let builder = keys.optional::<Text>("sphinx_builder");
    let tags = read::words(keys, "tags");
    let defines = keys.map::<Define>("defines");
    let mode = keys.or("mode", Mode::Incremental);
    let source = keys.or("sphinx_sourcedir", Text::literal("."));
    let build = keys.required::<Text>("sphinx_builddir");

    let mut words = vec![program?];
    let option = |name| Text::literal(name);
    if let Some(builder) = builder? {
        words.extend([option("-b"), builder]);
    }
    for tag in tags?.unwrap_or_default() {
        words.extend([option("-t"), tag]);
    }
    for (name, value) in defines? {
        let mut word = name.replace('%', "%%");
        if let Some(value) = value.0 {
            word = format!("{word}={value}");
        }
        let word = Text::parse(&word).unwrap_or_else(|_| Text::literal(name));
        words.extend([option("-D"), word]);
    }
    if mode? == Mode::Full {
        words.push(option("-E"));
    }
    words.extend([source?, build?]);
    Some(Line::Argv(words))
}

/// What `-D` says behind the name, as a text that is known to parse.
struct Define(Option<String>);

impl Value for Define {
    const EXPECTED: &'static str = "a text, a number, `true`, `false` or null";
    const SHAPE: Shape = Shape::OrNone(&Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        let value = match &node.content {
            Content::Null => return Ok(Self(None)),
            Content::Bool(it) => u8::from(*it).to_string(),
            Content::Int(it) => it.to_string(),
            _ => {
                text_with_secrets(node)?;
                node.as_text()?.to_owned()
            }
        };
        Ok(Self(Some(value)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Incremental,
    /// Reads every source again.
    Full,
}

impl Value for Mode {
    const EXPECTED: &'static str = "`incremental` or `full`";
    const SHAPE: Shape = Shape::Word(&["incremental", "full"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "incremental" => Ok(Self::Incremental),
            "full" => Ok(Self::Full),
            _ => Err(Misread::default()),
        }
    }
}

#[derive(Clone, Debug)]
struct Sphinx;

const GOOD: [&str; 2] = ["build succeeded", "no targets are out of date."];

impl Judge for Sphinx {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let (mut is_good, mut count, mut log) = (false, 0_i64, String::new());
        tally::said(ended, &mut |line| {
            if GOOD.iter().any(|it| line.starts_with(it)) {
                is_good = true;
            } else if ["WARNING", "ERROR", "SEVERE"]
                .iter()
                .any(|it| line.contains(it))
            {
                count += 1;
                tally::push_line(&mut log, line);
            }
        });
        let outcome = if !ended.exit.is_success() || !is_good {
            Outcome::Failure
        } else if count > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        };
        done.push(format!("{count} warnings"));
        let mut verdict = verdict(cx, outcome, done);
        verdict.statistics.push(("warnings".into(), count));
        if count > 0 {
            log.pop();
            verdict.logs.push(("warnings".into(), log));
        }
        verdict
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

    fn begun(settings: &str) -> (Bench, String) {
        let step = read_kind(&KIND, settings);
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.properties.set("n", "7", "test");
        let told = bench.begin();
        (bench, told)
    }

    #[test]
    fn the_command_is_made_of_the_parameters() {
        let check = |settings: &str, expected: &str| {
            assert_eq!(begun(settings).1, format!("hello/build: {expected}"));
        };
        check("sphinx_builddir = \"out\"", "sphinx-build . out");
        check(
            r#"
sphinx = "sphinx3"
sphinx_sourcedir = "docs"
sphinx_builddir = "out/%(n)s"
sphinx_builder = "latex"
tags = ["a", "b %(n)s"]
defines = { version = "1.%(n)s", nitpicky = true, "a%b" = false, level = 3 }
mode = "full"
"#,
            "sphinx3 -b latex -t a -t b 7 -D a%b=0 -D level=3 -D nitpicky=1 -D version=1.7 -E docs out/7",
        );
    }

    #[test]
    fn what_sphinx_9_says_is_counted_once_a_line() {
        let (mut bench, _) = begun("sphinx_builddir = \"out\"");
        assert_eq!(bench.running_text(), ["building"]);
        let lines = [
            out("Running Sphinx v9.0.4"),
            out("reading sources... [100%] index"),
            err("/x/index.rst:4: ERROR: Unknown directive type \"foo\"."),
            err(""),
            err(".. foo:: bar [docutils]"),
            err("/x/index.rst:6: WARNING: undefined label: 'an ERROR' [ref.ref]"),
            out("build succeeded, 2 warnings."),
        ];
        assert_eq!(
            bench.ends(0, &lines),
            "warnings: sphinx 2 warnings warnings"
        );
        let log = format!("{}\n{}", lines[2].1, lines[5].1);
        let verdict = bench.verdict();
        assert_eq!(verdict.logs, [("warnings".to_owned(), log)]);
        assert_eq!(verdict.statistics, [("warnings".to_owned(), 2)]);
    }

    #[test]
    fn only_what_says_that_it_is_good_is_good() {
        let check = |code, line: &str, expected: &str| {
            let (mut bench, _) = begun("sphinx_builddir = \"out\"");
            assert_eq!(bench.ends(code, &[out(line)]), expected);
            assert_eq!(bench.verdict().statistics, [("warnings".to_owned(), 0)]);
        };
        check(0, "build succeeded.", "success: sphinx 0 warnings");
        check(
            0,
            "no targets are out of date.",
            "success: sphinx 0 warnings",
        );
        let failed = "failure: sphinx 0 warnings failed; build: sphinx";
        check(0, "loading translations [en]... done", failed);
        check(0, "the build succeeded.", failed);
        check(2, "build succeeded.", failed);
    }

    #[test]
    fn mistakes_are_told_in_their_place() {
        let problems = problems_of(&KIND, "mode = \"fast\"\ndefines.x = \"100%\"\n");
        insta::assert_snapshot!(problems, @r#"
        factories/x.toml:1:1: `sphinx_builddir` is missing in [[steps]]
        factories/x.toml:2:8: bad value for `mode` in [[steps]]
        factories/x.toml:3:17: bad value for `defines.x` in [[steps]]
        "#);
    }
}
