//! The keys under which the audit trail's personal fields are sealed: one for each person, one for each day's unknown
//! people. Their ids are the pseudonyms in the trail. Never made again for whom one was there and went.

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::failure::Failure;

use super::{Store, reading, writing};

/// What the trail calls people who were deleted before it could learn their pseudonym.
pub const ERASED: &str = "p_erased";

/// Whose fields a key seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditKeyOwner {
    /// One person's.
    Person(UserId),
    /// Those of everybody who was not known, on one day (since 1970-01-01, in UTC).
    Day(i64),
}

/// Such a key, wrapped under the server's own key for it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditKeyRow {
    /// The pseudonym: `p_` or `d_` and 32 hexadecimal digits.
    pub id: String,
    /// Whose it is, where it is a person's.
    pub user_id: Option<String>,
    /// Of which day it is, where it is not.
    pub day: Option<i64>,
    /// The envelope.
    pub wrapped: Vec<u8>,
}

macro_rules! select {
    ($where:literal) => {
        concat!("SELECT id, user_id, day, wrapped FROM audit_keys WHERE ", $where)
    };
}

impl Store {
    /// The key of an owner.
    pub async fn audit_key_of(&self, owner: &AuditKeyOwner) -> Result<Option<AuditKeyRow>, Failure> {
        Ok(match owner {
            AuditKeyOwner::Person(user) => {
                let sql = select!("user_id = $1");
                reading!(self, pool => sqlx::query_as(sql).bind(user.as_str()).fetch_optional(pool).await)?
            }
            AuditKeyOwner::Day(day) => {
                let sql = select!("day = $1");
                reading!(self, pool => sqlx::query_as(sql).bind(day).fetch_optional(pool).await)?
            }
        })
    }

    /// The key of this pseudonym.
    pub async fn audit_key(&self, id: &str) -> Result<Option<AuditKeyRow>, Failure> {
        let sql = select!("id = $1");
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?)
    }

    /// At most `most` keys with ids behind `after`, in the order of ids; begin with an empty text.
    pub async fn audit_keys_after(&self, after: &str, most: i64) -> Result<Vec<AuditKeyRow>, Failure> {
        let sql = select!("id > $1 ORDER BY id LIMIT $2");
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// Adds a key, unless its owner has one, or is a person who is not here any more.
    pub async fn add_audit_key(&self, row: &AuditKeyRow, now: Timestamp) -> Result<(), Failure> {
        let sql = "INSERT INTO audit_keys (id, user_id, day, wrapped, created_at)
            SELECT $1, $2, $3, $4, $5 WHERE $2 IS NULL OR EXISTS (SELECT 1 FROM users WHERE id = $2)
            ON CONFLICT DO NOTHING";
        Ok(writing!(self, pool => sqlx::query(sql)
            .bind(&row.id).bind(row.user_id.as_deref()).bind(row.day).bind(&row.wrapped[..]).bind(now.secs())
            .execute(pool).await.map(drop))?)
    }

    /// Deletes the keys of days before this one: the addresses that they sealed are gone.
    pub async fn forget_audit_days(&self, before: i64) -> Result<u64, Failure> {
        let sql = "DELETE FROM audit_keys WHERE day < $1";
        Ok(writing!(self, pool => sqlx::query(sql).bind(before).execute(pool).await
            .map(|done| done.rows_affected()))?)
    }
}

/// What the trail calls a person, before the key goes with the person.
macro_rules! audit_pseudonym {
    ($tx:ident, $user:expr) => {{
        let id: Option<String> = sqlx::query_scalar("SELECT id FROM audit_keys WHERE user_id = $1")
            .bind($user.as_str())
            .fetch_optional(&mut *$tx)
            .await?;
        id.unwrap_or_else(|| $crate::store::audit_keys::ERASED.to_owned())
    }};
}

/// Deletes a person's audit key in the running transaction, after the last event of theirs is recorded. Events that
/// still wait in the outbox tell of the pseudonym: the person's id leads nowhere from here on.
macro_rules! erase_audit_key {
    ($tx:ident, $user:expr, $pseudonym:expr) => {{
        let (named, called) = (format!("\"{}\"", $user.as_str()), format!("\"{}\"", $pseudonym));
        sqlx::query("UPDATE audit_outbox SET event = REPLACE(event, $1, $2) WHERE event LIKE $3")
            .bind(&named)
            .bind(&called)
            .bind(format!("%{named}%"))
            .execute(&mut *$tx)
            .await?;
        sqlx::query("DELETE FROM audit_keys WHERE user_id = $1")
            .bind($user.as_str())
            .execute(&mut *$tx)
            .await?;
    }};
}

pub(super) use {audit_pseudonym, erase_audit_key};
