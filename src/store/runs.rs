//! Runs of tests in a database of their own, with the tables that Buildbot's
//! `MTR` step fills. Others read it, and may have made it.
//!
//! A run has the key of its step of a build in a table of ours beside theirs, so
//! that who asks again, because he did not hear that it was done, adds nothing.

use std::path::Path;
use std::time::Duration;

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};

use crate::model::RunRows;
use crate::model::TestRun;

/// How long to wait for another program that writes, before it is tried again later.
const BUSY: Duration = Duration::from_millis(500);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS test_run (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    branch   TEXT,
    revision TEXT NOT NULL,
    platform TEXT NOT NULL,
    dt       TEXT NOT NULL,
    bbnum    INTEGER NOT NULL,
    typ      TEXT NOT NULL,
    info     TEXT
);
CREATE INDEX IF NOT EXISTS test_run_of_revision ON test_run (branch, revision);
CREATE INDEX IF NOT EXISTS test_run_of_time ON test_run (dt);
CREATE INDEX IF NOT EXISTS test_run_of_build ON test_run (platform, bbnum);
CREATE TABLE IF NOT EXISTS test_failure (
    test_run_id  INTEGER NOT NULL,
    test_name    TEXT NOT NULL,
    test_variant TEXT NOT NULL,
    info_text    TEXT,
    failure_text TEXT,
    PRIMARY KEY (test_run_id, test_name, test_variant)
);
CREATE TABLE IF NOT EXISTS test_warnings (
    test_run_id INTEGER NOT NULL,
    list_id     INTEGER NOT NULL,
    list_idx    INTEGER NOT NULL,
    test_name   TEXT NOT NULL,
    PRIMARY KEY (test_run_id, list_id, list_idx)
);";

/// Which run is of which step; `ended` when all of it is recorded.
const KEYS: &str = "
CREATE TABLE IF NOT EXISTS autobot_run (
    store TEXT NOT NULL,
    build INTEGER NOT NULL,
    step  INTEGER NOT NULL,
    began INTEGER NOT NULL,
    run   INTEGER NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (store, build, step, began)
) WITHOUT ROWID;";

/// A run is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct RunError {
    pub(crate) what: String,
    /// The disk did not take it, or somebody else holds the file; it may be taken later.
    pub(crate) may_pass: bool,
}

impl RunError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            may_pass: false,
        }
    }
}

impl From<rusqlite::Error> for RunError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let may_pass = matches!(
            code,
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::CannotOpen
                    | ErrorCode::DiskFull
                    | ErrorCode::ReadOnly
                    | ErrorCode::SystemIoFailure
            )
        );
        let mut what = error.to_string();
        if what.contains("no such table") {
            what = format!(
                "{}; `auto_create_tables = yes` makes the tables that are not there",
                what.split(" in ").next().unwrap_or_default()
            );
        }
        Self { what, may_pass }
    }
}

type Result<T> = std::result::Result<T, RunError>;

/// Records that a run has begun, and gives its number.
///
/// # Errors
/// The file cannot be written now ([`RunError::may_pass`]), is no database, or lacks a table.
pub(crate) fn begin(path: &Path, makes_tables: bool, run: &TestRun) -> Result<i64> {
    in_transaction(path, |db| {
        if makes_tables {
            db.execute_batch(TABLES)?;
        }
        db.execute_batch(KEYS)?;
        if let Some((known, _)) = find(db, run)? {
            return Ok(known);
        }
        db.execute(
            "INSERT INTO test_run (branch, revision, platform, dt, bbnum, typ, info) \
             VALUES (?1, ?2, ?3, datetime(?4 / 1000, 'unixepoch'), ?5, ?6, ?7)",
            params![
                run.branch,
                run.revision,
                run.builder,
                run.began,
                run.number,
                run.kind,
                run.info
            ],
        )?;
        let id = db.last_insert_rowid();
        db.execute(
            "INSERT INTO autobot_run (store, build, step, began, run) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run.identity, run.build.0, run.step, run.began, id],
        )?;
        Ok(id)
    })
}

/// Records how a run that has begun went.
///
/// # Errors
/// As above.
pub(crate) fn end(path: &Path, run: &TestRun, rows: &RunRows) -> Result<()> {
    in_transaction(path, |db| {
        let Some((id, false)) = find(db, run)? else {
            return Ok(());
        };
        let mut insert = db.prepare(
            "INSERT OR IGNORE INTO test_failure \
             (test_run_id, test_name, test_variant, info_text, failure_text) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for it in &rows.failures {
            insert.execute(params![id, it.name, it.variant, it.info, it.text])?;
        }
        let mut insert = db.prepare(
            "INSERT OR IGNORE INTO test_warnings (test_run_id, list_id, list_idx, test_name) \
             VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (list, tests) in rows.warnings.iter().enumerate() {
            for (place, test) in tests.iter().enumerate() {
                insert.execute(params![id, list, place, test])?;
            }
        }
        db.execute(
            "UPDATE autobot_run SET ended = 1 \
             WHERE store = ?1 AND build = ?2 AND step = ?3 AND began = ?4",
            params![run.identity, run.build.0, run.step, run.began],
        )?;
        Ok(())
    })
}

/// The number of the run, and whether all of it is recorded.
fn find(db: &Connection, run: &TestRun) -> rusqlite::Result<Option<(i64, bool)>> {
    let mut select = db.prepare(
        "SELECT run, ended FROM autobot_run \
         WHERE store = ?1 AND build = ?2 AND step = ?3 AND began = ?4",
    )?;
    select
        .query_row(
            params![run.identity, run.build.0, run.step, run.began],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
}

fn in_transaction<T>(
    path: &Path,
    act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = act(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::BuildId;
    use crate::model::RunFailure;

    fn run(build: i64) -> TestRun {
        TestRun {
            identity: "me".into(),
            build: BuildId(build),
            step: 2,
            branch: Some("5.1".into()),
            revision: "abc".into(),
            builder: "mysql".into(),
            number: 7,
            began: 1_262_307_723_456,
            kind: "mtr".into(),
            info: "nightly".into(),
        }
    }

    fn rows() -> RunRows {
        let failure = |variant: &str, text: &str| RunFailure {
            name: "main.join".into(),
            variant: variant.into(),
            info: "timeout".into(),
            text: text.into(),
        };
        RunRows {
            failures: vec![failure("", "x\ny\n"), failure("row", "")],
            warnings: vec![
                vec!["main.a".into(), "main.b".into()],
                vec!["main.a".into()],
            ],
        }
    }

    /// The rows of a table, a line each.
    fn table(path: &Path, name: &str) -> Vec<String> {
        let db = Connection::open(path).expect("a database");
        let mut select = db.prepare(&format!("SELECT * FROM {name}")).expect(name);
        let columns = select.column_count();
        let rows = select.query_map([], |row| {
            let cells = (0..columns).map(|at| match row.get_ref(at) {
                Ok(rusqlite::types::ValueRef::Integer(it)) => it.to_string(),
                Ok(rusqlite::types::ValueRef::Text(it)) => String::from_utf8_lossy(it).into(),
                _ => "NULL".to_owned(),
            });
            Ok(cells.collect::<Vec<_>>().join(" / "))
        });
        rows.expect(name).map(|it| it.expect("a row")).collect()
    }

    #[test]
    fn on_start_one_row_is_in_test_run_and_failures_and_warnings_follow() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("results.db");
        assert_eq!(begin(&path, true, &run(1)).ok(), Some(1));
        let expected = "1 / 5.1 / abc / mysql / 2010-01-01 01:02:03 / 7 / mtr / nightly";
        assert_eq!(table(&path, "test_run"), [expected]);
        assert!(table(&path, "test_failure").is_empty());
        end(&path, &run(1), &rows()).expect("recorded");
        assert_eq!(
            table(&path, "test_failure"),
            [
                "1 / main.join /  / timeout / x\ny\n",
                "1 / main.join / row / timeout / "
            ]
        );
        assert_eq!(
            table(&path, "test_warnings"),
            [
                "1 / 0 / 0 / main.a",
                "1 / 0 / 1 / main.b",
                "1 / 1 / 0 / main.a"
            ]
        );
    }

    #[test]
    fn who_asks_again_adds_nothing_and_another_step_has_a_run_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("results.db");
        for _ in 0..2 {
            assert_eq!(begin(&path, true, &run(1)).ok(), Some(1));
        }
        for _ in 0..2 {
            end(&path, &run(1), &rows()).expect("recorded");
            assert_eq!(begin(&path, true, &run(1)).ok(), Some(1));
        }
        assert_eq!(table(&path, "test_failure").len(), 2);
        assert_eq!(table(&path, "test_warnings").len(), 3);
        assert_eq!(begin(&path, true, &run(2)).ok(), Some(2));
        let other = TestRun {
            identity: "another".into(),
            ..run(1)
        };
        assert_eq!(begin(&path, true, &other).ok(), Some(3));
        // A build of a store that was put back to what it was has the same number again.
        let later = TestRun {
            began: run(1).began + 1,
            ..run(1)
        };
        assert_eq!(begin(&path, true, &later).ok(), Some(4));
    }

    #[test]
    fn tables_are_only_made_where_that_is_said_and_others_are_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("results.db");
        let error = begin(&path, false, &run(1)).expect_err("no tables");
        assert!(!error.may_pass);
        assert_eq!(
            error.to_string(),
            "no such table: test_run; `auto_create_tables = yes` makes the tables that are not there"
        );
        let db = Connection::open(&path).expect("a database");
        db.execute_batch(
            "CREATE TABLE test_run (id INTEGER PRIMARY KEY, branch VARCHAR(100), revision VARCHAR(32), \
             platform VARCHAR(100), dt TIMESTAMP, bbnum INT, typ VARCHAR(32), info VARCHAR(255)); \
             INSERT INTO test_run (id) VALUES (41);",
        )
        .expect("a table of somebody else");
        assert_eq!(begin(&path, false, &run(1)).ok(), Some(42));
    }

    #[test]
    fn a_database_that_another_program_holds_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("results.db");
        let other = Connection::open(&path).expect("a database");
        other
            .execute_batch("BEGIN EXCLUSIVE")
            .expect("nobody else is there");
        let error = begin(&path, true, &run(1)).expect_err("held");
        assert!(error.may_pass, "{error}");
        other.execute_batch("COMMIT").expect("let go");
        assert_eq!(begin(&path, true, &run(1)).ok(), Some(1));
    }

    #[test]
    fn what_is_no_database_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notes.txt");
        let text = "not a database, and long enough to look at".repeat(20);
        fs::write(&path, &text).expect("written");
        let error = begin(&path, true, &run(1)).expect_err("no database");
        assert!(!error.may_pass, "{error}");
        assert!(error.to_string().contains("not a database"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
    }
}
