//! Opening a database to look at it: nothing is made, migrated or written, also where a server runs beside it.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::file::{DatabaseFile, journal};
use super::open::{SESSION, probe, unknown_engine};
use super::{OpenStoreError, Pool, Store};
use crate::failure::{During as _, Failure};

/// How long a PostgreSQL server has to answer.
const PATIENCE: Duration = Duration::from_secs(3);

impl Store {
    /// Opens a database that is there for reading alone. A SQLite database whose write-ahead log is there is read with
    /// it, as its server's own readers do; where there is none, nobody has it open, and not even an index of the log
    /// is made beside it.
    ///
    /// # Errors
    /// Where there is no database, it cannot be read without a write, or no server answers within three seconds.
    pub async fn open_to_look(url: &str) -> Result<Self, OpenStoreError> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => postgres(url).await,
            Some(("sqlite", _)) => sqlite(url).await,
            _ => Err(unknown_engine()),
        }
    }
}

async fn sqlite(url: &str) -> Result<Store, OpenStoreError> {
    let refused = |cause: Failure| OpenStoreError {
        what: "the SQLite database cannot be opened for reading",
        next: "check that this user may read it, and that the file is an intact SQLite database",
        cause,
    };
    let options = SqliteConnectOptions::from_str(url).map_err(|error| refused(error.into()))?;
    let path = options.get_filename().to_owned();
    if !path.is_file() {
        return Err(OpenStoreError {
            what: "there is no database",
            next: "start the server once, or name its configuration",
            cause: Failure::new("no such file"),
        });
    }
    let log = has_log(&path).map_err(refused)?;
    let journal = journal(&path).map_err(refused)?;
    let options = options
        .create_if_missing(false)
        .read_only(true)
        .immutable(!log)
        .busy_timeout(Duration::from_secs(5))
        .pragma("query_only", "ON");
    let pool = SqlitePoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect_with(options).await.during("opening SQLite for reading").map_err(refused)?;
    let file = DatabaseFile::with(&path, Some(journal)).map_err(refused)?;
    Ok(Store { pool: Pool::Sqlite { write: pool.clone(), read: pool, file } })
}

/// Whether there is a write-ahead log to read. One without its index would have the index made.
fn has_log(database: &Path) -> Result<bool, Failure> {
    let beside = |end: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let log = beside("-wal").metadata().map(|file| file.len()).ok();
    match (log, beside("-shm").exists()) {
        (Some(_), true) => Ok(true),
        (None | Some(0), _) => Ok(false),
        (Some(_), false) => {
            Err(Failure::new("its write-ahead log has no index: start and stop the server once"))
        }
    }
}

async fn postgres(url: &str) -> Result<Store, OpenStoreError> {
    let refused = |cause: Failure| OpenStoreError {
        what: "the PostgreSQL database cannot be reached",
        next: "see that it is reachable, and check DATABASE_URL",
        cause,
    };
    let late = || OpenStoreError {
        what: "the PostgreSQL server does not answer",
        next: "see that it is reachable",
        cause: Failure::new("no answer within 3 s"),
    };
    // The pool would try again and again; a single connection says at once that nobody listens.
    tokio::time::timeout(PATIENCE, probe(url)).await.map_err(|_| late())??;
    let options = PgConnectOptions::from_str(url).map_err(|error| refused(error.into()))?;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(PATIENCE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(SESSION).await?;
                connection.execute("SET default_transaction_read_only = on").await.map(drop)
            })
        })
        .connect_with(options.application_name("spotify-mcp"))
        .await
        .during("connecting to PostgreSQL")
        .map_err(refused)?;
    Ok(Store { pool: Pool::Postgres(pool) })
}
