-- How far each chain of the audit trail was signed when it was signed last: what its files lack of that was taken away.
-- Keys are in the text form of signed notes: the first that was seen, and the newest.
CREATE TABLE audit_chains (
    chain_uid TEXT PRIMARY KEY,
    writer TEXT NOT NULL, -- the name of the trail's folder, in its file `node`
    first_key TEXT NOT NULL,
    key TEXT NOT NULL,
    size BIGINT NOT NULL, -- records
    note TEXT NOT NULL,
    at BIGINT NOT NULL -- milliseconds
);

-- Of several servers on one database, one writes an event into its trail: who has claimed it, and until when
-- (milliseconds) the others leave it alone.
ALTER TABLE audit_outbox ADD COLUMN claimed_by TEXT;
ALTER TABLE audit_outbox ADD COLUMN claimed_until BIGINT;

-- The key under which the trail's personal fields of one person, or of one day's unknown people, are sealed; its id is
-- the pseudonym by which the trail calls the person. It is never made again: with it what it sealed is gone.
CREATE TABLE audit_keys (
    id TEXT PRIMARY KEY, -- p_ or d_ and 32 hexadecimal digits
    user_id TEXT UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    day BIGINT UNIQUE, -- days since 1970-01-01
    wrapped BYTEA NOT NULL, -- sealed
    created_at BIGINT NOT NULL
);

-- How far each place outside was told of a chain's checkpoints.
CREATE TABLE audit_anchors (
    chain_uid TEXT NOT NULL,
    anchor TEXT NOT NULL,
    size BIGINT NOT NULL, -- records
    told_at BIGINT NOT NULL, -- milliseconds
    PRIMARY KEY (chain_uid, anchor)
);
