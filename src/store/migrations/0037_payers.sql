-- Under which name a person's share of a quota is counted: a keyed hash of the Spotify account that they came with first,
-- so that whoever deletes themselves and comes back has no second share.
ALTER TABLE users ADD COLUMN payer TEXT;

-- Calls by that name and hour since 1970, of the last day, where a quota ran out lately. They outlive the person, by a day.
DROP TABLE quota_calls;
CREATE TABLE quota_calls (
    pool TEXT NOT NULL,
    bucket TEXT NOT NULL,
    payer TEXT NOT NULL,
    hour BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (pool, bucket, payer, hour)
);
CREATE INDEX quota_calls_by_payer ON quota_calls (payer);

-- Sizes that were learned of a part of a day.
UPDATE quotas SET learned_size = NULL;
