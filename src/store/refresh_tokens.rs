//! Refresh tokens, by hash: rotation and its grace, each one compare-and-set statement.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::refresh::{GRACE_USES, StoredRefresh};
use crate::domain::{ClientId, GrantId, ScopeSet, UserId};
use crate::failure::Failure;

use super::grants::insert_tokens;
use super::{NewTokens, Recorded, Store, corrupt, reading, record, transaction, writing};

/// A stored refresh token: what the decision needs, and what rotation then needs.
#[derive(Clone, Debug)]
pub struct RefreshRow {
    /// What the decision needs.
    pub token: StoredRefresh,
    /// The family.
    pub grant: GrantId,
    /// Whose.
    pub user: UserId,
    /// What was granted.
    pub scopes: ScopeSet,
    /// The absolute end of the family.
    pub grant_expires_at: Timestamp,
}

/// A rotation to save.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The token that was presented.
    pub presented: TokenHash,
    /// The family.
    pub grant: GrantId,
    /// The next pair.
    pub tokens: NewTokens,
    /// The next pair, sealed under a key that only the presented token gives.
    pub successor: Vec<u8>,
}

impl Store {
    /// A refresh token by its hash, dead or alive.
    pub async fn refresh_token(&self, hash: TokenHash) -> Result<Option<RefreshRow>, Failure> {
        let sql = "SELECT g.client_id, t.expires_at, t.rotated_at, t.grace_uses, g.id, g.user_id, g.scope,
                g.expires_at AS grant_expires_at, COALESCE(g.revoked_at, u.disabled_at) AS ended_at
            FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id JOIN users u ON u.id = g.user_id
            WHERE t.hash = $1";
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(sql).bind(&hash.as_bytes()[..]).fetch_optional(pool).await)?;
        row.map(Row::parse).transpose()
    }

    /// Exchanges a refresh token for the next pair; `false` where another request was first or the grant has ended.
    pub async fn rotate(&self, rotation: &Rotation, events: &[Recorded]) -> Result<bool, Failure> {
        // The grant first, as everything does that ends it: then its end comes wholly before or wholly after.
        let hold =
            "UPDATE grants SET last_used_at = $2 WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2
            AND EXISTS (SELECT 1 FROM users WHERE id = grants.user_id AND disabled_at IS NULL)";
        let take = "UPDATE refresh_tokens SET rotated_at = $2, successor = $3
            WHERE hash = $1 AND grant_id = $4 AND rotated_at IS NULL AND expires_at > $2";
        let (grant, tokens) = (&rotation.grant, &rotation.tokens);
        let won = transaction!(self, tx => {
            let held = sqlx::query(hold).bind(grant.as_str()).bind(tokens.now.secs()).execute(&mut *tx).await?;
            if held.rows_affected() == 0 {
                return Ok(false);
            }
            let taken = sqlx::query(take)
                .bind(&rotation.presented.as_bytes()[..])
                .bind(tokens.now.secs())
                .bind(&rotation.successor[..])
                .bind(grant.as_str())
                .execute(&mut *tx).await?;
            if taken.rows_affected() == 0 {
                return Ok(false);
            }
            insert_tokens!(tx, grant, tokens);
            record!(tx, events);
            true
        });
        Ok(won)
    }

    /// The sealed successor pair, counted as one more use of the grace; `None` where the uses are exhausted or the
    /// grace is over and [`Store::purge`] forgot the pair.
    pub async fn successor(&self, hash: TokenHash) -> Result<Option<Vec<u8>>, Failure> {
        let sql = "UPDATE refresh_tokens SET grace_uses = grace_uses + 1
            WHERE hash = $1 AND rotated_at IS NOT NULL AND grace_uses < $2
            RETURNING successor";
        let sealed: Option<Option<Vec<u8>>> = writing!(self, pool => sqlx::query_scalar(sql)
            .bind(&hash.as_bytes()[..]).bind(GRACE_USES)
            .fetch_optional(pool).await)?;
        Ok(sealed.flatten())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    client_id: String,
    expires_at: i64,
    rotated_at: Option<i64>,
    grace_uses: i64,
    id: String,
    user_id: String,
    scope: String,
    grant_expires_at: i64,
    ended_at: Option<i64>,
}

impl Row {
    fn parse(self) -> Result<RefreshRow, Failure> {
        Ok(RefreshRow {
            token: StoredRefresh {
                client: ClientId::parse(&self.client_id).ok_or(()).map_err(corrupt)?,
                expires_at: Timestamp::from_secs(self.expires_at),
                rotated_at: self.rotated_at.map(Timestamp::from_secs),
                grace_uses: self.grace_uses,
                grant_revoked: self.ended_at.is_some(),
            },
            grant: self.id.parse().map_err(corrupt)?,
            user: self.user_id.parse().map_err(corrupt)?,
            scopes: ScopeSet::known(&self.scope),
            grant_expires_at: Timestamp::from_secs(self.grant_expires_at),
        })
    }
}
