//! `ctest`, of CMake.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::built_in;

static TEST: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"^ *\d+/\d+ +Test +#\d+: (\S+) \.*(?: |\*\*\*)\**\s*([A-Z][A-Za-z: ()]*?) +[\d.]+ sec$",
    )
});

#[derive(Default)]
pub(super) struct Ctest;

impl Reader for Ctest {
    fn see(&mut self, line: &str, found: &mut Found) {
        let Some(test) = TEST.captures(line) else {
            return;
        };
        let word = &test[2];
        let (end, text) = match word {
            "Passed" => (TestEnd::Success, ""),
            "Failed" => (TestEnd::Failure, ""),
            "Skipped" | "Not Run (Disabled)" => (TestEnd::Skipped, ""),
            // A timeout, an exception, or a program that is not there.
            word => (TestEnd::Error, word),
        };
        found.add_as(&test[1], end, &text.to_ascii_lowercase(), "");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn each_line_is_a_test() {
        let said = "1/5 Test #1: good .............................   Passed    0.01 sec\n\
            2/5 Test #2: bad ..............................***Failed    0.00 sec\n\
            3/5 Test #3: later ............................***Skipped   0.01 sec\n\
            4/5 Test #4: slow .............................***Timeout   1.50 sec\n\
            5/5 Test #5: broken ...........................***Exception: SegFault  0.10 sec\n";
        assert_eq!(
            told(&mut Ctest, said),
            [
                "good: success",
                "bad: failure",
                "later: skipped",
                "slow: error (timeout)",
                "broken: error (exception: segfault)",
            ]
        );
    }
}
