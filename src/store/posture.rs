//! How a database stands, for `security-check`: its schema, the form of what is sealed and hashed in it, who owns which
//! key, and what should have been removed. Counts and oldest times alone: never a value, never whose.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;

use super::open::migrations;
use super::tombstones::mark;
use super::{Store, reading};
use crate::crypto::envelope::{BEGINNING, SHORTEST};
use crate::failure::Failure;

/// The migrations of a database against those of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaStanding {
    /// The newest that this program knows.
    pub newest: i64,
    /// Those that were applied.
    pub applied: Vec<i64>,
    /// Of these, whose text was another one.
    pub changed: Vec<i64>,
    /// Known here, not applied there.
    pub missing: Vec<i64>,
    /// Applied there, not known here: by a newer program.
    pub unknown: Vec<i64>,
}

/// Sealed values of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelopes {
    /// `table.column`.
    pub kind: &'static str,
    /// How many there are.
    pub values: i64,
    /// How many do not begin as an envelope of the known format and algorithm, or are too short for one.
    pub foreign: i64,
}

/// Hashes of tokens of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// `table.column`.
    pub kind: &'static str,
    /// How many there are.
    pub values: i64,
    /// How many are not as long as a SHA-256.
    pub foreign: i64,
}

/// Which key seals what, and whose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// People with more than one active data key.
    pub several_active: i64,
    /// People with a linked account and no active data key.
    pub none_active: i64,
    /// Rows that name another person's data key.
    pub foreign: i64,
    /// Wrapped data keys that are there more than once.
    pub copied: i64,
    /// Rows that name a data key which is not there.
    pub dangling: i64,
    /// Data keys under a master key that is not known.
    pub under_unknown: i64,
    /// Data keys under a master key that is retired.
    pub under_retired: i64,
    /// Sealed rows under a data key that is retired.
    pub sealed_by_retired: i64,
}

/// The oldest row of each kind that housekeeping removes some time after its end, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oldest {
    /// A login in progress: removed when it ends.
    pub login: Option<i64>,
    /// A browser session: removed when it ends.
    pub browser_session: Option<i64>,
    /// A 2025-era session: removed when it ends.
    pub mcp_session: Option<i64>,
    /// A code: removed a day after its end.
    pub code: Option<i64>,
    /// An access token: removed a day after its end.
    pub access_token: Option<i64>,
}

const SEALED: [(&str, &str, &str); 15] = [
    ("data_keys.wrapped", "data_keys", "wrapped"),
    ("purpose_keys.wrapped", "purpose_keys", "wrapped"),
    ("master_keys.handed_over", "master_keys", "handed_over"),
    ("master_keys.handed_back", "master_keys", "handed_back"),
    ("linked_accounts.access_token", "linked_accounts", "access_token"),
    ("linked_accounts.refresh_token", "linked_accounts", "refresh_token"),
    ("api_keys.signing_key", "api_keys", "signing_key"),
    ("logins.verifier", "logins", "verifier"),
    ("refresh_tokens.successor", "refresh_tokens", "successor"),
    ("linked_accounts.own_client_secret", "linked_accounts", "own_client_secret"),
    ("linked_accounts.sealed_client_id", "linked_accounts", "sealed_client_id"),
    ("audit_keys.wrapped", "audit_keys", "wrapped"),
    ("changes.content_key", "changes", "content_key"),
    ("changes.summary", "changes", "summary"),
    ("changes.pre_image", "changes", "pre_image"),
];

const HASHED: [(&str, &str, &str, i64); 8] = [
    ("access_tokens.hash", "access_tokens", "hash", 32),
    ("refresh_tokens.hash", "refresh_tokens", "hash", 32),
    ("codes.hash", "codes", "hash", 32),
    ("browser_sessions.hash", "browser_sessions", "hash", 32),
    ("api_keys.hash", "api_keys", "hash", 32),
    ("logins.state_hash", "logins", "state_hash", 32),
    ("clients.secret_hash", "clients", "secret_hash", 32),
    // In hexadecimal.
    ("mcp_sessions.session_id", "mcp_sessions", "session_id", 64),
];

/// The counts of [`Ownership`], in the order of its members.
const OWNED: [&str; 8] = [
    "SELECT COUNT(*) FROM (SELECT user_id FROM data_keys WHERE state = 'active' GROUP BY user_id
        HAVING COUNT(*) > 1) AS several",
    "SELECT COUNT(DISTINCT l.user_id) FROM linked_accounts l WHERE NOT EXISTS
        (SELECT 1 FROM data_keys k WHERE k.user_id = l.user_id AND k.state = 'active')",
    "SELECT (SELECT COUNT(*) FROM linked_accounts l JOIN data_keys k ON k.id = l.data_key_id
            WHERE k.user_id <> l.user_id)
        + (SELECT COUNT(*) FROM api_keys a JOIN data_keys k ON k.id = a.data_key_id WHERE k.user_id <> a.user_id)
        + (SELECT COUNT(*) FROM changes c JOIN data_keys k ON k.id = c.data_key_id WHERE k.user_id <> c.user_id)",
    "SELECT COUNT(*) FROM (SELECT wrapped FROM data_keys GROUP BY wrapped HAVING COUNT(*) > 1) AS copied",
    "SELECT (SELECT COUNT(*) FROM linked_accounts l LEFT JOIN data_keys k ON k.id = l.data_key_id
            WHERE k.id IS NULL AND COALESCE(l.access_token, l.refresh_token, l.own_client_secret, l.sealed_client_id) IS NOT NULL)
        + (SELECT COUNT(*) FROM api_keys a LEFT JOIN data_keys k ON k.id = a.data_key_id
            WHERE k.id IS NULL AND a.signing_key IS NOT NULL)
        + (SELECT COUNT(*) FROM changes c LEFT JOIN data_keys k ON k.id = c.data_key_id WHERE k.id IS NULL)",
    "SELECT COUNT(*) FROM data_keys k LEFT JOIN master_keys m ON m.id = k.master_key_id WHERE m.id IS NULL",
    "SELECT COUNT(*) FROM data_keys k JOIN master_keys m ON m.id = k.master_key_id WHERE m.state = 'retired'",
    "SELECT (SELECT COUNT(*) FROM linked_accounts l JOIN data_keys k ON k.id = l.data_key_id
            WHERE k.state = 'retired'
                AND COALESCE(l.access_token, l.refresh_token, l.own_client_secret, l.sealed_client_id) IS NOT NULL)
        + (SELECT COUNT(*) FROM api_keys a JOIN data_keys k ON k.id = a.data_key_id
            WHERE k.state = 'retired' AND a.signing_key IS NOT NULL)
        + (SELECT COUNT(*) FROM changes c JOIN data_keys k ON k.id = c.data_key_id WHERE k.state = 'retired')",
];

impl Store {
    /// The migrations of the database against those of this program.
    pub async fn schema_standing(&self) -> Result<SchemaStanding, Failure> {
        let sql = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
        let rows: Vec<(i64, Vec<u8>)> = reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let known = migrations(if self.is_postgres() { "BYTEA" } else { "BLOB" });
        let text_of =
            |version: i64| known.iter().find(|one| one.version == version).map(|one| &one.checksum[..]);
        let versions = |chosen: &dyn Fn(i64, &[u8]) -> bool| -> Vec<i64> {
            rows.iter()
                .filter(|(version, text)| chosen(*version, text))
                .map(|(version, _)| *version)
                .collect()
        };
        let applied = versions(&|_, _| true);
        let missing = known.iter().map(|one| one.version).filter(|version| !applied.contains(version));
        Ok(SchemaStanding {
            newest: Self::newest_schema(),
            missing: missing.collect(),
            changed: versions(&|version, text| text_of(version).is_some_and(|known| known != text)),
            unknown: versions(&|version, _| text_of(version).is_none()),
            applied,
        })
    }

    /// Every kind of sealed value, by its form alone: no key is needed.
    pub async fn envelopes(&self) -> Result<Vec<Envelopes>, Failure> {
        let mut found = Vec::with_capacity(SEALED.len());
        for (kind, table, column) in SEALED {
            let sql = format!(
                "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN substr({column}, 1, 5) = $1 AND length({column}) >= {SHORTEST}
                    THEN 0 ELSE 1 END), 0) AS BIGINT)
                FROM {table} WHERE {column} IS NOT NULL"
            );
            let (values, foreign) = self.two_counts(sql, Some(&BEGINNING)).await?;
            found.push(Envelopes { kind, values, foreign });
        }
        Ok(found)
    }

    /// Every kind of stored token, by the length of its hash.
    pub async fn hashes(&self) -> Result<Vec<Hashes>, Failure> {
        let mut found = Vec::with_capacity(HASHED.len());
        for (kind, table, column, length) in HASHED {
            let sql = format!(
                "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN length({column}) = {length} THEN 0
                    ELSE 1 END), 0) AS BIGINT)
                FROM {table} WHERE {column} IS NOT NULL"
            );
            let (values, foreign) = self.two_counts(sql, None).await?;
            found.push(Hashes { kind, values, foreign });
        }
        Ok(found)
    }

    /// Which data key seals what, and whose it is.
    pub async fn ownership(&self) -> Result<Ownership, Failure> {
        let mut counts = [0; OWNED.len()];
        for (count, sql) in counts.iter_mut().zip(OWNED) {
            *count = reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?;
        }
        let [
            several_active,
            none_active,
            foreign,
            copied,
            dangling,
            under_unknown,
            under_retired,
            sealed_by_retired,
        ] = counts;
        Ok(Ownership {
            several_active,
            none_active,
            foreign,
            copied,
            dangling,
            under_unknown,
            under_retired,
            sealed_by_retired,
        })
    }

    /// What housekeeping should have removed, by the oldest of each kind.
    pub async fn oldest_ended(&self) -> Result<Oldest, Failure> {
        let sql = "SELECT (SELECT MIN(expires_at) FROM logins WHERE used_at IS NULL),
            (SELECT MIN(expires_at) FROM browser_sessions WHERE revoked_at IS NULL),
            (SELECT MIN(expires_at) FROM mcp_sessions), (SELECT MIN(expires_at) FROM codes),
            (SELECT MIN(expires_at) FROM access_tokens)";
        let (login, browser_session, mcp_session, code, access_token) =
            reading!(self, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(Oldest { login, browser_session, mcp_session, code, access_token })
    }

    /// How many people and links are there again whose deletion is on record.
    pub async fn risen(&self) -> Result<usize, Failure> {
        let buried: HashSet<String> = self.tombstones().await?.into_iter().map(|one| one.mark).collect();
        if buried.is_empty() {
            return Ok(0);
        }
        let sql = "SELECT id FROM users UNION ALL SELECT id FROM linked_accounts";
        let ids: Vec<String> = reading!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await)?;
        Ok(ids.iter().filter(|id| buried.contains(&mark(id))).count())
    }

    /// Until which record each place outside was told of a chain: its name, records, and when (milliseconds).
    pub async fn anchors_told(&self, chain: &str) -> Result<Vec<(String, i64, i64)>, Failure> {
        let sql = "SELECT anchor, size, told_at FROM audit_anchors WHERE chain_uid = $1 ORDER BY anchor";
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(chain).fetch_all(pool).await)?)
    }

    async fn two_counts(&self, sql: String, beginning: Option<&[u8]>) -> Result<(i64, i64), Failure> {
        let counts = reading!(self, pool => {
            let query = sqlx::query_as(AssertSqlSafe(sql));
            match beginning {
                Some(beginning) => query.bind(beginning).fetch_one(pool).await,
                None => query.fetch_one(pool).await,
            }
        });
        Ok(counts?)
    }
}
