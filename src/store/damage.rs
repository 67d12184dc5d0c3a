//! What no program of ours writes, written into a throw-away SQLite database: the self-test of `security-check` looks whether
//! it is found. Never: a database of a server.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::failure::Failure;

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A person's key stands there as it is.
    UnsealedKey,
    /// The master key is as old as computers' time.
    OldMasterKey,
    /// The master key sealed 2^32 values.
    BusyMasterKey,
    /// A rotation began long ago and was never ended.
    StuckRotation,
    /// A person has two keys in use.
    SecondKey,
    /// A code is stored as it is.
    UnhashedCode,
    /// A code whose time was over long ago is still there.
    OldCode,
    /// A migration has another text than this program's.
    ForeignMigration,
    /// What shows that tasks were done was changed.
    ChangedAttestations,
}

const PERSON: &str =
    "INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES ('u_1', 'x', 1, 1);";
const KEYS: &str =
    "INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count) SELECT";
const CODE: &str = "INSERT INTO codes
    (hash, user_id, client_id, redirect_uri, challenge, resource, scope, expires_at, failures)";

impl Damage {
    fn sql(self) -> String {
        match self {
            Self::UnsealedKey => {
                format!(
                    "{PERSON} {KEYS} 'k_1', 'u_1', id, 'as it is', 'active', created_at, 1 FROM master_keys"
                )
            }
            Self::OldMasterKey => "UPDATE master_keys SET created_at = 1".to_owned(),
            Self::BusyMasterKey => "UPDATE master_keys SET seal_count = 4294967296".to_owned(),
            Self::StuckRotation => {
                "INSERT INTO rotations (id, kind, state, unfinished, old_key, new_key, position,
                fence, rewritten, overtaken, facts, started_at)
                SELECT 'r_1', 'data', 'rewrapping', 1, id, id, '', 0, 0, 0, '{}', 1 FROM master_keys"
                    .to_owned()
            }
            Self::SecondKey => format!(
                "{PERSON} {KEYS} 'k_1', 'u_1', id, x'534d433101', 'active', created_at, 1 FROM master_keys;
                {KEYS} 'k_2', 'u_1', id, x'534d433102', 'active', created_at, 1 FROM master_keys"
            ),
            Self::UnhashedCode => {
                format!("{PERSON} {CODE} VALUES ('as it is', 'u_1', 'c', 'r', 'c', 'r', 's', 9999999999, 0)")
            }
            Self::OldCode => {
                format!("{PERSON} {CODE} VALUES (zeroblob(32), 'u_1', 'c', 'r', 'c', 'r', 's', 1, 0)")
            }
            Self::ForeignMigration => {
                "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 3".to_owned()
            }
            Self::ChangedAttestations => "UPDATE attestations SET by_whom = 'somebody else'".to_owned(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// Where the database refuses.
    pub async fn write(self, file: &Path) -> Result<(), Failure> {
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        connection.execute(sqlx::AssertSqlSafe(self.sql())).await?;
        connection.close().await?;
        Ok(())
    }
}
