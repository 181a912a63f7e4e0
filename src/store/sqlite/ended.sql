-- Which builds ended last, of all builders.
CREATE INDEX builds_by_end ON builds (finished, id) WHERE finished IS NOT NULL;
