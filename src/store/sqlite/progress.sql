-- What estimates go by: whether a step counts, when it had its locks if it waited for any, how
-- long its stdio became, and at which part of its time each further eighth of that was there.
ALTER TABLE steps ADD COLUMN counts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE steps ADD COLUMN began INTEGER;
ALTER TABLE steps ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN pace BLOB;
