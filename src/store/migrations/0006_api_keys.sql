-- What an API key's holder signs requests with: sealed under the person's data key, because an HMAC is checked with
-- the very key that makes it. Null where the key was made without the master key: it cannot sign.
ALTER TABLE api_keys ADD COLUMN signing_key BYTEA; -- sealed
ALTER TABLE api_keys ADD COLUMN data_key_id TEXT;
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at);

-- The nonces of accepted signatures, until the signatures are too old to be accepted again: whoever inserts, wins.
CREATE TABLE signature_nonces (
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    nonce BYTEA NOT NULL, -- SHA-256
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (key_id, nonce)
);
CREATE INDEX signature_nonces_by_expiry ON signature_nonces (expires_at);
