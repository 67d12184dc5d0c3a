//! Housekeeping: removes what has expired.

use std::time::Duration;

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::{Store, transaction};

/// How many rows went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Logins in progress that were not finished in time.
    pub logins: u64,
    /// Codes.
    pub codes: u64,
    /// Access and refresh tokens.
    pub tokens: u64,
    /// Grants without a living token.
    pub grants: u64,
    /// Browser sessions.
    pub sessions: u64,
    /// OAuth clients.
    pub clients: u64,
}

/// How long ended tokens, codes and grants are kept, so that their reuse is still recognised.
const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Removes everything that expired before `now`, some of it a day later.
    pub async fn purge(&self, now: Timestamp) -> Result<Purged, Failure> {
        let (now, ended) = (now.secs(), now.minus(KEPT_AFTER_END).secs());
        let purged = transaction!(self, tx => {
            macro_rules! delete {
                ($sql:literal, $before:expr) => {
                    sqlx::query($sql).bind($before).execute(&mut *tx).await?.rows_affected()
                };
            }
            Purged {
                logins: delete!("DELETE FROM logins WHERE expires_at <= $1 OR used_at IS NOT NULL", now),
                codes: delete!("DELETE FROM codes WHERE expires_at <= $1", ended),
                tokens: delete!("DELETE FROM access_tokens WHERE expires_at <= $1", ended)
                    + delete!("DELETE FROM refresh_tokens WHERE expires_at <= $1", ended),
                grants: delete!("DELETE FROM grants WHERE expires_at <= $1 OR revoked_at <= $1", ended),
                sessions: delete!("DELETE FROM browser_sessions WHERE expires_at <= $1 OR revoked_at IS NOT NULL", now),
                clients: delete!(
                    "DELETE FROM clients WHERE expires_at <= $1
                    AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id AND revoked_at IS NULL)",
                    now
                ),
            }
        });
        Ok(purged)
    }
}
