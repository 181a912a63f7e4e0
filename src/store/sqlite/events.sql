-- What happened to the master (neither slave nor builder), to a slave or to a builder besides
-- builds. What happened to a slave is one row, however many builders it serves.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    slave   TEXT,
    builder TEXT,
    note    TEXT NOT NULL
);
CREATE INDEX events_by_subject ON events (builder, slave, at, id);
CREATE INDEX events_by_time ON events (at, id);

-- Who pages back through a builder's builds begins at a time.
CREATE INDEX builds_by_start ON builds (builder, started, id);
