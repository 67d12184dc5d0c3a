-- Client ids of people's own apps are sealed as their secrets are. `own_client_id` keeps what versions before wrote, until
-- the next start seals it; then `spotify_apps.client_id` of such an app is a keyed name too.
ALTER TABLE linked_accounts ADD COLUMN sealed_client_id BYTEA; -- sealed
