-- People's own Spotify apps, one for each account that is linked through one. The secret is sealed under the person's data
-- key, for the account and the time at which it came.
ALTER TABLE linked_accounts ADD COLUMN own_client_id TEXT;
ALTER TABLE linked_accounts ADD COLUMN own_client_secret BYTEA; -- sealed
ALTER TABLE linked_accounts ADD COLUMN own_app_since BIGINT;
-- When somebody first brought this app; null: it is, or was, the operator's.
ALTER TABLE spotify_apps ADD COLUMN brought_at BIGINT;
ALTER TABLE spotify_apps DROP COLUMN client_secret;
ALTER TABLE spotify_apps DROP COLUMN owner_id;
