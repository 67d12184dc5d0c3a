-- What all servers together have counted in a window of time, where several share a database. Who is counted is
-- not readable here: a bucket is a keyed hash. Rows go soon after their window.
CREATE TABLE limit_windows (
    bucket BYTEA NOT NULL,
    began_at BIGINT NOT NULL,
    used BIGINT NOT NULL,
    granted BIGINT NOT NULL, -- by the last reservation
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (bucket, began_at)
);
CREATE INDEX limit_windows_by_expiry ON limit_windows (expires_at);
