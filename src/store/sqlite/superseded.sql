-- What is looked for when a request comes: the older ones of its branch, and, where only so many may wait, those that go.
-- `source` is a number for repository, branch and project, 0 for what supersedes nothing, NULL for what is older than this column.
ALTER TABLE requests ADD COLUMN source INTEGER;
ALTER TABLE requests ADD COLUMN priority INTEGER;
UPDATE requests SET priority = (SELECT priority FROM buildsets WHERE buildsets.id = buildset)
WHERE outcome IS NULL;
CREATE INDEX requests_of_source ON requests (builder, source, id) WHERE outcome IS NULL;
CREATE INDEX requests_by_urgency ON requests (builder, priority, id)
WHERE build IS NULL AND outcome IS NULL;
