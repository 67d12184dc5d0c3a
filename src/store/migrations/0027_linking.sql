-- One-time pages on which a person links another Spotify account: asked for by a tool, opened in their own browser.
CREATE TABLE link_pages (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    alias TEXT, -- what the account is to be called, where that was said
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX link_pages_by_user ON link_pages (user_id);
CREATE INDEX link_pages_by_expiry ON link_pages (expires_at);
-- The page that a login leads back to, and what the account that it links is to be called.
ALTER TABLE logins ADD COLUMN link_page TEXT;
ALTER TABLE logins ADD COLUMN alias TEXT;
