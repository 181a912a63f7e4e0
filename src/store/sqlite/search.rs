//! What pages look for: builds at a glance, builds and changes that fit.

use rusqlite::types::ToSqlOutput;
use rusqlite::{ToSql, params_from_iter};

use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Outcome;
use crate::model::Timestamp;

use super::super::{BuildQuery, ChangeQuery, FoundChanges, Glance, GlanceQuery, Result};
use super::Sqlite;
use super::rows::{outcome, to_json};

/// Conditions and the values in them.
#[derive(Default)]
struct Conditions {
    text: String,
    values: Vec<ToSqlOutput<'static>>,
}

impl Conditions {
    fn and(&mut self, condition: &str) {
        if !self.text.is_empty() {
            self.text.push_str(" AND ");
        }
        self.text.push_str(condition);
    }

    fn value(&mut self, value: impl Into<rusqlite::types::Value>) {
        self.values.push(ToSqlOutput::Owned(value.into()));
    }

    /// `column` is one of these, if there are any. `None` is NULL.
    fn one_of(&mut self, column: &str, all: &[Option<String>]) {
        let named: Vec<_> = all.iter().flatten().collect();
        let mut either = Vec::new();
        if !named.is_empty() {
            let places = vec!["?"; named.len()].join(", ");
            either.push(format!("{column} IN ({places})"));
        }
        if all.iter().any(Option::is_none) {
            either.push(format!("{column} IS NULL"));
        }
        if !either.is_empty() {
            self.and(&format!("({})", either.join(" OR ")));
        }
        for it in named {
            self.value(it.clone());
        }
    }

    /// `column` has the text in it; capital letters and small ones are the same.
    fn has(&mut self, column: &str, part: &str) {
        self.and(&format!("{column} LIKE ? ESCAPE '\\'"));
        let quoted = part.replace('\\', "\\\\").replace('%', "\\%");
        self.value(format!("%{}%", quoted.replace('_', "\\_")));
    }
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Sqlite {
    pub(super) fn select_glances(
        &self,
        builder: &BuilderName,
        query: &GlanceQuery,
    ) -> Result<Vec<Glance>> {
        let mut which = Conditions::default();
        which.and("builder = ?");
        which.value(builder.as_str().to_owned());
        if !query.branches.is_empty() {
            // What is looked for may be nowhere.
            which.and("number > (SELECT max(number) FROM builds WHERE builder = ?) - ?");
            which.value(builder.as_str().to_owned());
            which.value(count(query.farthest));
            which.one_of("branch", &query.branches);
        }
        if query.is_finished {
            which.and("finished IS NOT NULL");
        }
        which.value(count(query.limit));
        let mut select = self.db.prepare_cached(&format!(
            "SELECT number, branch, slave, started, finished, outcome FROM builds \
             INDEXED BY builds_at_a_glance WHERE {} ORDER BY number DESC LIMIT ?",
            which.text
        ))?;
        let mut rows = select.query(params_from_iter(which.values.iter()))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let slave: String = row.get(2)?;
            all.push(Glance {
                number: row.get(0)?,
                branch: row.get(1)?,
                slave: slave.into(),
                started: Timestamp(row.get(3)?),
                finished: row.get::<_, Option<i64>>(4)?.map(Timestamp),
                outcome: outcome(row.get(5)?)?,
            });
        }
        Ok(all)
    }

    pub(super) fn select_fitting_builds(&self, query: &BuildQuery) -> Result<Vec<BuildRecord>> {
        let mut which = Conditions::default();
        if let Some(builder) = &query.builder {
            which.and("builder = ?");
            which.value(builder.as_str().to_owned());
        }
        if let Some(slave) = &query.slave {
            which.and("slave = ?");
            which.value(slave.as_str().to_owned());
        }
        if let Some(number) = query.below {
            which.and("number < ?");
            which.value(number);
        }
        if let Some(id) = query.before {
            which.and("id < ?");
            which.value(id.0);
        }
        which.one_of("branch", &query.branches);
        which.and("finished IS NOT NULL");
        if !query.outcomes.is_empty() {
            let codes = query.outcomes.iter().map(|it| Outcome::code(*it));
            let codes: Vec<_> = codes.map(|it| it.to_string()).collect();
            which.and(&format!("outcome IN ({})", codes.join(", ")));
        }
        if let Some(among) = &query.among {
            which.and("builder IN (SELECT value FROM json_each(?))");
            let names: Vec<_> = among.iter().map(BuilderName::as_str).collect();
            which.value(to_json(&names));
        }
        // The index tells what fits before a row is read.
        let (hint, order) = match (&query.builder, &query.slave) {
            (Some(_), _) => ("INDEXED BY builds_at_a_glance", "number DESC"),
            (None, Some(_)) => ("INDEXED BY builds_of_slave", "id DESC"),
            (None, None) => ("INDEXED BY builds_by_end", "finished DESC, id DESC"),
        };
        which.value(count(query.limit));
        let condition = format!(
            "id IN (SELECT id FROM builds {hint} WHERE {} ORDER BY {order} LIMIT ?) \
             ORDER BY {order}",
            which.text
        );
        let values: Vec<&dyn ToSql> = which.values.iter().map(|it| it as &dyn ToSql).collect();
        self.select_builds(&condition, &values)
    }

    pub(super) fn select_fitting_changes(&self, query: &ChangeQuery) -> Result<FoundChanges> {
        let newest = self.select_newest_change()?.0;
        let before = query.before.map_or(newest + 1, |it| it.0.min(newest + 1));
        let floor = before.saturating_sub(count(query.farthest)).max(1);
        let mut which = Conditions::default();
        which.and("id < ? AND id >= ?");
        which.value(before);
        which.value(floor);
        which.one_of("branch", &query.branches);
        for (column, value) in [
            ("project", &query.project),
            ("repository", &query.repository),
            ("category", &query.category),
        ] {
            if let Some(value) = value {
                which.and(&format!("{column} = ?"));
                which.value(value.clone());
            }
        }
        if let Some(author) = &query.author {
            which.has("author", author);
        }
        if let Some(part) = &query.part {
            which.has(
                "comments || ' ' || coalesce(revision, '') || ' ' || files",
                part,
            );
        }
        let ids = {
            which.value(count(query.limit));
            let mut select = self.db.prepare_cached(&format!(
                "SELECT id FROM changes WHERE {} ORDER BY id DESC LIMIT ?",
                which.text
            ))?;
            let rows = select.query_map(params_from_iter(which.values.iter()), |row| {
                Ok(ChangeId(row.get(0)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        let mut changes: Vec<Change> = Vec::with_capacity(ids.len());
        for id in &ids {
            changes.extend(self.select_change(*id)?);
        }
        let oldest = self.select_oldest_change()?.unwrap_or(floor);
        let next = match ids.last() {
            Some(last) if ids.len() == query.limit => Some(last.0),
            _ => Some(floor),
        };
        Ok(FoundChanges {
            changes,
            next: next.filter(|it| *it > oldest).map(ChangeId),
        })
    }

    fn select_oldest_change(&self) -> Result<Option<i64>> {
        let mut select = self.db.prepare_cached("SELECT min(id) FROM changes")?;
        Ok(select.query_row([], |row| row.get(0))?)
    }
}
