//! What only one engine can say of itself, for `security-check`: SQLite's own checks, PostgreSQL's view of our session
//! and role. Never: a password, or changing anything.

use std::net::IpAddr;
use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::posture_role::{self, Reach};
use super::{Pool, Store};
use crate::failure::{During as _, Failure};

/// What a SQLite database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqliteStanding {
    /// `wal`, as servers set it, or another.
    pub journal: String,
    /// What is wrong with its pages, indexes and references.
    pub damage: Vec<String>,
    /// What of their settings connections of servers do not have, tried on one to an empty database in memory.
    pub unset: Vec<&'static str>,
}

/// How PostgreSQL sees this session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresStanding {
    /// `disable` to `verify-full`, as the URL says.
    pub mode: &'static str,
    /// The connection does not leave this machine: a Unix socket, or loopback.
    pub local: bool,
    /// TLS version and cipher, where the server sees the session protected.
    pub protected: Option<String>,
    /// The role's name.
    pub role: String,
    /// What the role may beyond its own tables.
    pub reach: Reach,
    /// How new passwords are kept.
    pub password_encryption: String,
    /// By which method this session was let in; `None`: the server is older than 16, which tells it first.
    pub method: Option<String>,
}

/// How a connection to PostgreSQL is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// It does not leave this machine by itself.
    pub local: bool,
    /// `sslmode`.
    pub mode: &'static str,
}

impl Way {
    /// What this URL asks for; `None`: it is no URL of PostgreSQL.
    pub fn of(url: &str) -> Option<Self> {
        let options = url.starts_with("postgres").then(|| PgConnectOptions::from_str(url).ok())??;
        Some(Self { local: is_local(&options), mode: mode(options.get_ssl_mode()) })
    }
}

/// A socket of the file system, or a loopback address by number or as `localhost`. The server is not asked: behind a
/// relay it would speak of the relay's side.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let number = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || number.is_ok_and(|address| address.is_loopback())
}

impl Store {
    /// SQLite's own word; `None` on another engine.
    pub async fn sqlite_standing(&self) -> Result<Option<SqliteStanding>, Failure> {
        let Pool::Sqlite { file, .. } = &self.pool else { return Ok(None) };
        let (damage, unset) = (self.damage().await?, unset().await?);
        Ok(Some(SqliteStanding { journal: file.journal().to_owned(), damage, unset }))
    }

    /// PostgreSQL's own word on a connection made with this URL; `None` on another engine.
    pub async fn postgres_standing(&self, url: &str) -> Result<Option<PostgresStanding>, Failure> {
        let Pool::Postgres(pool) = &self.pool else { return Ok(None) };
        let options = PgConnectOptions::from_str(url).during("reading the database's URL")?;
        let tls = "SELECT COALESCE(version, '') || ' ' || COALESCE(cipher, '') FROM pg_stat_ssl
            WHERE pid = pg_backend_pid() AND ssl";
        let (role, reach) = posture_role::reach(pool).await?;
        Ok(Some(PostgresStanding {
            mode: mode(options.get_ssl_mode()),
            local: is_local(&options),
            protected: sqlx::query_scalar(tls).fetch_optional(pool).await?,
            role,
            reach,
            password_encryption: sqlx::query_scalar("SHOW password_encryption").fetch_one(pool).await?,
            method: self.let_in_by().await?,
        }))
    }

    /// `scram-sha-256` and the like; `trust` where nobody was asked for anything.
    async fn let_in_by(&self) -> Result<Option<String>, Failure> {
        let Pool::Postgres(pool) = &self.pool else { return Ok(None) };
        let version = "SELECT current_setting('server_version_num')::bigint";
        let version: i64 = sqlx::query_scalar(version).fetch_one(pool).await?;
        if version < 160_000 {
            return Ok(None);
        }
        let said: Option<String> = sqlx::query_scalar("SELECT system_user").fetch_one(pool).await?;
        let method = said.as_deref().and_then(|said| said.split(':').next()).unwrap_or("trust");
        Ok(Some(method.to_owned()))
    }
}

/// What the connections of servers have set: references are kept, a commit is on the disk, what is deleted is overwritten.
const SETTINGS: [(&str, &str, i64); 3] = [
    ("foreign_keys", "PRAGMA foreign_keys", 1),
    ("synchronous = FULL", "PRAGMA synchronous", 2),
    ("secure_delete", "PRAGMA secure_delete", 1),
];

async fn unset() -> Result<Vec<&'static str>, Failure> {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").during("opening SQLite in memory")?;
    let options = super::open::as_servers(options);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut unset = Vec::new();
    for (name, sql, wanted) in SETTINGS {
        let set: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
        unset.extend((set != wanted).then_some(name));
    }
    connection.close().await?;
    Ok(unset)
}

const fn mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}
