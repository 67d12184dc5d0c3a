-- The client secret that servers use, named without being said: an HMAC. Null for an app without one.
ALTER TABLE spotify_apps ADD COLUMN secret_id TEXT;
ALTER TABLE spotify_apps ADD COLUMN secret_since BIGINT;
-- The one before it.
ALTER TABLE spotify_apps ADD COLUMN former_secret_id TEXT;
