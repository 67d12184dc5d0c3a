//! How far each chain of the audit trail was signed: the mark that a trail which was cut off does not reach.

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::{Store, reading, writing};

/// The newest checkpoint of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainMark {
    /// The chain.
    pub chain_uid: String,
    /// The name of the trail's writer, as its folder keeps it.
    pub writer: String,
    /// The first key that was seen, in the text form of signed notes.
    pub first_key: String,
    /// The newest key.
    pub key: String,
    /// Records.
    pub size: i64,
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub at: Timestamp,
}

type Row = (String, String, String, String, i64, String, i64);

const SELECT: &str = "SELECT chain_uid, writer, first_key, key, size, note, at FROM audit_chains";

impl Store {
    /// Keeps a checkpoint, unless a newer one is kept already. The first key stays what it was.
    pub async fn keep_chain_mark(&self, mark: &ChainMark) -> Result<(), Failure> {
        let sql = "INSERT INTO audit_chains (chain_uid, writer, first_key, key, size, note, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (chain_uid) DO UPDATE SET writer = excluded.writer, key = excluded.key, size = excluded.size,
                note = excluded.note, at = excluded.at
            WHERE audit_chains.size < excluded.size";
        writing!(self, pool => sqlx::query(sql)
            .bind(&mark.chain_uid).bind(&mark.writer).bind(&mark.first_key).bind(&mark.key)
            .bind(mark.size).bind(&mark.note).bind(mark.at.millis())
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Every chain that was ever signed, by name.
    pub async fn audit_chains(&self) -> Result<Vec<ChainMark>, Failure> {
        let sql = format!("{SELECT} ORDER BY chain_uid");
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(parse).collect())
    }

    /// One chain.
    pub async fn audit_chain(&self, uid: &str) -> Result<Option<ChainMark>, Failure> {
        let sql = format!("{SELECT} WHERE chain_uid = $1");
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(uid).fetch_optional(pool).await)?;
        Ok(row.map(parse))
    }

    /// How many records of a chain a place outside was told of.
    pub async fn told_anchor(&self, chain: &str, anchor: &str) -> Result<u64, Failure> {
        let sql = "SELECT size FROM audit_anchors WHERE chain_uid = $1 AND anchor = $2";
        let size: Option<i64> = reading!(self, pool => sqlx::query_scalar(sql)
            .bind(chain).bind(anchor).fetch_optional(pool).await)?;
        Ok(size.unwrap_or_default().unsigned_abs())
    }

    /// Keeps how many records of a chain a place outside was told of.
    pub async fn anchor_told(
        &self,
        chain: &str,
        anchor: &str,
        (size, now): (u64, Timestamp),
    ) -> Result<(), Failure> {
        let sql = "INSERT INTO audit_anchors (chain_uid, anchor, size, told_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (chain_uid, anchor) DO UPDATE SET size = excluded.size, told_at = excluded.told_at";
        Ok(writing!(self, pool => sqlx::query(sql)
            .bind(chain).bind(anchor).bind(size.cast_signed()).bind(now.millis())
            .execute(pool).await.map(drop))?)
    }

    /// What rotations of the server's own keys remember, the oldest first: how one evidence key followed another.
    pub async fn signing_facts(&self) -> Result<Vec<String>, Failure> {
        let sql = "SELECT facts FROM rotations WHERE kind = 'signing' ORDER BY started_at, id";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await)?)
    }
}

fn parse((chain_uid, writer, first_key, key, size, note, at): Row) -> ChainMark {
    ChainMark { chain_uid, writer, first_key, key, size, note, at: Timestamp::from_millis(at) }
}
