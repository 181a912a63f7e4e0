//! The Test Anything Protocol.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::built_in;
use super::push;

/// A `#` with a backslash before it is part of the words.
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^(not )?ok\b *(\d*)(?: *- *| +|$)((?:[^#\\]|\\.)*)(?:# *(?i:(skip|todo))\b.*)?")
});

#[derive(Default)]
pub(super) struct Tap {
    /// The test that was told last, as long as more may be told of it.
    last: Option<Test>,
    told: u64,
}

struct Test {
    name: String,
    end: TestEnd,
    story: String,
}

impl Tap {
    fn close(&mut self, found: &mut Found) {
        if let Some(it) = self.last.take() {
            found.add_as(&it.name, it.end, "", &it.story);
        }
    }
}

impl Reader for Tap {
    fn see(&mut self, line: &str, found: &mut Found) {
        if let Some(test) = TEST.captures(line) {
            self.close(found);
            self.told += 1;
            let word = test.get(4).map(|it| it.as_str().to_ascii_lowercase());
            let name = match (test[3].trim(), &test[2]) {
                ("", "") => format!("test {}", self.told),
                ("", number) => format!("test {number}"),
                (name, _) => name.to_owned(),
            };
            let end = match (test.get(1), word.as_deref()) {
                (_, Some("skip")) => TestEnd::Skipped,
                (Some(_), Some(_)) => TestEnd::ExpectedFailure,
                (None, Some(_)) => TestEnd::UnexpectedSuccess,
                (Some(_), None) => TestEnd::Failure,
                (None, None) => TestEnd::Success,
            };
            self.last = Some(Test {
                name,
                end,
                story: String::new(),
            });
        } else if line.starts_with("Bail out!") {
            self.close(found);
            found.add_as("Bail out!", TestEnd::Error, "", line);
        } else if let Some(last) = &mut self.last
            && last.end != TestEnd::Success
            && (line.starts_with('#') || line.starts_with("  "))
        {
            push(&mut last.story, line);
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
    fn words_and_directives_are_read_and_what_stands_below_a_failure() {
        let said = "TAP version 13\n1..6\nok 1 - a b\nnot ok 2 - c \\# d\n  ---\n  got: 1\n  ...\n\
            ok 3 - e # SKIP no network\nnot ok 4 # TODO later\n# why\nok 5 - f # todo\nok\nBail out! no database\n";
        assert_eq!(
            told(&mut Tap::default(), said),
            [
                "a b: success",
                "c \\# d: failure:   ---|  got: 1|  ...",
                "e: skipped",
                "test 4: expected failure: # why",
                "f: unexpected success",
                "test 6: success",
                "Bail out!: error: Bail out! no database",
            ]
        );
    }
}
