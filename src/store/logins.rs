//! Sessions, tokens and the audit log: who is let in, and what was done.

use std::sync::OnceLock;
use std::time::Duration;

use crate::model::Timestamp;
use crate::model::User;

use super::Result;
use super::Store;

/// What a ticket is kept as.
type Digest = [u8; 32];

/// The verbs of who is let in, a part of [`super::Store`].
pub(crate) trait LoginStore {
    /// The user who logs in by this name, with what the password was made into.
    fn account(&mut self, username: &str) -> Result<Option<Account>>;

    /// Begins a session. Those that have ended go, and the oldest of the same user if there are
    /// too many.
    fn add_session(
        &mut self,
        new: &NewSession,
        limits: SessionLimits,
        now: Timestamp,
    ) -> Result<()>;
    /// A session that has not ended.
    fn session(
        &mut self,
        digest: &Digest,
        limits: SessionLimits,
        now: Timestamp,
    ) -> Result<Option<Session>>;
    /// Writes down that somebody came with it.
    fn see_session(&mut self, digest: &Digest, now: Timestamp) -> Result<()>;
    /// Ends one; `false` if there was none.
    fn remove_session(&mut self, digest: &Digest) -> Result<bool>;

    /// Keeps a token; `false` if one has the name already.
    fn add_token(&mut self, new: &NewToken, now: Timestamp) -> Result<bool>;
    /// A token, also one that has expired.
    fn token(&mut self, digest: &Digest) -> Result<Option<Token>>;
    /// All tokens by name.
    fn tokens(&mut self) -> Result<Vec<Token>>;
    fn use_token(&mut self, name: &str, place: Option<&str>, now: Timestamp) -> Result<()>;
    fn remove_token(&mut self, name: &str) -> Result<bool>;

    /// Writes down what is about to be done, or was refused.
    fn add_audit(&mut self, new: &NewAudit, now: Timestamp) -> Result<AuditId>;
    /// Writes down what became of it.
    fn end_audit(&mut self, id: AuditId, result: &str) -> Result<()>;
    /// The newest entries, newest first.
    fn audit(&mut self, query: &AuditQuery) -> Result<Vec<AuditRecord>>;
    /// Forgets entries that are older, and those that are not among the newest so many.
    fn forget_audit(&mut self, since: Timestamp, newest: u32) -> Result<usize>;
}

/// A user of the store who can log in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: User,
    /// A hash.
    pub(crate) password: String,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionLimits {
    /// Without anybody coming with it.
    pub(crate) idle: Duration,
    /// In any case.
    pub(crate) life: Duration,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NewSession {
    pub(crate) digest: Digest,
    pub(crate) user: String,
    pub(crate) proof: Digest,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) proof: Digest,
    pub(crate) seen: Timestamp,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) user: String,
    pub(crate) scopes: Vec<String>,
    /// It ends with the account of its user.
    pub(crate) bound: bool,
    pub(crate) expires: Option<Timestamp>,
}

/// A token, of which nobody can tell what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) bound: bool,
    pub(crate) made: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    /// When and from where it was shown the last time.
    pub(crate) used: Option<Timestamp>,
    pub(crate) place: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditId(pub(crate) i64);

/// An entry of the audit log that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewAudit {
    /// Who it is, if that is known.
    pub(crate) user: Option<String>,
    /// How that is known: `session`, `token NAME`.
    pub(crate) way: String,
    /// Where from.
    pub(crate) place: Option<String>,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) result: String,
    /// So many before it were not written down.
    pub(crate) left_out: u64,
}

/// After so many entries the old ones are forgotten.
const FORGET_EACH: i64 = 64;

/// What was permitted: an entry of the audit log that goes down before it is done, or in the
/// same transaction.
#[derive(Debug)]
pub(crate) struct Act {
    entry: NewAudit,
    /// How long entries are kept, and how many.
    horizon: Duration,
    newest: u32,
    /// What cannot be written down is not done.
    is_needed: bool,
    /// Where it stands, once that is on disk.
    stands: OnceLock<AuditId>,
}

impl Act {
    pub(crate) fn new(entry: NewAudit, horizon: Duration, newest: u32, is_needed: bool) -> Self {
        Self {
            entry,
            horizon,
            newest,
            is_needed,
            stands: OnceLock::new(),
        }
    }

    /// Whether what cannot be written down is not done.
    pub(crate) fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Writes it down in a running transaction. When that stands, [`Self::stand`] has to be told.
    pub(crate) fn begin(&self, store: &mut dyn Store, now: Timestamp) -> Result<Option<AuditId>> {
        match self.add(store, now) {
            Ok(id) => Ok(Some(id)),
            Err(_) if !self.is_needed => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn add(&self, store: &mut dyn Store, now: Timestamp) -> Result<AuditId> {
        let id = store.add_audit(&self.entry, now)?;
        if id.0 % FORGET_EACH == 0 {
            let horizon = i64::try_from(self.horizon.as_millis()).unwrap_or(i64::MAX);
            store.forget_audit(Timestamp(now.0.saturating_sub(horizon)), self.newest)?;
        }
        Ok(id)
    }

    /// Takes in where it stands.
    pub(crate) fn stand(&self, id: Option<AuditId>) {
        if let Some(id) = id {
            // It goes down once.
            self.stands.get_or_init(|| id);
        }
    }

    /// Writes down what became of it, also of what came to its end before it was begun.
    pub(crate) fn end(&self, store: &mut dyn Store, result: &str, now: Timestamp) -> Result<()> {
        if let Some(id) = self.stands.get() {
            return store.end_audit(*id, result);
        }
        let entry = NewAudit {
            result: result.to_owned(),
            ..self.entry.clone()
        };
        store.add_audit(&entry, now).map(drop)
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditRecord {
    pub(crate) id: AuditId,
    pub(crate) at: Timestamp,
    pub(crate) entry: NewAudit,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditQuery {
    pub(crate) before: Option<AuditId>,
    pub(crate) user: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) limit: usize,
}
