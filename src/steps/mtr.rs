//! `mtr`: runs MySQL's tests with mysql-test-run, and names those that fail or warn.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::Shell;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Gauge;
use super::Settings;
use super::StepError;
use super::StepKind;
use super::Verdict;
use super::argv;
use super::gauge::Fits;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::read::Switch;
use super::tally;
use super::tally::push_line;
use super::texts::verdict;
use super::warnings::Warnings;

pub(super) const KIND: StepKind = StepKind {
    name: "mtr",
    aliases: &["mysql_test_run"],
    step_name: "test",
    summary: "Runs mysql-test-run, names the tests that fail or warn, and keeps the servers' logs.",
    example: r#"command = ["perl", "mysql-test-run.pl", "--force", "--parallel=8"]
workdir = "build/mysql-test"
mtr_subdir = "."
parallel = 8
test_type = "normal""#,
    flags: Flags {
        flunk_on_failure: true,
        warn_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.or("command", argv(&["make", "test"]));
        let is_lazy = !keys.has("lazy_logfiles");
        let settings = Settings::read(keys);
        let warnings = Warnings::read_or(keys, PATTERN);
        let parallel = parallel(keys);
        let directory = keys.or("mtr_subdir", Text::literal("mysql-test"));
        let most_tests = keys.or("text_limit", 5_u32);
        let longest_name = keys.or("test_name_limit", 16_u32);
        let test_type = keys.optional::<String>("test_type");
        let (mut settings, test_type, directory) = (settings?, test_type?, directory?);
        if is_lazy {
            settings.terms.make_lazy(Switch::Fixed(true));
        }
        for (name, path) in server_logs(parallel?) {
            let path = directory.clone().then(&Text::literal(path));
            settings.terms.add_logfile(&name, path);
        }
        let running = ["testing"].into_iter().chain(test_type.as_deref());
        let running = running.map(Text::literal).collect();
        settings.description.get_or_insert(running);
        Some(Arc::new(OneCommand {
            line: line?,
            settings,
            words: Some(Words {
                running: "testing",
                done: "test",
            }),
            judge: Mtr {
                warnings: warnings?,
                most_tests: usize::try_from(most_tests?).unwrap_or(usize::MAX),
                longest_name: usize::try_from(longest_name?).unwrap_or(usize::MAX),
                test_type,
            },
        }))
    },
};

/// What it says of a test that leaves something behind.
const PATTERN: &str = r"MTR's internal check of the test case '.*' failed";
/// Servers of one run of tests.
const SERVERS: u32 = 4;

/// How many runs of tests there are at a time.
fn parallel(keys: &mut Keys<'_>) -> Option<u32> {
    match keys.or("parallel", 4_u32)? {
        it @ 1..=32 => Some(it),
        _ => {
            keys.wrong("parallel", "expected a number from 1 to 32");
            None
        }
    }
}

/// The logs of all servers: their names, and where they are below the tests' directory.
fn server_logs(parallel: u32) -> Vec<(String, String)> {
    let mut logs = Vec::new();
    for server in 1..=SERVERS {
        let file = format!("mysqld.{server}.err");
        for run in 1..=parallel {
            logs.push((format!("{file}.{run}"), format!("/var/{run}/log/{file}")));
        }
        let path = format!("/var/log/{file}");
        logs.push((file, path));
    }
    logs
}

#[derive(Clone, Debug)]
struct Mtr {
    warnings: Warnings,
    /// So many that fail are named, and as many that warn.
    most_tests: usize,
    longest_name: usize,
    test_type: Option<String>,
}

impl Judge for Mtr {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let counted = self.warnings.count(ended);
        let mut heard = Heard::default();
        tally::said(ended, &mut |line| heard.see(line));
        done.extend(self.test_type.clone());
        for (mark, tests) in [("F", &heard.failed), ("W", &heard.warned)] {
            let shown: BTreeSet<_> = tests.iter().map(|it| self.shown(it)).collect();
            let shown = shown.into_iter().take(self.most_tests);
            done.extend(shown.map(|it| format!("{mark}:{it}")));
        }
        let mut verdict = Verdict {
            text: done,
            ..verdict(cx, counted.outcome, Vec::new())
        };
        counted.tell(cx, &mut verdict);
        if !heard.problems.is_empty() {
            verdict.logs.push(("problems".into(), heard.problems));
        }
        verdict
    }

    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        Some(Box::new(Fits::new("tests", &TEST)))
    }

    fn asks(&self, settings: &Settings, cx: &Cx<'_>) -> Result<Option<Shell>, StepError> {
        self.warnings.asks(settings, cx)
    }

    fn hears(&mut self, ended: &Ended<'_>) {
        self.warnings.hears(ended);
    }
}

impl Mtr {
    /// The name without its suite, as short as texts want it.
    fn shown(&self, test: &str) -> String {
        let suite = test.split_once('.');
        let suite = suite.filter(|(suite, _)| {
            !suite.is_empty() && suite.bytes().all(|it| it.is_ascii_lowercase())
        });
        let name = suite.map_or(test, |(_, name)| name);
        if name.chars().count() <= self.longest_name {
            return name.to_owned();
        }
        let kept = name.chars().take(self.longest_name.saturating_sub(2));
        format!("{}...", kept.collect::<String>())
    }
}

/// What mysql-test-run says, as far as it was seen.
#[derive(Default)]
struct Heard {
    failed: BTreeSet<String>,
    warned: BTreeSet<String>,
    /// What it says of tests that failed.
    problems: String,
    is_in_failure: bool,
}

/// So many names are kept.
const MOST_NAMES: usize = 10_000;

/// `main.join 'innodb' w2 [ fail ]`.
static TEST: LazyLock<Regex> =
    LazyLock::new(|| built_in(r"^([-._0-9a-zA-Z]+)( '[^']*')?\s+(?:w[0-9]+\s+)?\[ (fail|pass) \]"));
/// What ends the story of a failure.
static ENDS: LazyLock<Regex> = LazyLock::new(|| {
    built_in(concat!(
        r"^-{60}|^The servers were restarted \d+ times|^Only \d+ of \d+ completed\.",
        r"|Test suite timeout|^mysql-test-run: \*\*\* ERROR: Not all tests completed"
    ))
});
static AT_SHUTDOWN: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^\*\*\*Warnings generated in error logs during shutdown after running tests: (.*)$")
});

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are tested")
}

impl Heard {
    fn see(&mut self, line: &str) {
        if let Some(test) = TEST.captures(line) {
            self.is_in_failure = &test[3] == "fail";
            if self.is_in_failure {
                keep(&mut self.failed, &test[1]);
                push_line(&mut self.problems, line);
            }
            return;
        }
        if let Some(warned) = AT_SHUTDOWN.captures(line) {
            warned[1]
                .split_whitespace()
                .for_each(|it| keep(&mut self.warned, it));
        }
        if ENDS.is_match(line) {
            self.is_in_failure = false;
        }
        if self.is_in_failure {
            push_line(&mut self.problems, line);
        }
    }
}

fn keep(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < MOST_NAMES {
        names.insert(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::counted;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, lines);
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn the_logs_of_all_servers_are_kept_if_there_is_anything_in_them() {
        let shell = bench("parallel = 2\nmtrSubdir = \"%(branch:-t)s\"\nlogfiles.own = \"x\"\n")
            .begin_shell();
        let names: Vec<_> = shell.logfiles.keys().map(String::as_str).collect();
        let mut expected = vec![];
        for server in 1..=4 {
            let name = format!("mysqld.{server}.err");
            expected.extend([name.clone(), format!("{name}.1"), format!("{name}.2")]);
        }
        expected.push("own".into());
        assert_eq!(names, expected);
        assert_eq!(
            shell.logfiles["mysqld.3.err"].path,
            "t/var/log/mysqld.3.err"
        );
        assert_eq!(
            shell.logfiles["mysqld.3.err.2"].path,
            "t/var/2/log/mysqld.3.err"
        );
        assert!(shell.logfiles.values().all(|it| it.lazy));
        let shell = bench("lazyLogfiles = false").begin_shell();
        assert_eq!(shell.logfiles.len(), 20);
        assert!(!shell.logfiles["mysqld.1.err"].lazy);
    }

    fn check(settings: &str, code: i32, text: &str, expected: &str) -> Bench {
        let mut bench = bench(settings);
        bench.begin();
        let lines: Vec<_> = text.lines().map(out).collect();
        assert_eq!(bench.ends(code, &lines), expected);
        bench
    }

    /// Of mysql-test-run 5.1, shorter.
    const RECORDED: &str = "\
TEST                                      RESULT   TIME (ms)
------------------------------------------------------------
main.alias                               [ pass ]    173
rpl.rpl_row_img_blobs 'row'              w2 [ fail ]
        Test ended at 2010-01-01 01:02:03

CURRENT_TEST: rpl.rpl_row_img_blobs
mysqltest: At line 7: query failed
main.bool                                [ pass ]      8
not a story of a failure
main.join 'innodb_plugin'                [ fail ]  timeout after 900 seconds
 - saving logs
------------------------------------------------------------
The servers were restarted 2 times
main.join                                [ fail ]
***Warnings generated in error logs during shutdown after running tests: main.alias backup.backup_a
Only 4 of 5 completed.
mysql-test-run: *** ERROR: there were failing test cases
";

    #[test]
    fn tests_that_fail_or_warn_are_named_once() {
        let end = "failure: test F:join F:rpl_row_img_bl... W:alias W:backup_a; build: test";
        let bench = check("", 1, RECORDED, end);
        assert_eq!(bench.verdict().logs.len(), 1);
        insta::assert_snapshot!(bench.verdict().logs[0].1, @"
        rpl.rpl_row_img_blobs 'row'              w2 [ fail ]
                Test ended at 2010-01-01 01:02:03

        CURRENT_TEST: rpl.rpl_row_img_blobs
        mysqltest: At line 7: query failed
        main.join 'innodb_plugin'                [ fail ]  timeout after 900 seconds
         - saving logs
        main.join                                [ fail ]
        ***Warnings generated in error logs during shutdown after running tests: main.alias backup.backup_a
        ");
        let settings = "textLimit = 1\ntestNameLimit = 4\ntest_type = \"big\"\n";
        let end = "failure: test big F:join W:al...; build: test";
        check(settings, 1, RECORDED, end);
    }

    #[test]
    fn what_a_test_leaves_behind_is_a_warning() {
        let text = "main.alias [ pass ] 1\nMTR's internal check of the test case 'main.alias' failed.\nwarning: x\n";
        let warned = check("test_type = \"big\"", 0, text, "warnings: test big");
        assert_eq!(warned.verdict().logs[0].0, "warnings (1)");
        assert_eq!(warned.properties.get("warnings-count"), Some(&1.into()));
        let mut bench = bench("test_type = \"big\"");
        assert_eq!(bench.running_text(), ["testing", "big"]);
        assert_eq!(bench.begin(), "hello/build: make test");
    }

    #[test]
    fn more_runs_than_anybody_looks_at_are_refused() {
        let problems = problems_of(&KIND, "parallel = 33\n");
        insta::assert_snapshot!(problems, @"factories/x.toml:2:12: bad value for `parallel` in [[steps]]");
    }

    #[test]
    fn each_test_that_passes_or_fails_is_counted_as_it_ends() {
        let step = read_kind(&KIND, "");
        let lines = [
            out("main.join                     [ pass ]     12"),
            out("main.join 'innodb' w2         [ fail ]"),
            out("main.bigint                   [ skipped ]"),
        ];
        let tests = [("tests".to_owned(), 2, None)];
        assert_eq!(counted(step.as_ref(), &lines), tests);
    }
}
