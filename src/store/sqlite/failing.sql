-- Where the run of failures began that a branch of a builder is in. `branch` is JSON, `null` for
-- builds that name none; `good` is the newest number that went well, `bad` the newest that failed,
-- `first_bad` the oldest that failed after `good`.
CREATE TABLE failing (
    builder   TEXT NOT NULL,
    branch    TEXT NOT NULL,
    good      INTEGER,
    bad       INTEGER,
    first_bad INTEGER,
    since     INTEGER,
    suspects  TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (builder, branch)
) WITHOUT ROWID;

-- Of a build that failed: the number that began the run of failures it belongs to.
ALTER TABLE builds ADD COLUMN failing_since INTEGER;

-- What the builds of earlier versions tell.
INSERT INTO failing (builder, branch, good, bad)
SELECT builder, json_quote(branch),
       max(CASE WHEN outcome IN (0, 1) THEN number END), max(CASE WHEN outcome = 2 THEN number END)
FROM builds WHERE patch IS NULL AND outcome IN (0, 1, 2) GROUP BY builder, branch;
UPDATE failing SET first_bad = (
    SELECT min(number) FROM builds WHERE builds.builder = failing.builder
    AND json_quote(builds.branch) = failing.branch AND patch IS NULL AND outcome = 2
    AND number > coalesce(good, -1));
UPDATE failing SET
    since = (SELECT finished FROM builds
             WHERE builds.builder = failing.builder AND number = first_bad),
    suspects = (SELECT blame FROM builds
                WHERE builds.builder = failing.builder AND number = first_bad)
WHERE first_bad IS NOT NULL;
UPDATE builds SET failing_since = (
    SELECT first_bad FROM failing WHERE failing.builder = builds.builder
    AND failing.branch = json_quote(builds.branch) AND first_bad <= number)
WHERE outcome = 2 AND patch IS NULL;
