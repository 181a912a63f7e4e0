-- Version 1. Times are milliseconds since 1970 UTC; outcomes are the exported numbers;
-- lists and properties are JSON.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What sources and schedulers must know after a restart.
CREATE TABLE states (
    object TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE changes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    author     TEXT NOT NULL,
    files      TEXT NOT NULL,
    comments   TEXT NOT NULL,
    revision   TEXT,
    branch     TEXT,
    category   TEXT,
    revlink    TEXT NOT NULL,
    repository TEXT NOT NULL,
    project    TEXT NOT NULL,
    made       INTEGER NOT NULL,
    properties TEXT NOT NULL,
    origin     TEXT UNIQUE
);

CREATE TABLE buildsets (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    reason     TEXT NOT NULL,
    properties TEXT NOT NULL,
    branch     TEXT,
    revision   TEXT,
    repository TEXT NOT NULL,
    project    TEXT NOT NULL,
    patch      TEXT,
    submitted  INTEGER NOT NULL,
    finished   INTEGER,
    outcome    INTEGER
);

CREATE TABLE buildset_changes (
    buildset INTEGER NOT NULL REFERENCES buildsets,
    change   INTEGER NOT NULL REFERENCES changes,
    PRIMARY KEY (buildset, change)
) WITHOUT ROWID;
CREATE INDEX buildsets_of_change ON buildset_changes (change);

-- `build` is the build that has claimed the request: set while it runs and after it ended.
CREATE TABLE requests (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    buildset  INTEGER NOT NULL REFERENCES buildsets,
    builder   TEXT NOT NULL,
    submitted INTEGER NOT NULL,
    build     INTEGER,
    finished  INTEGER,
    outcome   INTEGER
);
CREATE INDEX requests_of_buildset ON requests (buildset);
CREATE INDEX requests_waiting ON requests (submitted, id) WHERE build IS NULL AND outcome IS NULL;

CREATE TABLE builds (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    builder     TEXT NOT NULL,
    number      INTEGER NOT NULL,
    slave       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    branch      TEXT,
    revision    TEXT,
    repository  TEXT NOT NULL,
    project     TEXT NOT NULL,
    patch       TEXT,
    properties  TEXT NOT NULL,
    blame       TEXT NOT NULL,
    text        TEXT NOT NULL,
    started     INTEGER NOT NULL,
    finished    INTEGER,
    outcome     INTEGER,
    lease       INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    stop_reason TEXT
);
CREATE UNIQUE INDEX builds_of_builder ON builds (builder, number);
CREATE INDEX builds_of_slave ON builds (slave, id);
CREATE INDEX builds_running ON builds (id) WHERE finished IS NULL;

CREATE TABLE build_requests (
    build   INTEGER NOT NULL REFERENCES builds,
    request INTEGER NOT NULL REFERENCES requests,
    PRIMARY KEY (build, request)
) WITHOUT ROWID;
CREATE INDEX builds_of_request ON build_requests (request);

CREATE TABLE build_changes (
    build  INTEGER NOT NULL REFERENCES builds,
    change INTEGER NOT NULL REFERENCES changes,
    PRIMARY KEY (build, change)
) WITHOUT ROWID;

CREATE TABLE steps (
    build      INTEGER NOT NULL REFERENCES builds,
    number     INTEGER NOT NULL,
    name       TEXT NOT NULL,
    started    INTEGER,
    finished   INTEGER,
    outcome    INTEGER,
    text       TEXT NOT NULL,
    build_text TEXT NOT NULL,
    statistics TEXT NOT NULL,
    urls       TEXT NOT NULL,
    hidden     INTEGER NOT NULL,
    logs       TEXT NOT NULL,
    PRIMARY KEY (build, number)
) WITHOUT ROWID;

-- `log_start` and `log_end` are places in the step's `stdio`.
CREATE TABLE commands (
    build     INTEGER NOT NULL REFERENCES builds,
    step      INTEGER NOT NULL,
    idx       INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    log_start INTEGER NOT NULL,
    log_end   INTEGER,
    end       TEXT,
    PRIMARY KEY (build, step, idx)
) WITHOUT ROWID;
