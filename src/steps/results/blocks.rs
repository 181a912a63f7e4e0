//! What Python's `unittest` and an old Trial tell of tests that went wrong: blocks
//! between lines of `=`, each under a title such as `FAIL: test_a (words.test.T)`.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::built_in;
use super::push;

/// Newer ones say the test in the brackets, too, and subtests have more behind them.
static TITLE: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^([A-Z][A-Z ]*): (\S+) \(([\w.]+)\)( [\[(].*)?$"));

/// The dotted name of a test, of which a line has `test (where)`.
pub(super) fn dotted(test: &str, place: &str) -> String {
    let is_in = place
        .strip_suffix(test)
        .is_some_and(|it| it.ends_with('.') || it.is_empty());
    match is_in {
        true => place.to_owned(),
        false => format!("{place}.{test}"),
    }
}

/// A block that is told.
pub(super) struct Block {
    name: String,
    end: TestEnd,
    text: String,
    log: String,
}

impl Block {
    /// The block with this title, if it is one.
    pub(super) fn titled(line: &str) -> Option<Self> {
        let title = TITLE.captures(line)?;
        let end = match &title[1] {
            "FAIL" | "FAILURE" => TestEnd::Failure,
            "ERROR" => TestEnd::Error,
            "SKIPPED" => TestEnd::Skipped,
            "EXPECTED FAILURE" | "TODO" => TestEnd::ExpectedFailure,
            "UNEXPECTED SUCCESS" => TestEnd::UnexpectedSuccess,
            _ => TestEnd::Warning,
        };
        let more = title.get(4).map_or("", |it| it.as_str());
        let mut log = String::new();
        push(&mut log, line);
        Some(Self {
            name: format!("{}{more}", dotted(&title[2], &title[3])),
            end,
            text: title[1].to_ascii_lowercase(),
            log,
        })
    }

    pub(super) fn push(&mut self, line: &str) {
        push(&mut self.log, line);
    }

    /// The test, with `prefix` before its name.
    pub(super) fn close(self, prefix: &str, found: &mut Found) {
        let text = match self.end {
            TestEnd::Warning => self.text.as_str(),
            _ => "",
        };
        found.add_once(&format!("{prefix}{}", self.name), self.end, text, &self.log);
    }
}

/// A line that begins with so many `mark`s that it divides.
pub(super) fn is_rule(line: &str, mark: char) -> bool {
    line.chars().take_while(|it| *it == mark).take(60).count() == 60
}
