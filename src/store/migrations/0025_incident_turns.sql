-- One machine at a time responds to an incident: who, until when, and how often that changed. Whoever had the turn before
-- cannot store anything any more.
ALTER TABLE incidents ADD COLUMN runner TEXT;
ALTER TABLE incidents ADD COLUMN runner_until BIGINT; -- milliseconds
ALTER TABLE incidents ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
