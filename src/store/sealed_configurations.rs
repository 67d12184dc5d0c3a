//! The newest revision of each sealed configuration that was used: what tells a rollback (security.md 1.2).

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::{Recorded, Store, reading, record, transaction};

/// A revision of a sealed configuration.
#[derive(Clone, Copy, Debug)]
pub struct Revision<'a> {
    /// Which file.
    pub lineage: &'a str,
    /// Its revision.
    pub rev: u64,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: &'a str,
}

/// The revision that a server last started with or took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedRevision {
    /// Its revision.
    pub rev: u64,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// The revision of a sealed configuration that servers of this database use; `None`: none has.
    pub async fn used_revision(&self, lineage: &str) -> Result<Option<UsedRevision>, Failure> {
        let sql = "SELECT rev, digest, seen_at FROM sealed_configurations WHERE lineage = $1";
        let row: Option<(i64, String, i64)> =
            reading!(self, pool => sqlx::query_as(sql).bind(lineage).fetch_optional(pool).await)?;
        Ok(row.map(|(rev, digest, at)| UsedRevision {
            rev: u64::try_from(rev).unwrap_or_default(),
            digest,
            at: Timestamp::from_secs(at),
        }))
    }

    /// Notes that this revision is used. `Err` with the newest where that is newer, and `refused` is recorded.
    pub async fn use_revision(
        &self,
        revision: &Revision<'_>,
        now: Timestamp,
        refused: &Recorded,
    ) -> Result<Result<(), u64>, Failure> {
        let forward = "INSERT INTO sealed_configurations (lineage, rev, digest, seen_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (lineage) DO UPDATE SET rev = excluded.rev, digest = excluded.digest, seen_at = excluded.seen_at
            WHERE sealed_configurations.rev <= excluded.rev";
        let newest = "SELECT rev FROM sealed_configurations WHERE lineage = $1";
        let rev = i64::try_from(revision.rev).unwrap_or(i64::MAX);
        let seen: Option<i64> = transaction!(self, tx => {
            let noted = sqlx::query(forward)
                .bind(revision.lineage)
                .bind(rev)
                .bind(revision.digest)
                .bind(now.secs())
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if noted == 1 {
                None
            } else {
                record!(tx, [refused]);
                Some(sqlx::query_scalar(newest).bind(revision.lineage).fetch_one(&mut *tx).await?)
            }
        });
        Ok(seen.map_or(Ok(()), |seen| Err(u64::try_from(seen).unwrap_or_default())))
    }

    /// Goes back to an older revision, because somebody said so: it counts as the newest from now on.
    pub async fn go_back(
        &self,
        revision: &Revision<'_>,
        now: Timestamp,
        allowed: &Recorded,
    ) -> Result<(), Failure> {
        let back = "UPDATE sealed_configurations SET rev = $2, digest = $3, seen_at = $4 WHERE lineage = $1";
        let rev = i64::try_from(revision.rev).unwrap_or(i64::MAX);
        transaction!(self, tx => {
            sqlx::query(back)
                .bind(revision.lineage)
                .bind(rev)
                .bind(revision.digest)
                .bind(now.secs())
                .execute(&mut *tx)
                .await?;
            record!(tx, [allowed]);
        });
        Ok(())
    }
}
