//! What a database from the past must take over before it serves: deletions, ends and disablings that came after it.
//!
//! Fail closed: sessions, tokens and consents all end, because nobody can tell which of them ended since; an API key
//! stays only where the database that is replaced says that it lives.

use std::collections::HashSet;

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::backups::note;
use super::tombstones::{Tombstone, mark};
use super::{BackupRow, PurposeKeyRow, Recorded, Store, reading, record, transaction};

/// Copies what came after the backup from the database that is replaced, in the running transaction.
macro_rules! take_over {
    ($tx:ident, $from:expr) => {{
        let from: &Survivors = $from;
        let revision = "INSERT INTO sealed_configurations (lineage, rev, digest, seen_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (lineage) DO UPDATE SET rev = excluded.rev, digest = excluded.digest, seen_at = excluded.seen_at
            WHERE sealed_configurations.rev < excluded.rev";
        let event = "INSERT INTO audit_outbox (id, at, event) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
        let disable = "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL";
        for backup in &from.backups {
            note!($tx, backup);
        }
        for (lineage, rev, digest, seen_at) in &from.revisions {
            sqlx::query(revision).bind(lineage).bind(rev).bind(digest).bind(seen_at).execute(&mut *$tx).await?;
        }
        for (id, at, text) in &from.outbox {
            sqlx::query(event).bind(id).bind(at).bind(text).execute(&mut *$tx).await?;
        }
        for (user, at) in &from.disabled {
            sqlx::query(disable).bind(user).bind(at).execute(&mut *$tx).await?;
        }
    }};
}

/// What is taken over from the database that is replaced.
#[derive(Clone, Debug, Default)]
pub struct Survivors {
    /// Both counters of the revocation epoch.
    pub epochs: (i64, i64),
    tombstones: Vec<Tombstone>,
    backups: Vec<BackupRow>,
    outbox: Vec<(String, i64, String)>,
    revisions: Vec<(String, i64, String, i64)>,
    living_keys: HashSet<String>,
    disabled: Vec<(String, i64)>,
    own_keys: Vec<PurposeKeyRow>,
}

impl Survivors {
    /// Who was deleted there.
    pub fn tombstones(&self) -> &[Tombstone] {
        &self.tombstones
    }

    /// The server's own keys there.
    pub fn own_keys(&self) -> &[PurposeKeyRow] {
        &self.own_keys
    }
}

/// What became of a restored database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// People who were deleted after the backup was made.
    pub people: u64,
    /// Linked accounts that were unlinked after it.
    pub links: u64,
    /// Connected clients that must log in again.
    pub grants: u64,
    /// API keys that were ended.
    pub api_keys: u64,
    /// The revocation epoch from now on.
    pub epoch: i64,
}

/// The schema that brought the server's own keys.
const OWN_KEYS: i64 = 14;

/// Where the epoch goes when nobody knows where it was: far beyond what any server can have read.
const LEAP: i64 = 1_000_000;

impl Store {
    /// Reads from the database that is about to be replaced.
    pub async fn survivors(&self, now: Timestamp) -> Result<Survivors, Failure> {
        let outbox = "SELECT id, at, event FROM audit_outbox ORDER BY at, id";
        let revisions = "SELECT lineage, rev, digest, seen_at FROM sealed_configurations ORDER BY lineage";
        let living =
            "SELECT id FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)";
        let disabled = "SELECT id, disabled_at FROM users WHERE disabled_at IS NOT NULL ORDER BY id";
        let living: Vec<String> =
            reading!(self, pool => sqlx::query_scalar(living).bind(now.secs()).fetch_all(pool).await)?;
        Ok(Survivors {
            epochs: self.epochs().await?,
            tombstones: self.tombstones().await?,
            backups: self.backups().await?,
            outbox: reading!(self, pool => sqlx::query_as(outbox).fetch_all(pool).await)?,
            revisions: reading!(self, pool => sqlx::query_as(revisions).fetch_all(pool).await)?,
            living_keys: living.into_iter().collect(),
            disabled: reading!(self, pool => sqlx::query_as(disabled).fetch_all(pool).await)?,
            // It is read as it is, perhaps from before there were any.
            own_keys: if self.schema_version().await? < OWN_KEYS {
                Vec::new()
            } else {
                self.purpose_keys().await?
            },
        })
    }

    /// Brings a restored database into the present, in one transaction, and tells it in the trail. `outside`:
    /// tombstones that were kept outside every database.
    pub async fn settle(
        &self,
        survivors: Option<&Survivors>,
        outside: &[Tombstone],
        now: Timestamp,
        tell: &(dyn Fn(&Settled) -> Recorded + Sync),
    ) -> Result<Settled, Failure> {
        let inside = survivors.map(|survivors| &survivors.tombstones[..]).unwrap_or_default();
        let buried: Vec<&Tombstone> = outside.iter().chain(inside).collect();
        let marks: HashSet<&str> = buried.iter().map(|stone| stone.mark.as_str()).collect();
        let settled = transaction!(self, tx => {
            let mut settled = Settled::default();
            let people: Vec<String> = sqlx::query_scalar("SELECT id FROM users ORDER BY id")
                .fetch_all(&mut *tx).await?;
            let links: Vec<String> = sqlx::query_scalar("SELECT id FROM linked_accounts ORDER BY id")
                .fetch_all(&mut *tx).await?;
            for id in people.iter().filter(|id| marks.contains(mark(id).as_str())) {
                settled.people += sqlx::query("DELETE FROM users WHERE id = $1")
                    .bind(id).execute(&mut *tx).await?.rows_affected();
            }
            for id in links.iter().filter(|id| marks.contains(mark(id).as_str())) {
                settled.links += sqlx::query("DELETE FROM linked_accounts WHERE id = $1")
                    .bind(id).execute(&mut *tx).await?.rows_affected();
            }
            sqlx::query(NAMELESS).execute(&mut *tx).await?;
            settled.grants = sqlx::query(END_GRANTS).bind(now.secs()).execute(&mut *tx).await?.rows_affected();
            for sql in EMPTIED {
                sqlx::query(*sql).execute(&mut *tx).await?;
            }
            let keys: Vec<String> = sqlx::query_scalar("SELECT id FROM api_keys WHERE revoked_at IS NULL ORDER BY id")
                .fetch_all(&mut *tx).await?;
            let lives = |id: &String| survivors.is_some_and(|survivors| survivors.living_keys.contains(id));
            for id in keys.iter().filter(|id| !lives(id)) {
                settled.api_keys += sqlx::query("UPDATE api_keys SET revoked_at = $2 WHERE id = $1")
                    .bind(id).bind(now.secs()).execute(&mut *tx).await?.rows_affected();
            }
            for stone in &buried {
                sqlx::query(BURY).bind(&stone.mark).bind(stone.deleted_at.secs()).execute(&mut *tx).await?;
            }
            if let Some(survivors) = survivors {
                take_over!(tx, survivors);
            }
            let (before, leap) = survivors.map_or(((0, 0), LEAP), |survivors| (survivors.epochs, 1));
            settled.epoch = sqlx::query_scalar(MOVE)
                .bind(before.0).bind(before.1).bind(leap).fetch_one(&mut *tx).await?;
            record!(tx, [tell(&settled)]);
            settled
        });
        Ok(settled)
    }
}

const BURY: &str = "INSERT INTO tombstones (mark, deleted_at) VALUES ($1, $2) ON CONFLICT (mark) DO NOTHING";
/// Of a person without any linked account no name from Spotify stays.
const NAMELESS: &str = "UPDATE users SET display_name = ''
    WHERE NOT EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = users.id)";
const END_GRANTS: &str =
    "UPDATE grants SET revoked_at = $1, revoked_because = 'restored' WHERE revoked_at IS NULL";
const EMPTIED: &[&str] = &[
    "DELETE FROM logins",
    "DELETE FROM codes",
    "DELETE FROM consents",
    "DELETE FROM browser_sessions",
    "DELETE FROM mcp_sessions",
    "UPDATE linked_accounts SET lease_holder = NULL, lease_until = NULL WHERE lease_holder IS NOT NULL",
];
const MOVE: &str = "UPDATE revocation SET
    epoch = (CASE WHEN epoch > $1 THEN epoch ELSE $1 END) + $3,
    sessions = (CASE WHEN sessions > $2 THEN sessions ELSE $2 END) + $3 WHERE id = 1 RETURNING epoch";
