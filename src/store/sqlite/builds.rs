//! Builds, their steps and their commands.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, ToSql, params};

use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::ChangeId;
use crate::model::ConfigId;
use crate::model::Exit;
use crate::model::HeldLocks;
use crate::model::Lap;
use crate::model::LogRecord;
use crate::model::Outcome;
use crate::model::PastRun;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SlaveName;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;

use super::super::{
    BegunBuild, BuildEnd, CommandHistory, CommandRow, FinishedBuildset, NewBuild, PastCommand,
    Result, StoreError, UnfinishedBuild,
};
use super::Sqlite;
use super::rows::{
    from_json, locks_from_json, locks_to_json, outcome, patch_from, patch_to_bytes,
    properties_from_json, properties_to_json, to_json,
};

const COLUMNS: &str = "id, builder, number, slave, reason, branch, revision, repository, project, \
                       patch, properties, blame, text, started, finished, outcome, config, \
                       failing_since";

impl Sqlite {
    pub(super) fn insert_build(
        &self,
        new: &NewBuild,
        now: Timestamp,
    ) -> Result<Option<BegunBuild>> {
        for request in &new.requests {
            if !self.is_waiting(*request)? {
                return Ok(None);
            }
        }
        let number = self.select_next_number(&new.builder)?;
        let lease = self.next_lease()?;
        let blame = self.select_blame(&new.stamp)?;
        let stamp = &new.stamp;
        self.db
            .prepare_cached(
                "INSERT INTO builds (builder, number, slave, reason, branch, revision, repository, \
                 project, patch, properties, blame, text, started, lease, fingerprint, config, locks) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '{}', ?10, '[]', ?11, ?12, '', ?13, ?14)",
            )?
            .execute(params![
                new.builder.as_str(),
                number,
                new.slave.as_str(),
                new.reason,
                stamp.branch,
                stamp.revision,
                stamp.repository,
                stamp.project,
                patch_to_bytes(stamp.patch.as_ref()),
                to_json(&blame),
                now.0,
                lease,
                new.config.map(|it| it.0),
                locks_to_json(&HeldLocks {
                    build: new.locks.clone(),
                    step: Vec::new(),
                }),
            ])?;
        let id = self.db.last_insert_rowid();
        for request in &new.requests {
            self.db
                .prepare_cached("UPDATE requests SET build = ?1 WHERE id = ?2")?
                .execute([id, request.0])?;
            self.db
                .prepare_cached("INSERT INTO build_requests VALUES (?1, ?2)")?
                .execute([id, request.0])?;
        }
        for change in &stamp.changes {
            self.db
                .prepare_cached("INSERT OR IGNORE INTO build_changes VALUES (?1, ?2)")?
                .execute([id, change.0])?;
        }
        Ok(Some(BegunBuild {
            id: BuildId(id),
            number,
            lease,
        }))
    }

    fn select_blame(&self, stamp: &SourceStamp) -> Result<Vec<String>> {
        let mut blame: Vec<String> = stamp
            .patch
            .iter()
            .filter_map(|patch| patch.author.clone())
            .collect();
        for change in &stamp.changes {
            let author = self
                .db
                .prepare_cached("SELECT author FROM changes WHERE id = ?1")?
                .query_row([change.0], |row| row.get(0))
                .optional()?;
            blame.extend(author);
        }
        blame.sort();
        blame.dedup();
        Ok(blame)
    }

    fn next_lease(&self) -> Result<u64> {
        // Two statements: for what an update returns SQLite makes a table.
        self.db
            .prepare_cached(
                "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'lease'",
            )?
            .execute([])?;
        let lease: i64 = self
            .db
            .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'lease'")?
            .query_row([], |row| row.get(0))?;
        u64::try_from(lease).map_err(|_| StoreError::new("the lease counter is damaged"))
    }

    pub(super) fn update_lease(&self, build: BuildId) -> Result<u64> {
        let lease = self.next_lease()?;
        self.db
            .prepare_cached("UPDATE builds SET lease = ?2 WHERE id = ?1")?
            .execute(params![build.0, lease])?;
        Ok(lease)
    }

    pub(super) fn update_plan(
        &self,
        build: BuildId,
        fingerprint: &str,
        properties: &Properties,
        steps: &[StepRecord],
    ) -> Result<()> {
        self.db
            .prepare_cached("UPDATE builds SET fingerprint = ?2, properties = ?3 WHERE id = ?1")?
            .execute(params![
                build.0,
                fingerprint,
                properties_to_json(properties)
            ])?;
        for step in steps {
            self.upsert_step(build, step)?;
        }
        Ok(())
    }

    pub(super) fn update_locks(&self, build: BuildId, locks: &HeldLocks) -> Result<()> {
        self.db
            .prepare_cached("UPDATE builds SET locks = ?2 WHERE id = ?1")?
            .execute(params![build.0, locks_to_json(locks)])?;
        Ok(())
    }

    pub(super) fn update_build_properties(
        &self,
        build: BuildId,
        properties: &Properties,
    ) -> Result<()> {
        self.db
            .prepare_cached("UPDATE builds SET properties = ?2 WHERE id = ?1")?
            .execute(params![build.0, properties_to_json(properties)])?;
        Ok(())
    }

    pub(super) fn update_stop_reason(&self, build: BuildId, reason: &str) -> Result<()> {
        self.db
            .prepare_cached(
                "UPDATE builds SET stop_reason = coalesce(stop_reason, ?2) WHERE id = ?1",
            )?
            .execute(params![build.0, reason])?;
        Ok(())
    }

    pub(super) fn upsert_step(&self, build: BuildId, step: &StepRecord) -> Result<()> {
        let logs: Vec<(&str, &str, bool)> = step
            .logs
            .iter()
            .map(|log| (log.name.as_str(), log.file.as_str(), log.complete))
            .collect();
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO steps (build, number, name, started, finished, outcome, \
                 text, build_text, statistics, urls, hidden, logs, usage, ended, counts, began, \
                 metrics) VALUES \
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?
            .execute(params![
                build.0,
                step.number,
                step.name,
                step.started.map(|it| it.0),
                step.finished.map(|it| it.0),
                step.outcome.map(Outcome::code),
                to_json(&step.text),
                to_json(&step.build_text),
                to_json(&step.statistics),
                to_json(&step.urls),
                step.hidden,
                to_json(&logs),
                step.usage.as_ref().map(to_json),
                step.ended,
                step.progress.counts,
                step.progress.began.map(|it| it.0),
                to_json(&step.progress.metrics),
            ])?;
        Ok(())
    }

    pub(super) fn insert_command(
        &self,
        build: BuildId,
        at: CommandRow,
        spool: Option<&str>,
    ) -> Result<()> {
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO commands (build, step, idx, attempt, log_start, spool) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                build.0,
                at.step,
                at.index,
                at.attempt,
                at.log_start,
                spool
            ])?;
        Ok(())
    }

    pub(super) fn update_spool(&self, build: BuildId, at: CommandRow, spool: &str) -> Result<()> {
        self.db
            .prepare_cached(
                "UPDATE commands SET spool = ?4 WHERE build = ?1 AND step = ?2 AND idx = ?3",
            )?
            .execute(params![build.0, at.step, at.index, spool])?;
        Ok(())
    }

    pub(super) fn update_command(
        &self,
        build: BuildId,
        at: CommandRow,
        exit: &Exit,
        log_end: u64,
    ) -> Result<()> {
        self.db
            .prepare_cached(
                "UPDATE commands SET end = ?4, log_end = ?5 \
                 WHERE build = ?1 AND step = ?2 AND idx = ?3",
            )?
            .execute(params![build.0, at.step, at.index, to_json(exit), log_end])?;
        Ok(())
    }

    pub(super) fn end_build(
        &self,
        build: BuildId,
        end: &BuildEnd,
        now: Timestamp,
    ) -> Result<Vec<FinishedBuildset>> {
        let ended = self
            .db
            .prepare_cached(
                "UPDATE builds SET finished = ?2, outcome = ?3, text = ?4, properties = ?5 \
                 WHERE id = ?1 AND finished IS NULL",
            )?
            .execute(params![
                build.0,
                now.0,
                end.outcome.code(),
                to_json(&end.text),
                properties_to_json(&end.properties),
            ])?;
        if ended != 1 {
            // Asked again by somebody who did not hear that it was done.
            let outcome: Option<i64> = self
                .db
                .prepare_cached("SELECT outcome FROM builds WHERE id = ?1")?
                .query_row([build.0], |row| row.get(0))?;
            if outcome == Some(end.outcome.code()) {
                return Ok(Vec::new());
            }
            return Err(StoreError::new(format!(
                "build {build} has ended otherwise"
            )));
        }
        self.judge(build, end.outcome)?;
        // Its commands are only needed to go on with it.
        self.db
            .prepare_cached("DELETE FROM commands WHERE build = ?1")?
            .execute([build.0])?;
        let requests = self.select_requests_of_build(build)?;
        if end.outcome == Outcome::Retry {
            let back = "UPDATE requests SET build = NULL WHERE id = ?1 AND build = ?2";
            let mut give_back = self.db.prepare_cached(back)?;
            for request in requests {
                give_back.execute([request.0, build.0])?;
            }
            return Ok(Vec::new());
        }
        let done = "UPDATE requests SET outcome = ?3, finished = ?4 WHERE id = ?1 AND build = ?2";
        let mut complete = self.db.prepare_cached(done)?;
        for request in &requests {
            complete.execute(params![request.0, build.0, end.outcome.code(), now.0])?;
        }
        let mut finished = Vec::new();
        for request in requests {
            finished.extend(self.finish_buildset_of(request, now)?);
        }
        Ok(finished)
    }

    pub(super) fn select_unfinished(&self) -> Result<Vec<UnfinishedBuild>> {
        let mut all = Vec::new();
        for build in self.select_builds("finished IS NULL ORDER BY id", &[])? {
            let (fingerprint, stop_reason, locks): (_, _, String) = self
                .db
                .prepare_cached("SELECT fingerprint, stop_reason, locks FROM builds WHERE id = ?1")?
                .query_row([build.id.0], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
            let steps = self.select_steps(build.id)?;
            let running = steps
                .iter()
                .find(|it| it.started.is_some() && it.finished.is_none());
            let commands = match running {
                Some(step) => self.select_commands(build.id, step.number)?,
                None => Vec::new(),
            };
            all.push(UnfinishedBuild {
                build,
                fingerprint,
                steps,
                commands,
                stop_reason,
                locks: locks_from_json(&locks)?,
            });
        }
        Ok(all)
    }

    fn select_commands(&self, build: BuildId, step: u32) -> Result<CommandHistory> {
        let mut select = self.db.prepare_cached(
            "SELECT idx, attempt, log_start, end, log_end, spool FROM commands \
             WHERE build = ?1 AND step = ?2 ORDER BY idx",
        )?;
        let rows = select.query_map(params![build.0, step], |row| {
            let at = CommandRow {
                step,
                index: row.get(0)?,
                attempt: row.get(1)?,
                log_start: row.get(2)?,
            };
            Ok((
                at,
                row.get::<_, Option<String>>(3)?,
                row.get::<_, Option<u64>>(4)?,
                row.get(5)?,
            ))
        })?;
        rows.map(|row| {
            let (at, end, log_end, spool) = row?;
            let end = end.as_deref().map(from_json).transpose()?;
            Ok(PastCommand {
                at,
                spool,
                end: end.zip(log_end),
            })
        })
        .collect()
    }

    /// Builds that fit a condition, whole.
    pub(super) fn select_builds(
        &self,
        which: &str,
        values: &[&dyn ToSql],
    ) -> Result<Vec<BuildRecord>> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM builds WHERE {which}"))?;
        let rows = select.query_map(values, |row| Ok(build(row)))?;
        let mut all = rows.map(|row| row?).collect::<Result<Vec<_>>>()?;
        for it in &mut all {
            it.stamp.changes = self.select_changes_of_build(it.id)?;
            it.requests = self.select_requests_of_build(it.id)?;
        }
        Ok(all)
    }

    fn select_changes_of_build(&self, id: BuildId) -> Result<Vec<ChangeId>> {
        let mut select = self
            .db
            .prepare_cached("SELECT change FROM build_changes WHERE build = ?1 ORDER BY change")?;
        let rows = select.query_map([id.0], |row| Ok(ChangeId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_requests_of_build(&self, id: BuildId) -> Result<Vec<RequestId>> {
        let mut select = self.db.prepare_cached(
            "SELECT request FROM build_requests WHERE build = ?1 ORDER BY request",
        )?;
        let rows = select.query_map([id.0], |row| Ok(RequestId(row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_build(
        &self,
        builder: &BuilderName,
        number: i64,
    ) -> Result<Option<BuildRecord>> {
        let found = if number < 0 {
            // −1 is the newest.
            let back = -(number + 1);
            self.select_builds(
                "builder = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2",
                &[&builder.as_str(), &back],
            )?
        } else {
            self.select_builds(
                "builder = ?1 AND number = ?2",
                &[&builder.as_str(), &number],
            )?
        };
        Ok(found.into_iter().next())
    }

    pub(super) fn select_recent_builds(
        &self,
        builder: Option<&BuilderName>,
        before: Option<BuildId>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>> {
        let before = before.map_or(i64::MAX, |it| it.0);
        match builder {
            Some(builder) => self.select_builds(
                "builder = ?1 AND id < ?2 ORDER BY number DESC LIMIT ?3",
                &[&builder.as_str(), &before, &limit],
            ),
            None => self.select_builds("id < ?1 ORDER BY id DESC LIMIT ?2", &[&before, &limit]),
        }
    }

    pub(super) fn select_running_builds(&self) -> Result<Vec<BuildRecord>> {
        self.select_builds("finished IS NULL ORDER BY id", &[])
    }

    pub(super) fn select_build_numbers(&self, builder: &BuilderName) -> Result<Vec<i64>> {
        let mut select = self
            .db
            .prepare_cached("SELECT number FROM builds WHERE builder = ?1 ORDER BY number")?;
        let rows = select.query_map([builder.as_str()], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_last_good_slave(
        &self,
        builder: &BuilderName,
    ) -> Result<Option<SlaveName>> {
        // The newest fifty are looked at: what is older than that has no warm tree any more.
        let mut select = self.db.prepare_cached(
            "SELECT slave FROM (SELECT slave, number, outcome FROM builds WHERE builder = ?1 \
             ORDER BY number DESC LIMIT 50) WHERE outcome IN (?2, ?3) ORDER BY number DESC LIMIT 1",
        )?;
        let good = [Outcome::Success, Outcome::Warnings].map(Outcome::code);
        let found = select
            .query_row(params![builder.as_str(), good[0], good[1]], |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        Ok(found.map(Into::into))
    }

    pub(super) fn select_known_builders(&self) -> Result<Vec<BuilderName>> {
        let mut select = self
            .db
            .prepare_cached("SELECT DISTINCT builder FROM builds ORDER BY builder")?;
        let rows = select.query_map([], |row| Ok(row.get::<_, String>(0)?.into()))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_past_runs(
        &self,
        builder: &BuilderName,
        limit: usize,
    ) -> Result<Vec<PastRun>> {
        let mut select = self.db.prepare_cached(
            "SELECT past.id, past.slave, name, outcome, finished - coalesce(began, started), \
             metrics FROM (SELECT id, slave, number FROM builds \
             WHERE builder = ?1 AND outcome IN (?2, ?3) ORDER BY number DESC LIMIT ?4) AS past \
             JOIN steps ON steps.build = past.id WHERE counts \
             ORDER BY past.number DESC, steps.number",
        )?;
        let [success, warnings] = [Outcome::Success, Outcome::Warnings].map(Outcome::code);
        let mut rows = select.query(params![builder.as_str(), success, warnings, limit])?;
        let mut runs: Vec<(i64, Option<PastRun>)> = Vec::new();
        while let Some(row) = rows.next()? {
            let build: i64 = row.get(0)?;
            if runs.last().is_none_or(|it| it.0 != build) {
                let slave: String = row.get(1)?;
                let run = PastRun {
                    slave: slave.into(),
                    laps: Vec::new(),
                };
                runs.push((build, Some(run)));
            }
            let Some((_, run)) = runs.last_mut() else {
                continue;
            };
            let took: Option<i64> = row.get(4)?;
            match (took, run.as_mut()) {
                (Some(took), Some(run)) => {
                    let is_skipped = outcome(row.get(3)?)? == Some(Outcome::Skipped);
                    // A clock that went back gives no length below zero.
                    let took = Duration::from_millis(u64::try_from(took).unwrap_or(0));
                    run.laps.push(Lap {
                        name: row.get(2)?,
                        took: (!is_skipped).then_some(took),
                        metrics: from_json(text(row, 5)?)?,
                    });
                }
                // A step was passed over: it did not go through all of them.
                (None, _) => *run = None,
                (_, None) => {}
            }
        }
        Ok(runs.into_iter().filter_map(|it| it.1).collect())
    }

    pub(super) fn select_steps(&self, build: BuildId) -> Result<Vec<StepRecord>> {
        let mut select = self.db.prepare_cached(
            "SELECT number, name, started, finished, outcome, text, build_text, statistics, urls, \
             hidden, logs, usage, ended, counts, began, metrics FROM steps WHERE build = ?1 ORDER BY number",
        )?;
        let rows = select.query_map([build.0], |row| Ok(step(row)))?;
        rows.map(|row| row?).collect()
    }

    pub(super) fn select_identity(&self) -> Result<String> {
        let mut select = self
            .db
            .prepare_cached("SELECT value FROM meta WHERE key = 'identity'")?;
        Ok(select.query_row([], |row| row.get(0))?)
    }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str> {
    Ok(row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?)
}

fn build(row: &Row<'_>) -> Result<BuildRecord> {
    let builder: String = row.get(1)?;
    let slave: String = row.get(3)?;
    Ok(BuildRecord {
        id: BuildId(row.get(0)?),
        key: BuildKey {
            builder: builder.into(),
            number: row.get(2)?,
        },
        slave: slave.into(),
        reason: row.get(4)?,
        stamp: SourceStamp {
            branch: row.get(5)?,
            revision: row.get(6)?,
            repository: row.get(7)?,
            project: row.get(8)?,
            patch: patch_from(row.get_ref(9)?)?,
            changes: Vec::new(),
        },
        properties: properties_from_json(text(row, 10)?)?,
        blame: from_json(text(row, 11)?)?,
        text: from_json(text(row, 12)?)?,
        started: Timestamp(row.get(13)?),
        finished: row.get::<_, Option<i64>>(14)?.map(Timestamp),
        outcome: outcome(row.get(15)?)?,
        config: row.get::<_, Option<i64>>(16)?.map(ConfigId),
        failing_since: row.get(17)?,
        requests: Vec::new(),
    })
}

fn step(row: &Row<'_>) -> Result<StepRecord> {
    let logs: Vec<(String, String, bool)> = from_json(text(row, 10)?)?;
    let usage: Option<String> = row.get(11)?;
    Ok(StepRecord {
        number: row.get(0)?,
        name: row.get(1)?,
        started: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        finished: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        outcome: outcome(row.get(4)?)?,
        text: from_json(text(row, 5)?)?,
        build_text: from_json(text(row, 6)?)?,
        statistics: from_json(text(row, 7)?)?,
        urls: from_json(text(row, 8)?)?,
        hidden: row.get(9)?,
        usage: usage.as_deref().map(from_json).transpose()?,
        ended: row.get(12)?,
        progress: Progress {
            counts: row.get(13)?,
            began: row.get::<_, Option<i64>>(14)?.map(Timestamp),
            metrics: from_json(text(row, 15)?)?,
        },
        logs: logs
            .into_iter()
            .map(|(name, file, complete)| LogRecord {
                name,
                file,
                complete,
            })
            .collect(),
    })
}
