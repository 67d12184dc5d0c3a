-- While servers are locked down, the incident's id stands here, and no server answers anything but probes of its health.
ALTER TABLE revocation ADD COLUMN locked_by TEXT;

-- Incidents: the one in progress and those before it. `unfinished` is 1 or null: at most one is in progress.
CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    playbook TEXT NOT NULL,
    state TEXT NOT NULL, -- open, contained
    unfinished BIGINT UNIQUE,
    facts TEXT NOT NULL, -- JSON: its steps, each with its evidence
    began_at BIGINT NOT NULL, -- milliseconds
    ended_at BIGINT -- milliseconds
);
