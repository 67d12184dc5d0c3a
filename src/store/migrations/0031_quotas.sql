-- What is known of Spotify's daily quotas: by developer account ('operator', or the id of a person's own app) and by
-- kind of call. Spotify says only when one is used up.
CREATE TABLE quotas (
    pool TEXT NOT NULL,
    bucket TEXT NOT NULL,
    closed_until BIGINT,
    learned_size BIGINT,
    learned_at BIGINT,
    PRIMARY KEY (pool, bucket)
);

-- Calls by person and hour since 1970, of the last day, where a quota ran out lately: for fair shares.
CREATE TABLE quota_calls (
    pool TEXT NOT NULL,
    bucket TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hour BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (pool, bucket, user_id, hour)
);
CREATE INDEX quota_calls_by_user ON quota_calls (user_id);
