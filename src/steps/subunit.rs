//! `subunit`: runs tests that tell what they do in subunit, version 1, and counts them.

use std::mem;
use std::sync::Arc;

use crate::model::Channel;
use crate::model::Outcome;
use crate::model::Reached;
use crate::model::TestEnd;
use crate::model::TestResults;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Gauge;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::gauge::reached;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::tally;
use super::tally::counted;
use super::tally::push_line;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "subunit",
    aliases: &["subunit_shell_command"],
    step_name: "shell",
    summary: "Runs tests that tell their results in subunit (version 1), and counts them.",
    example: r#"command = "python -m subunit.run words.tests | subunit-2to1"
failure_on_no_tests = true"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.required("command");
        let fails_without_tests = keys.or("failure_on_no_tests", false);
        let settings = Settings::read(keys)?;
        let judge = Subunit {
            fails_without_tests: fails_without_tests?,
            is_described: settings.description_done.is_some(),
        };
        Some(Arc::new(OneCommand {
            line: line?,
            settings,
            words: None,
            judge,
        }))
    },
};

#[derive(Clone, Debug)]
struct Subunit {
    fails_without_tests: bool,
    /// Whether its texts begin with its description instead of its name.
    is_described: bool,
}

impl Judge for Subunit {
    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        Some(Box::new(Counting::default()))
    }

    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, done: Vec<String>) -> Verdict {
        let mut stream = Stream::default();
        tally::said(ended, &mut |line| stream.see(line));
        stream.end();
        let bad = stream.failures + stream.errors;
        let lacks_tests = self.fails_without_tests && stream.tests == 0;
        let outcome = if !ended.exit.is_success() || bad > 0 || lacks_tests {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        let mut text = match self.is_described {
            true => done,
            false => vec![cx.name.to_owned()],
        };
        if bad > 0 {
            text.push(format!("Total {}", counted(stream.tests, "test")));
            for (count, word) in [(stream.failures, "failure"), (stream.errors, "error")] {
                text.extend((count > 0).then(|| counted(count, word)));
            }
        } else if stream.tests > 0 {
            text.extend([counted(stream.tests, "test"), "passed".into()]);
        } else {
            text.extend(["no tests".into(), "run".into()]);
        }
        if stream.skips > 0 {
            text.push(counted(stream.skips, "skip"));
        }
        let mut verdict = verdict(cx, outcome, text);
        if bad > 0 {
            // The counts say already that it failed.
            verdict.text.pop();
            verdict.build_text = vec![counted(bad, "test")];
        }
        verdict.tests = stream.results;
        for (name, log) in [("problems", stream.problems), ("warnings", stream.others)] {
            if !log.is_empty() {
                verdict.logs.push((name.into(), log));
            }
        }
        verdict
    }
}

/// How far a stream has come, and how far it says that it will.
#[derive(Default)]
struct Counting {
    stream: Stream,
    announced: u64,
    /// Inside others: what is announced there is part of what was before.
    depth: u32,
}

impl Gauge for Counting {
    fn see(&mut self, channel: Channel, line: &str) {
        if channel == Channel::Header {
            return;
        }
        if matches!(self.stream.place, Place::Between)
            && let Some(progress) = line.strip_prefix("progress:")
        {
            self.progress(progress.trim());
        }
        self.stream.see(line);
        // They are not shown here.
        self.stream.problems.clear();
        self.stream.others.clear();
    }

    fn reached(&self) -> Vec<Reached> {
        let bad = self.stream.failures + self.stream.errors;
        let running = u64::from(self.stream.running.is_some());
        let tests = Reached {
            announced: (self.announced > 0).then_some(self.announced),
            ..reached("tests", self.stream.tests - running)
        };
        vec![tests, reached("tests failed", bad)]
    }
}

impl Counting {
    /// `40`, `+2`, `-1`, `push` or `pop`.
    fn progress(&mut self, progress: &str) {
        match (progress, self.depth) {
            ("push", depth) => self.depth = depth.saturating_add(1),
            ("pop", depth) => self.depth = depth.saturating_sub(1),
            (_, 1..) => {}
            (count, 0) => {
                let Ok(number) = count.trim_start_matches(['+', '-']).parse() else {
                    return;
                };
                self.announced = match count.as_bytes()[0] {
                    b'+' => self.announced.saturating_add(number),
                    b'-' => self.announced.saturating_sub(number),
                    _ => number,
                };
            }
        }
    }
}

/// A stream of subunit as far as it was seen.
#[derive(Default)]
struct Stream {
    tests: u64,
    failures: u64,
    errors: u64,
    skips: u64,
    results: TestResults,
    /// What is known of tests that went wrong.
    problems: String,
    /// Lines that are no subunit.
    others: String,
    /// The test that runs.
    running: Option<String>,
    place: Place,
}

/// What the next line belongs to.
#[derive(Default)]
enum Place {
    #[default]
    Between,
    /// The details of how a test ended, up to `]`.
    Details(Told),
    /// Details in parts: the type of the next one, another chunk, or `]` behind the last one.
    PartHead(Told),
    /// The name of a part, behind its type.
    PartName(Told),
    /// A part: chunks, each with its length before it.
    Chunk(Told, u64),
}

/// How a test ended, and what was said of it so far.
struct Told {
    end: TestEnd,
    details: String,
}

impl Stream {
    fn see(&mut self, line: &str) {
        match mem::take(&mut self.place) {
            Place::Between => self.between(line),
            Place::Details(told) if line == "]" => self.test_ended(&told),
            Place::Details(mut told) => {
                // A detail that is `]` itself has a blank before it.
                let line = if line == " ]" { "]" } else { line };
                push_line(&mut told.details, line);
                self.place = Place::Details(told);
            }
            Place::PartHead(told) if line == "]" => self.test_ended(&told),
            Place::PartHead(told) if line.starts_with("Content-Type:") => {
                self.place = Place::PartName(told);
            }
            Place::PartHead(told) => {
                self.place = match length(line) {
                    Some(left) => chunk(told, left),
                    None => Place::PartHead(told),
                };
            }
            Place::PartName(told) => self.place = Place::PartHead(told),
            Place::Chunk(told, left) => self.in_chunk(told, left, line),
        }
    }

    /// `left` bytes of a chunk are to come, of which the end of this line is one.
    fn in_chunk(&mut self, mut told: Told, left: u64, line: &str) {
        let bytes = line.len() as u64;
        if bytes < left {
            push_line(&mut told.details, line);
            self.place = match left - bytes - 1 {
                0 => Place::PartHead(told),
                left => Place::Chunk(told, left),
            };
            return;
        }
        // The next length stands behind the last byte, on the same line.
        let at = usize::try_from(left).unwrap_or(line.len());
        let (last, rest) = line.split_at_checked(at).unwrap_or((line, ""));
        push_line(&mut told.details, last);
        self.place = match length(rest) {
            Some(left) => chunk(told, left),
            None => Place::PartHead(told),
        };
    }

    fn between(&mut self, line: &str) {
        let (word, rest) = split(line);
        let is_known = match word {
            "test" | "testing" if !rest.is_empty() => {
                self.lost();
                self.tests += 1;
                self.running = Some(rest.to_owned());
                true
            }
            "time" | "tags" | "progress" => line[word.len()..].starts_with(':'),
            "success" | "successful" => self.ends(TestEnd::Success, rest),
            "xfail" => self.ends(TestEnd::ExpectedFailure, rest),
            "uxsuccess" => self.ends(TestEnd::UnexpectedSuccess, rest),
            "failure" => self.ends(TestEnd::Failure, rest),
            "error" => self.ends(TestEnd::Error, rest),
            "skip" => self.ends(TestEnd::Skipped, rest),
            _ => false,
        };
        if !is_known {
            push_line(&mut self.others, line);
        }
    }

    /// Whether `rest` is about the test that runs.
    fn ends(&mut self, end: TestEnd, rest: &str) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let told = Told {
            end,
            details: String::new(),
        };
        match rest.strip_prefix(running.as_str()) {
            Some("") => self.test_ended(&told),
            Some(" [") => self.place = Place::Details(told),
            Some(" [ multipart") => self.place = Place::PartHead(told),
            _ => return false,
        }
        true
    }

    fn test_ended(&mut self, told: &Told) {
        let name = self.running.take().unwrap_or_default();
        self.results.add(&name, told.end, &told.details);
        match told.end {
            // What succeeds unexpectedly counts as good, as what fails as expected does.
            TestEnd::Success
            | TestEnd::ExpectedFailure
            | TestEnd::UnexpectedSuccess
            | TestEnd::Warning => return,
            TestEnd::Skipped => {
                self.skips += 1;
                return;
            }
            TestEnd::Failure => self.failures += 1,
            TestEnd::Error => self.errors += 1,
        }
        push_line(&mut self.problems, &name);
        push_line(&mut self.problems, &told.details);
    }

    /// A test of which nothing more is heard is an error.
    fn lost(&mut self) {
        if self.running.is_some() {
            self.test_ended(&Told {
                end: TestEnd::Error,
                details: "the test did not tell how it ended".to_owned(),
            });
        }
    }

    fn end(&mut self) {
        match mem::take(&mut self.place) {
            Place::Between => self.lost(),
            Place::Details(told)
            | Place::PartHead(told)
            | Place::PartName(told)
            | Place::Chunk(told, _) => {
                let mut details = told.details;
                push_line(&mut details, "the test did not tell all of how it ended");
                let end = TestEnd::Error;
                self.test_ended(&Told { end, details });
            }
        }
    }
}

/// A chunk of no bytes ends its part.
fn chunk(told: Told, left: u64) -> Place {
    match left {
        0 => Place::PartHead(told),
        left => Place::Chunk(told, left),
    }
}

/// The length of a chunk, in hexadecimal.
fn length(line: &str) -> Option<u64> {
    let digits = line.strip_suffix('\r').unwrap_or(line);
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_hexdigit());
    let length = is_number.then(|| u64::from_str_radix(digits, 16).ok());
    length.flatten()
}

/// The first word, with or without a colon, and what stands behind it.
fn split(line: &str) -> (&str, &str) {
    let end = line.find([':', ' ']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    (word, rest.strip_prefix(' ').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::counted as counted_in;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    fn check(settings: &str, code: i32, text: &str, expected: &str) -> Vec<(String, String)> {
        let step = read_kind(&KIND, &format!("command = \"./check\"\n{settings}"));
        let mut bench = Bench::new(step.as_ref(), &KIND);
        assert_eq!(bench.running_text(), ["'./check'"]);
        bench.begin();
        let lines: Vec<_> = text.lines().map(out).collect();
        assert_eq!(bench.ends(code, &lines), expected, "{text}");
        bench.verdict().logs.clone()
    }

    /// What Python's subunit makes of a run of unittest, with shorter tracebacks.
    const RECORDED: &str = "\
time: 2026-11-20 21:20:35.067046Z
test: test_x.T.test_bad
failure: test_x.T.test_bad [ multipart
Content-Type: text/x-traceback;charset=utf8,language=python
traceback
1D\r
AssertionError: [1, 2] != [1]0\r
]
test: test_x.T.test_err
error: test_x.T.test_err [ multipart
Content-Type: text/x-traceback;charset=utf8,language=python
traceback
12\r
ValueError: ]
]
x
0\r
]
test: test_x.T.test_ok
successful: test_x.T.test_ok [ multipart
]
test: test_x.T.test_skip
skip: test_x.T.test_skip [ multipart
Content-Type: text/plain;charset=utf8
FFFF
5\r
no db0\r
]
test: test_x.T.test_ux
uxsuccess: test_x.T.test_ux [ multipart
]
test: test_x.T.test_xfail
xfail: test_x.T.test_xfail [ multipart
Content-Type: text/x-traceback;charset=utf8,language=python
traceback
F\r
AssertionError
0\r
]
";

    #[test]
    fn a_recorded_run_is_counted_and_its_problems_are_kept() {
        let end = "failure: shell Total 6 tests 1 failure 1 error 1 skip; build: 2 tests";
        let logs = check("", 1, RECORDED, end);
        let problems = "\
test_x.T.test_bad
AssertionError: [1, 2] != [1]

test_x.T.test_err
ValueError: ]
]
x

";
        assert_eq!(logs, [("problems".to_owned(), problems.to_owned())]);
        check("", 0, RECORDED, end);
    }

    #[test]
    fn good_tests_are_told_and_none_at_all_is_bad_only_if_that_is_said() {
        let one = "test a b\nsuccess a b\n";
        check("", 0, one, "success: shell 1 test passed");
        let end = "failure: shell 1 test passed failed; build: shell";
        check("", 1, one, end);
        let two = "progress: +2\npush: 1\ntest: a\nsuccess: a\ntesting: b\nskip: b [\nwhy\n]\n";
        let logs = check("", 0, two, "success: shell 2 tests passed 1 skip");
        assert_eq!(logs, [("warnings".to_owned(), "push: 1\n".to_owned())]);
        check("", 0, "", "success: shell no tests run");
        let end = "failure: shell no tests run failed; build: shell";
        check("failure_on_no_tests = true", 0, "", end);
        let end = "success: my tests 1 test passed";
        check("description_done = \"my tests\"", 0, one, end);
    }

    #[test]
    fn what_is_no_subunit_is_kept() {
        let text = "\
hello
success: nobody
test: a
failure: b
failure: a [
Traceback
 ]
]
time is short
tests
";
        let end = "failure: shell Total 1 test 1 failure; build: 1 test";
        let logs = check("", 0, text, end);
        assert_eq!(logs[0].1, "a\nTraceback\n]\n\n");
        let others = "hello\nsuccess: nobody\nfailure: b\ntime is short\ntests\n";
        assert_eq!(logs[1].1, others);
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_error() {
        let end = "failure: shell Total 1 test 1 error; build: 1 test";
        check("", 0, "test: a\n", end);
        check("", 0, "test: a\nsuccess: a [\n", end);
        check(
            "",
            0,
            "test: a\nskip: a [ multipart\nContent-Type: x\n",
            end,
        );
        let huge = "test: a\nfailure: a [ multipart\nx\nFFFFFFFFFFFFFFFF\r\nno more\n";
        let logs = check("", 0, huge, end);
        assert_eq!(
            logs[0].1,
            "a\nno more\nthe test did not tell all of how it ended\n\n"
        );
        // Nothing that looks like a length is one.
        check(
            "",
            0,
            "test: a\nfailure: a [ multipart\n-1\r\n+2\r\nFFFFFFFFFFFFFFFFF\r\n]\n",
            "failure: shell Total 1 test 1 failure; build: 1 test",
        );
        // A chunk that ends inside of a character is borne.
        check(
            "",
            0,
            "test: a\nfailure: a [ multipart\nx\n1\r\n\u{fc}0\r\n]\n",
            "failure: shell Total 1 test 1 failure; build: 1 test",
        );
    }

    #[test]
    fn tests_are_counted_as_they_end_and_progress_lines_say_how_many_will() {
        let step = read_kind(&KIND, "command = \"./check\"\n");
        let check = |text: &str, tests: u64, failed: u64, announced: Option<u64>| {
            let lines: Vec<_> = text.lines().map(out).collect();
            let expected = [
                ("tests".to_owned(), tests, announced),
                ("tests failed".to_owned(), failed, None),
            ];
            assert_eq!(counted_in(step.as_ref(), &lines), expected, "{text}");
        };
        check("", 0, 0, None);
        check("progress: 40\ntest: a\n", 0, 0, Some(40));
        check("progress: 40\ntest: a\nsuccess: a\ntest: b", 1, 0, Some(40));
        check("test: a\nfailure: a [\nprogress: 9\n]\n", 1, 1, None);
        check("progress: +3\nprogress: -1\n", 0, 0, Some(2));
        let nested = "progress: 5\nprogress: push\nprogress: 70\nprogress: pop\nprogress: +1\n";
        check(nested, 0, 0, Some(6));
        check(
            "progress: -7\nprogress: x\nprogress: \nprogress:\n",
            0,
            0,
            None,
        );
    }
}
