//! What test programs say of each of their tests: its name, how it ended, and
//! what they tell of one that went wrong. Each program has a way of its own,
//! a file and a row of [`FORMATS`]; `counts` adds them up apart from this.

mod blocks;
mod cargo;
mod ctest;
mod go;
mod junit;
mod meson;
mod prove;
mod pytest;
mod tap;
mod tree;
mod unittest;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::mem;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;
use crate::model::TestResults;

use super::Ended;
use super::tally;

pub(super) use prove::Prove;
pub(super) use tree::Trial;

/// A word of `counts`, and who reads what programs say so.
type Format = (&'static str, fn() -> Box<dyn Reader>);

/// The formats of `counts` that name their tests, by the same words.
const FORMATS: &[Format] = &[
    ("cargo", || Box::<cargo::Cargo>::default()),
    ("pytest", || Box::<pytest::Pytest>::default()),
    ("unittest", || Box::<unittest::Unittest>::default()),
    ("go", || Box::<go::Go>::default()),
    ("ctest", || Box::<ctest::Ctest>::default()),
    ("meson", || Box::<meson::Meson>::default()),
    ("tap", || Box::<tap::Tap>::default()),
    ("junit", || Box::<junit::Junit>::default()),
];

/// Reads what one command says.
pub(super) trait Reader {
    /// Takes in a line, without colours and without its end.
    fn see(&mut self, line: &str, found: &mut Found);

    /// Nothing more comes.
    fn end(&mut self, _: &mut Found) {}
}

/// What the command said of single tests, as the formats of these names read it.
pub(super) fn read<'a>(formats: impl Iterator<Item = &'a str>, ended: &Ended<'_>) -> TestResults {
    let readers = formats.filter_map(|name| FORMATS.iter().find(|it| it.0 == name));
    let mut all: Vec<_> = readers.map(|it| (it.1)()).collect();
    let mut found = Found::default();
    if !all.is_empty() {
        tally::said(ended, &mut |line| {
            let line = colourless(line);
            all.iter_mut().for_each(|it| it.see(&line, &mut found));
        });
        all.iter_mut().for_each(|it| it.end(&mut found));
    }
    found.results()
}

/// What one reader makes of what a command said.
pub(super) fn read_with(reader: &mut dyn Reader, ended: &Ended<'_>) -> TestResults {
    let mut found = Found::default();
    tally::said(ended, &mut |line| reader.see(&colourless(line), &mut found));
    reader.end(&mut found);
    found.results()
}

/// The tests that were found so far.
#[derive(Default)]
pub(super) struct Found {
    results: TestResults,
    /// What was told of tests apart from how they ended, by their names.
    stories: BTreeMap<String, String>,
    story_bytes: usize,
    /// The names of those that did not pass, for programs that tell them twice.
    bad: BTreeSet<String>,
}

/// So much of all stories is kept while the rest is read.
const ALL_STORIES: usize = 4 << 20;
/// So many names of what did not pass are compared with what is told at the end.
const MOST_NAMES: usize = 100_000;

impl Found {
    pub(super) fn add(&mut self, name: &str, end: TestEnd) {
        self.add_as(name, end, "", "");
    }

    fn add_as(&mut self, name: &str, end: TestEnd, text: &str, log: &str) {
        if end != TestEnd::Success && self.bad.len() < MOST_NAMES {
            self.bad.insert(name.to_owned());
        }
        self.results.add_as(name, end, text, log);
    }

    /// Takes in a test that did not pass, unless it was told already.
    fn add_once(&mut self, name: &str, end: TestEnd, text: &str, log: &str) {
        if self.bad.contains(name) {
            self.tell(name, log.to_owned());
        } else {
            self.add_as(name, end, text, log);
        }
    }

    /// Whether a test of this name did not pass.
    fn has_bad(&self, name: &str) -> bool {
        self.bad.contains(name)
    }

    /// Takes in what was told of a test that is known, or will be.
    fn tell(&mut self, name: &str, story: String) {
        if story.is_empty() || self.story_bytes + story.len() > ALL_STORIES {
            return;
        }
        self.story_bytes += story.len();
        let known = self.stories.entry(name.to_owned()).or_default();
        known.push_str(&story);
    }

    fn results(mut self) -> TestResults {
        let mut stories = mem::take(&mut self.stories);
        if !stories.is_empty() {
            self.results.tell(|it| match it.end {
                TestEnd::Success => None,
                _ => stories.remove(&it.name),
            });
        }
        self.results
    }
}

/// What is told of one test, while it is told.
#[derive(Default)]
struct Story {
    name: String,
    text: String,
}

/// So much of one story is kept while it is told.
const LONGEST_STORY: usize = 17 << 10;

impl Story {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: String::new(),
        }
    }

    fn push(&mut self, line: &str) {
        push(&mut self.text, line);
    }

    fn end(self, found: &mut Found) {
        found.tell(&self.name, self.text);
    }
}

/// Adds a line to a story, if there is room.
fn push(story: &mut String, line: &str) {
    if story.len() < LONGEST_STORY {
        let room = LONGEST_STORY - story.len();
        story.push_str(&line[..line.floor_char_boundary(room)]);
        story.push('\n');
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each test in a line: its name, how it ended, and what was told of it.
    pub(super) fn told(reader: &mut dyn Reader, said: &str) -> Vec<String> {
        let mut found = Found::default();
        for line in said.lines() {
            reader.see(&colourless(line), &mut found);
        }
        reader.end(&mut found);
        let results = found.results();
        let line = |it: &crate::model::TestResult| {
            let text = match it.text.as_str() {
                "" => it.end.to_string(),
                text => format!("{} ({text})", it.end),
            };
            match it.log.as_str() {
                "" => format!("{}: {text}", it.name),
                log => format!("{}: {text}: {}", it.name, log.replace('\n', "|")),
            }
        };
        results.kept().iter().map(line).collect()
    }

    #[test]
    fn nothing_is_read_out_of_what_says_nothing() {
        let said = "make: nothing to be done\n\n  12 tests to go\nTests are fun\n--- a\n+++ b\n\
                    test it\ntests ... are\nFAILED\n<b>\n";
        for (name, reader) in FORMATS {
            assert!(told(reader().as_mut(), said).is_empty(), "{name}");
            assert!(told(reader().as_mut(), "").is_empty(), "{name}");
        }
        assert!(told(&mut Prove::default(), said).is_empty());
        assert!(told(&mut Trial::new(None), said).is_empty());
    }

    #[test]
    fn what_breaks_off_or_is_odd_is_borne() {
        let long = "x".repeat(100_000);
        let said = format!(
            "test é ... FAILED\n---- é stdout ----\n{long}\n--- FAIL: {long} (0\n=== RUN\n=== RUN   x\n    {long}\n\
             not ok 1\nnot ok 99999999999999999999999 # todo \u{1b}[31m\n<testcase name=\"&#x110000;&bogus;&lt;\n\
             <testcase classname='{long}' name=\"a>b\"><failure message='{long}\nFAIL: x (\n======\n\
             FAIL: x (y)\n{rule}\n[FAIL]\n{long}\n  a ...   [OK]\n {rule}\n1/9 Test #9: {long} .\n\
             t/{long}.t .. ok\nTest Summary Report\n\nx (Wstat: \n",
            rule = "=".repeat(70)
        );
        for (_, reader) in FORMATS {
            told(reader().as_mut(), &said);
        }
        told(&mut Prove::default(), &said);
        told(&mut Trial::new(Some("poll")), &said);
    }
}
