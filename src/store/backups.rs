//! Which backups there are and which master keys they need, so that the rotation of keys can account for them.
//!
//! A row says that a backup was made or verified here, not that its file still exists: files go elsewhere for good
//! reasons, so only [`Store::forget_backup`] says that a backup is gone for ever.

use crate::ambient::Timestamp;
use crate::domain::BackupId;
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, reading, record, transaction};

/// Writes one backup's row and keys in the running transaction.
macro_rules! note {
    ($tx:ident, $row:expr) => {{
        let row: &$crate::store::BackupRow = $row;
        let sql = "INSERT INTO backups (id, made_at, file, engine, bytes, digest, schema_version, people, verified_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (id) DO UPDATE SET file = excluded.file, bytes = excluded.bytes,
                digest = excluded.digest, verified_at = excluded.verified_at";
        let key = "INSERT INTO backup_keys (backup_id, master_key_id) VALUES ($1, $2)
            ON CONFLICT (backup_id, master_key_id) DO NOTHING";
        sqlx::query(sql)
            .bind(row.id.as_str())
            .bind(row.made_at.secs())
            .bind(&row.file)
            .bind(&row.engine)
            .bind(row.bytes)
            .bind(&row.digest)
            .bind(row.schema_version)
            .bind(row.people)
            .bind(row.verified_at.map($crate::ambient::Timestamp::secs))
            .execute(&mut *$tx)
            .await?;
        for id in &row.key_ids {
            sqlx::query(key).bind(row.id.as_str()).bind(id).execute(&mut *$tx).await?;
        }
    }};
}

pub(super) use note;

/// A backup as it was made or last verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupRow {
    /// Its id.
    pub id: BackupId,
    /// When it was made.
    pub made_at: Timestamp,
    /// Where its file was seen last.
    pub file: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// Size of its file.
    pub bytes: i64,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// The newest migration of the database in it.
    pub schema_version: i64,
    /// People in it.
    pub people: i64,
    /// When it was last opened as a whole.
    pub verified_at: Option<Timestamp>,
    /// Ids of the master keys without which it, or something in it, does not open; ascending.
    pub key_ids: Vec<String>,
}

type Row = (String, i64, String, String, i64, String, i64, i64, Option<i64>);

const SELECT: &str =
    "SELECT id, made_at, file, engine, bytes, digest, schema_version, people, verified_at FROM backups
    ORDER BY made_at DESC, id";

impl Store {
    /// Every backup, the newest first.
    pub async fn backups(&self) -> Result<Vec<BackupRow>, Failure> {
        let keys = "SELECT backup_id, master_key_id FROM backup_keys ORDER BY master_key_id";
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(SELECT).fetch_all(pool).await)?;
        let keys: Vec<(String, String)> = reading!(self, pool => sqlx::query_as(keys).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|row| {
                let of_it = keys.iter().filter(|(backup, _)| *backup == row.0);
                let of_it = of_it.map(|(_, key)| key.clone()).collect();
                parse(row, of_it)
            })
            .collect()
    }

    /// The backups that do not open, or not all of them, without this master key; the newest first.
    pub async fn backups_needing(&self, master_key_id: &str) -> Result<Vec<BackupRow>, Failure> {
        let needs = |row: &BackupRow| row.key_ids.iter().any(|key| key == master_key_id);
        Ok(self.backups().await?.into_iter().filter(needs).collect())
    }

    /// Notes a backup that was made or verified; one that is known already has its row replaced.
    pub async fn note_backup(&self, row: &BackupRow, events: &[Recorded]) -> Result<(), Failure> {
        transaction!(self, tx => {
            note!(tx, row);
            record!(tx, events);
        });
        Ok(())
    }

    /// Forgets a backup that exists nowhere any more; `false` where it is not known.
    pub async fn forget_backup(&self, id: &BackupId, events: &[Recorded]) -> Result<bool, Failure> {
        let gone = transaction!(self, tx => {
            let gone = sqlx::query("DELETE FROM backups WHERE id = $1")
                .bind(id.as_str()).execute(&mut *tx).await?.rows_affected() == 1;
            if gone {
                record!(tx, events);
            }
            gone
        });
        Ok(gone)
    }
}

fn parse(row: Row, key_ids: Vec<String>) -> Result<BackupRow, Failure> {
    let (id, made_at, file, engine, bytes, digest, schema_version, people, verified_at) = row;
    Ok(BackupRow {
        id: id.parse().map_err(corrupt)?,
        made_at: Timestamp::from_secs(made_at),
        file,
        engine,
        bytes,
        digest,
        schema_version,
        people,
        verified_at: verified_at.map(Timestamp::from_secs),
        key_ids,
    })
}
