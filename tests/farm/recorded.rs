//! Runs of tests are recorded once, whoever is killed and whatever is held.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::farm::{Farm, property};
use crate::full::{Disk, troubles};

/// Says what mysql-test-run says, and waits for the file `go` in the middle of it.
const INI: &str = r#"[slave:linux]
password = secret
factories = it

[it]
type = shell
commands = true
steps = [{"type": "mtr", "database": "data/results.db", "auto_create_tables": true, "test_type": "big",
    "test_info": "on %(slavename)s", "command": "echo this is run %(mtr_id)s; echo 'main.a [ pass ] 1'; while [ ! -e go ]; do sleep 0.01; done; echo main.b \"'row'\" w2 '[ fail ] timeout'; echo told; echo '***Warnings generated in error logs during shutdown after running tests: main.a main.b'; exit 1"}]
"#;

/// The step has begun, and says so.
fn begun() -> Farm {
    let mut farm = Farm::new(INI);
    farm.start_master();
    farm.start_slave("linux");
    assert!(farm.autobot(&["force", "it-linux"]).status.success());
    let path = "/builders/it-linux/builds/0/steps/test/logs/stdio/text?follow=0";
    farm.wait("the number of the run", |farm| {
        let said = farm.get(path)?.1;
        said.contains("this is run 1\n").then_some(())
    });
    farm
}

fn go(farm: &Farm) {
    fs::write(farm.path("linux/it-linux/build/go"), "").expect("written");
}

fn results(farm: &Farm) -> Connection {
    Connection::open(farm.master_dir().join("data/results.db")).expect("a database")
}

/// The only number that the question has for an answer.
fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).expect(sql)
}

/// Holds a database, so that nobody else writes.
fn held(path: &Path) -> Connection {
    let db = Connection::open(path).expect("a database");
    db.execute_batch("BEGIN IMMEDIATE").expect("held");
    db
}

fn is_recorded_once(farm: &mut Farm) {
    let build = farm.wait_builds("it-linux", 1);
    assert_eq!(build["results"], 2, "{build:#}");
    assert_eq!(property(&build, "mtr_id"), 1);
    assert_eq!(property(&build, "mtr_warn_id"), 1);
    let db = results(farm);
    let run = db.query_row(
        "SELECT platform || ' ' || bbnum || ' ' || typ || ' ' || info FROM test_run",
        [],
        |row| row.get::<_, String>(0),
    );
    assert_eq!(run.expect("a row"), "it-linux 0 big on linux");
    assert_eq!(number(&db, "SELECT count(*) FROM test_run"), 1);
    let failure = db.query_row(
        "SELECT test_run_id || ' ' || test_name || ' ' || test_variant || ' ' || info_text \
         || ' ' || failure_text FROM test_failure",
        [],
        |row| row.get::<_, String>(0),
    );
    let failure = failure.expect("a row");
    assert!(
        failure.starts_with("1 main.b row timeout told\n"),
        "{failure}"
    );
    assert_eq!(number(&db, "SELECT count(*) FROM test_failure"), 1);
    assert_eq!(number(&db, "SELECT count(*) FROM test_warnings"), 2);
    let tests = farm.json("/api/builders/it-linux/builds/0/tests");
    let counts = &tests.expect("a document")["counts"];
    assert_eq!(
        counts.to_string(),
        r#"{"failure":1,"warning":2,"success":1}"#
    );
    let page = farm.get("/builders/it-linux/builds/0/tests/main.b%20'row'");
    let (status, page) = page.expect("a page");
    assert_eq!(status, 200);
    assert!(page.contains("timeout\ntold"), "{page}");
}

#[test]
fn a_master_that_is_killed_while_the_tests_run_records_them_once() {
    let mut farm = begun();
    farm.kill_master();
    farm.start_master();
    go(&farm);
    is_recorded_once(&mut farm);
}

#[test]
fn a_master_that_is_killed_between_the_recording_and_the_end_of_the_step_records_them_once() {
    let mut farm = begun();
    // It can record, and cannot write down that the step has ended.
    let state = held(&farm.master_dir().join("state.sqlite"));
    go(&farm);
    farm.wait("the rows", |farm| {
        let ended = number(&results(farm), "SELECT count(*) FROM test_failure");
        (ended == 1).then_some(())
    });
    farm.kill_master();
    drop(state);
    farm.start_master();
    is_recorded_once(&mut farm);
}

#[test]
fn a_recording_waits_for_its_database_and_the_status_says_so() {
    let mut farm = begun();
    let other = held(&farm.master_dir().join("data/results.db"));
    go(&farm);
    let told = farm.wait("the trouble", |farm| {
        let status = farm.json("/api/status")?;
        Some(status["troubles"][0].as_str()?.to_owned())
    });
    assert!(
        told.starts_with("test runs cannot be recorded since "),
        "{told}"
    );
    assert!(told.ends_with("; build it-linux/0 waits"), "{told}");
    assert!(
        told.contains("`data/results.db`: database is locked"),
        "{told}"
    );
    // Whoever kills the master then loses nothing either.
    farm.kill_master();
    farm.start_master();
    drop(other);
    is_recorded_once(&mut farm);
}

#[test]
fn a_full_disk_under_recorded_runs_is_waited_for() {
    let mut farm = Farm::new(INI);
    let Some(disk) = Disk::mount(&farm.master_dir().join("data"), 1 << 20) else {
        return;
    };
    disk.fill(0);
    farm.start_master();
    farm.start_slave("linux");
    assert!(farm.autobot(&["force", "it-linux"]).status.success());
    let told = farm.wait("the trouble", |farm| troubles(farm).first().cloned());
    assert!(
        told.starts_with("test runs cannot be recorded since "),
        "{told}"
    );
    assert!(
        told.contains("disk is full; build it-linux/0 waits"),
        "{told}"
    );
    disk.free();
    go(&farm);
    is_recorded_once(&mut farm);
    assert!(troubles(&farm).is_empty());
}
