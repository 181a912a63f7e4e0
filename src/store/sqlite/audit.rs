//! The audit log: it only grows at its new end, and is forgotten at its old one.

use rusqlite::{Row, params};

use crate::model::Timestamp;

use super::super::Result;
use super::super::logins::{AuditId, AuditQuery, AuditRecord, NewAudit};
use super::Sqlite;

impl Sqlite {
    pub(super) fn insert_audit(&self, new: &NewAudit, now: Timestamp) -> Result<AuditId> {
        self.db
            .prepare_cached(
                "INSERT INTO audit (at, user, way, place, action, target, result, left_out) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                now.0,
                new.user,
                new.way,
                new.place,
                new.action,
                new.target,
                new.result,
                new.left_out
            ])?;
        Ok(AuditId(self.db.last_insert_rowid()))
    }

    pub(super) fn update_audit(&self, id: AuditId, result: &str) -> Result<()> {
        self.db
            .prepare_cached("UPDATE audit SET result = ?2 WHERE id = ?1")?
            .execute(params![id.0, result])?;
        Ok(())
    }

    pub(super) fn select_audit(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>> {
        let mut select = self.db.prepare_cached(
            "SELECT id, at, user, way, place, action, target, result, left_out FROM audit \
             WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR user = ?2) \
             AND (?3 IS NULL OR action = ?3) ORDER BY id DESC LIMIT ?4",
        )?;
        let before = query.before.map(|it| it.0);
        let rows = select.query_map(
            params![before, query.user, query.action, query.limit],
            record,
        )?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn delete_audit(&self, since: Timestamp, newest: u32) -> Result<usize> {
        // Both ends of the log are ends of the primary key: nothing is scanned but what goes.
        let by_number = self
            .db
            .prepare_cached("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1")?
            .execute([newest])?;
        let by_age = self
            .db
            .prepare_cached(
                "DELETE FROM audit WHERE id < coalesce(\
                 (SELECT id FROM audit WHERE at >= ?1 ORDER BY id LIMIT 1), \
                 (SELECT max(id) + 1 FROM audit))",
            )?
            .execute([since.0])?;
        Ok(by_number + by_age)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(AuditRecord {
        id: AuditId(row.get(0)?),
        at: Timestamp(row.get(1)?),
        entry: NewAudit {
            user: row.get(2)?,
            way: row.get(3)?,
            place: row.get(4)?,
            action: row.get(5)?,
            target: row.get(6)?,
            result: row.get(7)?,
            left_out: row.get(8)?,
        },
    })
}
