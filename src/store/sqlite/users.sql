-- People, by what version control calls them. `section` is the name of the `[user:NAME]` that says
-- who it is, while there is one; `of_section` marks what that section says.
CREATE TABLE users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    identifier TEXT NOT NULL,
    username   TEXT UNIQUE,
    password   TEXT,
    section    TEXT UNIQUE
);
CREATE INDEX users_by_identifier ON users (identifier);

CREATE TABLE user_attributes (
    user       INTEGER NOT NULL REFERENCES users,
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    of_section INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, kind)
) WITHOUT ROWID;
CREATE UNIQUE INDEX users_by_attribute ON user_attributes (kind, value);

CREATE TABLE change_users (
    change INTEGER NOT NULL REFERENCES changes,
    user   INTEGER NOT NULL REFERENCES users,
    PRIMARY KEY (change, user)
) WITHOUT ROWID;
CREATE INDEX changes_of_user ON change_users (user, change);
