-- Registrations happen one after the other: each locks this one row first, so that what it counts is still so when
-- it writes.
CREATE TABLE registration_order (
    id BIGINT PRIMARY KEY,
    last_at BIGINT NOT NULL
);
INSERT INTO registration_order (id, last_at) VALUES (1, 0);
CREATE INDEX clients_never_used ON clients (created_at) WHERE last_used_at IS NULL;
CREATE INDEX clients_by_address ON clients (registered_from, created_at) WHERE last_used_at IS NULL;

-- What this very token allows, where a refresh asked for less than the grant holds; null: all of it.
ALTER TABLE access_tokens ADD COLUMN scope TEXT;
