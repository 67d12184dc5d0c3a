//! What only one engine can say of itself, for `security-check`: SQLite's own checks, PostgreSQL's view of our session
//! and role. Never: a password, or changing anything.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Pool, Store};
use crate::failure::{During as _, Failure};

/// What a SQLite database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqliteStanding {
    /// `wal`, as servers set it, or another.
    pub journal: String,
    /// What is wrong with its pages, indexes and references.
    pub damage: Vec<String>,
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
    /// What the role may beyond its own tables: `superuser`, `createrole`, ...
    pub privileges: Vec<&'static str>,
    /// How new passwords are kept.
    pub password_encryption: String,
    /// By which method this session was let in; `None`: the server is older than 16, which tells it first.
    pub method: Option<String>,
}

type Role = (String, bool, bool, bool, bool, bool);

impl Store {
    /// SQLite's own word; `None` on another engine.
    pub async fn sqlite_standing(&self) -> Result<Option<SqliteStanding>, Failure> {
        let Pool::Sqlite { file, .. } = &self.pool else { return Ok(None) };
        Ok(Some(SqliteStanding { journal: file.journal().to_owned(), damage: self.damage().await? }))
    }

    /// PostgreSQL's own word on a connection made with this URL; `None` on another engine.
    pub async fn postgres_standing(&self, url: &str) -> Result<Option<PostgresStanding>, Failure> {
        let Pool::Postgres(pool) = &self.pool else { return Ok(None) };
        let options = PgConnectOptions::from_str(url).during("reading the database's URL")?;
        let tls = "SELECT COALESCE(version, '') || ' ' || COALESCE(cipher, '') FROM pg_stat_ssl
            WHERE pid = pg_backend_pid() AND ssl";
        let role = "SELECT rolname::text, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
            FROM pg_roles WHERE rolname = current_user";
        let local =
            "SELECT COALESCE(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', TRUE)";
        let (role, superuser, createrole, createdb, replication, bypassrls): Role =
            sqlx::query_as(role).fetch_one(pool).await?;
        let all = [
            (superuser, "superuser"),
            (createrole, "createrole"),
            (createdb, "createdb"),
            (replication, "replication"),
            (bypassrls, "bypassrls"),
        ];
        Ok(Some(PostgresStanding {
            mode: mode(options.get_ssl_mode()),
            local: sqlx::query_scalar(local).fetch_one(pool).await?,
            protected: sqlx::query_scalar(tls).fetch_optional(pool).await?,
            role,
            privileges: all.into_iter().filter(|(may, _)| *may).map(|(_, name)| name).collect(),
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
