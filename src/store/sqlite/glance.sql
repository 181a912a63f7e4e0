-- What lists show of many builds is read from the index alone.
CREATE INDEX builds_at_a_glance
    ON builds (builder, number, branch, slave, started, finished, outcome);
-- What ended last, of all builders.
CREATE INDEX builds_by_end ON builds (finished, id, builder, branch, outcome)
    WHERE finished IS NOT NULL;
