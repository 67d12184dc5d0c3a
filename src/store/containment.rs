//! What anybody holds, and what ends all of it in one transaction: for an emergency.

use crate::domain::UserId;
use crate::failure::Failure;

use super::{Store, reading};

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
    /// What people approved: a client that comes again would not have to ask.
    pub approvals: i64,
}

const LIVING: &str = "SELECT
    (SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL) AS grants,
    (SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL) AS access_tokens,
    (SELECT COUNT(*) FROM browser_sessions WHERE revoked_at IS NULL) AS browser_sessions,
    (SELECT COUNT(*) FROM mcp_sessions) AS mcp_sessions,
    (SELECT COUNT(*) FROM codes) + (SELECT COUNT(*) FROM logins) AS pending,
    (SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NULL) AS api_keys,
    (SELECT COUNT(*) FROM consents) AS approvals";

/// The same of one person.
const LIVING_OF: &str = "SELECT
    (SELECT COUNT(*) FROM grants WHERE user_id = $1 AND revoked_at IS NULL) AS grants,
    (SELECT COUNT(*) FROM access_tokens t JOIN grants g ON g.id = t.grant_id
        WHERE g.user_id = $1 AND t.revoked_at IS NULL) AS access_tokens,
    (SELECT COUNT(*) FROM browser_sessions WHERE user_id = $1 AND revoked_at IS NULL) AS browser_sessions,
    (SELECT COUNT(*) FROM mcp_sessions WHERE user_id = $1) AS mcp_sessions,
    (SELECT COUNT(*) FROM codes WHERE user_id = $1) + (SELECT COUNT(*) FROM logins WHERE user_id = $1) AS pending,
    (SELECT COUNT(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL) AS api_keys,
    (SELECT COUNT(*) FROM consents WHERE user_id = $1) AS approvals";

impl Store {
    /// How much of what was issued is still good.
    pub async fn living(&self) -> Result<Living, Failure> {
        Ok(reading!(self, pool => sqlx::query_as(LIVING).fetch_one(pool).await)?)
    }

    /// The same without what these hold: people who exist only to be tried.
    pub async fn living_but_of(&self, people: &[UserId]) -> Result<Living, Failure> {
        let mut all = self.living().await?;
        for user in people {
            let of: Living =
                reading!(self, pool => sqlx::query_as(LIVING_OF).bind(user.as_str()).fetch_one(pool).await)?;
            all.grants -= of.grants;
            all.access_tokens -= of.access_tokens;
            all.browser_sessions -= of.browser_sessions;
            all.mcp_sessions -= of.mcp_sessions;
            all.pending -= of.pending;
            all.api_keys -= of.api_keys;
            all.approvals -= of.approvals;
        }
        Ok(all)
    }
}

/// What ends all of it, on every server; each with the time as `$1`.
pub(super) const ENDINGS: [&str; 9] = [
    "UPDATE grants SET revoked_at = $1, revoked_because = 'emergency' WHERE revoked_at IS NULL",
    "UPDATE access_tokens SET revoked_at = $1 WHERE revoked_at IS NULL",
    "UPDATE browser_sessions SET revoked_at = $1 WHERE revoked_at IS NULL",
    "UPDATE api_keys SET revoked_at = $1 WHERE revoked_at IS NULL",
    "UPDATE refresh_tokens SET successor = NULL WHERE successor IS NOT NULL AND $1 > 0",
    "DELETE FROM mcp_sessions WHERE $1 > 0",
    "DELETE FROM codes WHERE $1 > 0",
    "DELETE FROM logins WHERE $1 > 0",
    "DELETE FROM consents WHERE $1 > 0",
];

/// Ends all of it in the running transaction.
macro_rules! end_everything {
    ($tx:ident, $now:expr) => {{
        for statement in $crate::store::containment::ENDINGS {
            sqlx::query(statement).bind($now.secs()).execute(&mut *$tx).await?;
        }
        end_cached!($tx);
        sqlx::query("UPDATE revocation SET sessions = sessions + 1 WHERE id = 1").execute(&mut *$tx).await?;
    }};
}
pub(super) use end_everything;
