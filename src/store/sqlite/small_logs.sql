-- Small logs of builds that ended, kept together: those of the builds from `first` to `last`.
CREATE TABLE log_packs (
    builder TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    bytes   BLOB NOT NULL
);
CREATE UNIQUE INDEX log_packs_of_builder ON log_packs (builder, last);
-- The logs of builds with smaller numbers were looked at.
ALTER TABLE numbers ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;

-- What stands in small logs whose files the disk may not have yet.
CREATE TABLE fresh_logs (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    build INTEGER NOT NULL REFERENCES builds,
    file  TEXT NOT NULL,
    bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX fresh_logs_of_build ON fresh_logs (build, file);
