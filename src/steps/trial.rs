//! `trial`: runs the tests of a Python project with Twisted's Trial, and counts them.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use crate::model::Command;
use crate::model::HoleIn;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::SecretHole;
use crate::model::Shell;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::text_with_secrets;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Gauge;
use super::Line;
use super::Move;
use super::Run;
use super::Settings;
use super::Step;
use super::StepError;
use super::StepKind;
use super::Verdict;
use super::gauge::Fits;
use super::read;
use super::results;
use super::tally;
use super::tally::counted;
use super::tally::push_line;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "trial",
    aliases: &[],
    step_name: "trial",
    summary: "Runs the tests of a Python project with Twisted's Trial, and counts them.",
    example: r#"testpath = "."
tests = ["words.test", "words.web.test"]
python = ["python3", "-W", "error"]
reactor = "poll"
randomly = true"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| Some(Arc::new(Trial::read(keys)?)),
};

#[derive(Clone, Debug)]
struct Trial {
    /// Put before the `PYTHONPATH` of the command.
    testpath: Option<Text>,
    /// The command without what is tested.
    words: Vec<Text>,
    tests: Tests,
    reactor: Option<Text>,
    settings: Settings,
}

#[derive(Clone, Debug)]
enum Tests {
    Named(Vec<Text>),
    /// Those that belong to the files of the build's changes.
    OfChanges,
}

const PATHS: &str = "PYTHONPATH";
const LOG: &str = "test.log";
const LOG_FILE: &str = "_trial_temp/test.log";

impl Trial {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let testpath = keys.optional::<Text>("testpath");
        let tests = read::words(keys, "tests");
        let test_changes = keys.or("test_changes", false);
        let python = keys.or("python", Words(Vec::new()));
        let trial = keys.or("trial", Word(Text::literal("trial")));
        let mode = read::words(keys, "trial_mode");
        let args = read::words(keys, "trial_args");
        let recurse = keys.or("recurse", false);
        let reactor = keys.optional::<Text>("reactor");
        let randomly = keys.or("randomly", false);
        let settings = Settings::read(keys);

        let tests = match (test_changes?, tests?) {
            (true, _) => Tests::OfChanges,
            (false, Some(tests)) => Tests::Named(tests),
            (false, None) => {
                let what = format!("`tests` is missing in {}", keys.title());
                let problem = Problem::error(Code::MissingKey, what).at(keys.header());
                keys.note(problem.help("or `test_changes = true`, for the tests of changed files"));
                return None;
            }
        };
        let mut words = python?.0;
        words.push(trial?.0);
        words.extend(mode?.unwrap_or_else(|| vec![Text::literal("--reporter=bwverbose")]));
        words.extend(recurse?.then(|| Text::literal("--recurse")));
        let reactor = reactor?;
        words.extend(
            reactor
                .as_ref()
                .map(|it| Text::literal("--reactor=").then(it)),
        );
        words.extend(randomly?.then(|| Text::literal("--random=0")));
        words.extend(args?.unwrap_or_default());
        let mut settings = settings?;
        settings.terms.add_logfile(LOG, Text::literal(LOG_FILE));
        Some(Self {
            testpath: testpath?,
            words,
            tests,
            reactor,
            settings,
        })
    }

    fn line(&self, cx: &Cx<'_>) -> Line {
        let mut words = self.words.clone();
        match &self.tests {
            Tests::Named(tests) => {
                words.extend(tests.iter().flat_map(|it| each_of(it, cx.properties)));
            }
            Tests::OfChanges => {
                let files = cx.changes.iter().flat_map(|it| &it.files);
                let modules = files.filter(|it| it.ends_with(".py"));
                words.extend(modules.map(|it| Text::literal(format!("--testmodule={it}"))));
            }
        }
        Line::Argv(words)
    }

    fn command(&self, cx: &Cx<'_>) -> Result<Shell, StepError> {
        let mut shell = self.settings.command(&self.line(cx), cx)?;
        if let Some(testpath) = &self.testpath {
            let joint = if cx.is_on_windows() { ";" } else { ":" };
            put_first(&mut shell, &testpath.render(cx.properties)?, joint);
        }
        Ok(shell)
    }

    /// ` (poll)`, as texts show the reactor.
    fn shown_reactor(&self, cx: &Cx<'_>) -> Option<String> {
        let reactor = self.reactor.as_ref()?.render(cx.properties).ok()?;
        Some(format!("({})", reactor.replacen("reactor", "", 1)))
    }
}

/// A property that has a list of tests stands for each of them.
fn each_of(tests: &Text, properties: &Properties) -> Vec<Text> {
    match tests.value(properties) {
        Ok(Json::Array(all)) if all.iter().all(Json::is_string) => {
            let all = all.iter().filter_map(Json::as_str);
            all.map(Text::literal).collect()
        }
        _ => vec![tests.clone()],
    }
}

impl Step for Trial {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }

    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        Some(Box::new(Fits::new("tests", &ENDED).until(RULE)))
    }

    fn metrics(&self) -> Vec<String> {
        self.settings.metrics(self.gauge())
    }
}

impl Run for Trial {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let line = self.line(cx);
        let mut text = self.settings.running_text(&line, cx, Some("testing"));
        text.extend(self.shown_reactor(cx));
        text
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.done_text(&self.line(cx), cx, Some("tests"))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::Run(Command::Shell(self.command(cx)?)));
        };
        let mut heard = Heard::default();
        tally::said(ended, &mut |line| heard.see(line));
        let is_good = self.settings.outcomes.seen(ended.exit).is_success();
        let mut verdict = heard.verdict(cx, is_good, self.shown_reactor(cx));
        let reactor = self.reactor.as_ref();
        let reactor = reactor.and_then(|it| it.render(cx.properties).ok());
        let mut reader = results::Trial::new(reactor.as_deref());
        verdict.tests = results::read_with(&mut reader, ended);
        let verdict = self.settings.outcomes.applied(cx, ended, verdict);
        Ok(Move::Done(verdict))
    }
}

/// Puts `path` before the others of `PYTHONPATH`, with `joint` between them, unless it is one of
/// them.
fn put_first(shell: &mut Shell, path: &str, joint: &str) {
    let known = shell.env.remove(PATHS).flatten().unwrap_or_default();
    let paths = if known.split(joint).any(|it| it == path) {
        known
    } else if known.is_empty() {
        path.to_owned()
    } else {
        let of_paths = |it: &&mut SecretHole| it.within == HoleIn::Env(PATHS.to_owned());
        for hole in shell.holes.iter_mut().filter(of_paths) {
            hole.at += path.len() + joint.len();
        }
        format!("{path}{joint}{known}")
    };
    shell.env.insert(PATHS.to_owned(), Some(paths));
}

/// What Trial says, as far as it was seen.
#[derive(Default)]
struct Heard {
    /// The end, which has the counts.
    tail: VecDeque<String>,
    tail_bytes: usize,
    /// From the first line between tests and errors on.
    problems: String,
    has_problems: bool,
    warnings: BTreeSet<String>,
    /// A warning whose second line is to come.
    half: Option<String>,
}

/// The counts stand in so many of the last bytes.
const TAIL: usize = 10_000;
/// So many different warnings are kept.
const MOST_WARNINGS: usize = 10_000;

impl Heard {
    fn see(&mut self, line: &str) {
        self.tail_bytes += line.len() + 1;
        self.tail.push_back(line.to_owned());
        while self.tail_bytes > TAIL {
            let Some(first) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= first.len() + 1;
        }
        self.has_problems |= is_rule(line, '=') || is_rule(line, '-');
        if self.has_problems {
            push_line(&mut self.problems, line);
        } else {
            self.warning(line);
        }
    }

    fn warning(&mut self, line: &str) {
        if let Some(first) = mem::take(&mut self.half) {
            self.keep_warning(format!("{first}\n{line}"));
        } else if line.contains(" exceptions.DeprecationWarning: ") {
            // It is raised where nobody knows the source.
            self.keep_warning(line.to_owned());
        } else if line.contains(" DeprecationWarning: ") || line.contains(" UserWarning: ") {
            self.half = Some(line.to_owned());
        } else if line.contains("Warning: ") {
            self.keep_warning(line.to_owned());
        }
    }

    fn keep_warning(&mut self, warning: String) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.insert(warning);
        }
    }

    fn verdict(mut self, cx: &Cx<'_>, is_good: bool, reactor: Option<String>) -> Verdict {
        if let Some(half) = self.half.take() {
            self.keep_warning(half);
        }
        let counts = Counts::of(self.tail.iter());
        let bad = counts.failures.saturating_add(counts.errors);
        let is_good = is_good && bad == 0;
        let mut text: Vec<String> = Vec::new();
        let mut build_text: Vec<String> = Vec::new();
        let outcome = match (is_good, counts.total) {
            (true, Some(total)) => {
                text.extend(match total {
                    0 => ["no tests".into(), "run".into()],
                    _ => [counted(total, "test"), "passed".into()],
                });
                Outcome::Success
            }
            (true, None) => {
                text.extend(["testlog".into(), "unparseable".into()]);
                build_text.push("tests".into());
                Outcome::Failure
            }
            (false, Some(_)) => {
                text.push("tests".into());
                for (count, word) in [(counts.failures, "failure"), (counts.errors, "error")] {
                    text.extend((count > 0).then(|| counted(count, word)));
                }
                build_text.push(counted(bad, "test"));
                Outcome::Failure
            }
            (false, None) => {
                text.extend(["tests".into(), "failed".into()]);
                build_text.push("tests".into());
                Outcome::Failure
            }
        };
        for (count, word) in [(counts.skips, "skip"), (counts.todos, "todo")] {
            text.extend((count > 0).then(|| counted(count, word)));
        }
        if let Some(reactor) = reactor {
            if !build_text.is_empty() {
                build_text.push(reactor.clone());
            }
            text.push(reactor);
        }
        let mut logs = Vec::new();
        if !self.problems.is_empty() {
            logs.push(("problems".into(), self.problems));
        }
        if !self.warnings.is_empty() {
            let mut log = String::new();
            for warning in &self.warnings {
                push_line(&mut log, warning);
            }
            logs.push(("warnings".into(), log));
        }
        Verdict {
            text,
            build_text,
            logs,
            ..verdict(cx, outcome, Vec::new())
        }
    }
}

/// A line that begins with so many `mark`s that it divides.
fn is_rule(line: &str, mark: char) -> bool {
    line.chars().take_while(|it| *it == mark).take(60).count() == 60
}

/// What Trial says at its end.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    /// How many tests ran, if that is said.
    total: Option<u64>,
    failures: u64,
    errors: u64,
    skips: u64,
    /// What fails as expected.
    todos: u64,
}

/// A test that has ended: `test_add ...        [OK]`.
/// Behind it the problems are told, with what the tests printed.
const RULE: &str = "========================================";

static ENDED: LazyLock<Regex> = LazyLock::new(|| built_in(r" \.\.\. .*\[[^\]]+\]$"));
static RAN: LazyLock<Regex> = LazyLock::new(|| built_in(r"Ran (\d+) tests"));
static COUNT: LazyLock<Regex> = LazyLock::new(|| built_in(r"(\w+)=(\d+)"));

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are tested")
}

impl Counts {
    fn of<'a>(lines: impl Iterator<Item = &'a String>) -> Self {
        let mut counts = Self::default();
        for line in lines {
            let ran = RAN.captures(line).and_then(|it| it[1].parse().ok());
            counts.total = ran.or(counts.total);
            let is_summary = ["OK", "FAILED ", "PASSED"];
            if !is_summary.iter().any(|it| line.starts_with(it)) {
                continue;
            }
            for found in COUNT.captures_iter(line) {
                let Ok(count) = found[2].parse() else {
                    continue;
                };
                match &found[1] {
                    "failures" => counts.failures = count,
                    "errors" => counts.errors = count,
                    "skips" => counts.skips = count,
                    "expectedFailures" => counts.todos = count,
                    _ => {}
                }
            }
        }
        counts
    }
}

/// A word of a command, which a blank does not divide.
struct Word(Text);

impl Value for Word {
    const EXPECTED: &'static str = "one word: a blank in it does not divide it";
    const SHAPE: Shape = Shape::Template;

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()?.contains(' ') {
            true => Err(Misread::default()),
            false => text_with_secrets(node).map(Self),
        }
    }
}

/// A program and its arguments.
struct Words(Vec<Text>);

impl Value for Words {
    const EXPECTED: &'static str =
        "one word, or a list of words such as `[\"python3\", \"-W\", \"error\"]`";
    const SHAPE: Shape = Shape::OneOrMore(&Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        let words: Result<_, _> = match &node.content {
            Content::List(all) => all.iter().map(Word::read).collect(),
            _ => Word::read(node).map(|it| vec![it]),
        };
        let words: Vec<Word> = words?;
        Ok(Self(words.into_iter().map(|it| it.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::change;
    use super::super::bench::counted;
    use super::super::bench::header;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::expr::Values;
    use serde_json::json;

    fn bench(settings: &str) -> Bench {
        let step = read_kind(&KIND, settings);
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn the_command_is_made_of_what_is_said() {
        let begins = |settings: &str, expected: &str| {
            assert_eq!(bench(settings).begin(), format!("hello/build: {expected}"));
        };
        begins("tests = \"words\"", "trial --reporter=bwverbose words");
        begins(
            "tests = [\"a.test\", \"b.test\"]\npython = [\"python3\", \"-Wall\"]\ntrial = \"bin/trial\"\n\
             trialMode = [\"--reporter=text\", \"-x\"]\nrecurse = true\nreactor = \"pollreactor\"\n\
             randomly = true\ntrialArgs = \"--until-failure\"\n",
            "python3 -Wall bin/trial --reporter=text -x --recurse --reactor=pollreactor --random=0 \
             --until-failure a.test b.test",
        );
        let mut it = bench("tests = \"words\"\ntestChanges = true\n");
        it.changes = vec![
            change(&["b.py", "README"]),
            change(&["a.py", "%(x)s.py", "b.py"]),
        ];
        let files = "--testmodule=b.py --testmodule=a.py --testmodule=%(x)s.py --testmodule=b.py";
        let expected = format!("hello/build: trial --reporter=bwverbose {files}");
        assert_eq!(it.begin(), expected);
    }

    #[test]
    fn a_property_that_has_a_list_of_tests_stands_for_each() {
        let mut it = bench("tests = \"%(tests)s\"");
        it.properties
            .set("tests", serde_json::json!(["a.test", "b %(x)s"]), "Force");
        let told = "hello/build: trial --reporter=bwverbose a.test b %(x)s";
        assert_eq!(it.begin(), told);
        let mut it = bench("tests = [\"%(tests)s\", \"c\"]");
        it.properties.set("tests", "a.test", "Force");
        assert_eq!(
            it.begin(),
            "hello/build: trial --reporter=bwverbose a.test c"
        );
    }

    #[test]
    fn the_path_of_the_tests_comes_first_and_once() {
        let path = |settings: &str| {
            let settings = format!("tests = \"a\"\n{settings}");
            let shell = bench(&settings).begin_shell();
            let logfile = &shell.logfiles[LOG];
            assert_eq!(logfile.path, LOG_FILE);
            shell.env.get("PYTHONPATH").cloned().flatten()
        };
        assert_eq!(path(""), None);
        assert_eq!(path("testpath = \".\"").as_deref(), Some("."));
        let own = "testpath = \"lib\"\nenv.PYTHONPATH = ";
        assert_eq!(path(&format!("{own}\"a:b\"")).as_deref(), Some("lib:a:b"));
        assert_eq!(path(&format!("{own}\"a:lib\"")).as_deref(), Some("a:lib"));
        assert_eq!(path(&format!("{own}false")).as_deref(), Some("lib"));
        let settings = "tests = \"a\"\ntestpath = \"lib\"\nenv.PYTHONPATH = \"x/${secret:s}\"\n";
        let shell = bench(settings).begin_shell();
        assert_eq!(shell.env[PATHS].as_deref(), Some("lib:x/<s>"));
        assert_eq!(shell.holes[0].at, 6);
    }

    #[test]
    fn on_windows_the_path_of_the_tests_is_joined_with_a_semicolon() {
        let mut bench = bench("tests = \"a\"\ntestpath = 'C:\\lib'\nenv.PYTHONPATH = 'C:\\a'\n");
        bench.seen = Values::new().with("slave", json!({ "os": "win" }));
        let shell = bench.begin_shell();
        assert_eq!(shell.env[PATHS].as_deref(), Some(r"C:\lib;C:\a"));
    }

    fn check(settings: &str, code: i32, text: &str, expected: &str) -> Vec<(String, String)> {
        let mut bench = bench(&format!("tests = \"words\"\n{settings}"));
        bench.begin();
        let lines: Vec<_> = text.lines().map(out).collect();
        assert_eq!(bench.ends(code, &lines), expected, "{text}");
        bench.verdict().logs.clone()
    }

    #[test]
    fn the_counts_become_the_texts() {
        let text = "Ran 10 tests in 0.1s\nFAILED (failures=1, errors=2, skips=3)\n";
        let end = "failure: tests 1 failure 2 errors 3 skips; build: 3 tests";
        check("", 1, text, end);
        // A failure is one, whatever the code is.
        check("", 0, text, end);
        let end = "success: no tests run";
        check("", 0, "Ran 0 tests in 0.000s\n\nPASSED\n", end);
        let text = "Ran 1 tests in 1s\n\nPASSED (successes=1)\n";
        check("", 0, text, "success: 1 test passed");
        check("", 1, text, "failure: tests; build: 0 tests");
        let text = "Ran 7 tests in 1s\nPASSED (skips=1, expectedFailures=2, unexpectedSuccesses=1, successes=3)\n";
        check("", 0, text, "success: 7 tests passed 1 skip 2 todos");
        check("", 0, "", "failure: testlog unparseable; build: tests");
        check("", 1, "no module\n", "failure: tests failed; build: tests");
        check(
            "exit.1 = \"warnings\"",
            1,
            "Ran 3 tests\nOK\n",
            "warnings: 3 tests passed warnings",
        );
    }

    #[test]
    fn the_reactor_is_shown() {
        let mut it = bench("tests = \"words\"\nreactor = \"selectreactor\"\n");
        assert_eq!(it.running_text(), ["testing", "(select)"]);
        let settings = "reactor = \"selectreactor\"";
        let text = "Ran 2 tests\nFAILED (failures=1)\n";
        let end = "failure: tests 1 failure (select); build: 1 test (select)";
        check(settings, 1, text, end);
        check(
            settings,
            0,
            "Ran 2 tests\nPASSED\n",
            "success: 2 tests passed (select)",
        );
    }

    #[test]
    fn only_the_end_has_the_counts() {
        let text = format!(
            "Ran 5 tests\nFAILED (errors=5)\n{}Ran 2 tests\nPASSED\n",
            "x\n".repeat(6000)
        );
        check("", 0, &text, "success: 2 tests passed");
        let text = format!("Ran 5 tests\nPASSED\n{}", "x\n".repeat(6000));
        check("", 0, &text, "failure: testlog unparseable; build: tests");
    }

    #[test]
    fn problems_and_warnings_have_logs_of_their_own() {
        let rule = "=".repeat(79);
        let text = format!(
            "\
words.test.T
  test_a ... /x/a.py:3: DeprecationWarning: old
  a()
/x/b.py:1: exceptions.DeprecationWarning: older
/x/a.py:3: DeprecationWarning: old
  a()
x SomeWarning: y
                                     [OK]
{rule}
[FAIL]
UserWarning: not here
Ran 1 tests
FAILED (failures=1)
"
        );
        let logs = check("", 1, &text, "failure: tests 1 failure; build: 1 test");
        let names: Vec<_> = logs.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["problems", "warnings"]);
        let expected =
            format!("{rule}\n[FAIL]\nUserWarning: not here\nRan 1 tests\nFAILED (failures=1)\n");
        assert_eq!(logs[0].1, expected);
        insta::assert_snapshot!(logs[1].1, @"
          test_a ... /x/a.py:3: DeprecationWarning: old
          a()
        /x/a.py:3: DeprecationWarning: old
          a()
        /x/b.py:1: exceptions.DeprecationWarning: older
        x SomeWarning: y
        ");
    }

    #[test]
    fn mistakes_are_told() {
        let problems = problems_of(
            &KIND,
            "python = [\"python3 -W\"]\ntrial = \"bin/trial -x\"\n",
        );
        insta::assert_snapshot!(problems, @"
        factories/x.toml:1:1: `tests` is missing in [[steps]]
        factories/x.toml:2:10: bad value for `python` in [[steps]]
        factories/x.toml:3:9: bad value for `trial` in [[steps]]
        ");
    }

    #[test]
    fn tests_are_counted_while_they_run_and_the_log_of_the_tests_is_measured() {
        let step = read_kind(&KIND, "tests = \"words\"\n");
        let lines = [
            header("test_x ... [OK]"),
            out("words.test.test_words"),
            out("  WordsTest"),
            out("    test_add ...                                                  [OK]"),
            out("    test_later ...                                           [SKIPPED]"),
            out("    test_bad ... words on the way                               [FAIL]"),
            out("    test_half ..."),
        ];
        let tests = |count| [("tests".to_owned(), count, None)];
        assert_eq!(counted(step.as_ref(), &lines), tests(3));
        let rule = "=".repeat(79);
        let told = [
            out("Doctest: words.spell ... [OK]"),
            out(&rule),
            out("  test_add ... [OK]"),
        ];
        assert_eq!(
            counted(step.as_ref(), &told),
            tests(1),
            "the rest tells of problems"
        );
        assert_eq!(step.metrics(), ["output", "tests", "test.log"]);
    }
}
