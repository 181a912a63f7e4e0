-- Every index is a page that each build writes again: what no question needs goes.

-- `builds_at_a_glance` begins with the same columns; `numbers` keeps a number from coming twice.
DROP INDEX builds_of_builder;
-- The audit log is read from its end.
DROP INDEX audit_of_user;
DROP INDEX audit_of_action;
-- What is of no change (0) neither supersedes nor is superseded.
DROP INDEX requests_of_source;
CREATE INDEX requests_of_source ON requests (builder, source, id)
    WHERE outcome IS NULL AND source IS NOT 0;

-- Small logs whose files the disk may not have yet. They go some seconds after they came, and
-- what was pruned or packed meanwhile is told by its build.
CREATE TABLE fresh (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    build INTEGER NOT NULL,
    file  TEXT NOT NULL,
    bytes BLOB NOT NULL
);
INSERT INTO fresh SELECT id, build, file, bytes FROM fresh_logs;
DROP TABLE fresh_logs;
ALTER TABLE fresh RENAME TO fresh_logs;
