-- How urgent requests are, why one was completed without a build, and the open ones of a builder.
ALTER TABLE buildsets ADD COLUMN priority INTEGER;
ALTER TABLE requests ADD COLUMN cancelled TEXT;
CREATE INDEX requests_open ON requests (builder, id) WHERE outcome IS NULL;
