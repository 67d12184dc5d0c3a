-- What a revocation ends of logins and codes on their way. The client that waits for the login; and the revocation
-- epoch at which it began: one that began before its person's logins were made void is not completed.
ALTER TABLE logins ADD COLUMN client_id TEXT;
ALTER TABLE logins ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN logins_void_before BIGINT;
ALTER TABLE codes ADD COLUMN issued_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX usage_by_day ON usage (day);
