-- Version 2. Which buildset of which scheduler a step of a build has triggered.
CREATE TABLE triggered (
    build     INTEGER NOT NULL REFERENCES builds,
    step      INTEGER NOT NULL,
    scheduler TEXT NOT NULL,
    buildset  INTEGER NOT NULL REFERENCES buildsets,
    PRIMARY KEY (build, step, buildset)
) WITHOUT ROWID;

-- Schedulers keep their states by kind and name; so far there was one kind.
UPDATE states SET object = 'scheduler single_branch ' || substr(object, 11)
WHERE object LIKE 'scheduler %';
