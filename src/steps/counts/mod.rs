//! What test programs say of their tests, as counts. Each program has a way of
//! its own, a file and a row of [`FORMATS`]; what they are read into is the same.

mod cargo;
mod ctest;
mod go;
mod junit;
mod maven;
mod meson;
mod node;
mod pytest;
mod tap;
mod unittest;

use std::borrow::Cow;
use std::fmt;
use std::ops::AddAssign;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::Channel;
use crate::model::Reached;
use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::same;

use super::Ended;
use super::Gauge;
use super::Verdict;
use super::tally;

/// Every way, in the order of the manual.
const FORMATS: &[Format] = &[
    cargo::FORMAT,
    pytest::FORMAT,
    unittest::FORMAT,
    go::FORMAT,
    node::FORMAT,
    ctest::FORMAT,
    meson::FORMAT,
    maven::FORMAT,
    tap::FORMAT,
    junit::FORMAT,
];

/// The words of [`FORMATS`], for the schema.
const WORDS: &[&str] = &[
    "cargo", "pytest", "unittest", "go", "node", "ctest", "meson", "maven", "tap", "junit",
];

/// A way to tell how tests ended.
pub(super) struct Format {
    name: &'static str,
    begin: fn() -> Box<dyn Counter>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// Reads what one command says.
trait Counter: Send + Sync {
    /// Takes in a line, without colours and without its end.
    fn see(&mut self, line: &str);

    /// What was counted; `None` if nothing was said of tests.
    fn tests(&self) -> Option<Tests>;

    /// How many tests have ended so far, where that shows before all have.
    fn ended(&self) -> u64 {
        0
    }

    /// How many there will be, if that was said.
    fn announced(&self) -> Option<u64> {
        None
    }
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tests {
    pub(super) passed: u64,
    /// Errors are among them.
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Tests {
    pub(super) const fn total(self) -> u64 {
        let ran = self.passed.saturating_add(self.failed);
        ran.saturating_add(self.skipped)
    }

    /// Of so many tests, so many failed and were skipped.
    const fn of(total: u64, failed: u64, skipped: u64) -> Self {
        Self {
            passed: total.saturating_sub(failed).saturating_sub(skipped),
            failed,
            skipped,
        }
    }

    /// The words behind the step's own, such as `3 tests`, `1 failed`.
    pub(super) fn texts(self, warnings: u64) -> Vec<String> {
        let shown = [
            (self.total(), "tests"),
            (self.passed, "passed"),
            (warnings, "warnings"),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
        ];
        let there = shown.iter().filter(|it| it.0 > 0);
        there
            .map(|(count, word)| match (*count, *word) {
                (1, "tests") => "1 test".to_owned(),
                (1, "warnings") => "1 warning".to_owned(),
                _ => format!("{count} {word}"),
            })
            .collect()
    }

    /// Puts the counts among the statistics of the step.
    pub(super) fn tell(self, warnings: u64, verdict: &mut Verdict) {
        let all = [
            ("tests-total", self.total()),
            ("tests-passed", self.passed),
            ("tests-warnings", warnings),
            ("tests-failed", self.failed),
            ("tests-skipped", self.skipped),
        ];
        let all = all.map(|(name, it)| (name.to_owned(), i64::try_from(it).unwrap_or(i64::MAX)));
        verdict.statistics.extend(all);
    }
}

impl AddAssign for Tests {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// The formats that a step expects; what they say is added.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Vec<&'static Format>);

impl Counts {
    pub(super) fn junit() -> Self {
        Self(vec![&junit::FORMAT])
    }

    pub(super) fn tap() -> Self {
        Self(vec![&tap::FORMAT])
    }

    /// Counts tests while they run; nothing does without a format.
    pub(super) fn gauge(&self) -> Option<Box<dyn Gauge>> {
        (!self.0.is_empty()).then(|| Box::new(TestGauge(self.begin())) as Box<dyn Gauge>)
    }

    fn begin(&self) -> Vec<Box<dyn Counter>> {
        self.0.iter().map(|it| (it.begin)()).collect()
    }

    /// The words of the formats.
    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|it| it.name)
    }

    /// What the command said of its tests; `None` if it said nothing of them.
    pub(super) fn count(&self, ended: &Ended<'_>) -> Option<Tests> {
        let mut counters = self.begin();
        if counters.is_empty() {
            return None;
        }
        tally::said(ended, &mut |line| {
            let line = colourless(line);
            counters.iter_mut().for_each(|it| it.see(&line));
        });
        let mut sum: Option<Tests> = None;
        for tests in counters.iter().filter_map(|it| it.tests()) {
            *sum.get_or_insert_default() += tests;
        }
        sum
    }
}

/// How many tests have ended.
struct TestGauge(Vec<Box<dyn Counter>>);

impl Gauge for TestGauge {
    fn see(&mut self, channel: Channel, line: &str) {
        if channel != Channel::Header {
            self.0.iter_mut().for_each(|it| it.see(line));
        }
    }

    fn reached(&self) -> Vec<Reached> {
        let ended = |it: &dyn Counter| match it.ended() {
            // It says nothing of them before all have ended.
            0 if it.announced().is_none() => it.tests().map_or(0, Tests::total),
            ended => ended,
        };
        let announced: u64 = self.0.iter().filter_map(|it| it.announced()).sum();
        vec![Reached {
            name: "tests".to_owned(),
            value: self.0.iter().map(|it| ended(it.as_ref())).sum(),
            announced: (announced > 0).then_some(announced),
        }]
    }
}

impl Value for Counts {
    const EXPECTED: &'static str = "formats such as `cargo` or `pytest unittest`";
    const SHAPE: Shape = Shape::List(&Shape::Word(WORDS));

    fn read(node: &Node) -> Result<Self, Misread> {
        if matches!(&node.content, Content::Text(text) if text.eq_ignore_ascii_case("none")) {
            return Ok(Self::default());
        }
        let words = Vec::<String>::read(node)?;
        let format = |word: &String| {
            let found = FORMATS.iter().find(|it| same(it.name, word));
            found.ok_or_else(|| Misread {
                what: Some(format!("`{word}` is none of {}", WORDS.join(", "))),
                ..Misread::default()
            })
        };
        words.iter().map(format).collect::<Result<_, _>>().map(Self)
    }
}

/// Colours and the like, which some programs print to a file too.
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| built_in(r"\x1b\[[0-9;]*[A-Za-z]"));

fn colourless(line: &str) -> Cow<'_, str> {
    let line = line.trim_end_matches('\r');
    match line.contains('\x1b') {
        true => ESCAPE.replace_all(line, ""),
        false => Cow::Borrowed(line),
    }
}

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are tested")
}

/// The number in a group of the pattern; one that is too long for us is as many as there can be.
fn number(captures: &regex::Captures<'_>, group: usize) -> u64 {
    let digits = captures.get(group).map(|it| it.as_str());
    digits.map_or(0, |it| it.parse().unwrap_or(u64::MAX))
}

/// `2 failed, 1 passed`: each number with the word behind it.
fn pairs(text: &str) -> impl Iterator<Item = (u64, &str)> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| built_in(r"(\d+) ([A-Za-z]+)"));
    PAIR.captures_iter(text).map(|it| {
        let word = it.get(2).map_or("", |it| it.as_str());
        (number(&it, 1), word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passed, failed, skipped.
    pub(super) fn counted(format: &Format, said: &str) -> Option<(u64, u64, u64)> {
        let mut counter = (format.begin)();
        for line in said.lines() {
            counter.see(&colourless(line));
        }
        counter.tests().map(|it| (it.passed, it.failed, it.skipped))
    }

    #[test]
    fn the_table_its_words_and_the_manual_are_the_same() {
        let names: Vec<_> = FORMATS.iter().map(|it| it.name).collect();
        assert_eq!(names, WORDS);
        let manual = include_str!("../../../docs/manual.md");
        for name in names {
            assert!(manual.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    /// How many tests had ended after each line, and how many were announced.
    pub(super) fn counting(format: &'static Format, said: &str) -> (Vec<u64>, Option<u64>) {
        let mut gauge = Counts(vec![format]).gauge().expect("a format");
        let mut each = Vec::new();
        for line in said.lines() {
            gauge.see(Channel::Stdout, line);
            each.push(gauge.reached()[0].value);
        }
        (each, gauge.reached()[0].announced)
    }

    #[test]
    fn nothing_is_counted_before_the_end_without_a_format() {
        assert!(Counts::default().gauge().is_none());
    }

    #[test]
    fn nothing_is_read_out_of_what_says_nothing() {
        let said = "make: nothing to be done\n\n  12 tests to go\nTests are fun\n";
        for format in FORMATS {
            assert_eq!(counted(format, said), None, "{}", format.name);
            assert_eq!(counted(format, ""), None, "{}", format.name);
        }
    }

    #[test]
    fn numbers_of_any_length_and_odd_bytes_are_borne() {
        let long = "9".repeat(40);
        let said = format!(
            "test result: FAILED. {long} passed; {long} failed; 1 ignored;\n\
             ==== {long} failed, {long} passed in 1s ====\nRan {long} tests in 1s\n\
             FAILED (failures={long})\n# tests {long}\n# fail {long}\n# pass {long}\n\
             1% tests passed, {long} tests failed out of {long}\nOk: {long}\nFail: {long}\n\
             Tests run: {long}, Failures: {long}, Errors: {long}, Skipped: {long}\n1..{long}\n\
             <testcase <testcase <![CDATA[ é \u{1b}[31m\n"
        );
        for format in FORMATS {
            counted(format, &said);
        }
    }

    #[test]
    fn zero_parts_are_not_shown() {
        let tests = Tests::of(93, 10, 63);
        let expected = [
            "93 tests",
            "20 passed",
            "30 warnings",
            "10 failed",
            "63 skipped",
        ];
        assert_eq!(tests.texts(30), expected);
        assert_eq!(Tests::of(1, 0, 0).texts(0), ["1 test", "1 passed"]);
        assert!(Tests::default().texts(0).is_empty());
    }
}
