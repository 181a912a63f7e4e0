-- Who is let in, and what was done. Of sessions and tokens only a SHA-256 is kept.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,
    user   TEXT NOT NULL,
    -- Of the password that began it: another password ends it.
    proof  BLOB NOT NULL,
    made   INTEGER NOT NULL,
    seen   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user, made);

-- `bound`: it ends with the account of its user.
CREATE TABLE tokens (
    name    TEXT PRIMARY KEY,
    digest  BLOB NOT NULL UNIQUE,
    user    TEXT NOT NULL,
    scopes  TEXT NOT NULL,
    bound   INTEGER NOT NULL,
    made    INTEGER NOT NULL,
    expires INTEGER,
    used    INTEGER,
    place   TEXT
) WITHOUT ROWID;

-- `left_out`: so many before it were not written down, since there were too many.
CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    user     TEXT,
    way      TEXT NOT NULL,
    place    TEXT,
    action   TEXT NOT NULL,
    target   TEXT NOT NULL,
    result   TEXT NOT NULL,
    left_out INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX audit_of_user ON audit (user, id);
CREATE INDEX audit_of_action ON audit (action, id);
