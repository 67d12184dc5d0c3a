//! How much there is of what a monitor watches. Only counts: never whose.

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::{Pool, Store, reading};

/// Counts at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Audit events that wait for the trail.
    pub outbox: i64,
    /// Since when the oldest of them waits.
    pub outbox_since: Option<Timestamp>,
    /// Browsers that are logged in.
    pub browser_sessions: i64,
    /// Living sessions of 2025-era clients.
    pub mcp_sessions: i64,
}

impl Store {
    /// Counts what is there now.
    pub async fn gauges(&self, now: Timestamp) -> Result<Gauges, Failure> {
        let sql = "SELECT (SELECT COUNT(*) FROM audit_outbox), (SELECT MIN(at) FROM audit_outbox),
            (SELECT COUNT(*) FROM browser_sessions WHERE expires_at > $1 AND revoked_at IS NULL),
            (SELECT COUNT(*) FROM mcp_sessions WHERE expires_at > $1)";
        let (outbox, since, browser_sessions, mcp_sessions): (i64, Option<i64>, i64, i64) =
            reading!(self, pool => sqlx::query_as(sql).bind(now.secs()).fetch_one(pool).await)?;
        let outbox_since = since.map(Timestamp::from_millis);
        Ok(Gauges { outbox, outbox_since, browser_sessions, mcp_sessions })
    }

    /// Connections to the database: all that are open, and how many of these are idle.
    pub fn connections(&self) -> (usize, usize) {
        let of = |open: u32, idle: usize| (usize::try_from(open).unwrap_or(usize::MAX), idle);
        match &self.pool {
            Pool::Sqlite { write, read, .. } => {
                let (writers, readers) =
                    (of(write.size(), write.num_idle()), of(read.size(), read.num_idle()));
                (writers.0 + readers.0, writers.1 + readers.1)
            }
            Pool::Postgres(pool) => of(pool.size(), pool.num_idle()),
        }
    }
}
