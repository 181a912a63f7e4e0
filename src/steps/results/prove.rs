//! Perl's `prove`: each file of tests is one.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::TestEnd;

use super::Found;
use super::Reader;
use super::built_in;
use super::push;

/// `t/a.t .. ok`.
static FILE: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^(\S.*?\S) \.\.+ (?:(ok)(?: +\d+.*)?|skipped: (.*)|(skipped))$"));
/// `t/b.t (Wstat: 512 (exited 2) Tests: 4 Failed: 2)`, in the report.
static BAD: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^(\S.*?) +\(Wstat: (\d+)(?: \([^)]*\))? Tests: \d+ Failed: (\d+)\)$")
});

#[derive(Default)]
pub(crate) struct Prove {
    is_report: bool,
    told: Option<Told>,
}

struct Told {
    name: String,
    has_failed: bool,
    log: String,
}

impl Prove {
    fn close(&mut self, found: &mut Found) {
        if let Some(told) = self.told.take() {
            let end = match told.has_failed || told.log.contains("Parse errors:") {
                true => TestEnd::Failure,
                // It is in the report for tests that were to fail and did not.
                false => TestEnd::UnexpectedSuccess,
            };
            found.add_once(&told.name, end, "", &told.log);
        }
    }
}

impl Reader for Prove {
    fn see(&mut self, line: &str, found: &mut Found) {
        if line == "Test Summary Report" {
            self.is_report = true;
        } else if line.starts_with("Files=") {
            self.close(found);
            self.is_report = false;
        } else if !self.is_report {
            if let Some(file) = FILE.captures(line) {
                match (file.get(2), file.get(3)) {
                    (Some(_), _) => found.add(&file[1], TestEnd::Success),
                    (None, why) => {
                        let why = why.map_or("", |it| it.as_str());
                        found.add_as(&file[1], TestEnd::Skipped, "", why);
                    }
                }
            }
        } else if let Some(bad) = BAD.captures(line) {
            self.close(found);
            let mut log = String::new();
            push(&mut log, line);
            self.told = Some(Told {
                name: bad[1].to_owned(),
                has_failed: &bad[2] != "0" || &bad[3] != "0",
                log,
            });
        } else if let Some(told) = &mut self.told {
            push(&mut told.log, line);
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
    fn files_pass_one_by_one_and_fail_in_the_report() {
        let said = "t/a.t ........ ok\nt/b c.t .. \nDubious, test returned 2 (wstat 512, 0x200)\nFailed 2/4 subtests \n\
            t/c.t .. skipped: no network\nt/d.t .. ok   12 ms\n\nTest Summary Report\n-------------------\n\
            t/b c.t (Wstat: 512 (exited 2) Tests: 4 Failed: 2)\n  Failed tests:  2, 4\n\
            t/e.t (Wstat: 0 Tests: 1 Failed: 0)\n  TODO passed:   1\n\
            t/f.t (Wstat: 0 Tests: 1 Failed: 0)\n  Parse errors: Bad plan.\n\
            Files=6, Tests=9,  0 wallclock secs\nResult: FAIL\n";
        assert_eq!(
            told(&mut Prove::default(), said),
            [
                "t/a.t: success",
                "t/c.t: skipped: no network",
                "t/d.t: success",
                "t/b c.t: failure: t/b c.t (Wstat: 512 (exited 2) Tests: 4 Failed: 2)|  Failed tests:  2, 4",
                "t/e.t: unexpected success: t/e.t (Wstat: 0 Tests: 1 Failed: 0)|  TODO passed:   1",
                "t/f.t: failure: t/f.t (Wstat: 0 Tests: 1 Failed: 0)|  Parse errors: Bad plan.",
            ]
        );
    }
}
