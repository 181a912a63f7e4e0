//! What is read of many builds at once: no more of each than is shown.

use rusqlite::{OptionalExtension, params};

use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Outcome;
use crate::model::SlaveName;

use super::super::Result;
use super::Sqlite;
use super::rows::outcome;

impl Sqlite {
    pub(super) fn select_ended_builds(
        &self,
        before: Option<&BuildRecord>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>> {
        let end = before.and_then(|it| it.finished);
        let end = end.map_or(i64::MAX, |it| it.0);
        let id = before.map_or(i64::MAX, |it| it.id.0);
        self.select_builds(
            "finished IS NOT NULL AND (finished, id) < (?1, ?2) \
             ORDER BY finished DESC, id DESC LIMIT ?3",
            &[&end, &id, &limit],
        )
    }

    pub(super) fn select_newest_numbers(
        &self,
        builder: &BuilderName,
        limit: usize,
    ) -> Result<Vec<i64>> {
        let mut select = self.db.prepare_cached(
            "SELECT number FROM builds WHERE builder = ?1 ORDER BY number DESC LIMIT ?2",
        )?;
        let rows = select.query_map(params![builder.as_str(), limit], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_last_end(&self, builder: &BuilderName) -> Result<Option<(i64, Outcome)>> {
        let mut select = self.db.prepare_cached(
            "SELECT number, outcome FROM builds WHERE builder = ?1 AND outcome IS NOT NULL \
             ORDER BY number DESC LIMIT 1",
        )?;
        let found = select.query_row([builder.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((number, code)) = found.optional()? else {
            return Ok(None);
        };
        Ok(outcome(code)?.map(|it| (number, it)))
    }

    pub(super) fn select_ran_on(
        &self,
        slave: &SlaveName,
        limit: usize,
    ) -> Result<Vec<(BuildKey, Option<Outcome>)>> {
        let mut select = self.db.prepare_cached(
            "SELECT builder, number, outcome FROM builds INDEXED BY builds_of_slave \
             WHERE slave = ?1 ORDER BY id DESC LIMIT ?2",
        )?;
        let mut rows = select.query(params![slave.as_str(), limit])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let builder: String = row.get(0)?;
            let key = BuildKey {
                builder: builder.into(),
                number: row.get(1)?,
            };
            all.push((key, outcome(row.get(2)?)?));
        }
        Ok(all)
    }

    pub(super) fn select_steps_to_come(&self, builder: &BuilderName) -> Result<Vec<String>> {
        let mut select = self.db.prepare_cached(
            "SELECT name FROM steps WHERE counts AND build = \
             (SELECT id FROM builds WHERE builder = ?1 ORDER BY number DESC LIMIT 1) \
             ORDER BY number",
        )?;
        let rows = select.query_map([builder.as_str()], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
