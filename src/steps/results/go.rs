//! `go test`: with `-v` every test has a name, else those that fail.

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
    /// Of the test that was named last, and has not ended.
    story: Option<(String, String)>,
    /// The test to which indented lines belong that come behind its end.
    last: Option<usize>,
}

struct Test {
    name: String,
    end: TestEnd,
    story: String,
}

/// So many are held back until their package is named.
const MOST_HELD: usize = 20_000;

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
        self.story = None;
        self.last = None;
    }
}

impl Reader for Go {
    fn see(&mut self, line: &str, found: &mut Found) {
        if let Some(end) = END.captures(line) {
            let name = end[2].to_owned();
            let story = self.story.take_if(|it| it.0 == name);
            self.last = Some(self.tests.len());
            self.tests.push(Test {
                story: story.map(|it| it.1).unwrap_or_default(),
                name,
                end: match &end[1] {
                    "PASS" => TestEnd::Success,
                    "SKIP" => TestEnd::Skipped,
                    _ => TestEnd::Failure,
                },
            });
            if self.tests.len() >= MOST_HELD {
                self.tell(None, found);
            }
        } else if let Some(run) = RUN.captures(line) {
            self.last = None;
            self.story = Some((run[1].to_owned(), String::new()));
        } else if let Some(package) = PACKAGE.captures(line) {
            self.tell(Some(&package[1]), found);
        } else if let Some((_, story)) = &mut self.story {
            push(story, line);
        } else if let Some(at) = self.last.filter(|_| line.starts_with("    ")) {
            push(&mut self.tests[at].story, line);
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
            --- FAIL: TestBad (0.00s)\n    --- FAIL: TestBad/sub (0.00s)\n\
            === RUN   TestLater\n    a_test.go:12: no net\n--- SKIP: TestLater (0.00s)\nFAIL\n\
            FAIL\texample.org/hello\t0.005s\n--- FAIL: TestQuiet (0.01s)\n    b_test.go:3: no\n\
            FAIL\nFAIL\texample.org/other\t0.010s\n--- PASS: TestCut (0.00s)\n";
        assert_eq!(
            told(&mut Go::default(), said),
            [
                "example.org/hello.TestGood: success",
                "example.org/hello.TestBad: failure",
                "example.org/hello.TestBad/sub: failure:     a_test.go:9: 1 is not 2",
                "example.org/hello.TestLater: skipped:     a_test.go:12: no net",
                "example.org/other.TestQuiet: failure:     b_test.go:3: no",
                "TestCut: success",
            ]
        );
    }
}
