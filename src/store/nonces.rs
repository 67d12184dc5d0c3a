//! Nonces of accepted signatures: whoever stores one first, on whichever node, may go on.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::ApiKeyId;
use crate::failure::Failure;

use super::{Store, reading, writing};

/// How spending a nonce ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It was fresh.
    Fresh,
    /// It had been spent before.
    Before,
    /// The key has too many that are still remembered.
    TooMany,
}

impl Store {
    /// Spends a nonce of a key, to be remembered until `until`; `most` of a key's are remembered at once.
    pub async fn spend_nonce(
        &self,
        key: &ApiKeyId,
        nonce: TokenHash,
        until: Timestamp,
        most: i64,
    ) -> Result<Spent, Failure> {
        let spend = "INSERT INTO signature_nonces (key_id, nonce, expires_at)
            SELECT $1, $2, $3 WHERE
                (SELECT COUNT(*) FROM (SELECT 1 FROM signature_nonces WHERE key_id = $1 LIMIT $4) AS held) < $4
            ON CONFLICT (key_id, nonce) DO NOTHING";
        let known = "SELECT COUNT(*) FROM signature_nonces WHERE key_id = $1 AND nonce = $2";
        let spent = writing!(self, pool => sqlx::query(spend)
            .bind(key.as_str()).bind(&nonce.as_bytes()[..]).bind(until.secs()).bind(most)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        if spent == 1 {
            return Ok(Spent::Fresh);
        }
        let known: i64 = reading!(self, pool => sqlx::query_scalar(known)
            .bind(key.as_str()).bind(&nonce.as_bytes()[..]).fetch_one(pool).await)?;
        Ok(if known == 1 { Spent::Before } else { Spent::TooMany })
    }
}
