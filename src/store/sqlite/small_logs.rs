//! Small logs: those whose files the disk may not have yet, and packs of older ones.

use rusqlite::{OptionalExtension, params};

use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuilderName;

use super::super::{OldBuild, Result};
use super::Sqlite;
use super::prune::old_build;

impl Sqlite {
    pub(super) fn insert_fresh_log(&self, build: BuildId, file: &str, bytes: &[u8]) -> Result<()> {
        self.db
            .prepare_cached("INSERT INTO fresh_logs (build, file, bytes) VALUES (?1, ?2, ?3)")?
            .execute(params![build.0, file, bytes])?;
        Ok(())
    }

    pub(super) fn visit_fresh_logs(&self, visit: &mut dyn FnMut(&str, &[u8])) -> Result<()> {
        // What was pruned or packed meanwhile has no file, and is to have none.
        let mut select = self.db.prepare_cached(
            "SELECT file, bytes FROM fresh_logs JOIN builds ON builds.id = build \
             LEFT JOIN numbers ON numbers.builder = builds.builder \
             WHERE builds.log_bytes IS NOT 0 AND number >= coalesce(packed, 0) \
             ORDER BY fresh_logs.id",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (file, bytes): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            visit(&file, &bytes);
        }
        Ok(())
    }

    pub(super) fn select_last_fresh_log(&self) -> Result<Option<i64>> {
        let mut select = self.db.prepare_cached("SELECT max(id) FROM fresh_logs")?;
        Ok(select.query_row([], |row| row.get(0))?)
    }

    pub(super) fn delete_fresh_logs(&self, last: i64) -> Result<()> {
        self.db
            .prepare_cached("DELETE FROM fresh_logs WHERE id <= ?1")?
            .execute([last])?;
        Ok(())
    }

    pub(super) fn select_unpacked(
        &self,
        builder: &BuilderName,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        let mut select = self.db.prepare_cached(
            "SELECT id, builder, number, 0, finished IS NOT NULL FROM builds WHERE builder = ?1 \
             AND number >= coalesce((SELECT packed FROM numbers WHERE builder = ?1), 0) \
             ORDER BY number LIMIT ?2",
        )?;
        let mut rows = select.query(params![builder.as_str(), limit])?;
        let mut builds = Vec::new();
        while let Some(row) = rows.next()? {
            if !row.get::<_, bool>(4)? {
                break;
            }
            builds.push(old_build(row)?);
        }
        self.with_files(builds)
    }

    pub(super) fn insert_pack(
        &self,
        builder: &BuilderName,
        first: i64,
        last: i64,
        pack: Option<&[u8]>,
    ) -> Result<()> {
        if let Some(bytes) = pack {
            self.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO log_packs (builder, first, last, bytes) \
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![builder.as_str(), first, last, bytes])?;
        }
        self.db
            .prepare_cached(
                "INSERT INTO numbers (builder, packed) VALUES (?1, ?2) \
                 ON CONFLICT (builder) DO UPDATE SET packed = ?2",
            )?
            .execute(params![builder.as_str(), last + 1])?;
        Ok(())
    }

    pub(super) fn select_pack_of(&self, key: &BuildKey) -> Result<Option<Vec<u8>>> {
        let mut select = self.db.prepare_cached(
            "SELECT bytes FROM log_packs WHERE builder = ?1 AND last >= ?2 AND first <= ?2 \
             ORDER BY last LIMIT 1",
        )?;
        let of = params![key.builder.as_str(), key.number];
        Ok(select.query_row(of, |row| row.get(0)).optional()?)
    }

    /// Removes the packs of a builder in which nobody has a log any more.
    pub(super) fn delete_packs(&self, builder: &BuilderName) -> Result<()> {
        self.db
            .prepare_cached(
                "DELETE FROM log_packs WHERE builder = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM builds WHERE builds.builder = ?1 AND log_bytes > 0 \
                 AND number BETWEEN first AND last)",
            )?
            .execute([builder.as_str()])?;
        Ok(())
    }
}
