-- Tasks that no program can see done, as somebody attested them.
CREATE TABLE attestations (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    evidence TEXT NOT NULL,
    at BIGINT NOT NULL -- milliseconds
);
CREATE INDEX attestations_by_task ON attestations (task, at);
