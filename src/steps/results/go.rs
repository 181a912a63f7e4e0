//! `go test`: with `-v` every test has a name, else those that fail.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::built_in;
use super::push;

/// `--- FAIL: TestBad (0.00s)`; those of subtests are indented.
static END: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^ *--- (PASS|FAIL|SKIP): (\S+) \([\d.]+s\)$"));
static RUN: LazyLock<Regex> = LazyLock::new(|| built_in(r"^=== (?:RUN|CONT|NAME) +(\S+)$"));
/// What ends the tests of a package: it is named behind them.
static PACKAGE: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(?:ok  |FAIL|---)\t(\S+)\t(?:[\d.]+s|\(cached\)|\[)"));

#[derive(Default)]
pub(super) struct Go {
    /// The tests of the package that runs.
    tests: Vec<Test>,
    /// What was told of those that have not ended, and which of them tells now.
    stories: BTreeMap<String, String>,
    running: Option<String>,
}

struct Test {
    name: String,
    end: TestEnd,
    story: String,
    indent: usize,
}

/// So many are held back until their package is named.
const MOST_HELD: usize = 20_000;
/// So far back is looked for the test that an indented line is of.
const DEEPEST: usize = 100;

impl Go {
    fn tell(&mut self, package: Option<&str>, found: &mut Found) {
        for it in self.tests.drain(..) {
            let name = match package {
                Some(package) => format!("{package}.{}", it.name),
                None => it.name,
            };
            let story = match it.end {
                TestEnd::Success => "",
                _ => it.story.as_str(),
            };
            found.add_as(&name, it.end, "", story);
        }
        self.stories.clear();
        self.running = None;
    }
}

impl Reader for Go {
    fn see(&mut self, line: &str, found: &mut Found) {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if let Some(end) = END.captures(line) {
            self.running = None;
            let name = end[2].to_owned();
            self.tests.push(Test {
                story: self.stories.remove(&name).unwrap_or_default(),
                name,
                end: match &end[1] {
                    "PASS" => TestEnd::Success,
                    "SKIP" => TestEnd::Skipped,
                    _ => TestEnd::Failure,
                },
                indent,
            });
            if self.tests.len() >= MOST_HELD {
                self.tell(None, found);
            }
        } else if let Some(run) = RUN.captures(line) {
            self.running = Some(run[1].to_owned());
        } else if let Some(package) = PACKAGE.captures(line) {
            self.tell(Some(&package[1]), found);
        } else if let Some(name) = &self.running {
            if self.stories.len() < MOST_HELD || self.stories.contains_key(name) {
                push(self.stories.entry(name.clone()).or_default(), line);
            }
        } else {
            // Without `-v` it stands below the test, a step further in.
            let mut last = self.tests.iter_mut().rev().take(DEEPEST);
            if let Some(test) = last.find(|it| it.indent + 4 <= indent) {
                push(&mut test.story, line);
            }
        }
    }

    fn end(&mut self, found: &mut Found) {
        self.tell(None, found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn tests_have_the_name_of_their_package_before_them() {
        let said = "=== RUN   TestGood\n    a_test.go:5: fine\n--- PASS: TestGood (0.00s)\n\
            === RUN   TestBad\n=== RUN   TestBad/sub\n    a_test.go:9: 1 is not 2\n\
            === CONT  TestBad\n    a_test.go:10: outer\n--- FAIL: TestBad (0.00s)\n    --- FAIL: TestBad/sub (0.00s)\n\
            === RUN   TestLater\n    a_test.go:12: no net\n--- SKIP: TestLater (0.00s)\nFAIL\n\
            FAIL\texample.org/hello\t0.005s\n--- FAIL: TestQuiet (0.01s)\n    --- FAIL: TestQuiet/sub (0.01s)\n\
            \x20       b_test.go:3: no\n    b_test.go:4: outer\nFAIL\nFAIL\texample.org/other\t0.010s\n--- PASS: TestCut (0.00s)\n";
        assert_eq!(
            told(&mut Go::default(), said),
            [
                "example.org/hello.TestGood: success",
                "example.org/hello.TestBad: failure:     a_test.go:10: outer",
                "example.org/hello.TestBad/sub: failure:     a_test.go:9: 1 is not 2",
                "example.org/hello.TestLater: skipped:     a_test.go:12: no net",
                "example.org/other.TestQuiet: failure:     b_test.go:4: outer",
                "example.org/other.TestQuiet/sub: failure:         b_test.go:3: no",
                "TestCut: success",
            ]
        );
    }
}
