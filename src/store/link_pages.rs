//! One-time pages on which a person links another Spotify account: each is one person's, for minutes, and taken once by
//! compare-and-set.

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::domain::ids::LinkPageId;
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, lock_person, reading, record, transaction, writing};

/// Most pages of one person that wait to be used: the oldest goes.
const MOST_WAITING: i64 = 5;

/// A page that waits to be used.
#[derive(Clone, Debug)]
pub struct LinkPage {
    /// Its id, in its address.
    pub id: LinkPageId,
    /// Who asked for it: it serves nobody else.
    pub user: UserId,
    /// What the account is to be called.
    pub alias: Option<String>,
    /// When it dies.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps a page; `false` where the person is gone.
    pub async fn open_link_page(
        &self,
        page: &LinkPage,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let insert = "INSERT INTO link_pages (id, user_id, alias, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5)";
        let surplus =
            "DELETE FROM link_pages WHERE user_id = $1 AND used_at IS NULL AND id IN (SELECT id FROM (
            SELECT id, ROW_NUMBER() OVER (ORDER BY expires_at DESC, id) AS place FROM link_pages
            WHERE user_id = $1 AND used_at IS NULL) AS placed WHERE place > $2)";
        let kept = transaction!(self, tx => {
            if !lock_person!(tx, page.user) {
                return Ok(false);
            }
            sqlx::query(insert)
                .bind(page.id.as_str()).bind(page.user.as_str()).bind(page.alias.as_deref())
                .bind(now.secs()).bind(page.expires_at.secs())
                .execute(&mut *tx).await?;
            sqlx::query(surplus).bind(page.user.as_str()).bind(MOST_WAITING).execute(&mut *tx).await?;
            record!(tx, events);
            true
        });
        Ok(kept)
    }

    /// A page that can still be used.
    pub async fn link_page(&self, id: &LinkPageId, now: Timestamp) -> Result<Option<LinkPage>, Failure> {
        let sql = "SELECT user_id, alias, expires_at FROM link_pages
            WHERE id = $1 AND used_at IS NULL AND expires_at > $2";
        let row: Option<(String, Option<String>, i64)> = reading!(self, pool =>
            sqlx::query_as(sql).bind(id.as_str()).bind(now.secs()).fetch_optional(pool).await)?;
        row.map(|(user, alias, expires_at)| {
            let user = user.parse().map_err(corrupt)?;
            Ok(LinkPage { id: id.clone(), user, alias, expires_at: Timestamp::from_secs(expires_at) })
        })
        .transpose()
    }

    /// Takes a person's page, once; `false` where it is used, dead, or somebody else's.
    pub async fn take_link_page(
        &self,
        id: &LinkPageId,
        user: &UserId,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let sql = "UPDATE link_pages SET used_at = $3
            WHERE id = $1 AND user_id = $2 AND used_at IS NULL AND expires_at > $3";
        let taken = writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(user.as_str()).bind(now.secs())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(taken == 1)
    }
}
