-- Sessions of 2025-era clients: the grant through which each was opened, and its last use in milliseconds, which is
-- NULL until it is used after `initialize`. `last_active` says the same in seconds.
ALTER TABLE mcp_sessions ADD COLUMN grant_id TEXT REFERENCES grants (id) ON DELETE CASCADE;
ALTER TABLE mcp_sessions ADD COLUMN used_at BIGINT;
CREATE INDEX mcp_sessions_by_grant ON mcp_sessions (grant_id);
CREATE INDEX mcp_sessions_by_expiry ON mcp_sessions (expires_at);

-- Counts up whenever such a session ends: a counter apart, so that tokens stay remembered.
ALTER TABLE revocation ADD COLUMN sessions BIGINT NOT NULL DEFAULT 1;
