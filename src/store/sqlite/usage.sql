-- What the commands of a step took (JSON), and what made the last of them end.
ALTER TABLE steps ADD COLUMN usage TEXT;
ALTER TABLE steps ADD COLUMN ended TEXT;
