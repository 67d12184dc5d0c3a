//! Housekeeping: removes what has expired.

use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::refresh::GRACE;
use crate::failure::Failure;

use super::{Pool, Store, transaction, writing};

/// How many rows went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Logins in progress that were not finished in time, and pages for linking that are over.
    pub logins: u64,
    /// Of these, and of sessions of both kinds: whose time was over.
    pub timed_out: u64,
    /// Codes.
    pub codes: u64,
    /// Access and refresh tokens.
    pub tokens: u64,
    /// Grants without a living token.
    pub grants: u64,
    /// Browser sessions.
    pub sessions: u64,
    /// 2025-era MCP sessions.
    pub mcp_sessions: u64,
    /// OAuth clients.
    pub clients: u64,
    /// API keys, and nonces of their signatures.
    pub keys: u64,
    /// Questions that nobody waits for any more.
    pub questions: u64,
    /// Windows of limits that are over.
    pub limits: u64,
    /// Changes that can no longer be undone, and plans that can no longer be applied.
    pub changes: u64,
}

/// How long ended tokens, codes and grants are kept, so that their reuse is still recognised. Rotated refresh
/// tokens stay as long as their grant: one that comes back ends the family, however late.
const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 3600);

/// How long what a retired key of the server's own has made may still come back; twice as long as it is taken.
const RETIRED_KEY: Duration = Duration::from_secs(2 * 3600);

/// How long it may take at most to complete a login that Spotify has answered.
const COMPLETION: Duration = Duration::from_secs(120);

/// How long its owner still sees that a key has expired.
const EXPIRED_KEY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most 2025-era sessions of everybody together that nobody used after `initialize`.
const MOST_UNUSED_SESSIONS: i64 = 50_000;

impl Store {
    /// Removes everything that expired before `now`, some of it a day later. Each kind by itself: a failure half
    /// way leaves the rest to the next time.
    pub async fn purge(&self, now: Timestamp) -> Result<Purged, Failure> {
        let (grace_over, ended) = (now.minus(GRACE).secs(), now.minus(KEPT_AFTER_END).secs());
        let (taken, completed) = (now.minus(RETIRED_KEY).secs(), now.minus(COMPLETION).secs());
        let plans = now.minus(super::plans::REMEMBERED).secs();
        let (expired_key, now) = (now.minus(EXPIRED_KEY).secs(), now.secs());
        self.run("DELETE FROM purpose_keys WHERE state = 'retired' AND retired_at <= $1", taken).await?;
        self.run(
            "UPDATE refresh_tokens SET successor = NULL WHERE successor IS NOT NULL AND rotated_at <= $1",
            grace_over,
        )
        .await?;
        let logins = self.run("DELETE FROM logins WHERE expires_at <= $1 AND used_at IS NULL", now).await?;
        let browsers = "DELETE FROM browser_sessions WHERE expires_at <= $1 AND revoked_at IS NULL";
        let browsers = self.run(browsers, now).await?;
        let sessions = self.run("DELETE FROM mcp_sessions WHERE expires_at <= $1", now).await?;
        let purged = Purged {
            timed_out: logins + browsers + sessions,
            logins: logins
                + self.run("DELETE FROM logins WHERE used_at <= $1", completed).await?
                + self.run("DELETE FROM link_pages WHERE expires_at <= $1", now).await?,
            codes: self.run("DELETE FROM codes WHERE expires_at <= $1", ended).await?,
            tokens: self.run("DELETE FROM access_tokens WHERE expires_at <= $1", ended).await?
                + self
                    .run("DELETE FROM refresh_tokens WHERE expires_at <= $1 AND rotated_at IS NULL", ended)
                    .await?,
            grants: self.run("DELETE FROM grants WHERE expires_at <= $1 OR revoked_at <= $1", ended).await?,
            sessions: browsers
                + self
                    .run("DELETE FROM browser_sessions WHERE expires_at <= $1 OR revoked_at IS NOT NULL", now)
                    .await?,
            mcp_sessions: sessions + self.purge_mcp_sessions(now, MOST_UNUSED_SESSIONS).await?,
            clients: self.purge_clients(now).await? + self.purge_documents(now).await?,
            keys: self.run("DELETE FROM api_keys WHERE revoked_at <= $1", ended).await?
                + self.run("DELETE FROM api_keys WHERE expires_at <= $1", expired_key).await?
                + self.run("DELETE FROM signature_nonces WHERE expires_at <= $1", now).await?,
            questions: self.run("DELETE FROM questions WHERE expires_at <= $1", now).await?,
            limits: self.run("DELETE FROM limit_windows WHERE expires_at <= $1", now).await?,
            changes: self.run("DELETE FROM changes WHERE expires_at <= $1", now).await?
                + self.run("DELETE FROM plans WHERE expires_at <= $1", plans).await?,
        };
        self.drop_unused_apps().await;
        self.empty_log().await;
        Ok(purged)
    }

    async fn run(&self, sql: &'static str, before: i64) -> Result<u64, Failure> {
        let done = writing!(self, pool => sqlx::query(sql)
            .bind(before).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(done)
    }

    /// Clients that registered themselves, expired, and that nobody has connected, with the consents they once had.
    async fn purge_clients(&self, now: i64) -> Result<u64, Failure> {
        let consents =
            "DELETE FROM consents WHERE client_id IN (SELECT id FROM clients WHERE kind = 'dynamic' AND expires_at <= $1
            AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id AND revoked_at IS NULL))";
        let clients = "DELETE FROM clients WHERE kind = 'dynamic' AND expires_at <= $1
            AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id AND revoked_at IS NULL)";
        let gone = transaction!(self, tx => {
            sqlx::query(consents).bind(now).execute(&mut *tx).await?;
            sqlx::query(clients).bind(now).execute(&mut *tx).await?.rows_affected()
        });
        Ok(gone)
    }

    /// On SQLite, what was deleted still stands in the write-ahead log until that is folded into the file and cut
    /// to nothing. `false` where a reader is in the way, which puts it off until the next purge.
    pub async fn empty_log(&self) -> bool {
        let Pool::Sqlite { write, .. } = &self.pool else { return true };
        let done: Result<(i64, i64, i64), _> =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(write).await;
        done.is_ok_and(|(busy, ..)| busy == 0)
    }
}
