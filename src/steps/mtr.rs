//! `mtr`: runs MySQL's tests with mysql-test-run, and names those that fail or warn.

use std::collections::BTreeSet;
use std::path::Component;
use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::RUN_PROPERTIES;
use crate::model::RUN_SOURCE;
use crate::model::Recording;
use crate::model::RunFailure;
use crate::model::RunRows;
use crate::model::Shell;
use crate::model::TestEnd;
use crate::model::TestResults;
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
test_type = "normal"
database = "results.db"
auto_create_tables = true"#,
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
        let recording = recording(keys);
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
        let mut recording = recording?;
        if let (Some(recording), Some(test_type)) = (&mut recording, &test_type) {
            recording.kind.clone_from(test_type);
        }
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
                recording,
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

/// The database in which its runs are recorded, if there is one.
fn recording(keys: &mut Keys<'_>) -> Option<Option<Recording>> {
    let file = keys.optional::<String>("database");
    let makes_tables = keys.or("auto_create_tables", false);
    let info = keys.or("test_info", Text::literal(""));
    let (file, makes_tables, info) = (file?, makes_tables?, info?);
    let Some(file) = file else {
        for key in ["auto_create_tables", "test_info"] {
            keys.without_effect(key, "nothing is recorded without `database`");
        }
        return Some(None);
    };
    let is_below = Path::new(&file)
        .components()
        .all(|it| matches!(it, Component::Normal(_)));
    if !is_below || file.is_empty() || file.ends_with('/') {
        let what = "expected a file below the master's directory, such as `results.db`";
        keys.wrong("database", what);
        return None;
    }
    Some(Some(Recording {
        file,
        makes_tables,
        kind: "mtr".to_owned(),
        info,
    }))
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
    recording: Option<Recording>,
}

impl Judge for Mtr {
    fn sets(&self) -> Vec<String> {
        RUN_PROPERTIES.map(str::to_owned).into()
    }

    fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let counted = self.warnings.count(ended);
        let mut heard = Heard::default();
        tally::said(ended, &mut |line| heard.see(line));
        heard.close();
        let [id, lists] = RUN_PROPERTIES;
        if self.recording.is_none() {
            cx.properties.set_runtime(id, 0, RUN_SOURCE);
        }
        let warned = heard.rows.warnings.len();
        cx.properties.set_runtime(lists, warned, RUN_SOURCE);
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
        verdict.tests = heard.tests;
        verdict.rows = heard.rows;
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
    /// The failure that is told.
    failure: Option<RunFailure>,
    /// The failures that are kept, by test and variant.
    known: BTreeSet<(String, String)>,
    /// How long all of what is kept of them is.
    bytes: usize,
    rows: RunRows,
    tests: TestResults,
}

/// So many names are kept.
const MOST_NAMES: usize = 10_000;
/// So much is kept of what is said of one failure, and of all.
const LONGEST_FAILURE: usize = 64 << 10;
const ALL_FAILURES: usize = 4 << 20;

/// `main.join 'innodb' w2 [ fail ]`.
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    built_in(r"^([-._0-9a-zA-Z]+)(?: '([^']*)')?\s+(?:w[0-9]+\s+)?\[ (fail|pass) \]\s*(.*)$")
});
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
            self.close();
            let variant = test.get(2).map_or("", |it| it.as_str());
            if &test[3] == "pass" {
                self.tests
                    .add(&named(&test[1], variant), TestEnd::Success, "");
                return;
            }
            keep(&mut self.failed, &test[1]);
            push_line(&mut self.problems, line);
            self.failure = Some(RunFailure {
                name: test[1].to_owned(),
                variant: variant.to_owned(),
                info: test[4].trim_end().to_owned(),
                text: String::new(),
            });
            return;
        }
        if let Some(warned) = AT_SHUTDOWN.captures(line) {
            let list: Vec<String> = warned[1].split_whitespace().map(str::to_owned).collect();
            for name in &list {
                keep(&mut self.warned, name);
                let text = "warnings at shutdown";
                self.tests.add_as(name, TestEnd::Warning, text, "");
            }
            if self.rows.warnings.len() < MOST_NAMES {
                self.rows.warnings.push(list);
            }
        }
        if ENDS.is_match(line) {
            self.close();
        }
        if let Some(failure) = &mut self.failure {
            push_line(&mut self.problems, line);
            if failure.text.len() + line.len() < LONGEST_FAILURE {
                failure.text.push_str(line);
                failure.text.push('\n');
            }
        }
    }

    /// Takes in the failure that was told, once for each test and variant.
    fn close(&mut self) {
        let Some(failure) = self.failure.take() else {
            return;
        };
        let name = named(&failure.name, &failure.variant);
        let said = format!("{}\n{}", failure.info, failure.text);
        self.tests.add(&name, TestEnd::Failure, said.trim_start());
        let key = (failure.name.clone(), failure.variant.clone());
        let bytes = failure.info.len() + failure.text.len();
        if self.known.len() < MOST_NAMES
            && self.bytes + bytes < ALL_FAILURES
            && self.known.insert(key)
        {
            self.bytes += bytes;
            self.rows.failures.push(failure);
        }
    }
}

/// A test as it is written, with its variant.
fn named(test: &str, variant: &str) -> String {
    match variant {
        "" => test.to_owned(),
        variant => format!("{test} '{variant}'"),
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
    fn a_line_is_of_a_test_by_its_name_variant_worker_and_result() {
        let check = |line: &str, expected: &str| {
            let mut heard = Heard::default();
            heard.see(line);
            heard.close();
            let kept = heard.tests.kept().iter();
            let told: Vec<_> = kept.map(|it| format!("{}: {}", it.name, it.end)).collect();
            assert_eq!(told.join(", "), expected, "{line}");
        };
        check("main.a-b_c [ pass ]", "main.a-b_c: success");
        check("a.b 'v 1'     w12 [ fail ]  why", "a.b 'v 1': failure");
        check("a.b w1 [ fail ]", "a.b: failure");
        check("a.b[ pass ]", "");
        check("a.b [ skipped ] no ssl", "");
        check(" a.b [ pass ]", "");
        check("a/b [ pass ]", "");
        check("a.b wx [ pass ]", "");
    }

    #[test]
    fn a_failure_has_what_follows_up_to_the_next_test_or_the_end_of_its_story() {
        let bench = check(
            "",
            1,
            RECORDED,
            "failure: test F:join F:rpl_row_img_bl... W:alias W:backup_a; build: test",
        );
        let rows = &bench.verdict().rows;
        let failure = |it: &RunFailure| {
            let text = it.text.replace('\n', "|");
            format!("{} / {} / {} / {text}", it.name, it.variant, it.info)
        };
        let failures: Vec<_> = rows.failures.iter().map(failure).collect();
        assert_eq!(
            failures,
            [
                "rpl.rpl_row_img_blobs / row /  /         Test ended at 2010-01-01 01:02:03||\
                 CURRENT_TEST: rpl.rpl_row_img_blobs|mysqltest: At line 7: query failed|",
                "main.join / innodb_plugin / timeout after 900 seconds /  - saving logs|",
                "main.join /  /  / ***Warnings generated in error logs during shutdown after running \
                 tests: main.alias backup.backup_a|",
            ]
        );
        assert_eq!(rows.warnings, [["main.alias", "backup.backup_a"]]);
        for end in [
            "Only 4 of 5 completed.",
            "mysql-test-run: *** ERROR: Not all tests completed",
            "Test suite timeout! Terminating...",
        ] {
            let text = format!("main.a [ fail ]\nsaid\n{end}\nnot said\nmain.a [ fail ] again\n");
            let bench = check("", 1, &text, "failure: test F:a; build: test");
            let failures = &bench.verdict().rows.failures;
            assert_eq!(failures.len(), 1, "it is recorded once");
            assert_eq!(failures[0].text, "said\n", "{end}");
        }
    }

    #[test]
    fn each_test_is_a_result_and_each_list_of_warnings_counts() {
        let bench = check(
            "",
            1,
            RECORDED,
            "failure: test F:join F:rpl_row_img_bl... W:alias W:backup_a; build: test",
        );
        let results = bench.verdict().tests.kept().iter();
        let results: Vec<_> = results
            .map(|it| format!("{}: {}", it.name, it.end))
            .collect();
        assert_eq!(
            results,
            [
                "main.alias: success",
                "rpl.rpl_row_img_blobs 'row': failure",
                "main.bool: success",
                "main.join 'innodb_plugin': failure",
                "main.alias: warning",
                "backup.backup_a: warning",
                "main.join: failure",
            ]
        );
        assert_eq!(bench.properties.get("mtr_warn_id"), Some(&1.into()));
    }

    #[test]
    fn without_a_database_the_number_of_the_run_is_0() {
        let step = read_kind(&KIND, "");
        assert_eq!(step.recording(), None);
        assert_eq!(step.sets(), ["mtr_id", "mtr_warn_id"]);
        let bench = check("", 0, "main.alias [ pass ] 1\n", "success: test");
        assert_eq!(bench.properties.get("mtr_id"), Some(&0.into()));
        assert_eq!(bench.properties.get("mtr_warn_id"), Some(&0.into()));
    }

    #[test]
    fn a_run_is_recorded_as_its_type_in_a_file_below_the_masters_directory() {
        let step = read_kind(&KIND, "database = \"data/results.db\"");
        let recording = step.recording().expect("it records");
        assert_eq!(
            (recording.kind.as_str(), recording.makes_tables),
            ("mtr", false)
        );
        let settings = "database = \"r.db\"\nautoCreateTables = true\ntestInfo = \"%(branch)s\"\ntestType = \"big\"";
        let step = read_kind(&KIND, settings);
        let recording = step.recording().expect("it records");
        assert_eq!(
            (recording.kind.as_str(), recording.makes_tables),
            ("big", true)
        );
        for bad in [
            "",
            "/tmp/r.db",
            "../r.db",
            "a/../../r.db",
            "./r.db",
            "data/",
        ] {
            let problems = problems_of(&KIND, &format!("database = \"{bad}\"\n"));
            let expected = "factories/x.toml:2:12: bad value for `database` in [[steps]]";
            assert_eq!(problems, expected, "{bad}");
        }
        let problems = problems_of(&KIND, "auto_create_tables = true\n");
        assert_eq!(
            problems,
            "factories/x.toml:2:22: `auto_create_tables` has no effect"
        );
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
