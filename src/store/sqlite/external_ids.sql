-- What who asked for a buildset calls it, such as the id of a try job.
ALTER TABLE buildsets ADD COLUMN external_id TEXT;
CREATE INDEX buildsets_by_external_id ON buildsets (external_id) WHERE external_id IS NOT NULL;
