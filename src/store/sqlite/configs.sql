-- Version 2: every configuration that was applied, and which one each build ran under.
-- `texts` is `[{name, text}]`, `summary` a list of lines.

CREATE TABLE applied_configs (
    id      INTEGER PRIMARY KEY,
    hash    TEXT NOT NULL,
    applied INTEGER NOT NULL,
    texts   TEXT NOT NULL,
    summary TEXT NOT NULL
);

-- NULL for builds of earlier versions.
ALTER TABLE builds ADD COLUMN config INTEGER REFERENCES applied_configs;
