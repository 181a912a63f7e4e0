//! What steps know of single tests, on the bench of the reloads.

use super::result::{begun, log, told};
use crate::store::TestQuery;

const SUBUNIT: &str = r#"[{"type": "subunit", "command": "check"}]"#;

#[tokio::test]
async fn each_test_becomes_a_result_of_the_build_named_by_its_dotted_id() {
    let (bench, mut slave) = begun(SUBUNIT).await;
    let lines = [
        "test: a.T.good",
        "success: a.T.good",
        "test: a.T.bad",
        "failure: a.T.bad [",
        "1 is not 2",
        "]",
        "test: a.T.later",
        "skip: a.T.later [",
        "no net",
        "]",
        "test: a.T.odd",
        "xfail: a.T.odd",
        "test: a.T.lost",
    ];
    slave.works(&lines, 0).await;
    let build = bench.ended("a-s1", 0).await.id;
    let read = bench.crew().store.read(move |verbs| {
        let query = TestQuery {
            limit: 99,
            ..TestQuery::default()
        };
        let mut all = Vec::new();
        for it in verbs.tests(build, &query)? {
            all.extend(verbs.tests_named(build, &it.result.name, 9)?);
        }
        Ok(all)
    });
    let line = |it: &crate::store::KeptTest| {
        let test = &it.result;
        format!("{} {}: {}: {}", it.step, test.name, test.end, test.log)
    };
    let all: Vec<_> = read.await.expect("readable").iter().map(line).collect();
    assert_eq!(
        all,
        [
            "1 a.T.lost: error: the test did not tell how it ended",
            "1 a.T.bad: failure: 1 is not 2",
            "1 a.T.later: skipped: no net",
            "1 a.T.odd: expected failure: ",
            "1 a.T.good: success: ",
        ]
    );
}

/// An `mtr` step that records.
fn mtr(database: &str) -> String {
    format!(r#"[{{"type": "mtr", "command": "echo %(mtr_id)s", "database": "{database}"}}]"#)
}

#[tokio::test]
async fn a_run_that_cannot_be_recorded_ends_its_step_and_says_why() {
    for (database, why) in [
        ("state.sqlite", "it is the master's own database"),
        ("builds", "it is there and is no plain file"),
        (
            "fresh.db",
            "no such table: test_run; `auto_create_tables = yes` makes the tables that are not there",
        ),
        ("master.ini", "file is not a database"),
    ] {
        let (bench, _slave) = begun(&mtr(database)).await;
        let expected = [
            "mtr: exception: mtr exception",
            "build: exception: exception mtr",
        ];
        let told = told(&bench).await;
        let told: Vec<_> = told.iter().map(|it| it.replace("test", "mtr")).collect();
        assert_eq!(told, expected, "{database}");
        let said = log(&bench, 1, "err.text").await.expect("a log");
        let expected = format!("the run of tests cannot be recorded in `{database}`: {why}\n");
        assert_eq!(said, expected);
    }
}
