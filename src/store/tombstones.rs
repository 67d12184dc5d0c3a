//! Whose data was deleted, written in the transaction of the deletion: what is replayed on a restored backup.
//!
//! A mark is the SHA-256 of a random id, so that it names nobody to whom the id is not known: nothing of a deleted
//! person is readable here.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::failure::Failure;

use super::{Store, reading};

/// A deletion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tombstone {
    /// What `mark` gives for the id that was deleted.
    pub mark: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// How the id of a person (`u_...`) or of a linked account (`l_...`) stands in a tombstone.
pub fn mark(id: &str) -> String {
    TokenHash::of(id).hex()
}

impl Store {
    /// How many deletions there have been.
    pub async fn count_tombstones(&self) -> Result<i64, Failure> {
        let sql = "SELECT COUNT(*) FROM tombstones";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?)
    }

    /// Every deletion, by mark.
    pub async fn tombstones(&self) -> Result<Vec<Tombstone>, Failure> {
        let sql = "SELECT mark, deleted_at FROM tombstones ORDER BY mark";
        let rows: Vec<(String, i64)> = reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let one = |(mark, at)| Tombstone { mark, deleted_at: Timestamp::from_secs(at) };
        Ok(rows.into_iter().map(one).collect())
    }
}

/// Notes a deletion in the running transaction.
macro_rules! bury {
    ($tx:ident, $id:expr, $at:expr) => {{
        let at: $crate::ambient::Timestamp = $at;
        sqlx::query(
            "INSERT INTO tombstones (mark, deleted_at) VALUES ($1, $2) ON CONFLICT (mark) DO NOTHING",
        )
        .bind($crate::store::tombstones::mark($id))
        .bind(at.secs())
        .execute(&mut *$tx)
        .await?;
    }};
}

pub(super) use bury;
