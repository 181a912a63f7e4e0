-- What a step counted beside its time: rows of a name, the last value, and its pace in
-- hexadecimal digits. The length of what it said becomes the first of them.
ALTER TABLE steps ADD COLUMN metrics TEXT NOT NULL DEFAULT '[]';
UPDATE steps SET metrics =
  json_array(json_array('output', said, CASE WHEN pace IS NOT NULL THEN hex(pace) END))
  WHERE said > 0;
ALTER TABLE steps DROP COLUMN said;
ALTER TABLE steps DROP COLUMN pace;
