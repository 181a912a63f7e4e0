//! `cargo test`, and `cargo nextest run`.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::Story;
use super::built_in;

/// `test tests::bad ... FAILED`.
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^test (\S.*?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, .*)?$")
});

/// `---- tests::bad stdout ----`.
static STORY: LazyLock<Regex> = LazyLock::new(|| built_in(r"^---- (\S.*) stdout ----$"));

/// `        FAIL [   0.005s] hello tests::bad`, which a newer nextest numbers.
static NEXTEST: LazyLock<Regex> = LazyLock::new(|| {
    built_in(concat!(
        r"^ +(PASS|FAIL|LEAK|TIMEOUT|ABORT|SIG[A-Z0-9]+|FLAKY \d+/\d+|XFAIL|EXECFAIL|FAIL \+ LEAK|LEAK-FAIL)",
        r" \[[ >]*[\d.]+s\] +(?:\( *\d+/\d+\) +)?(\S.*)$"
    ))
});

#[derive(Default)]
pub(super) struct Cargo {
    story: Option<Story>,
    /// Whether the story is one of nextest's, which has no line at its end.
    is_nextest: bool,
}

impl Cargo {
    fn close(&mut self, found: &mut Found) {
        if let Some(story) = self.story.take() {
            story.end(found);
        }
    }
}

impl Reader for Cargo {
    fn see(&mut self, line: &str, found: &mut Found) {
        if let Some(test) = TEST.captures(line) {
            let end = match &test[2] {
                "ok" => TestEnd::Success,
                "ignored" => TestEnd::Skipped,
                _ => TestEnd::Failure,
            };
            found.add(&test[1], end);
            return;
        }
        if let Some(told) = STORY.captures(line) {
            self.close(found);
            self.story = Some(Story::of(&told[1]));
            self.is_nextest = false;
            return;
        }
        if let Some(test) = NEXTEST.captures(line) {
            self.close(found);
            let (word, name) = (&test[1], &test[2]);
            let end = match word {
                "PASS" | "LEAK" => TestEnd::Success,
                "TIMEOUT" | "ABORT" | "EXECFAIL" => TestEnd::Error,
                _ if word.starts_with("SIG") => TestEnd::Error,
                _ if word.starts_with("FLAKY") => TestEnd::Warning,
                _ => TestEnd::Failure,
            };
            if end == TestEnd::Success {
                found.add(name, end);
            } else {
                // It tells them again at its end.
                let text = match end {
                    TestEnd::Failure => "",
                    _ => word,
                };
                found.add_once(name, end, &text.to_ascii_lowercase(), "");
                self.story = Some(Story::of(name));
                self.is_nextest = true;
            }
            return;
        }
        let ends = match self.is_nextest {
            true => line.starts_with("────") || line.starts_with("     Summary ["),
            false => line == "failures:",
        };
        if ends {
            self.close(found);
        } else if let Some(story) = &mut self.story {
            story.push(line);
        }
    }

    fn end(&mut self, found: &mut Found) {
        self.close(found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn each_test_has_its_name_and_a_failed_one_its_output() {
        let said = "running 4 tests\ntest tests::good ... ok\ntest tests::bad ... \u{1b}[31mFAILED\u{1b}[m\n\
            test tests::later ... ignored, too slow\ntest tests::odd - should panic ... ok\n\nfailures:\n\n\
            ---- tests::bad stdout ----\n\nthread 'tests::bad' panicked at src/lib.rs:9:9:\nassertion failed\n\n\n\
            failures:\n    tests::bad\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored;\n";
        assert_eq!(
            told(&mut Cargo::default(), said),
            [
                "tests::good: success",
                "tests::bad: failure: |thread 'tests::bad' panicked at src/lib.rs:9:9:|assertion failed",
                "tests::later: skipped",
                "tests::odd: success",
            ]
        );
    }

    #[test]
    fn nextest_tells_a_failure_twice_and_it_is_one() {
        let said = "    Starting 4 tests across 1 binary\n        PASS [   0.004s] hello tests::good\n\
            \x20       FAIL [   0.005s] (2/4) hello tests::bad\n  stdout ───\n    assertion failed\n\n\
            \x20    SIGABRT [   0.1s] hello tests::worse\n\
            \x20  FLAKY 2/3 [   0.003s] hello tests::moody\n────────────\n\
            \x20    Summary [   0.1s] 4 tests run: 2 passed (1 flaky), 2 failed, 0 skipped\n\
            \x20       FAIL [   0.005s] (2/4) hello tests::bad\n";
        assert_eq!(
            told(&mut Cargo::default(), said),
            [
                "hello tests::good: success",
                "hello tests::bad: failure:   stdout ───|    assertion failed",
                "hello tests::worse: error (sigabrt)",
                "hello tests::moody: warning (flaky 2/3)",
            ]
        );
    }
}
