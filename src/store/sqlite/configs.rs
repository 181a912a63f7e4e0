//! The configurations that were applied.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::ConfigId;
use crate::model::Timestamp;

use super::super::{ConfigFile, ConfigRecord, NewConfig, Result};
use super::Sqlite;
use super::rows::{from_json, to_json};

impl Sqlite {
    pub(super) fn insert_config(&self, new: &NewConfig, now: Timestamp) -> Result<ConfigId> {
        let newest: Option<(i64, String)> = self
            .db
            .prepare_cached("SELECT id, hash FROM applied_configs ORDER BY id DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((id, hash)) = newest
            && hash == new.hash
        {
            return Ok(ConfigId(id));
        }
        self.db
            .prepare_cached(
                "INSERT INTO applied_configs (hash, applied, texts, summary) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                new.hash,
                now.0,
                to_json(&new.files),
                to_json(&new.summary)
            ])?;
        Ok(ConfigId(self.db.last_insert_rowid()))
    }

    pub(super) fn select_recent_configs(&self, limit: usize) -> Result<Vec<ConfigRecord>> {
        let mut select = self.db.prepare_cached(
            "SELECT id, hash, applied, summary FROM applied_configs ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = select.query_map([limit], |row| Ok(record(row)))?;
        rows.map(|row| row?).collect()
    }

    pub(super) fn select_config(
        &self,
        id: ConfigId,
    ) -> Result<Option<(ConfigRecord, Vec<ConfigFile>)>> {
        let mut select = self.db.prepare_cached(
            "SELECT id, hash, applied, summary, texts FROM applied_configs WHERE id = ?1",
        )?;
        let found = select
            .query_row([id.0], |row| Ok((record(row), row.get::<_, String>(4)?)))
            .optional()?;
        let Some((record, texts)) = found else {
            return Ok(None);
        };
        Ok(Some((record?, from_json(&texts)?)))
    }
}

fn record(row: &Row<'_>) -> Result<ConfigRecord> {
    let summary: String = row.get(3)?;
    Ok(ConfigRecord {
        id: ConfigId(row.get(0)?),
        hash: row.get(1)?,
        applied: Timestamp(row.get(2)?),
        summary: from_json(&summary)?,
    })
}
