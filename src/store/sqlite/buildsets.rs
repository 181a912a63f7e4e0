//! Buildsets as those see them who wait for their end.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::BuildId;
use crate::model::BuildsetId;
use crate::model::RequestRecord;
use crate::model::SchedulerName;
use crate::model::SourceStamp;

use super::super::{BuildsetState, Result};
use super::Sqlite;
use super::rows::{outcome, patch_from};

const COLUMNS: &str = "id, branch, revision, repository, project, patch, outcome";

impl Sqlite {
    pub(super) fn select_newest_buildset(&self) -> Result<BuildsetId> {
        let mut select = self
            .db
            .prepare_cached("SELECT coalesce(max(id), 0) FROM buildsets")?;
        Ok(BuildsetId(select.query_row([], |row| row.get(0))?))
    }

    pub(super) fn select_buildsets_of(
        &self,
        scheduler: &SchedulerName,
        after: BuildsetId,
    ) -> Result<Vec<BuildsetState>> {
        // Every property is a list of its value, its origin and whether it is of the run.
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM buildsets \
             WHERE id > ?1 AND json_extract(properties, '$.scheduler[0]') = ?2 ORDER BY id"
        ))?;
        let rows = select.query_map(params![after.0, scheduler.as_str()], |row| Ok(state(row)))?;
        let all = rows.map(|row| row?).collect::<Result<Vec<_>>>()?;
        all.into_iter().map(|it| self.with_changes(it)).collect()
    }

    pub(super) fn select_buildset(&self, id: BuildsetId) -> Result<Option<BuildsetState>> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM buildsets WHERE id = ?1"))?;
        let found = select.query_row([id.0], |row| Ok(state(row))).optional()?;
        found
            .transpose()?
            .map(|it| self.with_changes(it))
            .transpose()
    }

    pub(super) fn update_external_id(&self, id: BuildsetId, external_id: &str) -> Result<()> {
        self.db
            .prepare_cached("UPDATE buildsets SET external_id = ?2 WHERE id = ?1")?
            .execute(params![id.0, external_id])?;
        Ok(())
    }

    pub(super) fn select_external_id(&self, id: BuildsetId) -> Result<Option<String>> {
        let mut select = self
            .db
            .prepare_cached("SELECT external_id FROM buildsets WHERE id = ?1")?;
        let found = select.query_row([id.0], |row| row.get::<_, Option<String>>(0));
        Ok(found.optional()?.flatten())
    }

    pub(super) fn select_requests_called(&self, external_id: &str) -> Result<Vec<RequestRecord>> {
        let mut select = self
            .db
            .prepare_cached("SELECT max(id) FROM buildsets WHERE external_id = ?1")?;
        match select.query_row([external_id], |row| row.get::<_, Option<i64>>(0))? {
            Some(id) => self.select_requests_of_buildset(BuildsetId(id)),
            None => Ok(Vec::new()),
        }
    }

    fn with_changes(&self, mut it: BuildsetState) -> Result<BuildsetState> {
        it.stamp.changes = self.select_stamp_changes(it.id)?;
        Ok(it)
    }

    pub(super) fn insert_triggered(
        &self,
        build: BuildId,
        step: u32,
        scheduler: &SchedulerName,
        buildset: BuildsetId,
    ) -> Result<()> {
        self.db
            .prepare_cached("INSERT INTO triggered VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![build.0, step, scheduler.as_str(), buildset.0])?;
        Ok(())
    }

    pub(super) fn select_triggered(
        &self,
        build: BuildId,
        step: u32,
    ) -> Result<Vec<(SchedulerName, BuildsetId)>> {
        let mut select = self.db.prepare_cached(
            "SELECT scheduler, buildset FROM triggered WHERE build = ?1 AND step = ?2 \
             ORDER BY buildset",
        )?;
        let rows = select.query_map(params![build.0, step], |row| {
            let scheduler: String = row.get(0)?;
            Ok((scheduler.into(), BuildsetId(row.get(1)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn state(row: &Row<'_>) -> Result<BuildsetState> {
    Ok(BuildsetState {
        id: BuildsetId(row.get(0)?),
        stamp: SourceStamp {
            branch: row.get(1)?,
            revision: row.get(2)?,
            repository: row.get(3)?,
            project: row.get(4)?,
            patch: patch_from(row.get_ref(5)?)?,
            changes: Vec::new(),
        },
        outcome: outcome(row.get(6)?)?,
    })
}
