//! The revocation epoch: counts up whenever something that servers hold in memory has ended.

use std::time::Duration;

use crate::domain::UserId;
use crate::failure::{During as _, Failure};

use super::{Pool, Store, corrupt, end_cached, reading, transaction};

/// How long a database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most people that are named at once.
const MOST_NAMED: i64 = 1_000;

/// Epoch, sessions, accounts, who has frozen, who has locked.
type Row = (i64, i64, i64, Option<String>, Option<String>);

/// What servers read four times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The revocation epoch.
    pub epoch: i64,
    /// The counter beside it that 2025-era sessions have for themselves.
    pub sessions: i64,
    /// The counter of changes of single people's accounts.
    pub accounts: i64,
    /// Whether nothing may be issued, because an emergency is dealt with.
    pub frozen: bool,
    /// Whether nothing may be answered at all but probes of health.
    pub locked: bool,
}

impl Store {
    /// Whether the database answers, within two seconds.
    pub async fn ping(&self) -> Result<(), Failure> {
        tokio::time::timeout(PATIENCE, self.epoch()).await.during("waiting for the database")?.map(drop)
    }

    /// The present epoch. Also tells that the database is there: fails where SQLite's file was removed.
    pub async fn epoch(&self) -> Result<i64, Failure> {
        if let Pool::Sqlite { file, .. } = &self.pool {
            file.still_there()?;
        }
        let sql = "SELECT epoch FROM revocation WHERE id = 1";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?)
    }

    /// The present epoch, and the counter beside it that 2025-era sessions have for themselves.
    pub async fn epochs(&self) -> Result<(i64, i64), Failure> {
        if let Pool::Sqlite { file, .. } = &self.pool {
            file.still_there()?;
        }
        let sql = "SELECT epoch, sessions FROM revocation WHERE id = 1";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_one(pool).await)?)
    }

    /// The same, and what is closed at present.
    pub async fn revocations(&self) -> Result<Reading, Failure> {
        if let Pool::Sqlite { file, .. } = &self.pool {
            file.still_there()?;
        }
        let sql = "SELECT epoch, sessions, accounts, frozen_by, locked_by FROM revocation WHERE id = 1";
        let (epoch, sessions, accounts, frozen_by, locked_by): Row =
            reading!(self, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
        let (frozen, locked) = (frozen_by.is_some(), locked_by.is_some());
        Ok(Reading { epoch, sessions, accounts, frozen, locked })
    }

    /// Whose accounts have changed since the counter stood there; `None`: too many to name.
    pub async fn people_changed(&self, since: i64) -> Result<Option<Vec<UserId>>, Failure> {
        let sql = "SELECT id FROM users WHERE accounts_changed > $1 ORDER BY accounts_changed LIMIT $2";
        let ids: Vec<String> = reading!(self, pool =>
            sqlx::query_scalar(sql).bind(since).bind(MOST_NAMED + 1).fetch_all(pool).await)?;
        if ids.len() as i64 > MOST_NAMED {
            return Ok(None);
        }
        ids.into_iter().map(|id| id.parse().map_err(corrupt)).collect::<Result<_, _>>().map(Some)
    }

    /// Moves the epoch: every server drops what it remembers.
    pub async fn move_epoch(&self) -> Result<(), Failure> {
        transaction!(self, tx => end_cached!(tx));
        Ok(())
    }
}
