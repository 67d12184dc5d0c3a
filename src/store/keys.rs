//! Master key names and people's wrapped data keys.

use crate::ambient::Timestamp;
use crate::domain::{DataKeyId, UserId};
use crate::failure::Failure;

use super::{Store, corrupt, reading, transaction};

/// A person's data key, wrapped under a master key.
#[derive(Clone, Debug)]
pub struct DataKeyRow {
    /// Its id; the 16 bytes behind the prefix stand in every envelope.
    pub id: DataKeyId,
    /// Whose it is.
    pub user: UserId,
    /// The master key that wraps it, in hexadecimal.
    pub master_key_id: String,
    /// The envelope.
    pub wrapped: Vec<u8>,
}

/// The database belongs to another master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeyMismatch {
    /// The id of the key that the database was written with.
    pub expected: String,
    /// Whether the key that was given is known here, but retired.
    pub given_is_retired: bool,
}

impl Store {
    /// Adopts the master key of a new database, or checks that an existing one belongs to it.
    pub async fn check_master_key(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Result<(), MasterKeyMismatch>, Failure> {
        // Two nodes that start on a new database with different keys must not both find it empty.
        let lock = "UPDATE revocation SET epoch = epoch WHERE id = 1";
        let adopt = "INSERT INTO master_keys (id, state, created_at)
            SELECT $1, 'active', $2 WHERE NOT EXISTS (SELECT 1 FROM master_keys)";
        let known = "SELECT id, state FROM master_keys ORDER BY created_at DESC, id";
        let rows: Vec<(String, String)> = transaction!(self, tx => {
            sqlx::query(lock).execute(&mut *tx).await?;
            sqlx::query(adopt).bind(id).bind(now.secs()).execute(&mut *tx).await?;
            sqlx::query_as(known).fetch_all(&mut *tx).await?
        });
        if rows.iter().any(|(known, state)| known == id && state == "active") {
            return Ok(Ok(()));
        }
        let expected = rows.iter().find(|(_, state)| state == "active").map(|(known, _)| known.clone());
        Ok(Err(MasterKeyMismatch {
            expected: expected.unwrap_or_default(),
            given_is_retired: rows.iter().any(|(known, _)| known == id),
        }))
    }

    /// One data key by its id.
    pub async fn data_key(&self, id: &DataKeyId) -> Result<Option<DataKeyRow>, Failure> {
        let sql = "SELECT id, user_id, master_key_id, wrapped FROM data_keys WHERE id = $1";
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(parse).transpose()
    }

    /// The key under which a person's secrets are sealed now.
    pub async fn active_data_key(&self, user: &UserId) -> Result<Option<DataKeyRow>, Failure> {
        let sql = "SELECT id, user_id, master_key_id, wrapped FROM data_keys
            WHERE user_id = $1 AND state = 'active' ORDER BY created_at DESC, id LIMIT 1";
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(user.as_str()).fetch_optional(pool).await)?;
        row.map(parse).transpose()
    }
}

type Row = (String, String, String, Vec<u8>);

fn parse((id, user, master_key_id, wrapped): Row) -> Result<DataKeyRow, Failure> {
    Ok(DataKeyRow {
        id: id.parse().map_err(corrupt)?,
        user: user.parse().map_err(corrupt)?,
        master_key_id,
        wrapped,
    })
}
