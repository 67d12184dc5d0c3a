-- The wider network (IPv4 /24, IPv6 /48) that something came from, so that a flood pushes out its own.
ALTER TABLE logins ADD COLUMN district BIGINT NOT NULL DEFAULT 0;
CREATE INDEX logins_in_progress ON logins (expires_at) WHERE used_at IS NULL;
CREATE INDEX logins_by_district ON logins (district, expires_at) WHERE used_at IS NULL;

-- Logins that find no room make some one after the other: each locks this one row first.
CREATE TABLE login_order (
    id BIGINT PRIMARY KEY,
    last_at BIGINT NOT NULL
);
INSERT INTO login_order (id, last_at) VALUES (1, 0);

ALTER TABLE clients ADD COLUMN district BIGINT NOT NULL DEFAULT 0;
-- When it was created, or when the same registration last came again.
ALTER TABLE clients ADD COLUMN registered_at BIGINT NOT NULL DEFAULT 0;
UPDATE clients SET registered_at = created_at;
CREATE INDEX clients_by_district ON clients (district, registered_at) WHERE last_used_at IS NULL;
