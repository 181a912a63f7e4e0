//! SQLite: WAL, every commit synced. One file per noun; this one opens the
//! database and brackets transactions.

mod artifacts;
mod audit;
mod builds;
mod buildsets;
mod changes;
mod configs;
mod events;
mod failing;
mod logins;
mod prune;
mod reading;
mod requests;
mod rows;
mod search;
mod small_logs;
mod superseded;
mod test_results;
mod users;
mod verbs;

#[cfg(test)]
pub(crate) use superseded::effort;

use std::cmp::Ordering;
use std::fs;
use std::fs::{OpenOptions, Permissions};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::model::hex;

use super::{Result, Store, StoreError};

/// Each entry brings a database of the version before it (its index) up by one.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("triggered.sql"),
    include_str!("locks_and_numbers.sql"),
    include_str!("configs.sql"),
    include_str!("usage.sql"),
    include_str!("spools.sql"),
    include_str!("progress.sql"),
    include_str!("metrics.sql"),
    include_str!("tests.sql"),
    include_str!("failing.sql"),
    include_str!("kept.sql"),
    include_str!("users.sql"),
    include_str!("external_ids.sql"),
    include_str!("queue.sql"),
    include_str!("unbuilt.sql"),
    include_str!("glance.sql"),
    include_str!("artifacts.sql"),
    include_str!("events.sql"),
    include_str!("logins.sql"),
    include_str!("superseded.sql"),
    include_str!("ran_on.sql"),
    include_str!("small_logs.sql"),
    include_str!("leaner.sql"),
];
/// How long to wait for another process that holds the database (a backup, a shell).
const BUSY: Duration = Duration::from_secs(10);

/// Statements that are kept prepared: all that a build needs, and pages.
const STATEMENTS: usize = 200;

/// A connection. The verbs are in `verbs.rs`.
pub(super) struct Sqlite {
    db: Connection,
    /// What [`Self::changes`] said when the transaction began.
    begun_at: u64,
    /// The job that runs has the transaction for itself, and no savepoint.
    is_alone: bool,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let hint = match code {
            Some(ErrorCode::DiskFull) => "; free some space on its file system",
            Some(ErrorCode::ReadOnly) => "; the file or its directory cannot be written",
            Some(ErrorCode::DatabaseBusy) => "; another program holds the database",
            Some(ErrorCode::NotADatabase) => "; the file is not a database of autobot",
            _ => "",
        };
        Self {
            what: format!("{error}{hint}"),
            is_disk: matches!(
                code,
                Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
            ),
        }
    }
}

impl Sqlite {
    /// Opens the database to write, making it if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        keep_private(path);
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A commit that was answered survives a power cut.
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", "ON")?;
        db.pragma_update(None, "cache_size", -2000)?;
        keep_prepared(&db)?;
        migrate(&mut db)?;
        Ok(Self::new(db))
    }

    /// Opens a database that a writer has open too.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "cache_size", -2000)?;
        keep_prepared(&db)?;
        Ok(Self::new(db))
    }

    fn new(db: Connection) -> Self {
        Self {
            db,
            begun_at: 0,
            is_alone: false,
        }
    }

    /// Says what to do about a database that only a writer can bring up to date.
    pub(super) fn check_version(&self) -> Result<()> {
        let version: usize = self
            .db
            .query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version.cmp(&MIGRATIONS.len()) {
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(StoreError::new(
                "it was made by an older autobot; the master brings it up to date when it starts",
            )),
            Ordering::Greater => Err(too_new(version)),
        }
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        self.begun_at = self.changes();
        self.say("BEGIN IMMEDIATE")
    }

    pub(super) fn commit(&mut self) -> Result<()> {
        let committed = self.say("COMMIT");
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    /// Moves the write-ahead log into the database file, as far as readers let it.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        Ok(self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    pub(super) fn roll_back(&mut self) {
        if !self.db.is_autocommit() {
            // It fails only when SQLite has rolled back by itself.
            drop(self.say("ROLLBACK"));
        }
    }

    /// Runs verbs that fail or succeed as a whole inside the running transaction. The first
    /// that change something have nothing beside them that a savepoint would keep.
    pub(super) fn in_savepoint<T>(
        &mut self,
        verbs: impl FnOnce(&mut dyn Store) -> Result<T>,
    ) -> Result<T> {
        self.is_alone = self.changes() == self.begun_at;
        if !self.is_alone {
            self.say("SAVEPOINT job")?;
        }
        let done = verbs(self);
        if self.has_lost_transaction() {
            return done.and_then(|_| Err(StoreError::new("the transaction was rolled back")));
        }
        if done.is_err() {
            self.undo_job()?;
        } else if !self.is_alone {
            self.say("RELEASE job")?;
        }
        done
    }

    fn undo_job(&mut self) -> Result<()> {
        if self.is_alone {
            self.roll_back();
            return self.begin();
        }
        Ok(self.db.execute_batch("ROLLBACK TO job; RELEASE job")?)
    }

    /// Runs a statement that has no values.
    fn say(&self, statement: &str) -> Result<()> {
        self.db.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// Whether SQLite has rolled the transaction back by itself, as it does on a full disk.
    pub(super) fn has_lost_transaction(&self) -> bool {
        self.db.is_autocommit()
    }

    /// How many rows this connection has ever changed.
    pub(super) fn changes(&self) -> u64 {
        self.db.total_changes()
    }

    /// Undoes a job that panicked.
    pub(super) fn abandon_job(&mut self) {
        // It fails only when there is no transaction any more, which is asked for next.
        drop(self.undo_job());
    }

    /// Runs verbs that all see the same moment.
    pub(super) fn in_snapshot<T>(
        &mut self,
        verbs: impl FnOnce(&mut dyn Store) -> Result<T>,
    ) -> Result<T> {
        self.say("BEGIN")?;
        let done = verbs(self);
        self.roll_back();
        done
    }
}

/// Keeps statements prepared. By default SQLite prepares one anew whenever other values are put
/// in, because its plan might be another one for these.
fn keep_prepared(db: &Connection) -> Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn too_new(version: usize) -> StoreError {
    StoreError::new(format!(
        "it was made by a newer autobot (version {version} of the tables, this program knows {})",
        MIGRATIONS.len()
    ))
}

/// Lets nobody but the owner read the file: configurations with passwords lie in it. SQLite
/// gives the files beside it the same mode.
fn keep_private(path: &Path) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    // What fails here fails again, with a better word, when the database is opened.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    if let Ok(metadata) = file.and_then(|file| file.metadata())
        && metadata.permissions().mode() & 0o077 != 0
    {
        for end in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            drop(fs::set_permissions(name, Permissions::from_mode(0o600)));
        }
    }
}

fn migrate(db: &mut Connection) -> Result<()> {
    let version: usize = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(too_new(version));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let step = db.transaction()?;
        step.execute_batch(migration)?;
        if index == 0 {
            let mut random = [0_u8; 16];
            getrandom::fill(&mut random)
                .map_err(|error| StoreError::new(format!("no random numbers: {error}")))?;
            let name = hex(&random);
            step.execute(
                "INSERT INTO meta VALUES ('identity', ?1), ('lease', '0')",
                [name],
            )?;
        }
        step.pragma_update(None, "user_version", index + 1)?;
        step.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rusqlite::StatementStatus;

    use super::*;
    use crate::model::BuildId;
    use crate::model::BuilderName;
    use crate::model::ConfigId;

    /// A database as the first version left it, with a build.
    fn first_version(path: &Path) {
        let db = Connection::open(path).expect("a database");
        db.execute_batch(MIGRATIONS[0]).expect("tables");
        db.execute_batch(
            "INSERT INTO meta VALUES ('identity', 'me'), ('lease', '7');
             INSERT INTO builds (builder, number, slave, reason, repository, project, properties,
                                 blame, text, started, finished, outcome, lease, fingerprint)
             VALUES ('a', 0, 's1', 'because', '', '', '{}', '[]', '[]', 1, 2, 0, 7, 'print');
             INSERT INTO steps VALUES (1, 0, 'shell', 1, 2, 0, '[]', '[]', '[]', '[]', 0, '[]');
             PRAGMA user_version = 1;",
        )
        .expect("rows");
    }

    #[test]
    fn a_database_of_the_first_version_keeps_its_rows_and_learns_of_configurations() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.sqlite");
        first_version(&path);
        let refused = super::super::read_file(&path, |verbs| verbs.recent_configs(9));
        assert_eq!(
            refused.expect_err("too old").to_string(),
            "the database says: it was made by an older autobot; the master brings it up to date \
             when it starts"
        );

        let mut sqlite = Sqlite::open(&path).expect("brought up to date");

        assert_eq!(sqlite.identity().expect("kept"), "me");
        let build = sqlite.build(&BuilderName::from("a"), 0);
        let build = build.expect("readable").expect("kept");
        assert_eq!((build.config, build.slave.as_str()), (None, "s1"));
        let steps = sqlite.steps(build.id).expect("kept");
        assert_eq!((steps.len(), &steps[0].usage), (1, &None));
        assert!(sqlite.recent_configs(9).expect("a table").is_empty());
        assert_eq!(sqlite.config(ConfigId(1)).expect("a table"), None);
    }

    #[test]
    fn a_statement_is_prepared_once_whatever_is_asked_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut sqlite = Sqlite::open(&dir.path().join("state.sqlite")).expect("a database");
        let builders = ["a", "b", "c"].map(BuilderName::from);
        for _ in 0..2 {
            sqlite.begin().expect("begun");
            for builder in &builders {
                sqlite.select_next_number(builder).expect("readable");
                sqlite
                    .in_savepoint(|verbs| verbs.last_end(builder))
                    .expect("readable");
            }
            for id in 0..3 {
                sqlite
                    .select_requests_of_build(BuildId(id))
                    .expect("readable");
            }
            sqlite.select_unmeasured(9).expect("readable");
            sqlite.commit().expect("committed");
        }
        let again = |sql: &str| {
            let kept = sqlite.db.prepare_cached(sql).expect("prepared");
            assert!(
                kept.get_status(StatementStatus::Run) > 1,
                "another text: {sql}"
            );
            kept.get_status(StatementStatus::RePrepare)
        };
        for sql in [
            "SELECT request FROM build_requests WHERE build = ?1 ORDER BY request",
            "SELECT max(coalesce((SELECT max(number) + 1 FROM builds WHERE builder = ?1), 0), \
             coalesce((SELECT next FROM numbers WHERE builder = ?1), 0))",
        ] {
            assert_eq!(again(sql), 0, "{sql}");
        }
    }

    #[test]
    fn only_the_owner_can_read_the_database() {
        let mode = |path: &Path| {
            let metadata = fs::metadata(path).expect("a file");
            metadata.permissions().mode() & 0o777
        };
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("new.sqlite");
        let _open = Sqlite::open(&path).expect("a new database");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&dir.path().join("new.sqlite-wal")), 0o600);

        let path = dir.path().join("old.sqlite");
        first_version(&path);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("opened to all");
        let _open = Sqlite::open(&path).expect("a database");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&dir.path().join("old.sqlite-wal")), 0o600);
    }
}
