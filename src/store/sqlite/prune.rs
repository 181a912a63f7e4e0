//! What is forgotten: old builds, their logs, old changes. Each verb does a
//! bounded piece, so that others get their turn in between.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use crate::model::BuildId;
use crate::model::BuilderName;
use crate::model::SchedulerName;

use super::super::{OldBuild, Result};
use super::Sqlite;
use super::rows::from_json;

/// A build that has not ended, or one of a request that is not complete, is still needed.
const IS_NEEDED: &str = "(finished IS NULL OR EXISTS (SELECT 1 FROM build_requests \
                         JOIN requests ON requests.id = request \
                         WHERE build_requests.build = builds.id AND requests.outcome IS NULL))";

impl Sqlite {
    pub(super) fn select_next_number(&self, builder: &BuilderName) -> Result<i64> {
        let mut select = self.db.prepare_cached(
            "SELECT max(coalesce((SELECT max(number) + 1 FROM builds WHERE builder = ?1), 0), \
             coalesce((SELECT next FROM numbers WHERE builder = ?1), 0))",
        )?;
        Ok(select.query_row([builder.as_str()], |row| row.get(0))?)
    }

    pub(super) fn select_old_builds(
        &self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id, number FROM builds WHERE builder = ?1 AND number < ?2 \
             AND NOT {IS_NEEDED} ORDER BY number LIMIT ?3"
        ))?;
        let rows = select.query_map(params![builder.as_str(), below, limit], |row| {
            Ok((BuildId(row.get(0)?), row.get(1)?))
        })?;
        let found: Vec<(BuildId, i64)> = rows.collect::<rusqlite::Result<_>>()?;
        self.with_files(found)
    }

    pub(super) fn select_old_logs(
        &self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        let logless: Option<i64> = self
            .db
            .prepare_cached("SELECT logless FROM numbers WHERE builder = ?1")?
            .query_row([builder.as_str()], |row| row.get(0))
            .optional()?;
        let mut select = self.db.prepare_cached(&format!(
            "SELECT id, number, {IS_NEEDED} FROM builds WHERE builder = ?1 AND number >= ?2 \
             AND number < ?3 ORDER BY number LIMIT ?4"
        ))?;
        let first = logless.unwrap_or(0);
        let rows = select.query_map(params![builder.as_str(), first, below, limit], |row| {
            Ok(((BuildId(row.get(0)?), row.get(1)?), row.get::<_, bool>(2)?))
        })?;
        let found: Vec<((BuildId, i64), bool)> = rows.collect::<rusqlite::Result<_>>()?;
        // The mark moves over builds in a row only: what is still needed holds it up.
        let gone = found.into_iter().take_while(|(_, is_needed)| !is_needed);
        self.with_files(gone.map(|(it, _)| it).collect())
    }

    fn with_files(&self, builds: Vec<(BuildId, i64)>) -> Result<Vec<OldBuild>> {
        let mut select = self
            .db
            .prepare_cached("SELECT logs FROM steps WHERE build = ?1")?;
        let mut all = Vec::new();
        for (id, number) in builds {
            let mut files = Vec::new();
            for logs in select.query_map([id.0], |row| row.get::<_, String>(0))? {
                let logs: Vec<(String, String, bool)> = from_json(&logs?)?;
                files.extend(logs.into_iter().map(|(_, file, _)| file));
            }
            all.push(OldBuild { id, number, files });
        }
        Ok(all)
    }

    pub(super) fn delete_builds(&self, builder: &BuilderName, builds: &[BuildId]) -> Result<()> {
        // First of all, so that no number is given twice.
        let next = self.select_next_number(builder)?;
        self.db
            .prepare_cached(
                "INSERT INTO numbers (builder, next) VALUES (?1, ?2) \
                 ON CONFLICT (builder) DO UPDATE SET next = ?2",
            )?
            .execute(params![builder.as_str(), next])?;
        for build in builds {
            self.delete_tests(*build)?;
            for table in [
                "commands",
                "steps",
                "triggered",
                "build_changes",
                "build_requests",
            ] {
                self.db
                    .prepare_cached(&format!("DELETE FROM {table} WHERE build = ?1"))?
                    .execute([build.0])?;
            }
            self.db
                .prepare_cached("DELETE FROM builds WHERE id = ?1")?
                .execute([build.0])?;
        }
        Ok(())
    }

    pub(super) fn delete_logs(&self, builder: &BuilderName, builds: &[OldBuild]) -> Result<()> {
        for build in builds {
            self.delete_test_logs(build.id)?;
            self.db
                .prepare_cached("UPDATE steps SET logs = '[]' WHERE build = ?1")?
                .execute([build.id.0])?;
        }
        if let Some(last) = builds.last() {
            self.db
                .prepare_cached(
                    "INSERT INTO numbers (builder, logless) VALUES (?1, ?2) \
                     ON CONFLICT (builder) DO UPDATE SET logless = ?2",
                )?
                .execute(params![builder.as_str(), last.number + 1])?;
        }
        Ok(())
    }

    pub(super) fn delete_changes(
        &self,
        keep: u32,
        schedulers: &[SchedulerName],
        limit: usize,
    ) -> Result<usize> {
        let Some(back) = keep.checked_sub(1) else {
            return Ok(0);
        };
        let oldest_kept: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM changes ORDER BY id DESC LIMIT 1 OFFSET ?1")?
            .query_row([back], |row| row.get(0))
            .optional()?;
        let Some(mut below) = oldest_kept else {
            return Ok(0);
        };
        for scheduler in schedulers {
            let state = self.select_state(&format!("scheduler {scheduler}"))?;
            below = below.min(first_held(&state));
        }
        let mut select = self.db.prepare_cached(
            "SELECT id FROM changes WHERE id < ?1 AND NOT EXISTS (SELECT 1 FROM buildset_changes \
             JOIN buildsets ON buildsets.id = buildset \
             WHERE change = changes.id AND buildsets.outcome IS NULL) ORDER BY id LIMIT ?2",
        )?;
        let rows = select.query_map(params![below, limit], |row| row.get(0))?;
        let gone: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        for id in &gone {
            for statement in [
                "DELETE FROM buildset_changes WHERE change = ?1",
                "DELETE FROM build_changes WHERE change = ?1",
                "DELETE FROM changes WHERE id = ?1",
            ] {
                self.db.prepare_cached(statement)?.execute([id])?;
            }
        }
        Ok(gone.len())
    }
}

/// The first change that a scheduler has not looked at yet, or holds: those are the numbers in
/// the lists of its state.
fn first_held(state: &Value) -> i64 {
    fn in_lists(value: &Value, is_in_list: bool) -> i64 {
        match value {
            Value::Number(number) if is_in_list => number.as_i64().unwrap_or(i64::MAX),
            Value::Array(all) => least(all.iter().map(|it| in_lists(it, true))),
            Value::Object(all) => least(all.values().map(|it| in_lists(it, is_in_list))),
            _ => i64::MAX,
        }
    }
    fn least(all: impl Iterator<Item = i64>) -> i64 {
        all.min().unwrap_or(i64::MAX)
    }
    let seen = state.get("seen").and_then(Value::as_i64);
    in_lists(state, false).min(seen.map_or(i64::MAX, |it| it.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_scheduler_holds_or_has_not_seen_is_kept() {
        let check = |state: Value, expected| assert_eq!(first_held(&state), expected, "{state}");
        check(json!(null), i64::MAX);
        check(json!({"changes": [], "seen": 7}), 8);
        check(json!({"changes": [[3, true], [5, false]], "seen": 7}), 3);
        check(json!({"last_build": 1, "seen": 7}), 8);
    }
}
