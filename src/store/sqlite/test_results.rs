//! The results of single tests.

use rusqlite::{OptionalExtension, params};

use crate::model::BuildId;
use crate::model::BuilderName;
use crate::model::PastTest;
use crate::model::TestEnd;
use crate::model::TestResult;
use crate::model::TestResults;

use super::super::{KeptTest, Result, StoreError, TestCounts, TestQuery};
use super::Sqlite;
use super::rows::{from_json, to_json};

impl Sqlite {
    pub(super) fn replace_tests(
        &self,
        build: BuildId,
        step: u32,
        results: &TestResults,
    ) -> Result<()> {
        // A step that is judged again says the same again.
        for table in ["tests", "test_logs", "test_counts"] {
            self.db
                .prepare_cached(&format!(
                    "DELETE FROM {table} WHERE build = ?1 AND step = ?2"
                ))?
                .execute(params![build.0, step])?;
        }
        let counts: Vec<(i64, u64)> = results.counts().map(|(it, n)| (it.code(), n)).collect();
        self.db
            .prepare_cached("INSERT INTO test_counts VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![build.0, step, to_json(&counts), results.left_out()])?;
        let mut known = self
            .db
            .prepare_cached("SELECT id FROM test_names WHERE name = ?1")?;
        let mut learn = self
            .db
            .prepare_cached("INSERT INTO test_names (name) VALUES (?1)")?;
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO tests VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let mut tell = self
            .db
            .prepare_cached("INSERT INTO test_logs VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (place, it) in (0_u32..).zip(results.kept()) {
            let name: Option<i64> = known.query_row([&it.name], |row| row.get(0)).optional()?;
            let name = match name {
                Some(name) => name,
                None => learn.insert([&it.name])?,
            };
            insert.execute(params![build.0, step, place, name, it.end.code()])?;
            if !it.text.is_empty() || !it.log.is_empty() {
                tell.execute(params![build.0, step, place, it.text, it.log])?;
            }
        }
        Ok(())
    }

    pub(super) fn select_test_counts(&self, build: BuildId) -> Result<Vec<TestCounts>> {
        let mut select = self.db.prepare_cached(
            "SELECT step, counts, left_out FROM test_counts WHERE build = ?1 ORDER BY step",
        )?;
        let rows = select.query_map([build.0], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })?;
        rows.map(|row| {
            let (step, counts, left_out) = row?;
            let counts: Vec<(i64, u64)> = from_json(&counts)?;
            let counts = counts.into_iter().map(|(code, n)| Ok((end(code)?, n)));
            Ok(TestCounts {
                step,
                counts: counts.collect::<Result<_>>()?,
                left_out,
            })
        })
        .collect()
    }

    pub(super) fn select_tests(&self, build: BuildId, query: &TestQuery) -> Result<Vec<KeptTest>> {
        let mut select = self.db.prepare_cached(
            "SELECT tests.step, test_names.name, ended, text FROM tests \
             JOIN test_names ON test_names.id = tests.name \
             LEFT JOIN test_logs USING (build, step, place) \
             WHERE build = ?1 AND (?2 IS NULL OR test_names.name LIKE ?2 ESCAPE '\\') \
             AND (?3 IS NULL OR ended = ?3) \
             ORDER BY ended >= ?4, tests.step, ended, place LIMIT ?5 OFFSET ?6",
        )?;
        let rows = select.query_map(
            params![
                build.0,
                query.part.as_deref().map(pattern),
                query.end.map(TestEnd::code),
                // The first of those that nobody has to look at.
                TestEnd::Skipped.code(),
                query.limit,
                query.skip,
            ],
            |row| {
                let text: Option<String> = row.get(3)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, text))
            },
        )?;
        rows.map(|row| {
            let (step, name, code, text) = row?;
            kept(step, name, code, text, None)
        })
        .collect()
    }

    pub(super) fn select_tests_named(
        &self,
        build: BuildId,
        name: &str,
        limit: usize,
    ) -> Result<Vec<KeptTest>> {
        let Some(id) = self.select_test_name(name)? else {
            return Ok(Vec::new());
        };
        let mut select = self.db.prepare_cached(
            "SELECT tests.step, ended, text, log FROM tests \
             LEFT JOIN test_logs USING (build, step, place) \
             WHERE name = ?1 AND build = ?2 ORDER BY ended, tests.step, place LIMIT ?3",
        )?;
        let rows = select.query_map(params![id, build.0, limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
        rows.map(|row| {
            let (step, code, text, log) = row?;
            kept(step, name.to_owned(), code, text, log)
        })
        .collect()
    }

    pub(super) fn select_past_tests(
        &self,
        builder: &BuilderName,
        name: &str,
        up_to: i64,
        limit: usize,
    ) -> Result<Vec<PastTest>> {
        let id = self.select_test_name(name)?;
        let mut select = self.db.prepare_cached(
            "SELECT number, (SELECT min(ended) FROM tests WHERE name = ?1 AND build = builds.id), \
             (SELECT sum(left_out) FROM test_counts WHERE build = builds.id) AS missing \
             FROM builds WHERE builder = ?2 AND number <= ?3 AND missing IS NOT NULL \
             ORDER BY number DESC LIMIT ?4",
        )?;
        let rows = select.query_map(params![id, builder.as_str(), up_to, limit], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?))
        })?;
        rows.map(|row| {
            let (number, code, missing): (i64, Option<i64>, u64) = row?;
            Ok(PastTest {
                number,
                end: code.map(end).transpose()?,
                is_whole: missing == 0,
            })
        })
        .collect()
    }

    fn select_test_name(&self, name: &str) -> Result<Option<i64>> {
        let mut select = self
            .db
            .prepare_cached("SELECT id FROM test_names WHERE name = ?1")?;
        Ok(select.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Forgets the tests of a build, and the names that no other build has.
    pub(super) fn delete_tests(&self, build: BuildId) -> Result<()> {
        let mut lonely = self.db.prepare_cached(
            "SELECT DISTINCT name FROM tests AS gone WHERE build = ?1 AND NOT EXISTS \
             (SELECT 1 FROM tests WHERE tests.name = gone.name AND build <> ?1)",
        )?;
        let rows = lonely.query_map([build.0], |row| row.get(0))?;
        let names: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        for table in ["tests", "test_logs", "test_counts"] {
            self.db
                .prepare_cached(&format!("DELETE FROM {table} WHERE build = ?1"))?
                .execute([build.0])?;
        }
        let mut forget = self
            .db
            .prepare_cached("DELETE FROM test_names WHERE id = ?1")?;
        for name in names {
            forget.execute([name])?;
        }
        Ok(())
    }

    /// Forgets what was said of the tests of a build.
    pub(super) fn delete_test_logs(&self, build: BuildId) -> Result<()> {
        self.db
            .prepare_cached("UPDATE test_logs SET log = '' WHERE build = ?1")?
            .execute([build.0])?;
        Ok(())
    }
}

fn kept(
    step: u32,
    name: String,
    code: i64,
    text: Option<String>,
    log: Option<String>,
) -> Result<KeptTest> {
    let result = TestResult {
        name,
        end: end(code)?,
        text: text.unwrap_or_default(),
        log: log.unwrap_or_default(),
    };
    Ok(KeptTest { step, result })
}

fn end(code: i64) -> Result<TestEnd> {
    TestEnd::from_code(code)
        .ok_or_else(|| StoreError::new(format!("a row holds the unknown end {code} of a test")))
}

/// What `LIKE` finds in any name that has this part.
fn pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for it in part.chars() {
        if matches!(it, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(it);
    }
    pattern.push('%');
    pattern
}
