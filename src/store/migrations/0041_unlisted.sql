-- Since when Spotify refuses every call of an account because the list of its app does not name it.
ALTER TABLE linked_accounts ADD COLUMN unlisted_since BIGINT;
