-- What single tests ended in. The name of one is kept once, however many builds run it.
CREATE TABLE test_names (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- `ended` is the number of an end: the worst is 0.
CREATE TABLE tests (
    build INTEGER NOT NULL REFERENCES builds,
    step  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name  INTEGER NOT NULL REFERENCES test_names,
    ended INTEGER NOT NULL,
    PRIMARY KEY (build, step, place)
) WITHOUT ROWID;
CREATE INDEX tests_of_name ON tests (name, build, ended);

-- Of tests of which more is known: their program's word for the end, and what was said.
CREATE TABLE test_logs (
    build INTEGER NOT NULL REFERENCES builds,
    step  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    text  TEXT NOT NULL,
    log   TEXT NOT NULL
);
CREATE UNIQUE INDEX logs_of_tests ON test_logs (build, step, place);

-- How many there were: [[end, count], ...]; and how many of them have no row.
CREATE TABLE test_counts (
    build    INTEGER NOT NULL REFERENCES builds,
    step     INTEGER NOT NULL,
    counts   TEXT NOT NULL,
    left_out INTEGER NOT NULL,
    PRIMARY KEY (build, step)
) WITHOUT ROWID;
