-- How many bytes the logs of a build take: NULL until they are measured, 0 when they are gone.
ALTER TABLE builds ADD COLUMN log_bytes INTEGER;
CREATE INDEX builds_unmeasured ON builds (id) WHERE log_bytes IS NULL AND finished IS NOT NULL;
CREATE INDEX builds_with_logs ON builds (builder, number) WHERE log_bytes > 0;
CREATE INDEX builds_by_logs ON builds (id) WHERE log_bytes > 0;

-- Their sums. Which logs are gone says each build itself now.
ALTER TABLE numbers DROP COLUMN logless;
ALTER TABLE numbers ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER logs_measured AFTER UPDATE OF log_bytes ON builds BEGIN
    INSERT INTO numbers (builder) VALUES (NEW.builder) ON CONFLICT (builder) DO NOTHING;
    UPDATE numbers
    SET log_bytes = log_bytes + coalesce(NEW.log_bytes, 0) - coalesce(OLD.log_bytes, 0)
    WHERE builder = NEW.builder;
END;
CREATE TRIGGER logs_forgotten AFTER DELETE ON builds BEGIN
    UPDATE numbers SET log_bytes = log_bytes - coalesce(OLD.log_bytes, 0)
    WHERE builder = OLD.builder;
END;

-- When a change came, which is not when it was made.
ALTER TABLE changes ADD COLUMN arrived INTEGER NOT NULL DEFAULT 0;
UPDATE changes SET arrived = made;
