//! What a new request makes pointless, or leaves no room for: found by indexes, however much waits.

use rusqlite::params;
use sha2::Digest;
use sha2::Sha256;

use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SourceStamp;

use super::super::Result;
use super::Sqlite;

/// A number for what may supersede each other; 0 for what is of no changes, or tries a patch. It
/// stands in the store: other numbers would part what waits from what comes.
pub(super) fn source_of(stamp: &SourceStamp) -> i64 {
    if stamp.changes.is_empty() || stamp.patch.is_some() {
        return 0;
    }
    let mut hash = Sha256::new();
    for part in [&stamp.repository, &stamp.project] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    if let Some(branch) = &stamp.branch {
        hash.update([1]);
        hash.update(branch.as_bytes());
    }
    let first = hash.finalize()[..8].try_into().expect("eight bytes");
    i64::from_le_bytes(first)
}

impl Sqlite {
    pub(super) fn select_older_of_source(
        &self,
        request: &RequestRecord,
    ) -> Result<Vec<RequestRecord>> {
        const OLDER: &str = "SELECT id FROM requests INDEXED BY requests_of_source \
                             WHERE builder = ?1 AND outcome IS NULL AND id < ?3 \
                             AND source IS NOT 0 AND source";
        let mut select = self
            .db
            .prepare_cached(&format!("{OLDER} = ?2 UNION ALL {OLDER} IS NULL"))?;
        let source = source_of(&request.stamp);
        let rows = select.query_map(
            params![request.builder.as_str(), source, request.id.0],
            |row| Ok(RequestId(row.get(0)?)),
        )?;
        let ids: Vec<RequestId> = rows.collect::<rusqlite::Result<_>>()?;
        self.select_requests_by_id(&ids)
    }

    pub(super) fn count_waiting_up_to(&self, builder: &BuilderName, most: usize) -> Result<usize> {
        let mut select = self.db.prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM requests INDEXED BY requests_by_urgency \
             WHERE builder = ?1 AND build IS NULL AND outcome IS NULL LIMIT ?2)",
        )?;
        Ok(select.query_row(params![builder.as_str(), most], |row| row.get(0))?)
    }

    pub(super) fn select_least_urgent(
        &self,
        builder: &BuilderName,
        usual: i64,
        count: usize,
    ) -> Result<Vec<RequestId>> {
        // Each of the three in the order of the index; those without a word have the usual one.
        const WAITING: &str = "SELECT coalesce(priority, ?2), id FROM requests \
                               INDEXED BY requests_by_urgency \
                               WHERE builder = ?1 AND build IS NULL AND outcome IS NULL AND priority";
        const ORDER: &str = "ORDER BY priority, id LIMIT ?3";
        let mut found: Vec<(i64, RequestId)> = Vec::new();
        for which in ["< ?2", "IS NULL", ">= ?2"] {
            let mut select = self
                .db
                .prepare_cached(&format!("{WAITING} {which} {ORDER}"))?;
            let rows = select.query_map(params![builder.as_str(), usual, count], |row| {
                Ok((row.get(0)?, RequestId(row.get(1)?)))
            })?;
            found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        found.sort_unstable();
        found.truncate(count);
        Ok(found.into_iter().map(|it| it.1).collect())
    }
}

/// How many requests are read whole, counted in tests.
#[cfg(test)]
pub(crate) mod effort {
    use std::cell::Cell;

    thread_local! {
        static READ: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::store) fn read(count: usize) {
        READ.with(|it| it.set(it.get() + count));
    }

    /// What was read meanwhile, by this thread.
    pub(crate) fn of<T>(act: impl FnOnce() -> T) -> (usize, T) {
        let before = READ.with(Cell::get);
        let done = act();
        (READ.with(Cell::get) - before, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChangeId;

    #[test]
    fn the_number_of_a_source_is_the_same_for_ever_and_another_for_others() {
        let stamp = SourceStamp {
            branch: Some("main".into()),
            repository: "https://git.test/x".into(),
            changes: vec![ChangeId(1)],
            ..SourceStamp::default()
        };
        assert_eq!(source_of(&stamp), SOURCE);
        let others = [
            SourceStamp {
                branch: None,
                ..stamp.clone()
            },
            SourceStamp {
                branch: Some(String::new()),
                ..stamp.clone()
            },
            SourceStamp {
                project: "x".into(),
                ..stamp.clone()
            },
            SourceStamp {
                repository: String::new(),
                project: "https://git.test/x".into(),
                ..stamp.clone()
            },
        ];
        let mut all: Vec<i64> = others.iter().map(source_of).collect();
        all.push(source_of(&stamp));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
        assert_eq!(source_of(&SourceStamp::default()), 0);
    }

    const SOURCE: i64 = -7_183_038_500_903_064_671;
}
