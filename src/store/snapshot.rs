//! Copies of a SQLite database: consistent while a server runs, looked at without being changed, whole or not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};

use crate::failure::{During as _, Failure};

use super::retry::is_damage;
use super::{Pool, Store, reading};

/// What a database holds, without a value of anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The newest migration.
    pub schema_version: i64,
    /// The revocation epoch.
    pub epoch: i64,
    /// Rows by table, of those that matter to an operator.
    pub counts: BTreeMap<String, i64>,
    /// The master keys under which data keys are wrapped, and the active one; ascending.
    pub key_ids: Vec<String>,
}

/// Tables whose rows are counted: all of the first schema, so that every backup has them.
const COUNTED: [&str; 6] = ["users", "linked_accounts", "data_keys", "clients", "grants", "api_keys"];

impl Store {
    /// Writes a consistent copy of a SQLite database to a file that does not exist yet, while others read and write.
    /// What was deleted is not in it.
    ///
    /// # Errors
    /// On PostgreSQL, where its own tools do that; where the disk has no room.
    pub async fn copy_to(&self, to: &Path) -> Result<(), Failure> {
        let Pool::Sqlite { write, file, .. } = &self.pool else {
            return Err(Failure::new("PostgreSQL is copied by pg_dump"));
        };
        file.still_there()?;
        let to = to.to_str().ok_or_else(|| Failure::new("the path of the copy is not UTF-8"))?;
        sqlx::query("VACUUM INTO $1").bind(to).execute(write).await.during("copying the database").map(drop)
    }

    /// What the database holds.
    pub async fn contents(&self) -> Result<Contents, Failure> {
        let keys =
            "SELECT master_key_id FROM data_keys UNION SELECT id FROM master_keys WHERE state = 'active'
            UNION SELECT master_key_id FROM purpose_keys ORDER BY 1";
        let counts = "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM linked_accounts),
            (SELECT COUNT(*) FROM data_keys), (SELECT COUNT(*) FROM clients), (SELECT COUNT(*) FROM grants),
            (SELECT COUNT(*) FROM api_keys)";
        let (a, b, c, d, e, f): (i64, i64, i64, i64, i64, i64) =
            reading!(self, pool => sqlx::query_as(counts).fetch_one(pool).await)?;
        let counts = COUNTED.iter().map(|table| (*table).to_owned()).zip([a, b, c, d, e, f]).collect();
        let key_ids = reading!(self, pool => sqlx::query_scalar(keys).fetch_all(pool).await)?;
        let schema_version = self.schema_version().await?;
        Ok(Contents { schema_version, epoch: self.epoch().await?, counts, key_ids })
    }

    /// The newest migration of the database.
    pub async fn schema_version(&self) -> Result<i64, Failure> {
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?)
    }

    /// Opens a private copy as it is: nothing is migrated or written.
    pub async fn open_copy(path: &Path) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).read_only(true);
        let pool = SqlitePool::connect_with(options).await.during("opening the copy of the database")?;
        let file = super::file::DatabaseFile::create_private(path)?;
        Ok(Self { pool: Pool::Sqlite { write: pool.clone(), read: pool, file } })
    }

    /// What is wrong with the database by SQLite's own checks of every page, index and reference; nothing: it is whole.
    pub async fn damage(&self) -> Result<Vec<String>, Failure> {
        let Pool::Sqlite { read, .. } = &self.pool else { return Ok(Vec::new()) };
        let pages = sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(read).await;
        let pages: Vec<String> = match pages.during("checking the copy") {
            Err(failure) if is_damage(&failure) => {
                return Ok(vec![
                    "it is no SQLite database, or so damaged that none of it can be read".to_owned(),
                ]);
            }
            pages => pages?,
        };
        let dangling: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check")
                .fetch_all(read)
                .await
                .during("checking the copy")?;
        let pages = pages.into_iter().filter(|line| line != "ok");
        Ok(pages
            .chain(dangling.into_iter().map(|table| format!("{table} refers to rows that are not there")))
            .collect())
    }
}

/// Folds the write-ahead log of a SQLite database into its file, which then stands alone. `false`: something else has
/// the database open.
///
/// # Errors
/// Where the file is damaged.
pub async fn unfold(path: &Path) -> Result<bool, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(1))
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Delete);
    let folded = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(mode)
    };
    match folded.await {
        Ok(mode) => Ok(mode == "delete"),
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| is_busy(&code)) => Ok(false),
        Err(error) => Err(Failure::caused("folding the log of the database", error)),
    }
}

/// SQLITE_BUSY (5) and SQLITE_LOCKED (6), with what SQLite adds above the lowest byte.
fn is_busy(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}
