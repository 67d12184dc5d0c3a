-- The newest revision of each sealed configuration that a server has started with: an older one is a rollback.
CREATE TABLE sealed_configurations (
    lineage TEXT PRIMARY KEY,
    rev BIGINT NOT NULL,
    digest TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
