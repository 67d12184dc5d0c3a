//! The revocation epoch: counts up whenever something that servers hold in memory has ended.

use std::time::Duration;

use crate::failure::{During as _, Failure};

use super::{Pool, Store, end_cached, reading, transaction};

/// How long a database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// What servers read four times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The revocation epoch.
    pub epoch: i64,
    /// The counter beside it that 2025-era sessions have for themselves.
    pub sessions: i64,
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
        let sql = "SELECT epoch, sessions, frozen_by, locked_by FROM revocation WHERE id = 1";
        let (epoch, sessions, frozen_by, locked_by): (i64, i64, Option<String>, Option<String>) =
            reading!(self, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(Reading { epoch, sessions, frozen: frozen_by.is_some(), locked: locked_by.is_some() })
    }

    /// Moves the epoch: every server drops what it remembers.
    pub async fn move_epoch(&self) -> Result<(), Failure> {
        transaction!(self, tx => end_cached!(tx));
        Ok(())
    }
}
