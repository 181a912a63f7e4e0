//! What happened besides builds: written down, read from the newest back, forgotten from the
//! oldest on.

use rusqlite::{OptionalExtension, Row, params};

use crate::model::BuildId;
use crate::model::BuilderName;
use crate::model::EventKind;
use crate::model::EventRecord;
use crate::model::NewEvent;
use crate::model::Subject;
use crate::model::Timestamp;

use super::super::{EventsBefore, Kept, Result, StoreError};
use super::Sqlite;

const COLUMNS: &str = "id, at, kind, slave, builder, note";

/// The columns that say whom an event is about.
fn columns(subject: &Subject) -> (Option<&str>, Option<&str>) {
    match subject {
        Subject::Master => (None, None),
        Subject::Slave(slave) => (Some(slave.as_str()), None),
        Subject::Builder(builder) => (None, Some(builder.as_str())),
    }
}

fn subject(slave: Option<String>, builder: Option<String>) -> Subject {
    match (slave, builder) {
        (_, Some(builder)) => Subject::Builder(builder.into()),
        (Some(slave), None) => Subject::Slave(slave.into()),
        (None, None) => Subject::Master,
    }
}

/// A row whose kind is not known yet.
type Raw = (EventRecord, Option<String>);

fn event(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let word: String = row.get(2)?;
    let kind = EventKind::of_word(&word);
    let record = EventRecord {
        id: row.get(0)?,
        event: NewEvent {
            at: Timestamp(row.get(1)?),
            subject: subject(row.get(3)?, row.get(4)?),
            kind: kind.unwrap_or(EventKind::MasterStarted),
            note: row.get(5)?,
        },
    };
    Ok((record, kind.is_none().then_some(word)))
}

fn known((record, unknown): Raw) -> Result<EventRecord> {
    match unknown {
        None => Ok(record),
        Some(word) => Err(StoreError::new(format!("there is an event `{word}`"))),
    }
}

impl Sqlite {
    pub(super) fn insert_event(&self, new: &NewEvent) -> Result<()> {
        let (slave, builder) = columns(&new.subject);
        self.db
            .prepare_cached(
                "INSERT INTO events (at, kind, slave, builder, note) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![new.at.0, new.kind.word(), slave, builder, new.note])?;
        Ok(())
    }

    pub(super) fn select_events(
        &self,
        of: &Subject,
        before: EventsBefore,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        let (slave, builder) = columns(of);
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE builder IS ?1 AND slave IS ?2 \
             AND (at, id) < (?3, ?4) ORDER BY at DESC, id DESC LIMIT ?5"
        ))?;
        let (at, id) = before.key();
        let rows = select.query_map(params![builder, slave, at, id, limit], event)?;
        rows.map(|it| known(it?)).collect()
    }

    pub(super) fn select_all_events(
        &self,
        before: EventsBefore,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        let mut select = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM events WHERE (at, id) < (?1, ?2) \
             ORDER BY at DESC, id DESC LIMIT ?3"
        ))?;
        let (at, id) = before.key();
        let rows = select.query_map(params![at, id, limit], event)?;
        rows.map(|it| known(it?)).collect()
    }

    pub(super) fn select_event_subjects(&self) -> Result<Vec<Subject>> {
        let mut select = self
            .db
            .prepare_cached("SELECT DISTINCT builder, slave FROM events")?;
        let rows = select.query_map([], |row| Ok(subject(row.get(1)?, row.get(0)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(super) fn select_newest_begun(
        &self,
        builder: &BuilderName,
        at: Timestamp,
    ) -> Result<Option<BuildId>> {
        let mut select = self.db.prepare_cached(
            "SELECT id FROM builds WHERE builder = ?1 AND started <= ?2 \
             ORDER BY started DESC, id DESC LIMIT 1",
        )?;
        let found = select.query_row(params![builder.as_str(), at.0], |row| row.get(0));
        Ok(found.optional()?.map(BuildId))
    }

    /// Events of a subject from before this are not kept; `None` keeps all.
    fn first_kept_event(&self, of: &Subject, kept: Kept) -> Result<Option<(i64, i64)>> {
        let (slave, builder) = columns(of);
        let by_count: Option<(i64, i64)> = match kept.newest {
            None => None,
            Some(0) => Some((i64::MAX, i64::MAX)),
            Some(newest) => self
                .db
                .prepare_cached(
                    "SELECT at, id FROM events WHERE builder IS ?1 AND slave IS ?2 \
                     ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?3",
                )?
                .query_row(params![builder, slave, newest - 1], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?,
        };
        let by_age = kept.since.map(|since| (since.0, 0));
        Ok(by_count.max(by_age))
    }

    pub(super) fn count_old_events(&self, of: &Subject, kept: Kept) -> Result<usize> {
        let Some((at, id)) = self.first_kept_event(of, kept)? else {
            return Ok(0);
        };
        let (slave, builder) = columns(of);
        let mut select = self.db.prepare_cached(
            "SELECT count(*) FROM events WHERE builder IS ?1 AND slave IS ?2 \
             AND (at, id) < (?3, ?4)",
        )?;
        Ok(select.query_row(params![builder, slave, at, id], |row| row.get(0))?)
    }

    pub(super) fn delete_events(&self, of: &Subject, kept: Kept, limit: usize) -> Result<usize> {
        let Some((at, id)) = self.first_kept_event(of, kept)? else {
            return Ok(0);
        };
        let (slave, builder) = columns(of);
        let mut delete = self.db.prepare_cached(
            "DELETE FROM events WHERE id IN (SELECT id FROM events \
             WHERE builder IS ?1 AND slave IS ?2 AND (at, id) < (?3, ?4) \
             ORDER BY at, id LIMIT ?5)",
        )?;
        Ok(delete.execute(params![builder, slave, at, id, limit])?)
    }
}
