-- House dialect: BIGINT, TEXT, BYTEA (BLOB on SQLite); unix seconds; a boolean is a nullable time (`revoked_at`).
-- Columns named *_hash hold SHA-256 of a token; columns marked "sealed" hold envelopes (src/crypto/envelope.rs).

-- Which master key the wrapped keys belong to, so that a start with another key fails with both names.
CREATE TABLE master_keys (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    -- Of the Spotify account that was disconnected last, under a key of ours: only it may come back to this person.
    former_identity BYTEA,
    disabled_at BIGINT
);

-- One active data key per person; older ones stay until nothing is sealed under them.
CREATE TABLE data_keys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    master_key_id TEXT NOT NULL,
    wrapped BYTEA NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seal_count BIGINT NOT NULL
);
CREATE INDEX data_keys_by_user ON data_keys (user_id);

-- Spotify apps: the operator's (owner_id is null) and people's own.
CREATE TABLE spotify_apps (
    id TEXT PRIMARY KEY,
    accounts_url TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_secret BYTEA, -- sealed; only for people's own apps, the operator's stay in the configuration
    owner_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    quota_mode TEXT NOT NULL,
    seats BIGINT, -- null: unlimited
    touched_at BIGINT NOT NULL,
    retired_at BIGINT,
    UNIQUE (accounts_url, client_id)
);

CREATE TABLE linked_accounts (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app_id TEXT NOT NULL REFERENCES spotify_apps (id),
    accounts_url TEXT NOT NULL,
    identity TEXT NOT NULL, -- Spotify's immutable account_id, or 'id:' and the user id where there is none
    spotify_user_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    alias TEXT NOT NULL,
    primary_since BIGINT,
    scope TEXT NOT NULL,
    authorized_at BIGINT NOT NULL,
    data_key_id TEXT NOT NULL,
    token_version BIGINT NOT NULL,
    access_token BYTEA, -- sealed
    access_expires_at BIGINT NOT NULL,
    refresh_token BYTEA, -- sealed
    lease_holder TEXT,
    lease_until BIGINT,
    reconnect_since BIGINT,
    reconnect_reason TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (accounts_url, identity),
    UNIQUE (user_id, alias)
);
CREATE INDEX linked_accounts_by_app ON linked_accounts (app_id);
CREATE UNIQUE INDEX linked_accounts_primary ON linked_accounts (user_id) WHERE primary_since IS NOT NULL;

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL, -- dynamic, configured, document
    name TEXT NOT NULL,
    redirect_uris TEXT NOT NULL, -- JSON array
    auth_method TEXT NOT NULL,
    grant_types TEXT NOT NULL, -- JSON array
    scope TEXT NOT NULL,
    secret_hash BYTEA,
    fingerprint BYTEA, -- of the registration, for de-duplication
    registered_from TEXT, -- address, /64 for IPv6
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at BIGINT
);
CREATE INDEX clients_by_fingerprint ON clients (fingerprint);

-- What a person approved: this very client, redirect URI and scope.
CREATE TABLE consents (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    scope TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id, redirect_uri)
);
CREATE INDEX consents_by_client ON consents (client_id);

-- Logins in progress at Spotify, single use: found by the state that Spotify returns and the browser's own cookie.
CREATE TABLE logins (
    state_hash BYTEA PRIMARY KEY,
    browser_hash BYTEA NOT NULL,
    purpose TEXT NOT NULL, -- client, browser, link
    app_id TEXT NOT NULL,
    verifier BYTEA NOT NULL, -- sealed
    request TEXT, -- JSON of the authorization request, where a client waits
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE, -- who was logged in when it began
    spotify_scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX logins_by_expiry ON logins (expires_at);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    resource TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- the absolute end of its refresh family
    revoked_at BIGINT,
    revoked_because TEXT
);
CREATE INDEX grants_by_user ON grants (user_id);
CREATE INDEX grants_by_client ON grants (client_id);

CREATE TABLE codes (
    hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    used_at BIGINT,
    grant_id TEXT
);
CREATE INDEX codes_by_expiry ON codes (expires_at);
CREATE INDEX codes_by_user ON codes (user_id);

CREATE TABLE access_tokens (
    hash BYTEA PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    hash BYTEA PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT,
    successor BYTEA, -- sealed under a key that only the presented token gives
    grace_uses BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at) WHERE rotated_at IS NULL;
CREATE INDEX refresh_tokens_in_grace ON refresh_tokens (rotated_at) WHERE successor IS NOT NULL;

CREATE TABLE browser_sessions (
    id TEXT PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id);

-- Sessions of 2025-era MCP clients.
CREATE TABLE mcp_sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL UNIQUE, -- hexadecimal SHA-256 of what the client holds
    client_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_active BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    connection_status TEXT NOT NULL,
    metadata TEXT NOT NULL
);
CREATE INDEX mcp_sessions_by_user ON mcp_sessions (user_id);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_keys_by_user ON api_keys (user_id);

-- Calls per person, tool and UTC day.
CREATE TABLE usage (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    day TEXT NOT NULL,
    tool TEXT NOT NULL,
    calls BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    PRIMARY KEY (user_id, day, tool)
);

-- One row: counts up whenever something that servers keep in memory has ended.
CREATE TABLE revocation (
    id BIGINT PRIMARY KEY,
    epoch BIGINT NOT NULL
);
INSERT INTO revocation (id, epoch) VALUES (1, 1);

-- Security events, written in the transaction of the change that they report, drained into the audit trail.
CREATE TABLE audit_outbox (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL, -- milliseconds
    event TEXT NOT NULL
);
CREATE INDEX audit_outbox_by_time ON audit_outbox (at, id);
