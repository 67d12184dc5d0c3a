//! Master keys by name, the server's own keys and people's data keys: all wrapped, none in the clear.

use crate::ambient::Timestamp;
use crate::domain::{DataKeyId, UserId};
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, reading, record, transaction};

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

/// A master key that the database knows by name.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MasterKeyRow {
    /// Its id, in hexadecimal.
    pub id: String,
    /// `active`, `staged`, `retiring` or `retired`.
    pub state: String,
    /// When it came, in seconds.
    pub created_at: i64,
    /// Since when it opens nothing here, in seconds.
    pub retired_at: Option<i64>,
    /// How many envelopes were sealed under keys that are derived from it.
    pub seal_count: i64,
    /// This key, sealed under the one before it.
    pub handed_over: Option<Vec<u8>>,
    /// The key before it.
    pub handed_over_by: Option<String>,
    /// Until when the key before it may be exchanged for this one, in seconds.
    pub handed_over_until: Option<i64>,
    /// This key, sealed under the one after it.
    pub handed_back: Option<Vec<u8>>,
    /// The key after it.
    pub handed_back_to: Option<String>,
}

/// One of the server's own keys, wrapped under a master key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PurposeKeyRow {
    /// Its id, in hexadecimal, as envelopes under it say.
    pub id: String,
    /// What it is for.
    pub purpose: String,
    /// The master key that wraps it.
    pub master_key_id: String,
    /// The envelope.
    pub wrapped: Vec<u8>,
    /// `active` or `retired`.
    pub state: String,
    /// When it was made, in seconds.
    pub created_at: i64,
    /// When another took its place, in seconds.
    pub retired_at: Option<i64>,
}

/// The data keys under one master key, in one state.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DataKeyCount {
    /// The master key that wraps them.
    pub master_key_id: String,
    /// `active` or `retired`.
    pub state: String,
    /// How many.
    pub keys: i64,
    /// When the oldest was made, in seconds.
    pub oldest: i64,
    /// The most envelopes that were sealed under one of them.
    pub most_seals: i64,
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
    /// Adopts the master key of a new database; `false` where there is one already.
    pub async fn adopt_master_key(&self, id: &str, now: Timestamp) -> Result<bool, Failure> {
        // Two nodes that start on a new database with different keys must not both find it empty.
        let lock = "UPDATE revocation SET epoch = epoch WHERE id = 1";
        let adopt = "INSERT INTO master_keys (id, state, created_at)
            SELECT $1, 'active', $2 WHERE NOT EXISTS (SELECT 1 FROM master_keys)";
        let adopted = transaction!(self, tx => {
            sqlx::query(lock).execute(&mut *tx).await?;
            sqlx::query(adopt).bind(id).bind(now.secs()).execute(&mut *tx).await?.rows_affected()
        });
        Ok(adopted == 1)
    }

    /// Every master key that was ever used here, the newest first.
    pub async fn master_keys(&self) -> Result<Vec<MasterKeyRow>, Failure> {
        let sql = "SELECT id, state, created_at, retired_at, seal_count, handed_over, handed_over_by,
                handed_over_until, handed_back, handed_back_to
            FROM master_keys ORDER BY created_at DESC, id";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// Forgets how to come from the key before this one to this one.
    pub async fn forget_hand_over(&self, id: &str, events: &[Recorded]) -> Result<(), Failure> {
        let sql = "UPDATE master_keys SET handed_over = NULL, handed_over_by = NULL, handed_over_until = NULL
            WHERE id = $1 AND handed_over IS NOT NULL";
        let forgotten = transaction!(self, tx => {
            let forgotten = sqlx::query(sql).bind(id).execute(&mut *tx).await?.rows_affected() == 1;
            if forgotten {
                record!(tx, events);
            }
            forgotten
        });
        if forgotten {
            self.empty_log().await;
        }
        Ok(())
    }

    /// The server's own keys, the newest first.
    pub async fn purpose_keys(&self) -> Result<Vec<PurposeKeyRow>, Failure> {
        let sql = "SELECT id, purpose, master_key_id, wrapped, state, created_at, retired_at
            FROM purpose_keys ORDER BY created_at DESC, id";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// Adds keys for purposes that have none, under a master key that is active; of several servers one wins.
    pub async fn add_purpose_keys(&self, keys: &[PurposeKeyRow]) -> Result<(), Failure> {
        let lock = "UPDATE revocation SET epoch = epoch WHERE id = 1";
        let add = "INSERT INTO purpose_keys (id, purpose, master_key_id, wrapped, state, created_at)
            SELECT $1, $2, $3, $4, 'active', $5
            WHERE NOT EXISTS (SELECT 1 FROM purpose_keys WHERE purpose = $2 AND state = 'active')
            AND NOT EXISTS (SELECT 1 FROM master_keys WHERE id = $3 AND state <> 'active')";
        let count = "UPDATE master_keys SET seal_count = seal_count + $2 WHERE id = $1";
        transaction!(self, tx => {
            sqlx::query(lock).execute(&mut *tx).await?;
            for key in keys {
                let added = sqlx::query(add)
                    .bind(&key.id).bind(&key.purpose).bind(&key.master_key_id).bind(&key.wrapped[..])
                    .bind(key.created_at)
                    .execute(&mut *tx).await?.rows_affected();
                sqlx::query(count).bind(&key.master_key_id).bind(added.cast_signed()).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// One data key by its id.
    pub async fn data_key(&self, id: &DataKeyId) -> Result<Option<DataKeyRow>, Failure> {
        let sql = "SELECT id, user_id, master_key_id, wrapped FROM data_keys WHERE id = $1";
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(parse).transpose()
    }

    /// At most `most` data keys with ids behind `after`, in the order of ids; begin with an empty text.
    pub async fn data_keys_after(&self, after: &str, most: i64) -> Result<Vec<DataKeyRow>, Failure> {
        let sql =
            "SELECT id, user_id, master_key_id, wrapped FROM data_keys WHERE id > $1 ORDER BY id LIMIT $2";
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(after).bind(most).fetch_all(pool).await)?;
        rows.into_iter().map(parse).collect()
    }

    /// The key under which a person's secrets are sealed now.
    pub async fn active_data_key(&self, user: &UserId) -> Result<Option<DataKeyRow>, Failure> {
        let sql = "SELECT id, user_id, master_key_id, wrapped FROM data_keys
            WHERE user_id = $1 AND state = 'active' ORDER BY created_at DESC, id LIMIT 1";
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(user.as_str()).fetch_optional(pool).await)?;
        row.map(parse).transpose()
    }

    /// How many data keys there are, by master key and state.
    pub async fn count_data_keys(&self) -> Result<Vec<DataKeyCount>, Failure> {
        let sql = "SELECT master_key_id, state, COUNT(*) AS keys, MIN(created_at) AS oldest,
                MAX(seal_count) AS most_seals
            FROM data_keys GROUP BY master_key_id, state ORDER BY master_key_id, state";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }
}

pub(super) type Row = (String, String, String, Vec<u8>);

pub(super) fn parse((id, user, master_key_id, wrapped): Row) -> Result<DataKeyRow, Failure> {
    Ok(DataKeyRow {
        id: id.parse().map_err(corrupt)?,
        user: user.parse().map_err(corrupt)?,
        master_key_id,
        wrapped,
    })
}
