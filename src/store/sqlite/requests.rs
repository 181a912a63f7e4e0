//! Buildsets and requests.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Row, ToSql, params};
use serde::Serialize;
use serde_json::json;

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

use super::super::{FinishedBuildset, Result, StoreError};
use super::Sqlite;
use super::rows::{outcome, patch_from, patch_to_bytes, properties_from_json, properties_to_json};
use super::superseded::source_of;

/// What a request has of its own.
const COLUMNS: &str = "requests.id, requests.buildset, requests.builder, requests.submitted, \
                       requests.outcome, requests.build, requests.cancelled";

/// So many are read with one question for what all of them have: neither a question for each, nor
/// a list without end.
const TOGETHER: usize = 1000;

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
                patch_to_bytes(stamp.patch.as_ref()),
                now.0,
                buildset.priority,
            ])?;
        let id = BuildsetId(self.db.last_insert_rowid());
        for change in &stamp.changes {
            self.db
                .prepare_cached("INSERT INTO buildset_changes VALUES (?1, ?2)")?
                .execute([id.0, change.0])?;
        }
        let source = source_of(stamp);
        let mut requests = Vec::new();
        for builder in &buildset.builders {
            self.db
                .prepare_cached(
                    "INSERT INTO requests (buildset, builder, submitted, source, priority) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    id.0,
                    builder.as_str(),
                    now.0,
                    source,
                    buildset.priority
                ])?;
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
        for some in ids.chunks(TOGETHER) {
            let (among, list) = among(some);
            let which = format!("requests.id {among} ORDER BY requests.id");
            all.extend(self.select_sharing(&which, [list], &mut shared)?);
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

    pub(super) fn select_waiting_of(
        &self,
        builder: &BuilderName,
        most: usize,
    ) -> Result<(Vec<RequestRecord>, usize)> {
        let count: i64 = self
            .db
            .prepare_cached(
                "SELECT count(*) FROM requests INDEXED BY requests_open \
                 WHERE builder = ?1 AND outcome IS NULL AND build IS NULL",
            )?
            .query_row([builder.as_str()], |row| row.get(0))?;
        let oldest = self.select_requests(
            "requests.builder = ?1 AND requests.outcome IS NULL AND requests.build IS NULL \
             ORDER BY requests.id LIMIT ?2",
            params![builder.as_str(), i64::try_from(most).unwrap_or(i64::MAX)],
        )?;
        Ok((oldest, usize::try_from(count).unwrap_or(0)))
    }

    pub(super) fn select_requests_of_change(&self, id: ChangeId) -> Result<Vec<RequestRecord>> {
        self.select_requests(
            "requests.buildset IN (SELECT buildset FROM buildset_changes WHERE change = ?1) \
             ORDER BY requests.id",
            [id.0],
        )
    }

    fn select_requests(
        &self,
        which: &str,
        values: impl IntoIterator<Item: ToSql>,
    ) -> Result<Vec<RequestRecord>> {
        self.select_sharing(which, values, &mut HashMap::new())
    }

    /// Requests of one buildset share what they have of it.
    fn select_sharing(
        &self,
        which: &str,
        values: impl IntoIterator<Item: ToSql>,
        shared: &mut HashMap<BuildsetId, Shared>,
    ) -> Result<Vec<RequestRecord>> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM requests WHERE {which}"))?;
        let rows = select.query_and_then(rusqlite::params_from_iter(values), Own::of)?;
        let mut all = rows.collect::<Result<Vec<Own>>>()?;
        #[cfg(test)]
        super::superseded::effort::read(all.len());
        let mut builds = HashMap::new();
        for some in all.chunks(TOGETHER) {
            self.add_shared(some, shared)?;
            self.add_builds(some, &mut builds)?;
        }
        let mut requests = Vec::with_capacity(all.len());
        for own in all.drain(..) {
            let missing = || StoreError::new(format!("buildset {} is not there", own.buildset));
            let of_set = shared.get(&own.buildset).ok_or_else(missing)?;
            let builds = builds.remove(&own.id).unwrap_or_default();
            requests.push(own.with(of_set, builds));
        }
        Ok(requests)
    }

    /// Reads the buildsets of these requests, except those that are there already.
    fn add_shared(&self, of: &[Own], shared: &mut HashMap<BuildsetId, Shared>) -> Result<()> {
        let mut ids: Vec<BuildsetId> = of.iter().map(|it| it.buildset).collect();
        ids.retain(|it| !shared.contains_key(it));
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let (among, list) = among(&ids);
        let mut changes: HashMap<BuildsetId, Vec<ChangeId>> = HashMap::new();
        let mut select = self.db.prepare_cached(&format!(
            "SELECT buildset, change FROM buildset_changes \
             WHERE buildset {among} ORDER BY buildset, change",
        ))?;
        let mut rows = select.query([&list])?;
        while let Some(row) = rows.next()? {
            let changes = changes.entry(BuildsetId(row.get(0)?)).or_default();
            changes.push(ChangeId(row.get(1)?));
        }
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id, reason, branch, revision, repository, project, patch, properties, priority \
             FROM buildsets WHERE id {among}",
        ))?;
        let mut rows = select.query([&list])?;
        while let Some(row) = rows.next()? {
            let id = BuildsetId(row.get(0)?);
            shared.insert(
                id,
                Shared::of(row, changes.remove(&id).unwrap_or_default())?,
            );
        }
        Ok(())
    }

    /// Reads which builds were started for these requests.
    fn add_builds(&self, of: &[Own], builds: &mut HashMap<RequestId, Vec<BuildKey>>) -> Result<()> {
        let ids: Vec<RequestId> = of.iter().map(|it| it.id).collect();
        let (among, list) = among(&ids);
        let mut select = self.db.prepare_cached(&format!(
            "SELECT request, builder, number FROM build_requests JOIN builds ON builds.id = build \
             WHERE request {among} ORDER BY request, builds.id",
        ))?;
        let mut rows = select.query([list])?;
        while let Some(row) = rows.next()? {
            let builder: String = row.get(1)?;
            let key = BuildKey {
                builder: builder.into(),
                number: row.get(2)?,
            };
            builds.entry(RequestId(row.get(0)?)).or_default().push(key);
        }
        Ok(())
    }

    pub(super) fn select_stamp_changes(&self, buildset: BuildsetId) -> Result<Vec<ChangeId>> {
        let mut select = self.db.prepare_cached(
            "SELECT change FROM buildset_changes WHERE buildset = ?1 ORDER BY change",
        )?;
        let rows = select.query_map([buildset.0], |row| Ok(ChangeId(row.get(0)?)))?;
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
    fn of(row: &Row<'_>, changes: Vec<ChangeId>) -> Result<Self> {
        let properties = row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?;
        Ok(Self {
            reason: row.get(1)?,
            stamp: Arc::new(SourceStamp {
                branch: row.get(2)?,
                revision: row.get(3)?,
                repository: row.get(4)?,
                project: row.get(5)?,
                patch: patch_from(row.get_ref(6)?)?,
                changes,
            }),
            properties: Arc::new(properties_from_json(properties)?),
            priority: row.get(8)?,
        })
    }
}

/// What a request has of its own: a row with [`COLUMNS`].
struct Own {
    id: RequestId,
    buildset: BuildsetId,
    builder: BuilderName,
    submitted: Timestamp,
    outcome: Option<Outcome>,
    is_claimed: bool,
    cancelled: Option<String>,
}

impl Own {
    fn of(row: &Row<'_>) -> Result<Self> {
        let builder: String = row.get(2)?;
        Ok(Self {
            id: RequestId(row.get(0)?),
            buildset: BuildsetId(row.get(1)?),
            builder: builder.into(),
            submitted: Timestamp(row.get(3)?),
            outcome: outcome(row.get(4)?)?,
            is_claimed: row.get::<_, Option<i64>>(5)?.is_some(),
            cancelled: row.get(6)?,
        })
    }

    fn with(self, shared: &Shared, builds: Vec<BuildKey>) -> RequestRecord {
        RequestRecord {
            id: self.id,
            buildset: self.buildset,
            builder: self.builder,
            submitted: self.submitted,
            reason: shared.reason.clone(),
            stamp: Arc::clone(&shared.stamp),
            properties: Arc::clone(&shared.properties),
            priority: shared.priority,
            outcome: self.outcome,
            cancelled: self.cancelled,
            builds,
            claimed: self.is_claimed,
        }
    }
}

/// What a column must be to be one of these, and the value for it. Most lists have one member, and
/// for a longer one SQLite makes a table.
fn among(ids: &[impl Serialize]) -> (&'static str, String) {
    match ids {
        [only] => ("= CAST(?1 AS INTEGER)", json!(only).to_string()),
        _ => (
            "IN (SELECT value FROM json_each(?1))",
            json!(ids).to_string(),
        ),
    }
}
