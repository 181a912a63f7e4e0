//! Since when a builder fails. Each end of a build moves the run of failures of its branch on;
//! builds may end in another order than they began in, and only the order of their numbers counts.

use rusqlite::{OptionalExtension, params};

use crate::model::BuildId;
use crate::model::BuilderName;
use crate::model::Failing;
use crate::model::Outcome;
use crate::model::Timestamp;

use super::super::Result;
use super::Sqlite;
use super::rows::{from_json, to_json};

/// Builds between the last good and the first bad one whose authors are suspects, the newest.
const BETWEEN: usize = 50;

/// What is known of a branch of a builder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    good: Option<i64>,
    bad: Option<i64>,
    first_bad: Option<i64>,
}

/// The builds of one branch of a builder, as a condition sees them.
struct Line<'a> {
    builder: &'a str,
    /// JSON.
    branch: String,
    /// Builds that name no branch are of this one.
    takes_unnamed: bool,
}

impl Sqlite {
    /// Moves the run of failures on: a build has ended. A patched one says nothing of the
    /// branch, and an outcome that is neither good nor bad only adds to the suspects.
    pub(super) fn judge(&self, build: BuildId, outcome: Outcome) -> Result<()> {
        let mut select = self.db.prepare_cached(
            "SELECT builder, number, branch, patch IS NOT NULL FROM builds WHERE id = ?1",
        )?;
        let (builder, number, branch, is_patched): (String, i64, Option<String>, bool) = select
            .query_row([build.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        if is_patched {
            return Ok(());
        }
        let line = self.line_of(&builder, branch.as_deref())?;
        let before = self.select_run(&line)?;
        let mut run = before;
        match outcome {
            Outcome::Success | Outcome::Warnings => {
                run.good = run.good.max(Some(number));
                if run.first_bad.is_some_and(|it| it < number) {
                    run.first_bad = self.first_bad_after(&line, number)?;
                }
            }
            Outcome::Failure => {
                run.bad = run.bad.max(Some(number));
                if run.good.is_none_or(|it| it < number) {
                    let first = run.first_bad.map_or(number, |it| it.min(number));
                    run.first_bad = Some(first);
                    self.mark(&line, number, first)?;
                }
            }
            Outcome::Exception => {
                let after_good = run.good.is_none_or(|it| it < number);
                if !after_good || run.first_bad.is_none_or(|it| it < number) {
                    return Ok(());
                }
            }
            Outcome::Skipped | Outcome::Retry => return Ok(()),
        }
        let is_same = (run.good, run.first_bad) == (before.good, before.first_bad);
        if is_same && outcome == Outcome::Failure {
            // Suspects stay as they were found: builds between may be forgotten by now.
            return self.update_bad(&line, run.bad);
        }
        self.upsert_run(&line, run)
    }

    /// Which branch a build is of. One that names none is of the branch that its builder
    /// builds, if that has only ever been one.
    fn line_of<'a>(&self, builder: &'a str, branch: Option<&str>) -> Result<Line<'a>> {
        let mut select = self.db.prepare_cached(
            "SELECT branch FROM failing WHERE builder = ?1 AND branch <> 'null' LIMIT 2",
        )?;
        let named = select.query_map([builder], |row| row.get(0))?;
        let named: Vec<String> = named.collect::<rusqlite::Result<_>>()?;
        let own = to_json(&branch);
        let only = match named.as_slice() {
            [] if branch.is_some() => Some(&own),
            [only] if branch.is_none() || *only == own => Some(only),
            _ => None,
        };
        let line = Line {
            builder,
            branch: only.unwrap_or(&own).clone(),
            takes_unnamed: only.is_some(),
        };
        if line.takes_unnamed {
            self.take_unnamed(&line)?;
        }
        Ok(line)
    }

    /// Makes what is known of builds that name no branch part of the only branch there is.
    fn take_unnamed(&self, line: &Line<'_>) -> Result<()> {
        let unnamed = Line {
            builder: line.builder,
            branch: "null".into(),
            takes_unnamed: false,
        };
        let also = self.select_run(&unnamed)?;
        if also == Run::default() {
            return Ok(());
        }
        self.db
            .prepare_cached("DELETE FROM failing WHERE builder = ?1 AND branch = 'null'")?
            .execute([line.builder])?;
        let own = self.select_run(line)?;
        let good = own.good.max(also.good);
        let run = Run {
            good,
            bad: own.bad.max(also.bad),
            first_bad: self.first_bad_after(line, good.unwrap_or(-1))?,
        };
        self.upsert_run(line, run)
    }

    fn select_run(&self, line: &Line<'_>) -> Result<Run> {
        let mut select = self.db.prepare_cached(
            "SELECT good, bad, first_bad FROM failing WHERE builder = ?1 AND branch = ?2",
        )?;
        let found = select.query_row(params![line.builder, line.branch], |row| {
            Ok(Run {
                good: row.get(0)?,
                bad: row.get(1)?,
                first_bad: row.get(2)?,
            })
        });
        Ok(found.optional()?.unwrap_or_default())
    }

    fn update_bad(&self, line: &Line<'_>, bad: Option<i64>) -> Result<()> {
        self.db
            .prepare_cached("UPDATE failing SET bad = ?3 WHERE builder = ?1 AND branch = ?2")?
            .execute(params![line.builder, line.branch, bad])?;
        Ok(())
    }

    fn upsert_run(&self, line: &Line<'_>, run: Run) -> Result<()> {
        let (since, suspects) = match run.first_bad {
            Some(first) => {
                self.mark_from(line, first)?;
                (
                    self.finished_at(line.builder, first)?,
                    self.select_suspects(line, run.good.unwrap_or(-1), first)?,
                )
            }
            None => (None, Vec::new()),
        };
        self.db
            .prepare_cached("INSERT OR REPLACE INTO failing VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                line.builder,
                line.branch,
                run.good,
                run.bad,
                run.first_bad,
                since,
                to_json(&suspects),
            ])?;
        Ok(())
    }

    fn finished_at(&self, builder: &str, number: i64) -> Result<Option<i64>> {
        let mut select = self
            .db
            .prepare_cached("SELECT finished FROM builds WHERE builder = ?1 AND number = ?2")?;
        let found = select.query_row(params![builder, number], |row| row.get(0));
        Ok(found.optional()?.flatten())
    }

    /// The oldest bad build after a good one. There are some only when builds end in another
    /// order than they began in.
    fn first_bad_after(&self, line: &Line<'_>, good: i64) -> Result<Option<i64>> {
        let mut select = self.db.prepare_cached(
            "SELECT number FROM builds WHERE builder = ?1 AND number > ?2 AND outcome = ?3 \
             AND patch IS NULL AND (json_quote(branch) = ?4 OR ?5 AND branch IS NULL) \
             ORDER BY number LIMIT 1",
        )?;
        let found = select.query_row(
            params![
                line.builder,
                good,
                Outcome::Failure.code(),
                line.branch,
                line.takes_unnamed
            ],
            |row| row.get(0),
        );
        Ok(found.optional()?)
    }

    /// Authors of what came after the good build and up to the first bad one, also in builds
    /// that said neither.
    fn select_suspects(&self, line: &Line<'_>, good: i64, first: i64) -> Result<Vec<String>> {
        let mut select = self.db.prepare_cached(
            "SELECT blame FROM builds WHERE builder = ?1 AND number > ?2 AND number <= ?3 \
             AND outcome IN (?4, ?5) AND patch IS NULL \
             AND (json_quote(branch) = ?6 OR ?7 AND branch IS NULL) \
             ORDER BY number DESC LIMIT ?8",
        )?;
        let [failure, exception] = [Outcome::Failure, Outcome::Exception].map(Outcome::code);
        let rows = select.query_map(
            params![
                line.builder,
                good,
                first,
                failure,
                exception,
                line.branch,
                line.takes_unnamed,
                BETWEEN
            ],
            |row| row.get::<_, String>(0),
        )?;
        let mut suspects = Vec::new();
        for blame in rows {
            suspects.extend(from_json::<Vec<String>>(&blame?)?);
        }
        suspects.sort();
        suspects.dedup();
        Ok(suspects)
    }

    /// Writes down of a bad build which one began its run.
    fn mark(&self, line: &Line<'_>, number: i64, first: i64) -> Result<()> {
        self.db
            .prepare_cached(
                "UPDATE builds SET failing_since = ?3 WHERE builder = ?1 AND number = ?2",
            )?
            .execute(params![line.builder, number, first])?;
        Ok(())
    }

    /// The same for all that came after the first: those that ended before it did.
    fn mark_from(&self, line: &Line<'_>, first: i64) -> Result<()> {
        self.db
            .prepare_cached(
                "UPDATE builds SET failing_since = ?2 WHERE builder = ?1 AND number >= ?2 \
                 AND outcome = ?3 AND patch IS NULL \
                 AND (json_quote(branch) = ?4 OR ?5 AND branch IS NULL)",
            )?
            .execute(params![
                line.builder,
                first,
                Outcome::Failure.code(),
                line.branch,
                line.takes_unnamed
            ])?;
        Ok(())
    }

    /// Drops branches of which no build is kept from `below` on.
    pub(super) fn delete_failing(&self, builder: &BuilderName, below: i64) -> Result<()> {
        self.db
            .prepare_cached(
                "DELETE FROM failing WHERE builder = ?1 \
                 AND max(coalesce(good, -1), coalesce(bad, -1)) < ?2",
            )?
            .execute(params![builder.as_str(), below])?;
        Ok(())
    }

    pub(super) fn select_failing(&self, builder: &BuilderName) -> Result<Vec<Failing>> {
        let mut select = self.db.prepare_cached(
            "SELECT branch, first_bad, since, bad, good, suspects FROM failing \
             WHERE builder = ?1 AND first_bad IS NOT NULL ORDER BY first_bad, branch",
        )?;
        let mut rows = select.query([builder.as_str()])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let first = row.get(1)?;
            all.push(Failing {
                branch: from_json(&row.get::<_, String>(0)?)?,
                first,
                since: Timestamp(row.get::<_, Option<i64>>(2)?.unwrap_or_default()),
                last: row.get::<_, Option<i64>>(3)?.unwrap_or(first),
                good: row.get(4)?,
                suspects: from_json(&row.get::<_, String>(5)?)?,
            });
        }
        Ok(all)
    }
}
