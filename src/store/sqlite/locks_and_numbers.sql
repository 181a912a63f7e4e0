-- Version 2.

-- The locks that a running build holds: [["build" or "step", name, access], ...].
ALTER TABLE builds ADD COLUMN locks TEXT NOT NULL DEFAULT '[]';

-- What is known of a builder's numbers when its builds are gone: the next one, and below which
-- one all logs are gone.
CREATE TABLE numbers (
    builder TEXT PRIMARY KEY,
    next    INTEGER NOT NULL DEFAULT 0,
    logless INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX builds_of_change ON build_changes (change);
