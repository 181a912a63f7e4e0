-- In which spool a slave was to carry the command out first: it is not begun in another one.
-- NULL for commands that no slave was ever given, and those of earlier versions.
ALTER TABLE commands ADD COLUMN spool TEXT;
