//! Users: made of the authors of changes, of sections of the configuration, and by hand.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, ToSql, params};

use crate::model::Change;
use crate::model::ChangeId;
use crate::model::User;
use crate::model::UserId;
use crate::model::UserSection;
use crate::model::Vc;

use super::super::Result;
use super::Sqlite;

const COLUMNS: &str = "id, identifier, username, section";

impl Sqlite {
    /// Links a change to the user that its author is, who is made if there is none.
    pub(super) fn link_author(&self, change: ChangeId, vc: Vc, author: &str) -> Result<()> {
        if author.is_empty() {
            return Ok(());
        }
        let known = self.select_owner(vc.as_str(), author)?;
        let user = match known {
            Some(user) => user,
            None => {
                let user = self.insert_user(author)?;
                self.upsert_attribute(user, vc.as_str(), author, false)?;
                user
            }
        };
        self.db
            .prepare_cached("INSERT OR IGNORE INTO change_users VALUES (?1, ?2)")?
            .execute([change.0, user.0])?;
        Ok(())
    }

    /// Whose attribute this is.
    pub(super) fn select_owner(&self, kind: &str, value: &str) -> Result<Option<UserId>> {
        let mut select = self
            .db
            .prepare_cached("SELECT user FROM user_attributes WHERE kind = ?1 AND value = ?2")?;
        let found = select.query_row([kind, value], |row| Ok(UserId(row.get(0)?)));
        Ok(found.optional()?)
    }

    pub(super) fn insert_user(&self, identifier: &str) -> Result<UserId> {
        self.db
            .prepare_cached("INSERT INTO users (identifier) VALUES (?1)")?
            .execute([identifier])?;
        Ok(UserId(self.db.last_insert_rowid()))
    }

    /// Sets an attribute, which nobody else may have.
    pub(super) fn upsert_attribute(
        &self,
        user: UserId,
        kind: &str,
        value: &str,
        of_section: bool,
    ) -> Result<()> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO user_attributes VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![user.0, kind, value, of_section])?;
        Ok(())
    }

    pub(super) fn update_identifier(&self, user: UserId, identifier: &str) -> Result<()> {
        self.db
            .prepare_cached("UPDATE users SET identifier = ?2 WHERE id = ?1")?
            .execute(params![user.0, identifier])?;
        Ok(())
    }

    pub(super) fn update_login(
        &self,
        user: UserId,
        username: &str,
        password: &str,
    ) -> Result<bool> {
        let changed = self
            .db
            .prepare_cached(
                "UPDATE OR IGNORE users SET username = ?2, password = ?3 WHERE id = ?1",
            )?
            .execute(params![user.0, username, password])?;
        Ok(changed == 1)
    }

    pub(super) fn delete_user(&self, user: UserId) -> Result<()> {
        for statement in [
            "DELETE FROM change_users WHERE user = ?1",
            "DELETE FROM user_attributes WHERE user = ?1",
            "DELETE FROM users WHERE id = ?1",
        ] {
            self.db.prepare_cached(statement)?.execute([user.0])?;
        }
        Ok(())
    }

    pub(super) fn select_user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.select_users_where("id = ?1", &[&id.0])?.pop())
    }

    pub(super) fn select_users(&self, after: UserId, limit: usize) -> Result<Vec<User>> {
        self.select_users_where("id > ?1 ORDER BY id LIMIT ?2", &[&after.0, &limit])
    }

    pub(super) fn select_users_called(&self, identifier: &str) -> Result<Vec<User>> {
        self.select_users_where("identifier = ?1 ORDER BY id", &[&identifier])
    }

    pub(super) fn select_users_of_change(&self, change: ChangeId) -> Result<Vec<User>> {
        self.select_users_where(
            "id IN (SELECT user FROM change_users WHERE change = ?1) ORDER BY id",
            &[&change.0],
        )
    }

    fn select_users_where(&self, which: &str, values: &[&dyn ToSql]) -> Result<Vec<User>> {
        let mut select = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE {which}"))?;
        let rows = select.query_map(values, user)?;
        let mut all: Vec<User> = rows.collect::<rusqlite::Result<_>>()?;
        let mut select = self
            .db
            .prepare_cached("SELECT kind, value FROM user_attributes WHERE user = ?1")?;
        for it in &mut all {
            let rows = select.query_map([it.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            it.attributes = rows.collect::<rusqlite::Result<_>>()?;
        }
        Ok(all)
    }

    pub(super) fn select_changes_of_user(&self, user: UserId, limit: usize) -> Result<Vec<Change>> {
        let mut select = self.db.prepare_cached(
            "SELECT change FROM change_users WHERE user = ?1 ORDER BY change DESC LIMIT ?2",
        )?;
        let rows = select.query_map(params![user.0, limit], |row| Ok(ChangeId(row.get(0)?)))?;
        let ids: Vec<ChangeId> = rows.collect::<rusqlite::Result<_>>()?;
        let mut all = Vec::new();
        for id in ids {
            all.extend(self.select_change(id)?);
        }
        Ok(all)
    }

    /// Makes users what the sections of the configuration say.
    pub(super) fn apply_sections(&self, sections: &[UserSection]) -> Result<()> {
        self.db
            .prepare_cached("UPDATE user_attributes SET of_section = -1 WHERE of_section = 1")?
            .execute([])?;
        self.leave_sections(sections)?;
        for section in sections {
            let user = self.user_of_section(section)?;
            for (kind, value) in &section.attributes {
                if let Some(other) = self.select_owner(kind, value)?
                    && other != user
                {
                    self.take_over(user, other, kind, value)?;
                }
                self.upsert_attribute(user, kind, value, true)?;
            }
            // What the section said before and says no more.
            self.db
                .prepare_cached("DELETE FROM user_attributes WHERE user = ?1 AND of_section = -1")?
                .execute([user.0])?;
        }
        // Of users whose sections are gone.
        self.db
            .prepare_cached("UPDATE user_attributes SET of_section = 0 WHERE of_section = -1")?
            .execute([])?;
        Ok(())
    }

    /// Users whose sections are gone stay, and are their own again.
    fn leave_sections(&self, sections: &[UserSection]) -> Result<()> {
        let mut select = self
            .db
            .prepare_cached("SELECT section FROM users WHERE section IS NOT NULL")?;
        let rows = select.query_map([], |row| row.get::<_, String>(0))?;
        for name in rows.collect::<rusqlite::Result<Vec<_>>>()? {
            if !sections.iter().any(|it| it.name == name) {
                self.db
                    .prepare_cached("UPDATE users SET section = NULL WHERE section = ?1")?
                    .execute([name])?;
            }
        }
        Ok(())
    }

    /// The user of a section: it had one before, or somebody is called as it says, or it is new.
    fn user_of_section(&self, section: &UserSection) -> Result<UserId> {
        let known = self
            .db
            .prepare_cached("SELECT id FROM users WHERE section = ?1")?
            .query_row([&section.name], |row| Ok(UserId(row.get(0)?)))
            .optional()?;
        if let Some(user) = known {
            return Ok(user);
        }
        let mut found = None;
        for (kind, value) in &section.attributes {
            if let Some(owner) = self.select_owner(kind, value)?
                && self
                    .select_user(owner)?
                    .is_some_and(|it| it.section.is_none())
            {
                found = Some(owner);
                break;
            }
        }
        let user = match found {
            Some(user) => {
                self.update_identifier(user, &section.name)?;
                user
            }
            None => self.insert_user(&section.name)?,
        };
        self.db
            .prepare_cached("UPDATE users SET section = ?2 WHERE id = ?1")?
            .execute(params![user.0, section.name])?;
        Ok(user)
    }

    /// Gives a user what another one was called, with the changes under that name. Nothing is
    /// left of one who was called nothing else.
    fn take_over(&self, user: UserId, other: UserId, kind: &str, value: &str) -> Result<()> {
        for statement in [
            "INSERT OR IGNORE INTO change_users SELECT change, ?1 FROM change_users \
             JOIN changes ON changes.id = change WHERE user = ?2 AND author = ?3",
            "DELETE FROM change_users WHERE ?1 <> user AND user = ?2 \
             AND change IN (SELECT id FROM changes WHERE author = ?3)",
        ] {
            self.db
                .prepare_cached(statement)?
                .execute(params![user.0, other.0, value])?;
        }
        self.db
            .prepare_cached("DELETE FROM user_attributes WHERE user = ?1 AND kind = ?2")?
            .execute(params![other.0, kind])?;
        let left = self.select_user(other)?;
        let is_empty =
            |it: &User| it.attributes.is_empty() && it.username.is_none() && it.section.is_none();
        if left.as_ref().is_some_and(is_empty) {
            self.delete_user(other)?;
        }
        Ok(())
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId(row.get(0)?),
        identifier: row.get(1)?,
        username: row.get(2)?,
        section: row.get(3)?,
        attributes: BTreeMap::new(),
    })
}
