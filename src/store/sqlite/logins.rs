//! Sessions and tokens.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params};

use crate::model::Timestamp;
use crate::model::UserId;

use super::super::Result;
use super::super::logins::{
    Account, AuditId, AuditQuery, AuditRecord, LoginStore, NewAudit, NewSession, NewToken, Session,
    SessionLimits, Token,
};
use super::Sqlite;
use super::rows::{from_json, to_json};

/// Sessions of one user: more browsers than anybody has.
const SESSIONS: i64 = 50;

const TOKEN: &str = "name, user, scopes, bound, made, expires, used, place";

/// The moment so long before.
fn before(now: Timestamp, span: Duration) -> i64 {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    now.0.saturating_sub(span)
}

impl LoginStore for Sqlite {
    fn account(&mut self, username: &str) -> Result<Option<Account>> {
        let found = self
            .db
            .prepare_cached(
                "SELECT id, password FROM users WHERE username = ?1 AND password IS NOT NULL",
            )?
            .query_row([username], |row| Ok((UserId(row.get(0)?), row.get(1)?)))
            .optional()?;
        let Some((id, password)) = found else {
            return Ok(None);
        };
        let user = self.select_user(id)?;
        Ok(user.map(|user| Account { user, password }))
    }

    fn add_session(
        &mut self,
        new: &NewSession,
        limits: SessionLimits,
        now: Timestamp,
    ) -> Result<()> {
        self.db
            .prepare_cached("DELETE FROM sessions WHERE seen < ?1 OR made < ?2")?
            .execute([before(now, limits.idle), before(now, limits.life)])?;
        self.db
            .prepare_cached(
                "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions \
                 WHERE user = ?1 ORDER BY made DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute(params![new.user, SESSIONS - 1])?;
        self.db
            .prepare_cached("INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?4)")?
            .execute(params![new.digest, new.user, new.proof, now.0])?;
        Ok(())
    }

    fn session(
        &mut self,
        digest: &[u8; 32],
        limits: SessionLimits,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let mut select = self.db.prepare_cached(
            "SELECT user, proof, seen FROM sessions WHERE digest = ?1 AND seen >= ?2 AND made >= ?3",
        )?;
        let since = (before(now, limits.idle), before(now, limits.life));
        let found = select.query_row(params![digest, since.0, since.1], |row| {
            Ok(Session {
                user: row.get(0)?,
                proof: row.get(1)?,
                seen: Timestamp(row.get(2)?),
            })
        });
        Ok(found.optional()?)
    }

    fn see_session(&mut self, digest: &[u8; 32], now: Timestamp) -> Result<()> {
        self.db
            .prepare_cached("UPDATE sessions SET seen = max(seen, ?2) WHERE digest = ?1")?
            .execute(params![digest, now.0])?;
        Ok(())
    }

    fn remove_session(&mut self, digest: &[u8; 32]) -> Result<bool> {
        let removed = self
            .db
            .prepare_cached("DELETE FROM sessions WHERE digest = ?1")?
            .execute([digest])?;
        Ok(removed > 0)
    }

    fn add_token(&mut self, new: &NewToken, now: Timestamp) -> Result<bool> {
        let added = self
            .db
            .prepare_cached(
                "INSERT OR IGNORE INTO tokens (name, digest, user, scopes, bound, made, expires) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                new.name,
                new.digest,
                new.user,
                to_json(&new.scopes),
                new.bound,
                now.0,
                new.expires.map(|it| it.0),
            ])?;
        Ok(added > 0)
    }

    fn token(&mut self, digest: &[u8; 32]) -> Result<Option<Token>> {
        let found = self
            .db
            .prepare_cached(&format!("SELECT {TOKEN} FROM tokens WHERE digest = ?1"))?
            .query_row([digest], |row| Ok(token(row)))
            .optional()?;
        found.transpose()
    }

    fn tokens(&mut self) -> Result<Vec<Token>> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT {TOKEN} FROM tokens ORDER BY name"))?;
        let rows = select.query_map([], |row| Ok(token(row)))?;
        rows.map(|row| row?).collect()
    }

    fn use_token(&mut self, name: &str, place: Option<&str>, now: Timestamp) -> Result<()> {
        self.db
            .prepare_cached("UPDATE tokens SET used = ?2, place = ?3 WHERE name = ?1")?
            .execute(params![name, now.0, place])?;
        Ok(())
    }

    fn remove_token(&mut self, name: &str) -> Result<bool> {
        let removed = self
            .db
            .prepare_cached("DELETE FROM tokens WHERE name = ?1")?
            .execute([name])?;
        Ok(removed > 0)
    }

    fn add_audit(&mut self, new: &NewAudit, now: Timestamp) -> Result<AuditId> {
        self.insert_audit(new, now)
    }
    fn end_audit(&mut self, id: AuditId, result: &str) -> Result<()> {
        self.update_audit(id, result)
    }
    fn audit(&mut self, query: &AuditQuery) -> Result<Vec<AuditRecord>> {
        self.select_audit(query)
    }
    fn forget_audit(&mut self, since: Timestamp, newest: u32) -> Result<usize> {
        self.delete_audit(since, newest)
    }
}

fn token(row: &Row<'_>) -> Result<Token> {
    let scopes: String = row.get(2)?;
    Ok(Token {
        name: row.get(0)?,
        user: row.get(1)?,
        scopes: from_json(&scopes)?,
        bound: row.get(3)?,
        made: Timestamp(row.get(4)?),
        expires: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        used: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        place: row.get(7)?,
    })
}
