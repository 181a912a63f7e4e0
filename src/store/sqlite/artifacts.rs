//! What steps brought to the master.

use rusqlite::{OptionalExtension, params};

use crate::model::Artifact;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::Outcome;
use crate::model::Timestamp;

use super::super::{KeptArtifact, Result};
use super::Sqlite;

/// How far back one looks for a build that brought something.
const FARTHEST: u32 = 1000;

impl Sqlite {
    pub(super) fn replace_artifacts(
        &self,
        build: BuildId,
        step: u32,
        artifacts: &[Artifact],
    ) -> Result<()> {
        // A step that is played again brings the same again.
        self.db
            .prepare_cached("DELETE FROM artifacts WHERE build = ?1 AND step = ?2")?
            .execute(params![build.0, step])?;
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO artifacts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        for (place, it) in (0_u32..).zip(artifacts) {
            insert.execute(params![
                build.0,
                step,
                place,
                it.path,
                it.is_directory,
                it.size,
                it.sha256,
                it.made.0
            ])?;
        }
        Ok(())
    }

    pub(super) fn select_artifacts(&self, build: BuildId) -> Result<Vec<KeptArtifact>> {
        let mut select = self.db.prepare_cached(
            "SELECT step, path, is_directory, size, sha256, made FROM artifacts \
             WHERE build = ?1 ORDER BY step, place",
        )?;
        let mut later = self.db.prepare_cached(
            "SELECT builder, number FROM artifacts JOIN builds ON builds.id = artifacts.build \
             WHERE path = ?1 AND (made, build) > (?2, ?3) ORDER BY made DESC, build DESC LIMIT 1",
        )?;
        let rows = select.query_map([build.0], |row| {
            Ok(Artifact {
                step: row.get(0)?,
                path: row.get(1)?,
                is_directory: row.get(2)?,
                size: row.get(3)?,
                sha256: row.get(4)?,
                made: Timestamp(row.get(5)?),
            })
        })?;
        rows.map(|row| {
            let artifact = row?;
            let at = params![artifact.path, artifact.made.0, build.0];
            let replaced_by = later.query_row(at, |row| {
                Ok(BuildKey {
                    builder: row.get::<_, String>(0)?.into(),
                    number: row.get(1)?,
                })
            });
            Ok(KeptArtifact {
                replaced_by: replaced_by.optional()?,
                artifact,
            })
        })
        .collect()
    }

    pub(super) fn select_newest_with_artifacts(
        &self,
        builder: &BuilderName,
    ) -> Result<Option<i64>> {
        let mut select = self.db.prepare_cached(
            "SELECT number FROM (SELECT id, number, outcome FROM builds WHERE builder = ?1 \
             ORDER BY number DESC LIMIT ?2) AS newest \
             WHERE outcome IN (?3, ?4) \
             AND EXISTS (SELECT 1 FROM artifacts WHERE build = newest.id) \
             ORDER BY number DESC LIMIT 1",
        )?;
        let (good, fair) = (Outcome::Success.code(), Outcome::Warnings.code());
        let at = params![builder.as_str(), FARTHEST, good, fair];
        Ok(select.query_row(at, |row| row.get(0)).optional()?)
    }
}
