//! Ends everything that anybody holds, in one transaction: for an emergency.

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::{Recorded, Store, end_cached, reading, record, transaction};

/// What is still good of what was ever issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Living {
    /// Clients' grants.
    pub grants: i64,
    /// Access tokens.
    pub access_tokens: i64,
    /// Browsers.
    pub browser_sessions: i64,
    /// 2025-era sessions.
    pub mcp_sessions: i64,
    /// Codes and logins in progress.
    pub pending: i64,
    /// API keys.
    pub api_keys: i64,
}

const LIVING: &str = "SELECT
    (SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL) AS grants,
    (SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL) AS access_tokens,
    (SELECT COUNT(*) FROM browser_sessions WHERE revoked_at IS NULL) AS browser_sessions,
    (SELECT COUNT(*) FROM mcp_sessions) AS mcp_sessions,
    (SELECT COUNT(*) FROM codes) + (SELECT COUNT(*) FROM logins) AS pending,
    (SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NULL) AS api_keys";

impl Store {
    /// How much of what was issued is still good.
    pub async fn living(&self) -> Result<Living, Failure> {
        Ok(reading!(self, pool => sqlx::query_as(LIVING).fetch_one(pool).await)?)
    }

    /// Ends all of it, on every server; gives what there was.
    pub async fn end_everything(&self, now: Timestamp, events: &[Recorded]) -> Result<Living, Failure> {
        let statements = [
            "UPDATE grants SET revoked_at = $1, revoked_because = 'emergency' WHERE revoked_at IS NULL",
            "UPDATE access_tokens SET revoked_at = $1 WHERE revoked_at IS NULL",
            "UPDATE browser_sessions SET revoked_at = $1 WHERE revoked_at IS NULL",
            "UPDATE api_keys SET revoked_at = $1 WHERE revoked_at IS NULL",
            "UPDATE refresh_tokens SET successor = NULL WHERE successor IS NOT NULL AND $1 > 0",
            "DELETE FROM mcp_sessions WHERE $1 > 0",
            "DELETE FROM codes WHERE $1 > 0",
            "DELETE FROM logins WHERE $1 > 0",
        ];
        let ended = transaction!(self, tx => {
            let before: Living = sqlx::query_as(LIVING).fetch_one(&mut *tx).await?;
            for statement in statements {
                sqlx::query(statement).bind(now.secs()).execute(&mut *tx).await?;
            }
            end_cached!(tx);
            sqlx::query("UPDATE revocation SET sessions = sessions + 1 WHERE id = 1").execute(&mut *tx).await?;
            record!(tx, events);
            before
        });
        Ok(ended)
    }
}
