-- What steps brought to the master, and where it went.
CREATE TABLE artifacts (
    build        INTEGER NOT NULL REFERENCES builds,
    step         INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    path         TEXT NOT NULL,
    is_directory INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    sha256       TEXT NOT NULL,
    made         INTEGER NOT NULL,
    PRIMARY KEY (build, step, place)
) WITHOUT ROWID;
CREATE INDEX artifacts_of_path ON artifacts (path, made);
