//! Ending what people and clients hold, by selection: one predicate for each kind counts what would end and ends it, in
//! one transaction. On PostgreSQL the order matters: logins and codes on their way first, because whoever makes
//! something of them holds their row; what was made of them is then seen by the statements after.

use sqlx::AssertSqlSafe;

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::domain::ids::EventId;
use crate::domain::selection::Selection;
use crate::failure::Failure;

use super::revocable::{API_KEYS, LINKS, Statement, Value};
use super::{Recorded, Store, end_cached, lock_person, record, transaction};

/// What to end.
#[derive(Clone, Copy, Debug)]
pub struct Revoking<'a> {
    /// Whose and which.
    pub selection: &'a Selection,
    /// API keys too.
    pub api_keys: bool,
    /// Spotify's tokens too: they are forgotten here, and the person logs in once more.
    pub spotify_links: bool,
    /// What else is done in the same transaction.
    pub besides: Besides,
    /// The event that tells of it; each ended grant names it.
    pub event: &'a EventId,
    /// Now.
    pub now: Timestamp,
}

/// Makes the events of what was ended.
pub type Told<'a> = &'a (dyn Fn(&Revoked) -> Vec<Recorded> + Sync);

/// What else is done to whose credentials end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Besides {
    /// Nothing.
    #[default]
    Nothing,
    /// The person of the selection cannot log in again.
    Disable,
    /// The client of the selection is forgotten, unless the configuration names it.
    ForgetClient,
}

/// How many of each kind were alive and are ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Logins at Spotify on their way.
    pub logins: i64,
    /// Authorization codes not redeemed yet.
    pub codes: i64,
    /// Clients' grants.
    pub grants: i64,
    /// Their access tokens.
    pub access_tokens: i64,
    /// Their refresh tokens.
    pub refresh_tokens: i64,
    /// 2025-era sessions.
    pub mcp_sessions: i64,
    /// Approvals that the clients had: they ask again.
    pub consents: i64,
    /// Browsers.
    pub browser_sessions: i64,
    /// API keys.
    pub api_keys: i64,
    /// Linked accounts whose tokens are forgotten.
    pub spotify_links: i64,
    /// API keys of the selection that live on, because they were not asked for.
    pub kept_api_keys: i64,
    /// Linked accounts of the selection whose tokens are kept, for the same reason.
    pub kept_spotify_links: i64,
}

impl Revoked {
    /// Every kind with its stable name.
    pub const fn kinds(&self) -> [(&'static str, i64); 10] {
        [
            ("browser_sessions", self.browser_sessions),
            ("grants", self.grants),
            ("access_tokens", self.access_tokens),
            ("refresh_tokens", self.refresh_tokens),
            ("codes", self.codes),
            ("pending_logins", self.logins),
            ("mcp_sessions", self.mcp_sessions),
            ("consents", self.consents),
            ("api_keys", self.api_keys),
            ("spotify_links", self.spotify_links),
        ]
    }

    /// Whether there was nothing.
    pub fn is_nothing(&self) -> bool {
        self.kinds().iter().all(|(_, count)| *count == 0)
    }
}

/// A statement with its time, its event and its values.
macro_rules! bound {
    ($query:expr, $what:expr, $because:expr, $statement:expr) => {{
        let mut query = $query.bind($what.now.secs()).bind($because.as_str());
        for value in &$statement.values {
            query = match value {
                Value::Text(text) => query.bind(text.as_str()),
                Value::Number(number) => query.bind(*number),
            };
        }
        query
    }};
}

macro_rules! counted {
    ($tx:ident, $what:expr, $because:expr, $statement:expr) => {{
        let query = sqlx::query_scalar(AssertSqlSafe($statement.counting()));
        let count: i64 = bound!(query, $what, $because, $statement).fetch_one(&mut *$tx).await?;
        count
    }};
}

impl Store {
    /// Ends what is selected and records it: `told` makes the events, with the counts. Without it nothing is ended, and
    /// the same predicates count in the same order. `None` where the person of the selection is not there.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is ended.
    pub async fn revoke(
        &self,
        what: Revoking<'_>,
        told: Option<Told<'_>>,
    ) -> Result<Option<Revoked>, Failure> {
        let because = format!("revoked:{}", what.event.as_str());
        let mut statements = Statement::all(what.selection);
        let (keys, links) = (Statement::of(&API_KEYS, what.selection), Statement::of(&LINKS, what.selection));
        let mut kept = Vec::new();
        for (statement, wanted) in [(keys, what.api_keys), (links, what.spotify_links)] {
            if let Some(statement) = statement {
                if wanted { statements.push(statement) } else { kept.push(statement) }
            }
        }
        let revoked = transaction!(self, tx => {
            let mut revoked = Revoked::default();
            for statement in &kept {
                let count = counted!(tx, what, because, statement);
                if statement.kind.table == API_KEYS.table {
                    revoked.kept_api_keys = count;
                } else {
                    revoked.kept_spotify_links = count;
                }
            }
            let Some(told) = told else {
                for statement in &statements {
                    *(statement.kind.count)(&mut revoked) += counted!(tx, what, because, statement);
                }
                return Ok(Some(revoked));
            };
            if let Some(user) = what.selection.user() && !lock_person!(tx, user) {
                return Ok(None);
            }
            for statement in &statements {
                let query = sqlx::query(AssertSqlSafe(statement.ending()));
                let ended = bound!(query, what, because, statement).execute(&mut *tx).await?.rows_affected();
                *(statement.kind.count)(&mut revoked) += i64::try_from(ended).unwrap_or(i64::MAX);
            }
            // The pair that a refresh is answered with once more goes with its family.
            sqlx::query(FORGET_SUCCESSORS).bind(&because).execute(&mut *tx).await?;
            match (what.besides, what.selection.user(), what.selection.client()) {
                (Besides::Disable, Some(user), _) => {
                    sqlx::query(DISABLE).bind(user.as_str()).bind(what.now.secs()).execute(&mut *tx).await?;
                }
                (Besides::ForgetClient, _, Some(client)) => {
                    sqlx::query(FORGET).bind(client.as_str()).execute(&mut *tx).await?;
                }
                _ => {}
            }
            end_cached!(tx);
            if let Some(user) = what.selection.user() && what.selection.session().is_none() {
                // Of a browser that nobody was logged in at, only now it is known whose login it was.
                sqlx::query(VOID_LOGINS).bind(user.as_str()).execute(&mut *tx).await?;
            }
            record!(tx, &told(&revoked));
            Some(revoked)
        });
        Ok(revoked)
    }

    /// Lets a person log in again; what they held before stays ended. `false` where they were not disabled.
    pub async fn enable_user(&self, user: &UserId, events: &[Recorded]) -> Result<bool, Failure> {
        let sql = "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL";
        let enabled = transaction!(self, tx => {
            let done = sqlx::query(sql).bind(user.as_str()).execute(&mut *tx).await?;
            if done.rows_affected() == 1 {
                record!(tx, events);
            }
            done.rows_affected() == 1
        });
        Ok(enabled)
    }
}

const FORGET_SUCCESSORS: &str = "UPDATE refresh_tokens SET successor = NULL
    WHERE successor IS NOT NULL AND grant_id IN (SELECT id FROM grants WHERE revoked_because = $1)";
const DISABLE: &str = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
const FORGET: &str = "DELETE FROM clients WHERE id = $1 AND kind <> 'configured'";
const VOID_LOGINS: &str =
    "UPDATE users SET logins_void_before = (SELECT epoch FROM revocation WHERE id = 1) WHERE id = $1";
