-- Which account a person logs in with: nobody's by default, and one at most.
ALTER TABLE linked_accounts ADD COLUMN opens_since BIGINT;
UPDATE linked_accounts SET opens_since = created_at WHERE NOT EXISTS (
    SELECT 1 FROM linked_accounts b WHERE b.user_id = linked_accounts.user_id
    AND (b.created_at < linked_accounts.created_at
        OR (b.created_at = linked_accounts.created_at AND b.id < linked_accounts.id)));
CREATE UNIQUE INDEX linked_accounts_opening ON linked_accounts (user_id) WHERE opens_since IS NOT NULL;
