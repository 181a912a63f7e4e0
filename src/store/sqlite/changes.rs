//! Changes, and the states of sources and schedulers.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use crate::model::Change;
use crate::model::ChangeId;
use crate::model::NewChange;
use crate::model::Timestamp;

use super::super::Result;
use super::Sqlite;
use super::rows::{from_json, properties_from_json, properties_to_json, to_json};

const COLUMNS: &str = "id, author, files, comments, revision, branch, category, revlink, \
                       repository, project, made, properties";

impl Sqlite {
    pub(super) fn insert_change(
        &self,
        change: &NewChange,
        now: Timestamp,
    ) -> Result<Option<ChangeId>> {
        let mut files = change.files.clone();
        files.sort();
        let mut insert = self.db.prepare_cached(
            "INSERT INTO changes (author, files, comments, revision, branch, category, revlink, \
             repository, project, made, properties, origin, arrived) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
             ON CONFLICT (origin) DO NOTHING",
        )?;
        let added = insert.execute(params![
            change.author,
            to_json(&files),
            change.comments,
            change.revision,
            change.branch,
            change.category,
            change.revlink,
            change.repository,
            change.project,
            change.when.unwrap_or(now).0,
            properties_to_json(&change.properties),
            change.origin,
            now.0,
        ])?;
        if added == 0 {
            return Ok(None);
        }
        let id = ChangeId(self.db.last_insert_rowid());
        if let Some(vc) = change.vc {
            self.link_author(id, vc, &change.author)?;
        }
        Ok(Some(id))
    }

    pub(super) fn select_change(&self, id: ChangeId) -> Result<Option<Change>> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM changes WHERE id = ?1"))?;
        let found = select.query_row([id.0], |row| Ok(change(row))).optional()?;
        found.transpose()
    }

    pub(super) fn select_changes_after(&self, seen: ChangeId, limit: usize) -> Result<Vec<Change>> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM changes WHERE id > ?1 ORDER BY id LIMIT ?2"
        ))?;
        let rows = select.query_map(params![seen.0, limit], |row| Ok(change(row)))?;
        rows.map(|row| row?).collect()
    }

    pub(super) fn select_recent_changes(
        &self,
        before: Option<ChangeId>,
        limit: usize,
    ) -> Result<Vec<Change>> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM changes WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
        ))?;
        let before = before.map_or(i64::MAX, |it| it.0);
        let rows = select.query_map(params![before, limit], |row| Ok(change(row)))?;
        rows.map(|row| row?).collect()
    }

    pub(super) fn select_newest_change(&self) -> Result<ChangeId> {
        // The counter, not the maximum: a change that was pruned stays seen.
        let mut select = self.db.prepare_cached(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'",
        )?;
        Ok(ChangeId(select.query_row([], |row| row.get(0))?))
    }

    pub(super) fn select_state(&self, object: &str) -> Result<Value> {
        let mut select = self
            .db
            .prepare_cached("SELECT value FROM states WHERE object = ?1")?;
        let found: Option<String> = select.query_row([object], |row| row.get(0)).optional()?;
        found.map_or(Ok(Value::Null), |text| from_json(&text))
    }

    pub(super) fn upsert_state(&self, object: &str, state: &Value) -> Result<()> {
        let mut upsert = self.db.prepare_cached(
            "INSERT INTO states VALUES (?1, ?2) ON CONFLICT (object) DO UPDATE SET value = ?2",
        )?;
        upsert.execute(params![object, state.to_string()])?;
        Ok(())
    }
}

fn change(row: &Row<'_>) -> Result<Change> {
    Ok(Change {
        id: ChangeId(row.get(0)?),
        author: row.get(1)?,
        files: from_json(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
        comments: row.get(3)?,
        revision: row.get(4)?,
        branch: row.get(5)?,
        category: row.get(6)?,
        revlink: row.get(7)?,
        repository: row.get(8)?,
        project: row.get(9)?,
        when: Timestamp(row.get(10)?),
        properties: properties_from_json(
            row.get_ref(11)?.as_str().map_err(rusqlite::Error::from)?,
        )?,
    })
}
