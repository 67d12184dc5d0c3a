//! The revocation epoch: counts up whenever something that servers hold in memory has ended.

use crate::failure::Failure;

use super::{Store, end_cached, reading, transaction};

impl Store {
    /// The present epoch. Also tells that the database answers.
    pub async fn epoch(&self) -> Result<i64, Failure> {
        let sql = "SELECT epoch FROM revocation WHERE id = 1";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?)
    }

    /// Moves the epoch: every server drops what it remembers.
    pub async fn move_epoch(&self) -> Result<(), Failure> {
        transaction!(self, tx => end_cached!(tx));
        Ok(())
    }
}
