//! Every SQL statement, for SQLite and PostgreSQL from one text. Never a business decision: callers decide, and
//! save with one compare-and-set statement.
//!
//! House dialect: `$1` parameters, BIGINT, TEXT, BYTEA/BLOB, unix seconds, nullable times as booleans,
//! `ON CONFLICT`, `RETURNING`, `UPDATE ... WHERE <old state> RETURNING` for everything that may happen once.
//! PostgreSQL runs at READ COMMITTED: a condition on *other* rows counts only in a statement after the lock.

mod alerts;
mod api_keys;
mod apps;
mod attestations;
mod audit_chains;
mod audit_keys;
mod backups;
mod browser_sessions;
mod canaries;
mod changes;
mod client_documents;
mod client_list;
mod clients;
mod codes;
mod consents;
mod containment;
mod damage;
mod emergencies;
mod epoch;
mod file;
mod gauges;
mod grants;
mod holdings;
mod incidents;
mod introspection;
mod keys;
mod limits;
mod link_pages;
mod link_tokens;
mod links;
mod logins;
mod looking;
mod mcp_sessions;
mod naming;
mod nonces;
mod open;
mod outbox;
mod own_apps;
mod people;
mod plans;
mod posture;
mod posture_engine;
mod posture_role;
mod purge;
mod questions;
mod quotas;
mod refresh_tokens;
mod registrations;
mod resealing;
mod restore;
mod retry;
mod revocable;
mod revoking;
mod rewrapping;
mod rotations;
mod sealed_configurations;
mod sealed_rows;
mod snapshot;
mod told_advisories;
mod tombstones;
mod turns;
mod unlinking;
mod usage;
mod users;

use sqlx::{PgPool, SqlitePool};

pub use alerts::{AlertRow, Counted, Cursor, DeliveryRow, GivenUp, QUEUE_FULL, Tried};
pub use api_keys::{Added, ApiKey, KeyEnd, KeyGrant, NewApiKey};
pub use apps::{App, AppInUse, AppRow};
pub use attestations::AttestationRow;
pub use audit_chains::ChainMark;
pub use audit_keys::{AuditKeyOwner, AuditKeyRow, ERASED};
pub use backups::BackupRow;
pub use browser_sessions::{BrowserSession, NewBrowserSession};
pub use canaries::Canary;
pub use changes::{Begun, ChangeRow, NewChange, SealedChange};
pub use client_documents::{DocumentClient, NewDocument};
pub use client_list::{ClientsFilter, ListedClient};
pub use clients::{Client, NewClient};
pub use codes::{CodeRow, NewCode};
pub use consents::Approval;
pub use containment::Living;
pub use damage::Damage;
pub use emergencies::EmergencyRow;
pub use epoch::Reading;
pub use gauges::Gauges;
pub use grants::{AccessGrant, ConnectedClient, NewTokens};
pub use incidents::{IncidentRow, IncidentTurn, NewIncident};
pub use introspection::TokenFacts;
pub use keys::{DataKeyCount, DataKeyRow, MasterKeyMismatch, MasterKeyRow, PurposeKeyRow};
pub use limits::Bucket;
pub use link_pages::LinkPage;
pub use link_tokens::LinkTokens;
pub use links::{Link, NewLink, SaveLink, Saved};
pub use logins::{FromLogin, Login, NewLogin};
pub use mcp_sessions::{FirstUse, McpSession, NewMcpSession, OpenMcpSession, Touched};
pub use naming::Renamed;
pub use nonces::Spent;
pub use open::OpenStoreError;
pub use outbox::Recorded;
pub use own_apps::{BroughtApp, OWN_NAME, OwnClientId, SealedAnew, SealedOwnApp, UnnamedApp, UnsealedLink};
pub use people::{ListedPerson, PeopleFilter};
pub use plans::{NewPlan, PlanUse};
pub use posture::{Envelopes, Hashes, Oldest, Ownership, SchemaStanding};
pub use posture_engine::{PostgresStanding, SqliteStanding, Way};
pub use posture_role::Reach;
pub use purge::Purged;
pub use questions::Asked;
pub use quotas::{EVERYTHING, QuotaCallsRow, QuotaRow};
pub use refresh_tokens::{RefreshRow, Rotation};
pub use registrations::{Registered, RegistrationBounds};
pub use resealing::{OldDataKey, Resealed, SealedApiKey, SealedLink, SealedUnder};
pub use restore::{Settled, Survivors};
pub use retry::{is_unavailable, is_without_tables};
pub use revoking::{Besides, Revoked, Revoking, Told};
pub use rewrapping::{Batch, Change, Rewritten, Under, WrappedRow, WrappedTable};
pub use rotations::{ExceptionRow, NewRotation, RotationRow, StagedMaster, Turn};
pub use sealed_configurations::{Revision, UsedRevision};
pub use sealed_rows::WholeChange;
pub use snapshot::{Contents, unfold};
pub use told_advisories::FoundAdvisory;
pub use tombstones::Tombstone;
pub use unlinking::Leaving;
pub use usage::{Usage, UsageFilter, UsageKey, UsageRow};
pub use users::User;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
}

#[derive(Clone)]
enum Pool {
    /// One connection writes, several read beside it (write-ahead log).
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
        file: file::DatabaseFile,
    },
    Postgres(PgPool),
}

/// Compiles one body for each engine, with a pool for reading.
macro_rules! reading {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            $crate::store::Pool::Sqlite { read: $pool, .. } => $body,
            $crate::store::Pool::Postgres($pool) => $body,
        }
    };
}

/// Compiles one body for each engine, with a pool for single writing statements.
macro_rules! writing {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.pool {
            $crate::store::Pool::Sqlite { write: $pool, file, .. } => {
                file.still_there()?;
                $body
            }
            $crate::store::Pool::Postgres($pool) => $body,
        }
    };
}

/// Compiles one body for each engine inside a transaction that commits where the body ends; `return Ok(..)` in it
/// rolls back instead. On SQLite it takes the write lock at once, so that it never fails half way for want of it;
/// on PostgreSQL it starts again where the engine broke a deadlock at its cost.
macro_rules! transaction {
    ($store:expr, $tx:ident => $body:expr) => {
        match &$store.pool {
            $crate::store::Pool::Sqlite { write, file, .. } => {
                file.still_there()?;
                let done: Result<_, $crate::failure::Failure> = async {
                    let mut $tx = write.begin_with("BEGIN IMMEDIATE").await?;
                    let out = $body;
                    $tx.commit().await?;
                    Ok(out)
                }
                .await;
                done?
            }
            $crate::store::Pool::Postgres(pool) => {
                let mut tries = $crate::store::retry::Tries::default();
                loop {
                    let done: Result<_, $crate::failure::Failure> = async {
                        let mut $tx = pool.begin().await?;
                        let out = $body;
                        $tx.commit().await?;
                        Ok(out)
                    }
                    .await;
                    match done {
                        Err(failure) if tries.another(&failure) => {}
                        done => break done?,
                    }
                }
            }
        }
    };
}

/// Locks a person's row until the transaction ends: whoever changes several rows of a person locks it first, so
/// that such changes happen one after the other and never wait for each other in a ring. `false`: nobody there.
macro_rules! lock_person {
    ($tx:ident, $user:expr) => {
        sqlx::query("UPDATE users SET last_seen_at = last_seen_at WHERE id = $1")
            .bind($user.as_str())
            .execute(&mut *$tx)
            .await?
            .rows_affected()
            == 1
    };
}

/// Writes security events into the outbox of the running transaction.
macro_rules! record {
    ($tx:ident, $events:expr) => {
        for recorded in $events {
            sqlx::query(
                "INSERT INTO audit_outbox (id, at, event) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
            )
            .bind(recorded.id.as_str())
            .bind(recorded.at.millis())
            .bind(recorded.json()?)
            .execute(&mut *$tx)
            .await?;
        }
    };
}

/// Whether a data key may still seal: asked after its person's row is locked, as whoever retires a key locks it too.
macro_rules! data_key_is_active {
    ($tx:ident, $key:expr) => {{
        let active: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM data_keys WHERE id = $1 AND state = 'active'")
                .bind($key.as_str())
                .fetch_one(&mut *$tx)
                .await?;
        active == 1
    }};
}

/// Counts envelopes that were sealed under a data key.
macro_rules! count_seals {
    ($tx:ident, $key:expr, $seals:expr) => {{
        // One text, one type: PostgreSQL keeps the prepared statement.
        let seals: i64 = $seals;
        sqlx::query("UPDATE data_keys SET seal_count = seal_count + $2 WHERE id = $1")
            .bind($key.as_str())
            .bind(seals)
            .execute(&mut *$tx)
            .await?
    }};
}

/// Tells every server that something it may hold in memory has ended.
macro_rules! end_cached {
    ($tx:ident) => {{
        sqlx::query("UPDATE revocation SET epoch = epoch + 1 WHERE id = 1").execute(&mut *$tx).await?;
    }};
}

/// Tells every server that something it may hold in memory of one person has changed. `$whose` selects their row of `users`
/// by `$1`. Locks the one row of `revocation`, as [`end_cached`] does.
macro_rules! accounts_changed {
    ($tx:ident, $whose:literal, $id:expr) => {{
        sqlx::query("UPDATE revocation SET accounts = accounts + 1 WHERE id = 1").execute(&mut *$tx).await?;
        sqlx::query(concat!(
            "UPDATE users SET accounts_changed = (SELECT accounts FROM revocation WHERE id = 1) WHERE id = ",
            $whose
        ))
        .bind($id.as_str())
        .execute(&mut *$tx)
        .await?;
    }};
}

use {
    accounts_changed, count_seals, data_key_is_active, end_cached, lock_person, reading, record, transaction,
    writing,
};

/// A district as a column holds it; never 0, which stands for rows from before it was kept.
const fn district(of: crate::domain::Neighbourhood) -> i64 {
    i64::from_be_bytes(of.district())
}

/// How many of a total may be from around an address, by how wide around it: the first and the last district of each
/// circle, and its share. The last one is everywhere.
fn circles(of: crate::domain::Neighbourhood, total: u32) -> [(i64, i64, u32); 3] {
    let (first, last) = of.region();
    let own = district(of);
    [
        (own, own, crate::domain::district_share(total)),
        (i64::from_be_bytes(first), i64::from_be_bytes(last), crate::domain::region_share(total)),
        (i64::MIN, i64::MAX, total),
    ]
}

/// A stored text that this program cannot have written: the database was edited or belongs to a newer version.
fn corrupt<E>(_: E) -> crate::failure::Failure {
    crate::failure::Failure::new("the database holds a value that this version cannot read")
}
