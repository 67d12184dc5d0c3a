-- While an emergency is dealt with, its id stands here, and no server issues anything.
ALTER TABLE revocation ADD COLUMN frozen_by TEXT;

-- Emergencies: the one in progress and those before it. `unfinished` is 1 or null: at most one is in progress.
CREATE TABLE emergencies (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL, -- begun, frozen, lifted, contained
    unfinished BIGINT UNIQUE,
    facts TEXT NOT NULL, -- JSON: what was ended and probed, for the evidence
    began_at BIGINT NOT NULL, -- milliseconds
    ended_at BIGINT -- milliseconds
);
