//! Twisted's Trial: its lines name every test, whole or as a tree, and what it
//! tells at its end has those that did not pass, in an old form and a new one.

use std::mem;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::blocks::Block;
use super::blocks::is_rule;
use super::built_in;
use super::push;

/// `words.test.T.test_bad ... [FAILURE]`, or in a tree `    test_bad ...            [FAIL]`.
static LEAF: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^( *)(?:Doctest: )?(\S+) \.\.\. +\[([A-Z!?]+)\]$"));
/// A module, or a class below it.
static BRANCH: LazyLock<Regex> = LazyLock::new(|| built_in(r"^( *)([\w.]+)$"));
/// The title of a block of the new form.
static TITLE: LazyLock<Regex> = LazyLock::new(|| built_in(r"^\[([A-Z!?]+)\]$"));
/// A test below its block.
static NAME: LazyLock<Regex> = LazyLock::new(|| built_in(r"^\w+(?:\.\w+){2,}$"));

pub(crate) struct Trial {
    /// The reactor and a dot, if it has one of its own.
    prefix: String,
    /// The branches above the next line, each with its indent.
    branches: Vec<(usize, String)>,
    /// A word at the margin: a module, if a class follows at once.
    module: Option<String>,
    place: Place,
}

enum Place {
    Tree,
    /// The title of a block comes next.
    Title,
    /// In a block that has none.
    Nowhere,
    Old(Block),
    New(Told),
}

/// A block of the new form: what is told, and below it the tests of which it is.
struct Told {
    end: TestEnd,
    text: String,
    story: String,
    names: Vec<String>,
}

impl Trial {
    pub(crate) fn new(reactor: Option<&str>) -> Self {
        Self {
            prefix: reactor.map(|it| format!("{it}.")).unwrap_or_default(),
            branches: Vec::new(),
            module: None,
            place: Place::Tree,
        }
    }

    fn in_tree(&mut self, line: &str, found: &mut Found) {
        let module = self.module.take();
        if let Some(leaf) = LEAF.captures(line) {
            let indent = leaf[1].len();
            if indent == 0 {
                found.add(&format!("{}{}", self.prefix, &leaf[2]), end(&leaf[3]));
                return;
            }
            self.branches.retain(|it| it.0 < indent);
            // Something else was printed in between if the branch is not right above.
            if self.branches.last().is_some_and(|it| it.0 + 2 == indent) {
                let path: Vec<_> = self.branches.iter().map(|it| it.1.as_str()).collect();
                let name = format!("{}{}.{}", self.prefix, path.join("."), &leaf[2]);
                found.add(&name, end(&leaf[3]));
            }
        } else if let Some(branch) = BRANCH.captures(line) {
            let (indent, name) = (branch[1].len(), branch[2].to_owned());
            if indent == 0 {
                self.module = Some(name);
                return;
            }
            if let Some(module) = module.filter(|_| indent == 2) {
                self.branches = vec![(0, module)];
            }
            self.branches.retain(|it| it.0 < indent);
            if self.branches.last().is_some_and(|it| it.0 + 2 == indent) {
                self.branches.push((indent, name));
            }
        }
    }

    fn close(&mut self, found: &mut Found) {
        match mem::replace(&mut self.place, Place::Nowhere) {
            Place::Old(block) => block.close(&self.prefix, found),
            Place::New(told) => {
                let text = match told.end {
                    TestEnd::Warning => told.text.to_ascii_lowercase(),
                    _ => String::new(),
                };
                for name in &told.names {
                    let name = format!("{}{name}", self.prefix);
                    found.add_once(&name, told.end, &text, &told.story);
                }
            }
            Place::Tree | Place::Title | Place::Nowhere => {}
        }
    }
}

impl Reader for Trial {
    fn see(&mut self, line: &str, found: &mut Found) {
        if is_rule(line, '=') {
            self.close(found);
            self.place = Place::Title;
            return;
        }
        let is_end = is_rule(line, '-') && !matches!(self.place, Place::Old(_));
        if is_end || line.starts_with("Ran ") && !matches!(self.place, Place::Tree) {
            self.close(found);
            return;
        }
        match &mut self.place {
            Place::Tree => self.in_tree(line, found),
            Place::Title => {
                self.place = match (Block::titled(line), TITLE.captures(line)) {
                    (Some(block), _) => Place::Old(block),
                    (None, Some(title)) => Place::New(Told {
                        end: end(&title[1]),
                        text: title[1].to_owned(),
                        story: format!("{line}\n"),
                        names: Vec::new(),
                    }),
                    (None, None) => Place::Nowhere,
                };
            }
            Place::Nowhere => {}
            Place::Old(block) if is_rule(line, '-') => block.push(""),
            Place::Old(block) => block.push(line),
            // A module that cannot be loaded has been named before.
            Place::New(told)
                if NAME.is_match(line) || found.has_bad(&format!("{}{line}", self.prefix)) =>
            {
                told.names.push(line.to_owned());
            }
            Place::New(told) => {
                // What looked like names was part of the story.
                for name in told.names.drain(..) {
                    push(&mut told.story, &name);
                }
                push(&mut told.story, line);
            }
        }
    }

    fn end(&mut self, found: &mut Found) {
        self.close(found);
    }
}

fn end(word: &str) -> TestEnd {
    match word {
        "OK" => TestEnd::Success,
        "FAIL" | "FAILURE" => TestEnd::Failure,
        "ERROR" => TestEnd::Error,
        "SKIPPED" => TestEnd::Skipped,
        "TODO" => TestEnd::ExpectedFailure,
        "SUCCESS!?!" => TestEnd::UnexpectedSuccess,
        _ => TestEnd::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn the_tree_and_the_blocks_behind_it_are_put_together() {
        let rule = "=".repeat(79);
        let said = format!(
            "words.test.test_a\n  T\n    test_ok ...                 [OK]\n    test_bad ...      [FAIL]\n\
             noise\n    test_loud ...       [OK]\n  U\n    test_ok ...    [OK]\n\
             words.test.test_b\n  T\n    test_later ...   [SKIPPED]\n    test_todo ... [TODO]\n\n{rule}\n[SKIPPED]\nno db\n\n\
             words.test.test_b.T.test_later\n{rule}\n[FAIL]\nTraceback\nexceptions.Bad.Thing.too\nmore\n\n\n\
             words.test.test_a.T.test_bad\nwords.test.test_c.T.test_bad\n{rule}\n[SUCCESS!?!]\nReason: 'x'\n\n\
             words.test.test_c.T.test_ux\n{}\nRan 7 tests in 0.1s\n\nFAILED (failures=2)\n",
            "-".repeat(79)
        );
        assert_eq!(
            told(&mut Trial::new(None), &said),
            [
                "words.test.test_a.T.test_ok: success",
                "words.test.test_a.T.test_bad: failure: [FAIL]|Traceback|exceptions.Bad.Thing.too|more",
                "words.test.test_a.T.test_loud: success",
                "words.test.test_a.U.test_ok: success",
                "words.test.test_b.T.test_later: skipped: [SKIPPED]|no db",
                "words.test.test_b.T.test_todo: expected failure",
                "words.test.test_c.T.test_bad: failure: [FAIL]|Traceback|exceptions.Bad.Thing.too|more",
                "words.test.test_c.T.test_ux: unexpected success: [SUCCESS!?!]|Reason: 'x'",
            ]
        );
    }

    #[test]
    fn a_trial_of_today_names_each_test_whole() {
        let rule = "=".repeat(79);
        let said = format!(
            "test_t.T.test_bad ... [FAILURE]\ntest_t.T.test_ok ... [OK]\nDoctest: words.intro ... [OK]\n\
             test_t.T.test_surprise ... [SUCCESS!?!]\ntest_u ... [ERROR]\n\n{rule}\n[FAIL]\nTraceback\n\
             twisted.trial.unittest.FailTest: 1 != 2\n\ntest_t.T.test_bad\n{rule}\n[ERROR]\nTraceback\n\
             No module named 'test_u'\n\ntest_u\n{rule}\n[SUCCESS!?!]\nReason: 'later'\n\ntest_t.T.test_surprise\n{}\n\
             Ran 5 tests in 0.045s\n",
            "-".repeat(79)
        );
        assert_eq!(
            told(&mut Trial::new(None), &said),
            [
                "test_t.T.test_bad: failure: [FAIL]|Traceback|twisted.trial.unittest.FailTest: 1 != 2",
                "test_t.T.test_ok: success",
                "words.intro: success",
                "test_t.T.test_surprise: unexpected success: [SUCCESS!?!]|Reason: 'later'",
                "test_u: error: [ERROR]|Traceback|No module named 'test_u'",
            ]
        );
    }

    #[test]
    fn a_problem_is_a_test_named_by_module_class_and_test_behind_the_reactor() {
        let rule = "=".repeat(79);
        let kinds = [
            "SKIPPED",
            "EXPECTED FAILURE",
            "UNEXPECTED SUCCESS",
            "FAILURE",
            "ERROR",
            "FLY AWAY",
        ];
        let blocks = kinds.map(|it| format!("{rule}\n{it}: test_x (words.test.T)\nwhy\n"));
        let said = format!("{}{}\nRan 6 tests\n", blocks.concat(), "-".repeat(79));
        // Each of them, as they are one test here.
        let each: Vec<_> = blocks
            .iter()
            .flat_map(|it| told(&mut Trial::new(Some("poll")), it))
            .collect();
        assert_eq!(
            each,
            [
                "poll.words.test.T.test_x: skipped: SKIPPED: test_x (words.test.T)|why",
                "poll.words.test.T.test_x: expected failure: EXPECTED FAILURE: test_x (words.test.T)|why",
                "poll.words.test.T.test_x: unexpected success: UNEXPECTED SUCCESS: test_x (words.test.T)|why",
                "poll.words.test.T.test_x: failure: FAILURE: test_x (words.test.T)|why",
                "poll.words.test.T.test_x: error: ERROR: test_x (words.test.T)|why",
                "poll.words.test.T.test_x: warning (fly away): FLY AWAY: test_x (words.test.T)|why",
            ]
        );
        assert_eq!(told(&mut Trial::new(None), &said).len(), 1);
    }
}
