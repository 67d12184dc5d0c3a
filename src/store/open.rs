//! Opening the database: engine by URL, durability settings, migrations.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _, SqlitePool};

use crate::failure::{During as _, Failure};

use super::file::DatabaseFile;
use super::retry::sql_state;
use super::{Pool, Store};

/// In order; a released text never changes (its digest is stored with the database).
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("migrations/0001_initial.sql")),
    (2, "mcp_sessions", include_str!("migrations/0002_mcp_sessions.sql")),
    (3, "limits", include_str!("migrations/0003_limits.sql")),
    (4, "client_documents", include_str!("migrations/0004_client_documents.sql")),
    (5, "authorization", include_str!("migrations/0005_authorization.sql")),
    (6, "api keys", include_str!("migrations/0006_api_keys.sql")),
    (10, "sealed configurations", include_str!("migrations/0010_sealed_configurations.sql")),
    (11, "districts", include_str!("migrations/0011_districts.sql")),
    (13, "backups", include_str!("migrations/0013_backups.sql")),
    (14, "rotations", include_str!("migrations/0014_rotations.sql")),
    (15, "data rotations", include_str!("migrations/0015_data_rotations.sql")),
    (16, "client secrets", include_str!("migrations/0016_client_secrets.sql")),
    (17, "emergencies", include_str!("migrations/0017_emergencies.sql")),
    (18, "audit trail", include_str!("migrations/0018_audit_trail.sql")),
    (19, "administration", include_str!("migrations/0019_administration.sql")),
    (20, "incidents", include_str!("migrations/0020_incidents.sql")),
    (21, "alerts", include_str!("migrations/0021_alerts.sql")),
    (24, "attestations", include_str!("migrations/0024_attestations.sql")),
    (25, "incident turns", include_str!("migrations/0025_incident_turns.sql")),
    (26, "changes", include_str!("migrations/0026_changes.sql")),
    (27, "linking", include_str!("migrations/0027_linking.sql")),
    (31, "quotas", include_str!("migrations/0031_quotas.sql")),
    (32, "placement", include_str!("migrations/0032_placement.sql")),
    (33, "own apps", include_str!("migrations/0033_own_apps.sql")),
    (34, "questions", include_str!("migrations/0034_questions.sql")),
    (35, "told advisories", include_str!("migrations/0035_told_advisories.sql")),
    (36, "undoing", include_str!("migrations/0036_undoing.sql")),
    (37, "payers", include_str!("migrations/0037_payers.sql")),
    (38, "sealed client ids", include_str!("migrations/0038_sealed_client_ids.sql")),
    (39, "turns", include_str!("migrations/0039_turns.sql")),
    (40, "accounts changed", include_str!("migrations/0040_accounts_changed.sql")),
    (41, "unlisted", include_str!("migrations/0041_unlisted.sql")),
    (42, "half_done", include_str!("migrations/0042_half_done.sql")),
    (43, "opening", include_str!("migrations/0043_opening.sql")),
];

/// Why a database cannot be used, with what to do about it. The cause is for the log.
#[derive(Debug)]
pub struct OpenStoreError {
    /// What happened, without the URL (it may hold a password).
    pub what: &'static str,
    /// What to do.
    pub next: &'static str,
    /// The driver's error.
    pub cause: Failure,
}

impl Store {
    /// Opens `sqlite://PATH` or `postgres://...` and brings it to the current schema.
    pub async fn open(url: &str) -> Result<Self, OpenStoreError> {
        Self::open_in(url, None).await
    }

    /// [`Store::open`] in a PostgreSQL schema of its own, made where it is missing; SQLite has a file for each.
    pub async fn open_apart(url: &str, schema: &'static str) -> Result<Self, OpenStoreError> {
        Self::open_in(url, Some(schema)).await
    }

    /// Opens the SQLite file at a path, whatever characters it holds, and brings it to the current schema.
    pub async fn open_file(path: &Path) -> Result<Self, OpenStoreError> {
        Self::migrated(sqlite_with(SqliteConnectOptions::new().filename(path)).await?).await
    }

    /// Opens a database that is there as it stands: its schema is neither made nor changed, so that a command of a newer
    /// version does not migrate under a running server. For looking up and recording; a table may be missing.
    ///
    /// # Errors
    /// Also where there is no database, or no server answers within three seconds.
    pub async fn open_unchanged(url: &str) -> Result<Self, OpenStoreError> {
        let missing = || OpenStoreError {
            what: "there is no database",
            next: "start the server once, or name its configuration",
            cause: Failure::new("no such file"),
        };
        let pool = match url.split_once(':') {
            // The pool would try again and again; a single connection says at once that nobody listens.
            Some(("postgres" | "postgresql", _)) => {
                tokio::time::timeout(Duration::from_secs(3), probe(url)).await.map_err(|_| {
                    OpenStoreError {
                        what: "the PostgreSQL server does not answer",
                        next: "see that it is reachable",
                        cause: Failure::new("no answer within 3 s"),
                    }
                })??;
                postgres(url, None).await?
            }
            Some(("sqlite", _)) if Self::may_be_at(url) => sqlite(url).await?,
            Some(("sqlite", _)) => return Err(missing()),
            _ => return Err(unknown_engine()),
        };
        Ok(Self { pool })
    }

    async fn open_in(url: &str, schema: Option<&'static str>) -> Result<Self, OpenStoreError> {
        let pool = match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => postgres(url, schema).await?,
            Some(("sqlite", _)) => sqlite(url).await?,
            _ => return Err(unknown_engine()),
        };
        Self::migrated(pool).await
    }

    async fn migrated(pool: Pool) -> Result<Self, OpenStoreError> {
        let store = Self { pool };
        store.migrate().await.map_err(|cause| OpenStoreError {
            what: "the database cannot be brought to this version's schema",
            next: "check that it is intact and was not written by a newer version; restore a backup if it is damaged",
            cause,
        })?;
        Ok(store)
    }

    /// The file of a SQLite database's URL; `None` for another engine, or one in memory.
    pub fn file_of(url: &str) -> Option<PathBuf> {
        let options = url.starts_with("sqlite:").then(|| SqliteConnectOptions::from_str(url).ok())??;
        let path = options.get_filename();
        let in_memory = path.as_os_str().is_empty() || path.to_string_lossy().contains(":memory:");
        (!in_memory).then(|| path.to_owned())
    }

    /// The number of the newest migration that this version knows.
    pub fn newest_schema() -> i64 {
        MIGRATIONS.iter().map(|(number, ..)| *number).max().unwrap_or_default()
    }

    /// Whether a database may be there to open: commands do not make one. A PostgreSQL server is asked when it is opened.
    pub fn may_be_at(url: &str) -> bool {
        match SqliteConnectOptions::from_str(url) {
            Ok(options) if url.starts_with("sqlite:") => options.get_filename().exists(),
            _ => true,
        }
    }

    /// Closes every connection; on SQLite the write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite { write, read, .. } => {
                read.close().await;
                write.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Whether the engine is PostgreSQL.
    pub const fn is_postgres(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    async fn migrate(&self) -> Result<(), Failure> {
        let migrator = |binary: &str| Migrator::with_migrations(migrations(binary));
        match &self.pool {
            // The migrator locks PostgreSQL; for SQLite we do, so that two that start at once do not both migrate.
            Pool::Sqlite { write, .. } => {
                let mut tx = write.begin_with("BEGIN IMMEDIATE").await.during("locking the database")?;
                migrator("BLOB").run_direct(None, &mut *tx, false).await.during("migrating the database")?;
                tx.commit().await.during("migrating the database")
            }
            Pool::Postgres(pool) => migrator("BYTEA").run(pool).await.during("migrating the database"),
        }
    }
}

/// Every migration, with the engine's own name of binary columns.
pub(super) fn migrations(binary: &str) -> Vec<Migration> {
    let one = |(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql = AssertSqlSafe(sql.replace("BYTEA", binary)).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    MIGRATIONS.iter().map(one).collect()
}

pub(super) fn unknown_engine() -> OpenStoreError {
    OpenStoreError {
        what: "the database URL names no engine that this program knows",
        next: "write sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE",
        cause: Failure::new("unknown database engine"),
    }
}

async fn sqlite(url: &str) -> Result<Pool, OpenStoreError> {
    match SqliteConnectOptions::from_str(url) {
        Ok(options) => sqlite_with(options).await,
        Err(error) => Err(sqlite_refused(error.into())),
    }
}

const fn sqlite_refused(cause: Failure) -> OpenStoreError {
    OpenStoreError {
        what: "the SQLite database cannot be opened",
        next: "check that its folder exists and is writable by this user, and that the file is an intact SQLite database; if it is damaged, keep it and restore a backup",
        cause,
    }
}

/// How servers have SQLite work.
pub(super) fn as_servers(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        // The thread that reads waits for the one that takes its rows only after so many.
        .row_buffer_size(1_000)
        // What is deleted is overwritten, not merely unlinked.
        .pragma("secure_delete", "ON")
}

async fn sqlite_with(options: SqliteConnectOptions) -> Result<Pool, OpenStoreError> {
    // We create it; SQLite must not make an empty one in the place of a file that vanished.
    let options = as_servers(options).create_if_missing(false);
    let file = DatabaseFile::create_private(options.get_filename()).map_err(sqlite_refused)?;

    let pool = |size: u32| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(10))
    };
    let write = pool(1)
        // Where SQLite itself rolled back (disk full, input/output error), sqlx's own ROLLBACK fails and it counts
        // the transaction as open for ever: such a connection would refuse every later change.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        });
    let write = connect(write, &options).await.map_err(sqlite_refused)?;
    let read = pool(4).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pool::Sqlite { write, read, file })
}

/// Two servers that start at once on a new file both switch it to the write-ahead log, which is where SQLite answers
/// "busy" (SQLITE_BUSY, 5) without waiting: so we wait, five seconds at most.
async fn connect(pool: SqlitePoolOptions, options: &SqliteConnectOptions) -> Result<SqlitePool, Failure> {
    let mut tries = 0;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code == "5") && tries < 100 =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            connected => return connected.during("opening SQLite for writing"),
        }
    }
}

/// Set for every PostgreSQL session whatever the server's defaults: the isolation that the statements are written
/// for, and a bound on every wait.
pub(super) const SESSION: &str =
    "SET default_transaction_isolation = 'read committed'; SET lock_timeout = '10s';
    SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'";

pub(super) async fn probe(url: &str) -> Result<(), OpenStoreError> {
    let refused = |cause: Failure| {
        let (what, next) = match sql_state(&cause).as_deref() {
            Some("28P01" | "28000") => {
                ("the PostgreSQL server does not let this user in", "check user and password in DATABASE_URL")
            }
            Some("3D000") => {
                ("the PostgreSQL server has no such database", "make it, or check its name in DATABASE_URL")
            }
            _ => (
                "the PostgreSQL database cannot be reached",
                "see that it is reachable, and check DATABASE_URL",
            ),
        };
        OpenStoreError { what, next, cause }
    };
    let options = PgConnectOptions::from_str(url).map_err(|error| refused(error.into()))?;
    let connection =
        sqlx::PgConnection::connect_with(&options).await.map_err(|error| refused(error.into()))?;
    connection.close().await.map_err(|error| refused(error.into()))
}

async fn postgres(url: &str, schema: Option<&'static str>) -> Result<Pool, OpenStoreError> {
    let refused = |cause: Failure| OpenStoreError {
        what: "the PostgreSQL database cannot be reached",
        next: "check host, port, database, user and password in DATABASE_URL, and that the server accepts connections",
        cause,
    };
    let options = PgConnectOptions::from_str(url).map_err(|error| refused(error.into()))?;
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if let Some(schema) = schema {
                    let apart = format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path TO {schema}");
                    connection.execute(AssertSqlSafe(apart)).await?;
                }
                connection.execute(SESSION).await.map(drop)
            })
        })
        .connect_with(options.application_name("spotify-mcp"))
        .await
        .during("connecting to PostgreSQL")
        .map_err(refused)?;
    Ok(Pool::Postgres(pool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Timestamp;
    use crate::domain::event::{Event, EventCode};
    use crate::domain::ids::EventId;
    use crate::store::Recorded;

    #[tokio::test]
    async fn a_full_disk_refuses_changes_whole_and_is_recovered_from() {
        let folder = std::env::temp_dir().join(format!("spotify-mcp-full-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&format!("sqlite://{}/store.db", folder.display())).await.unwrap();
        let Pool::Sqlite { write, .. } = &store.pool else { unreachable!() };
        let events: Vec<_> = (0..5000_u128).map(event).collect();

        // As SQLite sees it, a disk on which the file cannot grow (SQLITE_FULL).
        sqlx::query("PRAGMA max_page_count = 1").execute(write).await.unwrap();
        let failure = store.record(&events).await.unwrap_err();
        assert!(failure.chain().contains("full"), "{}", failure.chain());
        assert!(store.outbox(1).await.unwrap().is_empty());
        store.ping().await.unwrap();

        sqlx::query("PRAGMA max_page_count = 4294967294").execute(write).await.unwrap();
        store.record(&events).await.unwrap();
        assert_eq!(store.outbox(9999).await.unwrap().len(), 5000);
        store.close().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn event(n: u128) -> Recorded {
        let event = Event::new(EventCode::AuthnLoginSuccess);
        Recorded { id: EventId::mint(n.to_be_bytes()), at: Timestamp::from_secs(0), event }
    }
}
