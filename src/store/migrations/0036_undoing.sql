-- Until when somebody is undoing a change, so that one that was broken off can be undone again. In the past: it was tried,
-- and not brought to an end.
ALTER TABLE changes ADD COLUMN undoing_until BIGINT;
