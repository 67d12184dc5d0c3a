//! People.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::UserId;
use crate::failure::Failure;

use super::audit_keys::{audit_pseudonym, erase_audit_key};
use super::tombstones::bury;
use super::{Recorded, Store, corrupt, end_cached, lock_person, reading, record, transaction};

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// Our id.
    pub id: UserId,
    /// The name that Spotify gave at the last login; untrusted text.
    pub display_name: String,
    /// First login.
    pub created_at: Timestamp,
    /// Last login.
    pub last_seen_at: Timestamp,
    /// Of the account that was disconnected last, where none is linked: keyed, and nothing else is left of it.
    pub former_identity: Option<TokenHash>,
    /// Set where an administrator disabled the account.
    pub disabled_at: Option<Timestamp>,
}

/// Id, name, since, last seen, former identity, disabled.
type Row = (String, String, i64, i64, Option<Vec<u8>>, Option<i64>);

impl Store {
    /// A person by id.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, Failure> {
        let sql = "SELECT id, display_name, created_at, last_seen_at, former_identity, disabled_at
            FROM users WHERE id = $1";
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(|(id, display_name, created_at, last_seen_at, former, disabled_at)| {
            Ok(User {
                id: id.parse().map_err(corrupt)?,
                display_name,
                created_at: Timestamp::from_secs(created_at),
                last_seen_at: Timestamp::from_secs(last_seen_at),
                former_identity: former.and_then(|hash| TokenHash::from_slice(&hash)),
                disabled_at: disabled_at.map(Timestamp::from_secs),
            })
        })
        .transpose()
    }

    /// The one person of a server for one; `None` where there is nobody or are several.
    pub async fn sole_user(&self) -> Result<Option<UserId>, Failure> {
        let sql = "SELECT id FROM users WHERE disabled_at IS NULL ORDER BY id LIMIT 2";
        let ids: Vec<String> = reading!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await)?;
        match ids.as_slice() {
            [only] => only.parse().map(Some).map_err(corrupt),
            _ => Ok(None),
        }
    }

    /// Who is called so: by our id, by Spotify's user id or by its account id; at most two, which is too many. With each
    /// whether it is they: a further account may be somebody else's, who let them link it.
    pub async fn people_called(&self, name: &str) -> Result<Vec<(UserId, bool)>, Failure> {
        let sql = "SELECT id, MAX(own) FROM (SELECT id, CAST(1 AS BIGINT) AS own FROM users WHERE id = $1
                UNION ALL SELECT user_id, CASE WHEN opens_since IS NULL THEN CAST(0 AS BIGINT) ELSE CAST(1 AS BIGINT) END
                FROM linked_accounts WHERE spotify_user_id = $1 OR identity = $1) called
            GROUP BY id ORDER BY 1 LIMIT 2";
        let rows: Vec<(String, i64)> =
            reading!(self, pool => sqlx::query_as(sql).bind(name).fetch_all(pool).await)?;
        rows.into_iter().map(|(id, own)| Ok((id.parse().map_err(corrupt)?, own == 1))).collect()
    }

    /// Who disconnected this account last, and whether they are disabled: who is comes first, whoever else did too.
    pub async fn who_formerly(&self, former: TokenHash) -> Result<Option<(UserId, bool)>, Failure> {
        let sql = "SELECT id, disabled_at FROM users WHERE former_identity = $1
            ORDER BY disabled_at IS NULL, last_seen_at DESC, id LIMIT 1";
        let row: Option<(String, Option<i64>)> = reading!(self, pool =>
            sqlx::query_as(sql).bind(&former.as_bytes()[..]).fetch_optional(pool).await)?;
        row.map(|(id, disabled)| Ok((id.parse().map_err(corrupt)?, disabled.is_some()))).transpose()
    }

    /// How many people there are.
    pub async fn count_users(&self) -> Result<i64, Failure> {
        Ok(reading!(self, pool => sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(pool).await)?)
    }

    /// Removes a person and everything of theirs, from the files too, and for restored backups as well; `false` where
    /// there was nobody. What the outbox still holds of them belongs to the trail, which calls them by a pseudonym that from
    /// now on leads nowhere.
    pub async fn delete_user(
        &self,
        id: &UserId,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let gone = transaction!(self, tx => {
            if !lock_person!(tx, id) {
                return Ok(false);
            }
            let pseudonym = audit_pseudonym!(tx, id);
            // How much of a quota they used stays for a day, under a name that tells nobody; not under their id.
            sqlx::query("DELETE FROM quota_calls WHERE payer = $1").bind(id.as_str()).execute(&mut *tx).await?;
            // Everything else of theirs goes by ON DELETE CASCADE.
            sqlx::query("DELETE FROM users WHERE id = $1").bind(id.as_str()).execute(&mut *tx).await?;
            bury!(tx, id.as_str(), now);
            end_cached!(tx);
            record!(tx, events);
            erase_audit_key!(tx, id, pseudonym);
            true
        });
        if gone {
            self.drop_unused_apps().await;
            self.empty_log().await;
        }
        Ok(gone)
    }
}
