//! Buildsets and requests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rusqlite::{Row, ToSql, params};

use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ChangeId;
use crate::model::NewBuildset;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::model::Timestamp;

use super::super::{FinishedBuildset, Result};
use super::Sqlite;
use super::rows::{
    outcome, patch_from_json, patch_to_json, properties_from_json, properties_to_json,
};

const COLUMNS: &str = "requests.id, requests.buildset, requests.builder, requests.submitted, \
                       buildsets.reason, buildsets.branch, buildsets.revision, \
                       buildsets.repository, buildsets.project, buildsets.patch, \
                       buildsets.properties, requests.outcome, requests.build, \
                       buildsets.priority, requests.cancelled";

impl Sqlite {
    pub(super) fn insert_buildset(
        &self,
        buildset: &NewBuildset,
        now: Timestamp,
    ) -> Result<(BuildsetId, Vec<RequestId>)> {
        let stamp = &buildset.stamp;
        self.db
            .prepare_cached(
                "INSERT INTO buildsets (reason, properties, branch, revision, repository, project, \
                 patch, submitted, priority) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                buildset.reason,
                properties_to_json(&buildset.properties),
                stamp.branch,
                stamp.revision,
                stamp.repository,
                stamp.project,
                patch_to_json(stamp.patch.as_ref()),
                now.0,
                buildset.priority,
            ])?;
        let id = BuildsetId(self.db.last_insert_rowid());
        for change in &stamp.changes {
            self.db
                .prepare_cached("INSERT INTO buildset_changes VALUES (?1, ?2)")?
                .execute([id.0, change.0])?;
        }
        let mut requests = Vec::new();
        for builder in &buildset.builders {
            self.db
                .prepare_cached(
                    "INSERT INTO requests (buildset, builder, submitted) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id.0, builder.as_str(), now.0])?;
            requests.push(RequestId(self.db.last_insert_rowid()));
        }
        Ok((id, requests))
    }

    #[cfg(test)]
    pub(super) fn select_pending_requests(&self) -> Result<Vec<RequestRecord>> {
        self.select_requests(
            "requests.build IS NULL AND requests.outcome IS NULL \
             ORDER BY requests.submitted, requests.id",
            [0; 0],
        )
    }

    pub(super) fn select_pending_ids(&self) -> Result<Vec<RequestId>> {
        // Sorted here: the index has them by age.
        let mut select = self
            .db
            .prepare_cached("SELECT id FROM requests WHERE build IS NULL AND outcome IS NULL")?;
        let rows = select.query_map([], |row| Ok(RequestId(row.get(0)?)))?;
        let mut all: Vec<RequestId> = rows.collect::<rusqlite::Result<_>>()?;
        all.sort_unstable();
        Ok(all)
    }

    pub(super) fn count_pending_requests(&self) -> Result<Vec<(BuilderName, usize)>> {
        let mut select = self.db.prepare_cached(
            "SELECT builder, sum(build IS NULL) FROM requests INDEXED BY requests_open \
             WHERE outcome IS NULL GROUP BY builder",
        )?;
        let rows = select.query_map([], |row| {
            let builder: String = row.get(0)?;
            let count: i64 = row.get(1)?;
            Ok((builder.into(), usize::try_from(count).unwrap_or(0)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_request(&self, id: RequestId) -> Result<Option<RequestRecord>> {
        Ok(self.select_requests("requests.id = ?1", [id.0])?.pop())
    }

    pub(super) fn select_requests_by_id(&self, ids: &[RequestId]) -> Result<Vec<RequestRecord>> {
        let mut shared = HashMap::new();
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            all.extend(self.select_sharing("requests.id = ?1", [id.0], &mut shared)?);
        }
        Ok(all)
    }

    pub(super) fn select_requests_of_buildset(&self, id: BuildsetId) -> Result<Vec<RequestRecord>> {
        self.select_requests("requests.buildset = ?1 ORDER BY requests.id", [id.0])
    }

    pub(super) fn select_open_requests(&self, builder: &BuilderName) -> Result<Vec<RequestRecord>> {
        self.select_requests(
            "requests.builder = ?1 AND requests.outcome IS NULL ORDER BY requests.id",
            [builder.as_str()],
        )
    }

    pub(super) fn select_requests_of_change(&self, id: ChangeId) -> Result<Vec<RequestRecord>> {
        self.select_requests(
            "requests.buildset IN (SELECT buildset FROM buildset_changes WHERE change = ?1) \
             ORDER BY requests.id",
            [id.0],
        )
    }

    fn select_requests<const N: usize, T: ToSql>(
        &self,
        which: &str,
        values: [T; N],
    ) -> Result<Vec<RequestRecord>> {
        self.select_sharing(which, values, &mut HashMap::new())
    }

    /// Requests of one buildset share what they have of it.
    fn select_sharing<const N: usize, T: ToSql>(
        &self,
        which: &str,
        values: [T; N],
        shared: &mut HashMap<BuildsetId, Shared>,
    ) -> Result<Vec<RequestRecord>> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM requests JOIN buildsets ON buildsets.id = requests.buildset \
             WHERE {which}"
        ))?;
        let mut rows = select.query(rusqlite::params_from_iter(values))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let buildset = BuildsetId(row.get(1)?);
            let shared = match shared.entry(buildset) {
                Entry::Occupied(it) => it.into_mut(),
                Entry::Vacant(it) => {
                    let changes = self.select_stamp_changes(buildset)?;
                    it.insert(Shared::of(row, changes)?)
                }
            };
            let mut request = request(row, shared)?;
            request.builds = self.select_builds_of_request(request.id)?;
            all.push(request);
        }
        Ok(all)
    }

    pub(super) fn select_stamp_changes(&self, buildset: BuildsetId) -> Result<Vec<ChangeId>> {
        let mut select = self.db.prepare_cached(
            "SELECT change FROM buildset_changes WHERE buildset = ?1 ORDER BY change",
        )?;
        let rows = select.query_map([buildset.0], |row| Ok(ChangeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn select_builds_of_request(&self, id: RequestId) -> Result<Vec<BuildKey>> {
        let mut select = self.db.prepare_cached(
            "SELECT builder, number FROM builds JOIN build_requests ON build = id \
             WHERE request = ?1 ORDER BY id",
        )?;
        let rows = select.query_map([id.0], |row| {
            let builder: String = row.get(0)?;
            Ok(BuildKey {
                builder: builder.into(),
                number: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn cancel_waiting_request(
        &self,
        id: RequestId,
        why: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let cancelled = self
            .db
            .prepare_cached(
                "UPDATE requests SET outcome = ?2, finished = ?3, cancelled = ?4 \
                 WHERE id = ?1 AND build IS NULL AND outcome IS NULL",
            )?
            .execute(params![id.0, Outcome::Failure.code(), now.0, why])?;
        if cancelled == 1 {
            self.finish_buildset_of(id, now)?;
        }
        Ok(cancelled == 1)
    }

    /// Completes the request's buildset if this was its last request: a success if every
    /// request ended with success or warnings, else a failure.
    pub(super) fn finish_buildset_of(
        &self,
        request: RequestId,
        now: Timestamp,
    ) -> Result<Option<FinishedBuildset>> {
        let (buildset, open, bad): (i64, i64, i64) = self
            .db
            .prepare_cached(
                "SELECT buildset, sum(outcome IS NULL), sum(outcome NOT IN (0, 1)) FROM requests \
                 WHERE buildset = (SELECT buildset FROM requests WHERE id = ?1) GROUP BY buildset",
            )?
            .query_row([request.0], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get::<_, Option<i64>>(2)?.unwrap_or(0),
                ))
            })?;
        if open > 0 {
            return Ok(None);
        }
        let outcome = if bad > 0 {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        let finished = self
            .db
            .prepare_cached(
                "UPDATE buildsets SET outcome = ?2, finished = ?3 WHERE id = ?1 AND outcome IS NULL",
            )?
            .execute(params![buildset, outcome.code(), now.0])?;
        Ok((finished == 1).then_some(FinishedBuildset {
            id: BuildsetId(buildset),
            outcome,
        }))
    }

    /// Whether nobody has claimed or completed the request.
    pub(super) fn is_waiting(&self, request: RequestId) -> Result<bool> {
        let mut select = self.db.prepare_cached(
            "SELECT count(*) FROM requests WHERE id = ?1 AND build IS NULL AND outcome IS NULL",
        )?;
        Ok(select.query_row([request.0], |row| row.get::<_, i64>(0))? == 1)
    }

    pub(super) fn count_retries(&self, request: RequestId) -> Result<u32> {
        let mut select = self.db.prepare_cached(
            "SELECT count(*) FROM builds JOIN build_requests ON build = id \
             WHERE request = ?1 AND outcome = ?2",
        )?;
        Ok(select.query_row([request.0, Outcome::Retry.code()], |row| row.get(0))?)
    }
}

/// What the requests of a buildset have in common.
struct Shared {
    reason: String,
    stamp: Arc<SourceStamp>,
    properties: Arc<Properties>,
    priority: Option<i64>,
}

impl Shared {
    /// Of a row with [`COLUMNS`].
    fn of(row: &Row<'_>, changes: Vec<ChangeId>) -> Result<Self> {
        let properties = row.get_ref(10)?.as_str().map_err(rusqlite::Error::from)?;
        Ok(Self {
            reason: row.get(4)?,
            stamp: Arc::new(SourceStamp {
                branch: row.get(5)?,
                revision: row.get(6)?,
                repository: row.get(7)?,
                project: row.get(8)?,
                patch: patch_from_json(row.get::<_, Option<String>>(9)?.as_deref())?,
                changes,
            }),
            properties: Arc::new(properties_from_json(properties)?),
            priority: row.get(13)?,
        })
    }
}

fn request(row: &Row<'_>, shared: &Shared) -> Result<RequestRecord> {
    let builder: String = row.get(2)?;
    Ok(RequestRecord {
        id: RequestId(row.get(0)?),
        buildset: BuildsetId(row.get(1)?),
        builder: BuilderName::from(builder),
        submitted: Timestamp(row.get(3)?),
        reason: shared.reason.clone(),
        stamp: Arc::clone(&shared.stamp),
        properties: Arc::clone(&shared.properties),
        priority: shared.priority,
        outcome: outcome(row.get(11)?)?,
        cancelled: row.get(14)?,
        builds: Vec::new(),
        claimed: row.get::<_, Option<i64>>(12)?.is_some(),
    })
}
