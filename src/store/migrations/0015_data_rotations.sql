-- The rotation that made a data key; null where it came with its person.
ALTER TABLE data_keys ADD COLUMN rotation_id TEXT;
