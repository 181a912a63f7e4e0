//! What is forgotten: old builds, their logs, old changes. Each verb does a
//! bounded piece, so that others get their turn in between.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use crate::model::BuildId;
use crate::model::BuilderName;

use super::super::{Amount, Holders, Kept, LogVisit, OldBuild, Result};
use super::Sqlite;
use super::rows::from_json;

/// A build is still needed that has not ended, that is one of a request that is not complete,
/// that began a run of failures that lasts, or that failed and may come to begin one, because
/// an older one still runs.
const IS_NEEDED: &str = "(finished IS NULL OR EXISTS (SELECT 1 FROM build_requests \
     JOIN requests ON requests.id = request \
     WHERE build_requests.build = builds.id AND requests.outcome IS NULL) \
     OR EXISTS (SELECT 1 FROM failing \
     WHERE failing.builder = builds.builder AND failing.first_bad = builds.number) \
     OR outcome = 2 AND number > coalesce((SELECT min(other.number) FROM builds AS other \
     INDEXED BY builds_running WHERE other.builder = builds.builder AND other.finished IS NULL), number))";

/// A request of the builder `?1` that was completed without a build, and that no build was ever
/// started for: those that were go with their last build.
const UNBUILT: &str = "builder = ?1 AND outcome IS NOT NULL AND build IS NULL \
     AND NOT EXISTS (SELECT 1 FROM build_requests WHERE request = requests.id)";

/// What belongs to a build and goes with it.
const PARTS: [&str; 6] = [
    "artifacts",
    "commands",
    "steps",
    "triggered",
    "build_changes",
    "build_requests",
];

impl Sqlite {
    pub(super) fn select_next_number(&self, builder: &BuilderName) -> Result<i64> {
        let mut select = self.db.prepare_cached(
            "SELECT max(coalesce((SELECT max(number) + 1 FROM builds WHERE builder = ?1), 0), \
             coalesce((SELECT next FROM numbers WHERE builder = ?1), 0))",
        )?;
        Ok(select.query_row([builder.as_str()], |row| row.get(0))?)
    }

    pub(super) fn select_oldest_kept(&self, builder: &BuilderName, kept: Kept) -> Result<i64> {
        let next = self.select_next_number(builder)?;
        let by_count = kept.newest.map_or(0, |it| next - i64::from(it));
        let by_age = match kept.since {
            None => 0,
            // They end nearly in the order of their numbers: this looks at few more than go.
            Some(since) => self
                .db
                .prepare_cached(
                    "SELECT number FROM builds WHERE builder = ?1 AND finished >= ?2 \
                     ORDER BY number LIMIT 1",
                )?
                .query_row(params![builder.as_str(), since.0], |row| row.get(0))
                .optional()?
                .unwrap_or(next),
        };
        Ok(by_count.max(by_age))
    }

    pub(super) fn select_old_builds(
        &self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        self.select_old(
            "builder = ?1 AND number < ?2",
            "number",
            params![builder.as_str(), below, limit],
        )
    }

    pub(super) fn select_old_logs(
        &self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        self.select_old(
            "builder = ?1 AND number < ?2 AND log_bytes > 0",
            "number",
            params![builder.as_str(), below, limit],
        )
    }

    pub(super) fn select_oldest_logs(
        &self,
        builder: Option<&BuilderName>,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        match builder {
            Some(builder) => self.select_old(
                "builder = ?1 AND log_bytes > 0 AND ?2",
                "number",
                params![builder.as_str(), true, limit],
            ),
            None => self.select_old(
                "?1 IS NULL AND log_bytes > 0 AND ?2",
                "id",
                params![rusqlite::types::Null, true, limit],
            ),
        }
    }

    /// Builds that nobody needs, with their files.
    fn select_old(
        &self,
        which: &str,
        order: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<OldBuild>> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id, builder, number, coalesce(log_bytes, 0) FROM builds \
             WHERE {which} AND NOT {IS_NEEDED} ORDER BY {order} LIMIT ?3"
        ))?;
        let rows = select.query_map(values, old_build)?;
        self.with_files(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_unmeasured(&self, limit: usize) -> Result<Vec<OldBuild>> {
        let mut select = self.db.prepare_cached(
            "SELECT id, builder, number, 0 FROM builds \
             WHERE log_bytes IS NULL AND finished IS NOT NULL ORDER BY id LIMIT ?1",
        )?;
        let rows = select.query_map([limit], old_build)?;
        self.with_files(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn with_files(&self, mut builds: Vec<OldBuild>) -> Result<Vec<OldBuild>> {
        let mut select = self
            .db
            .prepare_cached("SELECT logs FROM steps WHERE build = ?1")?;
        for build in &mut builds {
            for logs in select.query_map([build.id.0], |row| row.get::<_, String>(0))? {
                let logs: Vec<(String, String, bool)> = from_json(&logs?)?;
                build
                    .files
                    .extend(logs.into_iter().map(|(_, file, _)| file));
            }
        }
        Ok(builds)
    }

    /// What builds or logs with numbers from `from` up to `below` amount to, as far as nobody
    /// needs them.
    pub(super) fn sum_old(&self, builder: &BuilderName, from: i64, below: i64) -> Result<Amount> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(log_bytes > 0), 0), coalesce(sum(log_bytes), 0) \
             FROM builds WHERE builder = ?1 AND number >= ?2 AND number < ?3 AND NOT {IS_NEEDED}"
        ))?;
        Ok(
            select.query_row(params![builder.as_str(), from, below], |row| {
                Ok(Amount {
                    builds: row.get(0)?,
                    logs: row.get(1)?,
                    bytes: row.get(2)?,
                })
            })?,
        )
    }

    pub(super) fn visit_old_logs(
        &self,
        builder: Option<&BuilderName>,
        visit: LogVisit<'_>,
    ) -> Result<()> {
        let which = match builder {
            Some(_) => "builder = ?1 AND log_bytes > 0",
            None => "?1 IS NULL AND log_bytes > 0",
        };
        let order = builder.map_or("id", |_| "number");
        let mut select = self.db.prepare_cached(&format!(
            "SELECT builder, number, log_bytes FROM builds \
             WHERE {which} AND NOT {IS_NEEDED} ORDER BY {order}"
        ))?;
        let mut rows = select.query([builder.map(BuilderName::as_str)])?;
        while let Some(row) = rows.next()? {
            let builder: String = row.get(0)?;
            if !visit(builder.into(), row.get(1)?, row.get(2)?) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn update_log_bytes(&self, measured: &[(BuildId, u64)]) -> Result<()> {
        for (build, bytes) in measured {
            // Two statements: an update with another in it takes a table of SQLite's own.
            let of_tests: i64 = self
                .db
                .prepare_cached(
                    "SELECT coalesce(sum(length(CAST(log AS BLOB))), 0) FROM test_logs \
                     WHERE build = ?1",
                )?
                .query_row([build.0], |row| row.get(0))?;
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            self.db
                .prepare_cached("UPDATE builds SET log_bytes = ?2 WHERE id = ?1")?
                .execute(params![build.0, bytes.saturating_add(of_tests)])?;
        }
        Ok(())
    }

    pub(super) fn unset_log_bytes(&self, build: BuildId) -> Result<()> {
        self.db
            .prepare_cached("UPDATE builds SET log_bytes = NULL WHERE id = ?1 AND log_bytes > 0")?
            .execute([build.0])?;
        Ok(())
    }

    pub(super) fn sum_log_bytes(&self, builder: Option<&BuilderName>) -> Result<u64> {
        let mut select = self.db.prepare_cached(
            "SELECT coalesce(sum(log_bytes), 0) FROM numbers WHERE ?1 IS NULL OR builder = ?1",
        )?;
        Ok(select.query_row([builder.map(BuilderName::as_str)], |row| row.get(0))?)
    }

    pub(super) fn delete_builds(
        &self,
        builder: &BuilderName,
        builds: &[BuildId],
        holders: &Holders,
    ) -> Result<()> {
        // First of all, so that no number is given twice.
        let next = self.select_next_number(builder)?;
        self.db
            .prepare_cached(
                "INSERT INTO numbers (builder, next) VALUES (?1, ?2) \
                 ON CONFLICT (builder) DO UPDATE SET next = ?2",
            )?
            .execute(params![builder.as_str(), next])?;
        let (_, first_buildset) = self.first_held(holders)?;
        for build in builds {
            self.delete_tests(*build)?;
            let requests = self.select_requests_of_build(*build)?;
            for table in PARTS {
                self.db
                    .prepare_cached(&format!("DELETE FROM {table} WHERE build = ?1"))?
                    .execute([build.0])?;
            }
            self.db
                .prepare_cached("DELETE FROM builds WHERE id = ?1")?
                .execute([build.0])?;
            for request in requests {
                self.delete_request(request.0, first_buildset)?;
            }
        }
        self.delete_packs(builder)
    }

    /// Forgets a request with its last build, and its buildset with the last request.
    fn delete_request(&self, request: i64, first_held: i64) -> Result<()> {
        let buildset: Option<i64> = self
            .db
            .prepare_cached(
                "DELETE FROM requests WHERE id = ?1 AND outcome IS NOT NULL AND NOT EXISTS \
                 (SELECT 1 FROM build_requests WHERE request = ?1) AND buildset < ?2 \
                 RETURNING buildset",
            )?
            .query_row([request, first_held], |row| row.get(0))
            .optional()?;
        let Some(buildset) = buildset else {
            return Ok(());
        };
        let is_done: bool = self
            .db
            .prepare_cached(
                "SELECT outcome IS NOT NULL \
                 AND NOT EXISTS (SELECT 1 FROM requests WHERE buildset = buildsets.id) \
                 AND NOT EXISTS (SELECT 1 FROM triggered WHERE buildset = buildsets.id) \
                 FROM buildsets WHERE id = ?1",
            )?
            .query_row([buildset], |row| row.get(0))?;
        if is_done {
            for statement in [
                "DELETE FROM buildset_changes WHERE buildset = ?1",
                "DELETE FROM buildsets WHERE id = ?1",
            ] {
                self.db.prepare_cached(statement)?.execute([buildset])?;
            }
        }
        Ok(())
    }

    /// Requests with smaller numbers that were completed without a build may go.
    fn first_kept_request(&self, builder: &BuilderName, kept: Kept) -> Result<i64> {
        let by_count: Option<i64> = match kept.newest {
            None => None,
            Some(newest) => {
                let newest = i64::from(newest);
                let mut select = self.db.prepare_cached(&format!(
                    "SELECT id + 1 FROM requests WHERE {UNBUILT} ORDER BY id DESC LIMIT 1 OFFSET ?2"
                ))?;
                let of = params![builder.as_str(), newest];
                select.query_row(of, |row| row.get(0)).optional()?
            }
        };
        let by_age: Option<i64> = match kept.since {
            None => None,
            Some(since) => {
                let mut select = self.db.prepare_cached(&format!(
                    "SELECT id FROM requests WHERE {UNBUILT} AND finished >= ?2 \
                     ORDER BY id LIMIT 1"
                ))?;
                let of = params![builder.as_str(), since.0];
                let found = select.query_row(of, |row| row.get(0)).optional()?;
                Some(found.unwrap_or(i64::MAX))
            }
        };
        Ok(by_count.max(by_age).unwrap_or(0))
    }

    /// Forgets requests that were completed without a build, the oldest first.
    pub(super) fn delete_unbuilt(
        &self,
        builder: &BuilderName,
        kept: Kept,
        holders: &Holders,
        limit: usize,
    ) -> Result<usize> {
        let below = self.first_kept_request(builder, kept)?;
        let (_, first_held) = self.first_held(holders)?;
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id FROM requests WHERE {UNBUILT} AND id < ?2 AND buildset < ?3 \
             ORDER BY id LIMIT ?4"
        ))?;
        let of = params![builder.as_str(), below, first_held, limit];
        let rows = select.query_map(of, |row| row.get(0))?;
        let gone: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        for request in &gone {
            self.delete_request(*request, first_held)?;
        }
        Ok(gone.len())
    }

    pub(super) fn count_unbuilt(
        &self,
        builder: &BuilderName,
        kept: Kept,
        holders: &Holders,
    ) -> Result<usize> {
        let below = self.first_kept_request(builder, kept)?;
        let (_, first_held) = self.first_held(holders)?;
        let mut select = self.db.prepare_cached(&format!(
            "SELECT count(*) FROM requests WHERE {UNBUILT} AND id < ?2 AND buildset < ?3"
        ))?;
        let of = params![builder.as_str(), below, first_held];
        Ok(select.query_row(of, |row| row.get(0))?)
    }

    pub(super) fn delete_logs(&self, builds: &[BuildId]) -> Result<()> {
        let mut builders = BTreeSet::new();
        for build in builds {
            self.delete_test_logs(*build)?;
            self.db
                .prepare_cached("UPDATE steps SET logs = '[]' WHERE build = ?1")?
                .execute([build.0])?;
            let builder: Option<String> = self
                .db
                .prepare_cached("UPDATE builds SET log_bytes = 0 WHERE id = ?1 RETURNING builder")?
                .query_row([build.0], |row| row.get(0))
                .optional()?;
            builders.extend(builder);
        }
        builders
            .into_iter()
            .try_for_each(|it| self.delete_packs(&it.into()))
    }

    /// Changes with smaller numbers may go.
    fn first_kept_change(&self, kept: Kept, holders: &Holders) -> Result<i64> {
        let by_count: Option<i64> = match kept.newest.and_then(|it| it.checked_sub(1)) {
            None => None,
            Some(back) => self
                .db
                .prepare_cached("SELECT id FROM changes ORDER BY id DESC LIMIT 1 OFFSET ?1")?
                .query_row([back], |row| row.get(0))
                .optional()?,
        };
        let by_age: Option<i64> = match kept.since {
            None => None,
            Some(since) => {
                let mut select = self.db.prepare_cached(
                    "SELECT id FROM changes WHERE arrived >= ?1 ORDER BY id LIMIT 1",
                )?;
                let found = select.query_row([since.0], |row| row.get(0)).optional()?;
                Some(found.unwrap_or(i64::MAX))
            }
        };
        let below = by_count.max(by_age).unwrap_or(0);
        let (first_held, _) = self.first_held(holders)?;
        Ok(below.min(first_held))
    }

    pub(super) fn delete_changes(
        &self,
        kept: Kept,
        holders: &Holders,
        limit: usize,
    ) -> Result<usize> {
        let below = self.first_kept_change(kept, holders)?;
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id FROM changes WHERE {OLD_CHANGE} ORDER BY id LIMIT ?2"
        ))?;
        let rows = select.query_map(params![below, limit], |row| row.get(0))?;
        let gone: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        for id in &gone {
            for statement in [
                "DELETE FROM buildset_changes WHERE change = ?1",
                "DELETE FROM build_changes WHERE change = ?1",
                "DELETE FROM change_users WHERE change = ?1",
                "DELETE FROM changes WHERE id = ?1",
            ] {
                self.db.prepare_cached(statement)?.execute([id])?;
            }
        }
        Ok(gone.len())
    }

    pub(super) fn count_old_changes(&self, kept: Kept, holders: &Holders) -> Result<usize> {
        let below = self.first_kept_change(kept, holders)?;
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT count(*) FROM changes WHERE {OLD_CHANGE}"))?;
        Ok(select.query_row([below], |row| row.get(0))?)
    }

    /// The first change and the first buildset that one of the schedulers still waits for.
    fn first_held(&self, holders: &Holders) -> Result<(i64, i64)> {
        let mut first = (i64::MAX, i64::MAX);
        for object in &holders.0 {
            let state = self.select_state(object)?;
            first.0 = first.0.min(first_change(&state));
            first.1 = first.1.min(first_buildset(&state));
        }
        Ok(first)
    }
}

/// A change below `?1` that is in no buildset that is not complete.
const OLD_CHANGE: &str = "id < ?1 AND NOT EXISTS (SELECT 1 FROM buildset_changes \
     JOIN buildsets ON buildsets.id = buildset \
     WHERE change = changes.id AND buildsets.outcome IS NULL)";

pub(super) fn old_build(row: &Row<'_>) -> rusqlite::Result<OldBuild> {
    let builder: String = row.get(1)?;
    Ok(OldBuild {
        id: BuildId(row.get(0)?),
        builder: builder.into(),
        number: row.get(2)?,
        bytes: row.get(3)?,
        files: Vec::new(),
    })
}

/// The first change that a scheduler has not looked at yet, or holds: those are the numbers in
/// the lists of its state. One that follows another scheduler has buildsets in them.
fn first_change(state: &Value) -> i64 {
    let Some(seen) = state.get("seen").and_then(Value::as_i64) else {
        return i64::MAX;
    };
    in_lists(state, false).min(seen.saturating_add(1))
}

/// The first buildset that a scheduler that follows another has not looked at yet, or holds.
fn first_buildset(state: &Value) -> i64 {
    let Some(since) = state.get("since").and_then(Value::as_i64) else {
        return i64::MAX;
    };
    in_lists(state, false).min(since.saturating_add(1))
}

fn in_lists(value: &Value, is_in_list: bool) -> i64 {
    fn least(all: impl Iterator<Item = i64>) -> i64 {
        all.min().unwrap_or(i64::MAX)
    }
    match value {
        Value::Number(number) if is_in_list => number.as_i64().unwrap_or(i64::MAX),
        Value::Array(all) => least(all.iter().map(|it| in_lists(it, true))),
        Value::Object(all) => least(all.values().map(|it| in_lists(it, is_in_list))),
        _ => i64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_scheduler_holds_or_has_not_seen_is_kept() {
        let check = |state: Value, expected| assert_eq!(first_change(&state), expected, "{state}");
        check(json!(null), i64::MAX);
        check(json!({"changes": [], "seen": 7}), 8);
        check(json!({"changes": [[3, true], [5, false]], "seen": 7}), 3);
        check(json!({"last_build": 1, "seen": 7}), 8);
        check(json!({"since": 3, "waiting": [2]}), i64::MAX);
    }

    #[test]
    fn a_buildset_that_a_scheduler_follows_is_kept() {
        let check =
            |state: Value, expected| assert_eq!(first_buildset(&state), expected, "{state}");
        check(json!({"changes": [[3, true]], "seen": 7}), i64::MAX);
        check(json!({"since": 7, "waiting": []}), 8);
        check(json!({"since": 7, "waiting": [5, 6]}), 5);
    }
}
