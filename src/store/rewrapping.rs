//! Wrapped keys in batches: read after a position, written back by compare-and-set on what was read, in the
//! transaction that moves the position.

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::rotations::still_runner;
use super::{ExceptionRow, Pool, Recorded, Store, Turn, reading, record, transaction};

/// A table of keys that a master key wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrappedTable {
    /// People's data keys.
    DataKeys,
    /// The server's own keys.
    PurposeKeys,
}

impl WrappedTable {
    /// Both, in the order in which they are gone through.
    pub const ALL: [Self; 2] = [Self::PurposeKeys, Self::DataKeys];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataKeys => "data_keys",
            Self::PurposeKeys => "purpose_keys",
        }
    }

    const fn owner(self) -> &'static str {
        match self {
            Self::DataKeys => "user_id",
            Self::PurposeKeys => "purpose",
        }
    }
}

/// A wrapped key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct WrappedRow {
    /// Its id, as the table writes it.
    pub id: String,
    /// Whose it is, or its purpose.
    pub owner: String,
    /// The envelope.
    pub wrapped: Vec<u8>,
    /// Where it stands in the order in which its table is gone through.
    pub place: String,
}

/// A key wrapped anew.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// The envelope that was read.
    pub before: Vec<u8>,
    /// The envelope that takes its place.
    pub after: Vec<u8>,
}

/// What became of one batch of rows.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Wrapped anew.
    pub changes: Vec<Change>,
    /// Could not be opened.
    pub exceptions: Vec<ExceptionRow>,
    /// The place of the batch's last row.
    pub position: String,
}

/// What was written of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Rows that are now under the new key.
    pub rewritten: u64,
    /// Rows that somebody else changed first; they are looked at again.
    pub overtaken: u64,
}

/// Rows in one statement: the driver asks SQLite for the name of each parameter, which looks through all before it.
const AT_ONCE: usize = 50;

/// A row that is not under the new master key, by its column or by the envelope itself (whose bytes 5 to 20 name the
/// key): a changed column hides nothing. `$1` is the new key's id, `$2` its bytes, `$3` the rotation.
fn not_under(table: WrappedTable) -> String {
    format!(
        "(t.master_key_id <> $1 OR substr(t.wrapped, 6, 16) <> $2) AND NOT EXISTS (SELECT 1 FROM rotation_exceptions e
            WHERE e.rotation_id = $3 AND e.in_table = '{}' AND e.row_id = t.id)",
        table.name()
    )
}

/// How a table is gone through.
struct Order {
    /// The column that says where a row stands.
    column: &'static str,
    /// The place `$4`, which is stored as text and empty before the first row, as that column has it.
    after: &'static str,
}

/// Which rows a rotation of the master key still has to do with.
#[derive(Clone, Copy, Debug)]
pub struct Under<'a> {
    /// The rotation.
    pub rotation: &'a str,
    /// The new key's id, in hexadecimal.
    pub key: &'a str,
    /// The same as envelopes write it.
    pub bytes: &'a [u8],
}

impl Store {
    /// The order in which a table is gone through: as its rows lie in the file, so that a batch rewrites few pages and not
    /// one for each of its rows (ids are random). PostgreSQL, which moves a row that it changes, goes by id. A row that
    /// `VACUUM` moves meanwhile may be passed over or met again: verifying looks at all of them.
    const fn order(&self) -> Order {
        match &self.pool {
            Pool::Sqlite { .. } => Order { column: "t.rowid", after: "CAST($4 AS BIGINT)" },
            Pool::Postgres(_) => Order { column: "t.id", after: "$4" },
        }
    }

    /// The next rows after a position that are not under the new key.
    pub async fn wrapped_elsewhere(
        &self,
        table: WrappedTable,
        under: Under<'_>,
        (after, most): (&str, i64),
    ) -> Result<Vec<WrappedRow>, Failure> {
        let Order { column, after: place } = self.order();
        let sql = format!(
            "SELECT t.id, t.{} AS owner, t.wrapped, CAST({column} AS TEXT) AS place FROM {} t
            WHERE {} AND {column} > {place} ORDER BY {column} LIMIT $5",
            table.owner(),
            table.name(),
            not_under(table)
        );
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(under.key).bind(under.bytes).bind(under.rotation).bind(after).bind(most)
            .fetch_all(pool).await)?)
    }

    /// How many rows after a position are not under the new key, quarantined ones left out.
    pub async fn count_elsewhere(
        &self,
        table: WrappedTable,
        under: Under<'_>,
        after: &str,
    ) -> Result<u64, Failure> {
        let Order { column, after: place } = self.order();
        let sql = format!(
            "SELECT COUNT(*) FROM {} t WHERE {} AND {column} > {place}",
            table.name(),
            not_under(table)
        );
        let count: i64 = reading!(self, pool => sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(under.key).bind(under.bytes).bind(under.rotation).bind(after)
            .fetch_one(pool).await)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The next rows after a position, whatever they are wrapped under.
    pub async fn wrapped_rows(
        &self,
        table: WrappedTable,
        (after, most): (&str, i64),
    ) -> Result<Vec<WrappedRow>, Failure> {
        let Order { column, .. } = self.order();
        let place = self.order().after.replace("$4", "$1");
        let sql = format!(
            "SELECT t.id, t.{} AS owner, t.wrapped, CAST({column} AS TEXT) AS place FROM {} t
            WHERE {column} > {place} ORDER BY {column} LIMIT $2",
            table.owner(),
            table.name()
        );
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// How many rows name each master key.
    pub async fn count_wrapped(&self, table: WrappedTable) -> Result<Vec<(String, i64)>, Failure> {
        let sql = format!(
            "SELECT master_key_id, COUNT(*) FROM {} GROUP BY master_key_id ORDER BY master_key_id",
            table.name()
        );
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await)?)
    }

    /// Writes one batch, and moves the position; `None` where the turn is lost.
    pub async fn write_wrapped(
        &self,
        turn: &Turn,
        (table, key): (WrappedTable, &str),
        batch: &Batch,
        (now, events): (Timestamp, &[Recorded]),
    ) -> Result<Option<Rewritten>, Failure> {
        let position =
            "UPDATE rotations SET position = $2, rewritten = rewritten + $3, overtaken = overtaken + $4
            WHERE id = $1";
        let seals = "UPDATE master_keys SET seal_count = seal_count + $2 WHERE id = $1";
        let exception = "INSERT INTO rotation_exceptions (rotation_id, in_table, row_id, user_id, reason)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (rotation_id, in_table, row_id) DO NOTHING";
        let written = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(None);
            }
            let mut rewritten = 0;
            for part in batch.changes.chunks(AT_ONCE) {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(compare_and_set(table, part.len()))).bind(key);
                for change in part {
                    query = query.bind(&change.id).bind(&change.before[..]).bind(&change.after[..]);
                }
                rewritten += query.execute(&mut *tx).await?.rows_affected();
            }
            for row in &batch.exceptions {
                sqlx::query(exception)
                    .bind(&turn.id).bind(&row.in_table).bind(&row.row_id).bind(&row.user_id).bind(&row.reason)
                    .execute(&mut *tx).await?;
            }
            let overtaken = (batch.changes.len() as u64).saturating_sub(rewritten);
            sqlx::query(position)
                .bind(&turn.id).bind(format!("{}:{}", table.name(), batch.position))
                .bind(rewritten.cast_signed()).bind(overtaken.cast_signed())
                .execute(&mut *tx).await?;
            sqlx::query(seals).bind(key).bind(rewritten.cast_signed()).execute(&mut *tx).await?;
            record!(tx, events);
            Some(Rewritten { rewritten, overtaken })
        });
        Ok(written)
    }
}

/// One statement for so many rows: (id, envelope read, envelope to write) each. Both engines call the columns of
/// VALUES `column1` and so on.
fn compare_and_set(table: WrappedTable, rows: usize) -> String {
    let values: Vec<String> =
        (0..rows).map(|row| format!("(${}, ${}, ${})", row * 3 + 2, row * 3 + 3, row * 3 + 4)).collect();
    let table = table.name();
    format!(
        "UPDATE {table} SET wrapped = v.column3, master_key_id = $1 FROM (VALUES {}) AS v
        WHERE {table}.id = v.column1 AND {table}.wrapped = v.column2",
        values.join(", ")
    )
}
