-- Questions that a person is asked through a client of 2025 while a call waits: which session may reply, and its reply,
-- which may come to another server than the one that waits. For minutes.
CREATE TABLE questions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL REFERENCES mcp_sessions (id) ON DELETE CASCADE,
    reply TEXT, -- a word
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX questions_by_user ON questions (user_id);
CREATE INDEX questions_by_session ON questions (session_id);
CREATE INDEX questions_by_expiry ON questions (expires_at);
