//! `pytest`: with `-v` every test has a name, else those that fail.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::mem;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::Story;
use super::built_in;

/// `tests/test_a.py::test_ok PASSED [ 50%]`, and as xdist says it.
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    let words = "PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS";
    built_in(&format!(
        r"^(?:\[gw\d+\] \[ *\d+%\] ({words}) (\S+::.*\S)|(\S+::.*?\S) ({words})(?: \(.*\))?(?: +\[ *\d+%\])?) *$"
    ))
});
/// `FAILED tests/test_a.py::test_bad - assert 1 == 2`.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^(FAILED|ERROR) (\S+?::[^\[\s]*\[.*?\]|\S+?(?:::\S.*?)?)(?: - (.*))?$")
});
/// `______ TestX.test_bad ______`.
static TITLE: LazyLock<Regex> = LazyLock::new(|| built_in(r"^_{3,} (\S.*?) _{3,}$"));
static SECTION: LazyLock<Regex> = LazyLock::new(|| built_in(r"^=+ (.*) =+$"));

#[derive(Default)]
pub(super) struct Pytest {
    place: Place,
    /// What was told under each title, in the order in which the summary names them.
    told: BTreeMap<String, VecDeque<String>>,
    story: Option<Story>,
    bytes: usize,
}

/// Which part it is at.
#[derive(Default, PartialEq)]
enum Place {
    #[default]
    Tests,
    /// What went wrong, under a title for each test.
    Stories,
    Summary,
}

/// So much is remembered between the stories and the summary.
const MOST_BYTES: usize = 4 << 20;

impl Pytest {
    fn close(&mut self) {
        let Some(Story { name, text }) = mem::take(&mut self.story) else {
            return;
        };
        if self.bytes + text.len() < MOST_BYTES {
            self.bytes += text.len();
            self.told.entry(name).or_default().push_back(text);
        }
    }
}

impl Reader for Pytest {
    fn see(&mut self, line: &str, found: &mut Found) {
        if let Some(section) = SECTION.captures(line) {
            self.close();
            self.place = match &section[1] {
                "FAILURES" | "ERRORS" => Place::Stories,
                "short test summary info" => Place::Summary,
                _ => Place::Tests,
            };
            return;
        }
        match self.place {
            Place::Tests => {
                if let Some(test) = TEST.captures(line) {
                    let word = test.get(1).or(test.get(4)).map_or("", |it| it.as_str());
                    let name = test.get(2).or(test.get(3)).map_or("", |it| it.as_str());
                    found.add(name, end(word));
                }
            }
            Place::Stories => {
                if let Some(title) = TITLE.captures(line) {
                    self.close();
                    self.story = Some(Story::of(&title[1]));
                } else if let Some(story) = &mut self.story {
                    story.push(line);
                }
            }
            Place::Summary => {
                if let Some(test) = SUMMARY.captures(line) {
                    let (word, name) = (&test[1], &test[2]);
                    let mut story = String::new();
                    let told = titles(word, name).into_iter().find_map(|title| {
                        let told = self.told.get_mut(&title)?;
                        told.pop_front()
                    });
                    if let Some(told) = told {
                        story = told;
                    } else if let Some(short) = test.get(3) {
                        story.push_str(short.as_str());
                    }
                    found.add_once(name, end(word), "", &story);
                }
            }
        }
    }
}

fn end(word: &str) -> TestEnd {
    match word {
        "PASSED" => TestEnd::Success,
        "SKIPPED" => TestEnd::Skipped,
        "XFAIL" => TestEnd::ExpectedFailure,
        "XPASS" => TestEnd::UnexpectedSuccess,
        "ERROR" => TestEnd::Error,
        _ => TestEnd::Failure,
    }
}

/// The titles under which it may have told of a test.
fn titles(word: &str, name: &str) -> Vec<String> {
    let Some((_, test)) = name.split_once("::") else {
        return vec![format!("ERROR collecting {name}")];
    };
    let test = test.replace("::", ".");
    match word {
        "ERROR" => ["setup", "teardown"]
            .map(|it| format!("ERROR at {it} of {test}"))
            .into(),
        _ => vec![test],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn those_that_fail_are_named_at_the_end_with_what_was_told_before() {
        let said = "tests/test_a.py .F.E [100%]\n\n=== ERRORS ===\n\
            ____ ERROR at setup of test_db ____\n\n    def db():\nE       OSError: no database\n\
            === FAILURES ===\n____ TestX.test_bad ____\n\nE       assert 1 == 2\n\n\
            ____ test_bad[a b] ____\nE       assert 3\n\
            === short test summary info ===\n\
            FAILED tests/test_a.py::TestX::test_bad - assert 1 == 2\n\
            FAILED tests/test_a.py::test_bad[a b] - assert 3\n\
            ERROR tests/test_a.py::test_db - OSError: no database\nERROR tests/test_b.py - ImportError: x\n\
            === 2 failed, 1 passed, 2 errors in 0.03s ===\n";
        assert_eq!(
            told(&mut Pytest::default(), said),
            [
                "tests/test_a.py::TestX::test_bad: failure: |E       assert 1 == 2",
                "tests/test_a.py::test_bad[a b]: failure: E       assert 3",
                "tests/test_a.py::test_db: error: |    def db():|E       OSError: no database",
                "tests/test_b.py: error: ImportError: x",
            ]
        );
    }

    #[test]
    fn all_are_named_where_it_is_verbose_and_none_twice() {
        let said = "tests/test_a.py::test_ok PASSED       [ 20%]\ntests/test_a.py::test_bad[1 - 2] FAILED [ 40%]\n\
            tests/test_a.py::test_later SKIPPED (no net) [ 60%]\n[gw1] [ 80%] XFAIL tests/test_a.py::test_odd\n\
            tests/test_a.py::test_ux XPASS\n=== FAILURES ===\n___ test_bad[1 - 2] ___\nE  assert 1\n\
            --- Captured stdout call ---\ntests/x::y PASSED\n=== short test summary info ===\n\
            FAILED tests/test_a.py::test_bad[1 - 2]\n=== 1 failed in 0.1s ===\n";
        assert_eq!(
            told(&mut Pytest::default(), said),
            [
                "tests/test_a.py::test_ok: success",
                "tests/test_a.py::test_bad[1 - 2]: failure: E  assert 1|--- Captured stdout call ---|tests/x::y PASSED",
                "tests/test_a.py::test_later: skipped",
                "tests/test_a.py::test_odd: expected failure",
                "tests/test_a.py::test_ux: unexpected success",
            ]
        );
    }
}
