//! Emergencies: one in progress at most. From the freeze to its end nothing is issued by any server, and each step is
//! one transaction that a killed command finds done or not begun.

use crate::ambient::Timestamp;
use crate::domain::{ClientId, UserId};
use crate::failure::Failure;

use super::canaries::remove_canaries;
use super::containment::end_everything;
use super::{Recorded, Store, end_cached, reading, record, transaction, writing};

/// An emergency as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EmergencyRow {
    /// Its id.
    pub id: String,
    /// `begun`, `frozen`, `lifted` or `contained`.
    pub state: String,
    /// JSON.
    pub facts: String,
    /// When it began, in milliseconds.
    pub began_at: i64,
    /// When it ended, in milliseconds.
    pub ended_at: Option<i64>,
}

const TO: &str = "UPDATE emergencies SET state = $2, facts = $3 WHERE id = $1 AND unfinished = 1";
const FREEZE: &str = "UPDATE revocation SET frozen_by = $1 WHERE id = 1";

macro_rules! select {
    () => {
        "SELECT id, state, facts, began_at, ended_at FROM emergencies"
    };
}

impl Store {
    /// The emergency in progress.
    pub async fn emergency_in_progress(&self) -> Result<Option<EmergencyRow>, Failure> {
        let sql = concat!(select!(), " WHERE unfinished = 1");
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_optional(pool).await)?)
    }

    /// The last emergency, over or not.
    pub async fn last_emergency(&self) -> Result<Option<EmergencyRow>, Failure> {
        let sql = concat!(select!(), " ORDER BY began_at DESC, id LIMIT 1");
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_optional(pool).await)?)
    }

    /// Begins an emergency; `false` where one is in progress.
    pub async fn begin_emergency(&self, id: &str, facts: &str, now: Timestamp) -> Result<bool, Failure> {
        let sql = "INSERT INTO emergencies (id, state, unfinished, facts, began_at)
            VALUES ($1, 'begun', 1, $2, $3) ON CONFLICT (unfinished) DO NOTHING";
        let begun = writing!(self, pool => sqlx::query(sql)
            .bind(id).bind(facts).bind(now.millis()).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(begun == 1)
    }

    /// Stores what is known of an emergency in progress.
    pub async fn note_emergency(&self, id: &str, facts: &str) -> Result<(), Failure> {
        let sql = "UPDATE emergencies SET facts = $2 WHERE id = $1 AND unfinished = 1";
        writing!(self, pool => sqlx::query(sql).bind(id).bind(facts).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// From now on no server issues anything, and everything that anybody holds is ended; `false` where the emergency
    /// is over.
    pub async fn freeze(
        &self,
        id: &str,
        facts: &str,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let frozen = transaction!(self, tx => {
            let moved = sqlx::query(TO).bind(id).bind("frozen").bind(facts).execute(&mut *tx).await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(FREEZE).bind(id).execute(&mut *tx).await?;
            end_everything!(tx, now);
            record!(tx, events);
            true
        });
        Ok(frozen)
    }

    /// Ends once more everything that anybody holds, and lets servers issue again; `false` where the emergency is over.
    pub async fn lift_freeze(
        &self,
        id: &str,
        facts: &str,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let lifted = transaction!(self, tx => {
            let moved = sqlx::query(TO).bind(id).bind("lifted").bind(facts).execute(&mut *tx).await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            end_everything!(tx, now);
            sqlx::query("UPDATE revocation SET frozen_by = NULL WHERE id = 1 AND frozen_by = $1")
                .bind(id).execute(&mut *tx).await?;
            record!(tx, events);
            true
        });
        Ok(lifted)
    }

    /// It is over: canaries go, nothing of them is kept.
    pub async fn end_emergency(
        &self,
        id: &str,
        (facts, now): (&str, Timestamp),
        canaries: &[(UserId, ClientId)],
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let end = "UPDATE emergencies SET state = 'contained', facts = $2, ended_at = $3, unfinished = NULL
            WHERE id = $1 AND unfinished = 1";
        let ended = transaction!(self, tx => {
            let moved = sqlx::query(end).bind(id).bind(facts).bind(now.millis()).execute(&mut *tx).await?;
            if moved.rows_affected() == 0 {
                return Ok(false);
            }
            remove_canaries!(tx, canaries);
            end_cached!(tx);
            record!(tx, events);
            true
        });
        Ok(ended)
    }

    /// How many Spotify accounts are linked, and of how many people: grants that only Spotify can end. Of one person, or
    /// of all.
    pub async fn count_links(&self, user: Option<&UserId>) -> Result<(i64, i64), Failure> {
        let sql =
            "SELECT COUNT(*), COUNT(DISTINCT user_id) FROM linked_accounts WHERE user_id = $1 OR $1 = ''";
        let user = user.map_or("", UserId::as_str);
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(user).fetch_one(pool).await)?)
    }
}
