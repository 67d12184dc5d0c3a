-- Whose accounts have changed since a server looked: of them alone it forgets what it remembers. `revocation.accounts` counts
-- such changes, `users.accounts_changed` is what it came to with the person's last one.
ALTER TABLE revocation ADD COLUMN accounts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN accounts_changed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX users_by_accounts_changed ON users (accounts_changed);
