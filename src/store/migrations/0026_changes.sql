-- What tools changed and what was there before, until it expires: so that a person can look at it and undo it. Sealed
-- under a key per change, and that one under the person's data key, so that a rotation re-seals keys and not contents.
CREATE TABLE changes (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    link_id TEXT NOT NULL REFERENCES linked_accounts (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    data_key_id TEXT NOT NULL,
    content_key BYTEA NOT NULL, -- sealed
    version BIGINT NOT NULL,
    summary BYTEA NOT NULL, -- sealed under the content key
    pre_image BYTEA NOT NULL, -- sealed under the content key
    created_at BIGINT NOT NULL, -- milliseconds
    expires_at BIGINT NOT NULL,
    undone_at BIGINT
);
CREATE INDEX changes_by_user ON changes (user_id, created_at);
CREATE INDEX changes_by_link ON changes (link_id);
CREATE INDEX changes_by_expiry ON changes (expires_at);

-- Plans of destructive changes that wait to be applied: for this person, account, playlist, state and arguments alone,
-- once.
CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    link_id TEXT NOT NULL REFERENCES linked_accounts (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    asked BYTEA NOT NULL, -- SHA-256 of the playlist and the arguments
    state BYTEA NOT NULL, -- SHA-256 of the playlist's snapshot
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX plans_by_user ON plans (user_id, created_at);
CREATE INDEX plans_by_link ON plans (link_id);
CREATE INDEX plans_by_expiry ON plans (expires_at);
