-- Whose data was deleted: SHA-256 in hexadecimal of the random id of a person (u_...) or of a linked account (l_...).
-- Kept outside the database too, in <data_dir>/tombstones.ndjson, and replayed on every backup that is restored.
CREATE TABLE tombstones (
    mark TEXT PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

-- Which backups were made or verified here.
CREATE TABLE backups (
    id TEXT PRIMARY KEY,
    made_at BIGINT NOT NULL,
    file TEXT NOT NULL, -- where it was seen last
    engine TEXT NOT NULL, -- sqlite, postgres
    bytes BIGINT NOT NULL,
    digest TEXT NOT NULL, -- hexadecimal SHA-256 of the file
    schema_version BIGINT NOT NULL,
    people BIGINT NOT NULL,
    verified_at BIGINT
);

-- The master keys without which a backup, or something in it, does not open.
CREATE TABLE backup_keys (
    backup_id TEXT NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    master_key_id TEXT NOT NULL,
    PRIMARY KEY (backup_id, master_key_id)
);
CREATE INDEX backup_keys_by_key ON backup_keys (master_key_id);
