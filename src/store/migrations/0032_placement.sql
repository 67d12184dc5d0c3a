-- The Spotify apps that a login went through before, by our ids with blanks between.
ALTER TABLE logins ADD COLUMN tried TEXT;
