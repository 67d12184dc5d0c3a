-- Clients that metadata documents describe (kind 'document').

-- When the document was last fetched; null where a built-in description stood in for it.
ALTER TABLE clients ADD COLUMN fetched_at BIGINT;
-- Until when it is believed without being fetched again.
ALTER TABLE clients ADD COLUMN fresh_until BIGINT;
