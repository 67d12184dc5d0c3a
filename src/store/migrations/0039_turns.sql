-- Who changes something of a person's at the moment, and until when that is believed without hearing of it: one change of a
-- person at a time, on all servers.
ALTER TABLE users ADD COLUMN changing_by TEXT;
ALTER TABLE users ADD COLUMN changing_until BIGINT;
