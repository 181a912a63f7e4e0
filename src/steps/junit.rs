//! `junit`: counts the tests of JUnit's XML files, which most programs that run tests can write.

use std::sync::Arc;

use crate::model::Outcome;
use crate::model::Text;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::counts::Counts;
use super::counts::Tests;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::results;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "junit",
    aliases: &[],
    step_name: "junit",
    summary: "Counts the tests of JUnit's XML files on the slave.",
    example: r#"files = ["*/build/test-results/*.xml"]
failure_on_no_tests = true"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let files = keys.required::<Vec<String>>("files");
        let fails_without_tests = keys.or("failure_on_no_tests", false);
        let settings = Settings::read(keys);
        let files = files?;
        if files.is_empty() {
            keys.wrong("files", "expected patterns such as `*/test-results/*.xml`");
            return None;
        }
        Some(Arc::new(OneCommand {
            line: line(&files),
            settings: settings?,
            words: Some(Words {
                running: "counting tests",
                done: "tests counted",
            }),
            judge: Reports {
                fails_without_tests: fails_without_tests?,
                counts: Counts::junit(),
            },
        }))
    },
};

/// Prints the files below the work directory whose paths fit one of the patterns.
fn line(patterns: &[String]) -> Line {
    let mut words: Vec<String> = ["find", ".", "-type", "f", "("].map(str::to_owned).into();
    for (index, pattern) in patterns.iter().enumerate() {
        if index > 0 {
            words.push("-o".to_owned());
        }
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        words.extend(["-path".to_owned(), format!("./{pattern}")]);
    }
    words.extend([")", "-exec", "cat", "{}", "+"].map(str::to_owned));
    Line::Argv(words.into_iter().map(Text::literal).collect())
}

#[derive(Clone, Debug)]
struct Reports {
    fails_without_tests: bool,
    counts: Counts,
}

impl Judge for Reports {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, _: Vec<String>) -> Verdict {
        let tests = self.counts.count(ended).unwrap_or_default();
        let lacks_tests = self.fails_without_tests && tests == Tests::default();
        let is_bad = !ended.exit.is_success() || tests.failed > 0 || lacks_tests;
        let outcome = match is_bad {
            true => Outcome::Failure,
            false => Outcome::Success,
        };
        let mut texts = tests.texts(0);
        if texts.is_empty() {
            texts.push("no tests".to_owned());
        }
        let mut verdict = verdict(cx, outcome, texts);
        tests.tell(0, &mut verdict);
        verdict.tests = results::read(self.counts.words(), ended);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;

    fn with(lines: &str) -> Bench {
        Bench::new(read_kind(&KIND, lines).as_ref(), &KIND)
    }

    #[test]
    fn the_files_are_found_and_counted_for_real() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("hello/build");
        for (name, test) in [
            (
                "a b/build/test-results/x.xml",
                "<testcase><failure/></testcase>",
            ),
            ("c/build/test-results/y.xml", "<testcase/>"),
            ("c/other.xml", "<testcase/>"),
            ("top.xml", "<testcase><skipped/></testcase>"),
        ] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            // Without a line end behind it.
            let xml = format!("<?xml version=\"1.0\"?>\n<testsuite>{test}</testsuite>");
            fs::write(path, xml).expect("a file");
        }
        let mut bench = with("files = [\"*/build/test-results/*.xml\", \"./top.xml\"]\n");
        let told = bench.run_for_real(base.path());
        let end = "failure: 3 tests 1 passed 1 failed 1 skipped failed; build: junit";
        assert_eq!(told.last().map(String::as_str), Some(end));
        let first = ("tests-total".to_owned(), 3);
        assert_eq!(bench.verdict().statistics[0], first);
    }

    #[test]
    fn no_tests_are_good_unless_some_are_wanted() {
        let mut bench = with("files = \"x.xml\"\n");
        bench.begin();
        assert_eq!(bench.ends(0, &[]), "success: no tests");
        let mut bench = with("files = \"x.xml\"\nfailure_on_no_tests = true\n");
        bench.begin();
        let end = bench.ends(0, &[out("<testsuite tests=\"0\"/>")]);
        assert_eq!(end, "failure: no tests failed; build: junit");
        assert_eq!(
            problems_of(&KIND, "files = []\n"),
            "factories/x.toml:2:9: bad value for `files` in [[steps]]"
        );
    }
}
