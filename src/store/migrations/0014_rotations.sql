-- A master key is active, staged (known, and not yet used), retiring (its wrappings are being replaced) or retired.
ALTER TABLE master_keys ADD COLUMN seal_count BIGINT NOT NULL DEFAULT 0;
-- This key sealed under the one before it (`handed_over_by`), so that servers which start with that one learn it.
ALTER TABLE master_keys ADD COLUMN handed_over BYTEA; -- sealed
ALTER TABLE master_keys ADD COLUMN handed_over_by TEXT;
ALTER TABLE master_keys ADD COLUMN handed_over_until BIGINT;
-- This key sealed under the one after it (`handed_back_to`), until nothing is wrapped under this one any more.
ALTER TABLE master_keys ADD COLUMN handed_back BYTEA; -- sealed
ALTER TABLE master_keys ADD COLUMN handed_back_to TEXT;

-- A data key is active or retired: a retired one stays until nothing is sealed under it.
ALTER TABLE data_keys ADD COLUMN retired_at BIGINT;

-- The server's own keys, each for one purpose: one active, and for a while the one before it.
CREATE TABLE purpose_keys (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    master_key_id TEXT NOT NULL,
    wrapped BYTEA NOT NULL, -- sealed
    state TEXT NOT NULL, -- active, retired
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
CREATE UNIQUE INDEX purpose_keys_active ON purpose_keys (purpose) WHERE state = 'active';

-- Rotations, the one in progress and those before it. `unfinished` is 1 or null: at most one is in progress.
CREATE TABLE rotations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL, -- master, data, signing
    state TEXT NOT NULL, -- planned, staged, active, rewrapping, verifying, retired, aborted
    unfinished BIGINT UNIQUE,
    emergency BIGINT, -- 1 or null
    old_key TEXT NOT NULL,
    new_key TEXT NOT NULL,
    position TEXT NOT NULL, -- the last row of the current table that was dealt with
    runner TEXT, -- who works, until when, and a token that counts up with every runner
    runner_until BIGINT,
    fence BIGINT NOT NULL,
    rewritten BIGINT NOT NULL,
    overtaken BIGINT NOT NULL, -- rows that somebody else changed first
    facts TEXT NOT NULL, -- JSON: the counts before and after, for the evidence
    started_at BIGINT NOT NULL, -- milliseconds
    ended_at BIGINT -- milliseconds
);

-- Rows that a rotation could not open, with the reason; they stay as they are.
CREATE TABLE rotation_exceptions (
    rotation_id TEXT NOT NULL REFERENCES rotations (id) ON DELETE CASCADE,
    in_table TEXT NOT NULL,
    row_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (rotation_id, in_table, row_id)
);
