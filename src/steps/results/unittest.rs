//! Python's own `unittest`: with `-v` every test has a name, else those that fail.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::blocks::Block;
use super::blocks::dotted;
use super::blocks::is_rule;
use super::built_in;

/// `test_a (words.test.T.test_a) ... ok`; a description may come between.
static TEST: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(\w+) \(([\w.]+)\)(?: \.\.\. (\S.*)?)?$"));
static END: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"(?:^|\.\.\. )(ok|FAIL|ERROR|skipped .*|expected failure|unexpected success)$")
});

#[derive(Default)]
pub(super) struct Unittest {
    /// The test that runs.
    running: Option<String>,
    block: Option<Block>,
    /// Whether the next line is a title.
    is_below_rule: bool,
}

impl Unittest {
    fn close(&mut self, found: &mut Found) {
        if let Some(block) = self.block.take() {
            block.close("", found);
        }
    }

    fn ended(&mut self, word: &str, found: &mut Found) {
        let Some(name) = self.running.take() else {
            return;
        };
        let (end, log) = match word {
            "ok" => (TestEnd::Success, ""),
            "FAIL" => (TestEnd::Failure, ""),
            "ERROR" => (TestEnd::Error, ""),
            "expected failure" => (TestEnd::ExpectedFailure, ""),
            "unexpected success" => (TestEnd::UnexpectedSuccess, ""),
            why => (TestEnd::Skipped, why),
        };
        found.add_as(&name, end, "", log);
    }
}

impl Reader for Unittest {
    fn see(&mut self, line: &str, found: &mut Found) {
        if is_rule(line, '=') {
            self.close(found);
            self.running = None;
            self.is_below_rule = true;
            return;
        }
        if std::mem::take(&mut self.is_below_rule) {
            self.block = Block::titled(line);
            return;
        }
        if let Some(block) = &mut self.block {
            if line.starts_with("Ran ") {
                self.close(found);
            } else if !is_rule(line, '-') {
                block.push(line);
            }
            return;
        }
        if let Some(test) = TEST.captures(line) {
            self.running = Some(dotted(&test[1], &test[2]));
        }
        if self.running.is_some()
            && let Some(end) = END.captures(line)
        {
            self.ended(&end[1], found);
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
    fn blocks_belong_to_the_tests_that_are_named_before_them_or_not() {
        let (double, single) = ("=".repeat(70), "-".repeat(70));
        let said = format!(
            "test_ok (words.T.test_ok) ... ok\ntest_old (words.T) ... skipped 'no db'\n\
             test_told (words.T.test_told)\nIt is described. ... FAIL\ntest_noisy (words.T.test_noisy) ... noise\nok\n\
             test_xf (words.T.test_xf) ... expected failure\n\n{double}\nFAIL: test_told (words.T.test_told)\nIt is described.\n\
             {single}\nTraceback\nAssertionError\n\n{double}\nERROR: test_quiet (words.T)\n{single}\nTypeError\n\n\
             {double}\nFAIL: test_sub (words.T.test_sub) (i=1)\n{single}\nno\n\n{single}\nRan 6 tests in 0.1s\n\nFAILED\n"
        );
        assert_eq!(
            told(&mut Unittest::default(), &said),
            [
                "words.T.test_ok: success",
                "words.T.test_old: skipped: skipped 'no db'",
                "words.T.test_told: failure: FAIL: test_told (words.T.test_told)|It is described.|Traceback|AssertionError",
                "words.T.test_noisy: success",
                "words.T.test_xf: expected failure",
                "words.T.test_quiet: error: ERROR: test_quiet (words.T)|TypeError",
                "words.T.test_sub (i=1): failure: FAIL: test_sub (words.T.test_sub) (i=1)|no",
            ]
        );
    }
}
