//! SQLite: WAL, every commit synced. One file per noun; this one opens the
//! database and brackets transactions.

mod builds;
mod changes;
mod requests;
mod rows;
mod verbs;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Result, Store, StoreError};

/// Each entry brings a database of the version before it (its index) up by one.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];
/// How long to wait for another process that holds the database (a backup, a shell).
const BUSY: Duration = Duration::from_secs(10);

/// A connection. The verbs are in `verbs.rs`.
pub(super) struct Sqlite {
    db: Connection,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let hint = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "; free some space on its file system",
            Some(ErrorCode::ReadOnly) => "; the file or its directory cannot be written",
            Some(ErrorCode::DatabaseBusy) => "; another program holds the database",
            Some(ErrorCode::NotADatabase) => "; the file is not a database of autobot",
            _ => "",
        };
        Self::new(format!("{error}{hint}"))
    }
}

impl Sqlite {
    /// Opens the database to write, making it if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A commit that was answered survives a power cut.
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", "ON")?;
        db.pragma_update(None, "cache_size", -2000)?;
        db.set_prepared_statement_cache_capacity(64);
        migrate(&mut db)?;
        Ok(Self { db })
    }

    /// Opens a database that a writer has open too.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "cache_size", -500)?;
        db.set_prepared_statement_cache_capacity(32);
        Ok(Self { db })
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub(super) fn commit(&mut self) -> Result<()> {
        let committed = self.db.execute_batch("COMMIT").map_err(StoreError::from);
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
            drop(self.db.execute_batch("ROLLBACK"));
        }
    }

    /// Runs verbs that fail or succeed as a whole inside the running transaction.
    pub(super) fn in_savepoint<T>(
        &mut self,
        verbs: impl FnOnce(&mut dyn Store) -> Result<T>,
    ) -> Result<T> {
        self.db.prepare_cached("SAVEPOINT job")?.execute([])?;
        let done = verbs(self);
        if self.has_lost_transaction() {
            return done.and_then(|_| Err(StoreError::new("the transaction was rolled back")));
        }
        if done.is_err() {
            self.db.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        self.db.prepare_cached("RELEASE job")?.execute([])?;
        done
    }

    /// Whether SQLite has rolled the transaction back by itself, as it does on a full disk.
    pub(super) fn has_lost_transaction(&self) -> bool {
        self.db.is_autocommit()
    }

    /// Undoes a job that panicked.
    pub(super) fn abandon_savepoint(&mut self) {
        drop(self.db.execute_batch("ROLLBACK TO job; RELEASE job"));
    }

    /// Runs verbs that all see the same moment.
    pub(super) fn in_snapshot<T>(
        &mut self,
        verbs: impl FnOnce(&mut dyn Store) -> Result<T>,
    ) -> Result<T> {
        self.db.execute_batch("BEGIN")?;
        let done = verbs(self);
        self.roll_back();
        done
    }
}

fn migrate(db: &mut Connection) -> Result<()> {
    let version: usize = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(StoreError::new(format!(
            "it was made by a newer autobot (version {version} of the tables, this program knows {})",
            MIGRATIONS.len()
        )));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let step = db.transaction()?;
        step.execute_batch(migration)?;
        if index == 0 {
            let mut random = [0_u8; 16];
            getrandom::fill(&mut random)
                .map_err(|error| StoreError::new(format!("no random numbers: {error}")))?;
            let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
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
