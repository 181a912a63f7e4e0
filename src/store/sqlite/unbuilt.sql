-- Requests that were completed without a build, for who forgets them.
CREATE INDEX requests_unbuilt ON requests (builder, id)
WHERE outcome IS NOT NULL AND build IS NULL;

-- What single tests said counts as logs: it is measured anew where there is some.
UPDATE builds SET log_bytes = NULL
WHERE log_bytes IS NOT NULL AND id IN (SELECT build FROM test_logs WHERE log <> '');
