//! What a person calls their linked accounts, and which of them is the primary one.

use crate::ambient::Timestamp;
use crate::domain::linking::Alias;
use crate::domain::{LinkId, UserId};
use crate::failure::Failure;

use super::{Recorded, Store, accounts_changed, lock_person, record, transaction};

/// How renaming an account ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// It is called so now.
    Done,
    /// Another of the person's accounts is called so, or is known by that as its id.
    Taken,
    /// The person has no such account.
    Missing,
}

/// A person is called as their primary account is.
pub(super) const NAMED_AS_PRIMARY: &str =
    "UPDATE users SET display_name = (SELECT display_name FROM linked_accounts
        WHERE user_id = $1 AND primary_since IS NOT NULL)
    WHERE id = $1 AND EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = $1 AND primary_since IS NOT NULL)";

impl Store {
    /// Calls a person's linked account so.
    pub async fn rename_link(
        &self,
        user: &UserId,
        id: &LinkId,
        alias: &Alias,
        events: &[Recorded],
    ) -> Result<Renamed, Failure> {
        let others = "SELECT alias, identity, spotify_user_id FROM linked_accounts
            WHERE user_id = $1 AND id <> $2";
        let rename = "UPDATE linked_accounts SET alias = $3 WHERE id = $1 AND user_id = $2";
        let renamed = transaction!(self, tx => {
            if !lock_person!(tx, user) {
                return Ok(Renamed::Missing);
            }
            let others: Vec<(String, String, String)> = sqlx::query_as(others)
                .bind(user.as_str()).bind(id.as_str())
                .fetch_all(&mut *tx).await?;
            if others.iter().any(|other| is_taken(alias.as_str(), other)) {
                return Ok(Renamed::Taken);
            }
            let done = sqlx::query(rename)
                .bind(id.as_str()).bind(user.as_str()).bind(alias.as_str())
                .execute(&mut *tx).await?.rows_affected();
            if done == 0 {
                return Ok(Renamed::Missing);
            }
            record!(tx, events);
            Renamed::Done
        });
        Ok(renamed)
    }

    /// Makes a person's linked account the primary one, at once on every server; `false` where there is none.
    pub async fn make_primary(
        &self,
        user: &UserId,
        id: &LinkId,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let there = "SELECT COUNT(*) FROM linked_accounts WHERE id = $1 AND user_id = $2";
        let none = "UPDATE linked_accounts SET primary_since = NULL
            WHERE user_id = $1 AND id <> $2 AND primary_since IS NOT NULL";
        let this = "UPDATE linked_accounts SET primary_since = COALESCE(primary_since, $3)
            WHERE id = $1 AND user_id = $2";
        let done = transaction!(self, tx => {
            if !lock_person!(tx, user) {
                return Ok(false);
            }
            let there: i64 = sqlx::query_scalar(there)
                .bind(id.as_str()).bind(user.as_str())
                .fetch_one(&mut *tx).await?;
            if there == 0 {
                return Ok(false);
            }
            sqlx::query(none).bind(user.as_str()).bind(id.as_str()).execute(&mut *tx).await?;
            sqlx::query(this).bind(id.as_str()).bind(user.as_str()).bind(now.secs()).execute(&mut *tx).await?;
            sqlx::query(NAMED_AS_PRIMARY).bind(user.as_str()).execute(&mut *tx).await?;
            accounts_changed!(tx, "$1", user);
            record!(tx, events);
            true
        });
        Ok(done)
    }
}

fn is_taken(alias: &str, (other, identity, spotify_user_id): &(String, String, String)) -> bool {
    // As tools look a name up: upper and lower case alike.
    alias.eq_ignore_ascii_case(other) || [identity.as_str(), spotify_user_id].contains(&alias)
}
