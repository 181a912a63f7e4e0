//! `meson test`.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::built_in;

static TEST: LazyLock<Regex> = LazyLock::new(|| {
    let words = "OK|FAIL|SKIP|TIMEOUT|ERROR|EXPECTEDFAIL|UNEXPECTEDPASS";
    built_in(&format!(
        r"^ *\d+/\d+ (\S.*?) +({words}) +[\d.]+ ?s(?: .*)?$"
    ))
});

#[derive(Default)]
pub(super) struct Meson;

impl Reader for Meson {
    fn see(&mut self, line: &str, found: &mut Found) {
        let Some(test) = TEST.captures(line) else {
            return;
        };
        let (end, text) = match &test[2] {
            "OK" => (TestEnd::Success, ""),
            "FAIL" => (TestEnd::Failure, ""),
            "SKIP" => (TestEnd::Skipped, ""),
            "EXPECTEDFAIL" => (TestEnd::ExpectedFailure, ""),
            "UNEXPECTEDPASS" => (TestEnd::UnexpectedSuccess, ""),
            "TIMEOUT" => (TestEnd::Error, "timeout"),
            _ => (TestEnd::Error, ""),
        };
        found.add_as(&test[1], end, text, "");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn each_line_is_a_test() {
        let said = "1/4 hello / good  OK              0.02s\n2/4 hello / bad   FAIL            0.01s   exit status 1\n\
            3/4 slow          TIMEOUT         30.01s   killed by signal 15 SIGTERM\n4/4 odd EXPECTEDFAIL 0.01s\n";
        assert_eq!(
            told(&mut Meson, said),
            [
                "hello / good: success",
                "hello / bad: failure",
                "slow: error (timeout)",
                "odd: expected failure",
            ]
        );
    }
}
