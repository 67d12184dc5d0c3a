//! Incidents that are responded to, and the lockdown: each step is one transaction that a killed command finds done or
//! not begun.

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::rotations::TURN;
use super::{Recorded, Store, end_cached, reading, record, transaction, writing};

/// An incident as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct IncidentRow {
    /// Its id.
    pub id: String,
    /// Which playbook.
    pub playbook: String,
    /// `open`, `contained` or `abandoned`.
    pub state: String,
    /// JSON.
    pub facts: String,
    /// When it began, in milliseconds.
    pub began_at: i64,
    /// When its playbook came to its end, in milliseconds.
    pub ended_at: Option<i64>,
}

/// An incident that begins.
#[derive(Clone, Copy, Debug)]
pub struct NewIncident<'a> {
    /// Its id.
    pub id: &'a str,
    /// Which playbook.
    pub playbook: &'a str,
    /// JSON.
    pub facts: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// The right to respond to an incident, until another machine takes it up: what is stored with an older one is refused.
#[derive(Clone, Debug)]
pub struct IncidentTurn {
    id: String,
    fence: i64,
}

impl IncidentTurn {
    /// For what happens beside the incident in progress, in one transaction each: a lockdown, a lift.
    pub fn beside(id: &str) -> Self {
        Self { id: id.to_owned(), fence: 0 }
    }
}

const LOCK: &str = "UPDATE revocation SET locked_by = $1 WHERE id = 1 AND locked_by IS NULL";

/// `$4` is 1 for the one incident that is in progress, and null for what may happen beside it.
const BEGIN: &str = "INSERT INTO incidents (id, playbook, state, facts, unfinished, began_at)
    VALUES ($1, $2, 'open', $3, $4, $5) ON CONFLICT (unfinished) DO NOTHING";

macro_rules! select {
    () => {
        "SELECT id, playbook, state, facts, began_at, ended_at FROM incidents"
    };
}

macro_rules! begin {
    ($tx:ident, $new:expr, $unfinished:expr) => {
        sqlx::query(BEGIN)
            .bind($new.id)
            .bind($new.playbook)
            .bind($new.facts)
            .bind($unfinished)
            .bind($new.now.millis())
            .execute(&mut *$tx)
            .await?
            .rows_affected()
    };
}

impl Store {
    /// The incident in progress.
    pub async fn incident_in_progress(&self) -> Result<Option<IncidentRow>, Failure> {
        let sql = concat!(select!(), " WHERE unfinished = 1");
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_optional(pool).await)?)
    }

    /// One incident.
    pub async fn incident(&self, id: &str) -> Result<Option<IncidentRow>, Failure> {
        let sql = concat!(select!(), " WHERE id = $1");
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?)
    }

    /// The last incidents, the newest first.
    pub async fn incidents(&self, most: i64) -> Result<Vec<IncidentRow>, Failure> {
        let sql = concat!(select!(), " ORDER BY began_at DESC, id LIMIT $1");
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(most).fetch_all(pool).await)?)
    }

    /// Which incident locked every server down.
    pub async fn locked_by(&self) -> Result<Option<String>, Failure> {
        let sql = "SELECT locked_by FROM revocation WHERE id = 1";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?)
    }

    /// Begins an incident; `false` where one is in progress.
    pub async fn begin_incident(&self, new: NewIncident<'_>, events: &[Recorded]) -> Result<bool, Failure> {
        let begun = transaction!(self, tx => {
            if begin!(tx, new, Some(1_i64)) == 0 {
                return Ok(false);
            }
            record!(tx, events);
            true
        });
        Ok(begun)
    }

    /// Those that wait for something outside: they are open, and others may begin beside them. The oldest first.
    pub async fn waiting_incidents(&self, playbook: &str) -> Result<Vec<IncidentRow>, Failure> {
        let sql = concat!(
            select!(),
            " WHERE playbook = $1 AND ended_at IS NULL AND unfinished IS NULL ORDER BY began_at, id LIMIT 100"
        );
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(playbook).fetch_all(pool).await)?)
    }

    /// From now on an incident only waits: others may begin. `false` where the turn is lost.
    pub async fn let_incident_wait(&self, turn: &IncidentTurn) -> Result<bool, Failure> {
        let sql = "UPDATE incidents SET unfinished = NULL, runner = NULL WHERE id = $1 AND fence = $2 AND unfinished = 1";
        let waits = writing!(self, pool => sqlx::query(sql)
            .bind(&turn.id).bind(turn.fence)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(waits > 0)
    }

    /// Takes the turn for a runner, also for an incident that only waited: at once where it had it before (it was killed),
    /// else when the one before has given no sign of life for half a minute. `None`: another runner works, another
    /// incident is in progress, or this one is over.
    pub async fn take_incident(
        &self,
        id: &str,
        runner: &str,
        now: Timestamp,
    ) -> Result<Option<IncidentTurn>, Failure> {
        let sql = "UPDATE incidents SET unfinished = 1, runner = $2, runner_until = $4, fence = fence + 1
            WHERE id = $1 AND ended_at IS NULL AND (runner IS NULL OR runner = $2 OR runner_until <= $3)
                AND NOT EXISTS (SELECT 1 FROM incidents WHERE unfinished = 1 AND id <> $1)
            RETURNING fence";
        let fence: Option<i64> = writing!(self, pool => sqlx::query_scalar(sql)
            .bind(id).bind(runner).bind(now.millis()).bind(now.millis() + TURN)
            .fetch_optional(pool).await)?;
        Ok(fence.map(|fence| IncidentTurn { id: id.to_owned(), fence }))
    }

    /// A sign of life; `false` where the turn is lost.
    pub async fn keep_incident(&self, turn: &IncidentTurn, now: Timestamp) -> Result<bool, Failure> {
        let sql = "UPDATE incidents SET runner_until = $3 WHERE id = $1 AND fence = $2 AND unfinished = 1";
        let kept = writing!(self, pool => sqlx::query(sql)
            .bind(&turn.id).bind(turn.fence).bind(now.millis() + TURN)
            .execute(pool).await.map(|kept| kept.rows_affected()))?;
        Ok(kept > 0)
    }

    /// Stores what is known of an incident, with the events of it; `false`, and nothing stored, where the turn is lost.
    pub async fn note_incident(
        &self,
        turn: &IncidentTurn,
        (facts, now): (&str, Timestamp),
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let sql = "UPDATE incidents SET facts = $3, runner_until = $4
            WHERE id = $1 AND fence = $2 AND unfinished = 1";
        let noted = transaction!(self, tx => {
            let noted = sqlx::query(sql)
                .bind(&turn.id)
                .bind(turn.fence)
                .bind(facts)
                .bind(now.millis() + TURN)
                .execute(&mut *tx)
                .await?;
            if noted.rows_affected() == 0 {
                return Ok(false);
            }
            record!(tx, events);
            true
        });
        Ok(noted)
    }

    /// Its playbook has come to its end, as this state says; `false`, and nothing stored, where the turn is lost.
    pub async fn end_incident(
        &self,
        turn: &IncidentTurn,
        (state, facts, now): (&str, &str, Timestamp),
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let sql = "UPDATE incidents SET state = $3, facts = $4, ended_at = $5, unfinished = NULL
            WHERE id = $1 AND fence = $2 AND ended_at IS NULL";
        let ended = transaction!(self, tx => {
            let ended = sqlx::query(sql)
                .bind(&turn.id)
                .bind(turn.fence)
                .bind(state)
                .bind(facts)
                .bind(now.millis())
                .execute(&mut *tx)
                .await?;
            if ended.rows_affected() == 0 {
                return Ok(false);
            }
            record!(tx, events);
            true
        });
        Ok(ended)
    }

    /// Keeps that the report of an incident that is over was written; nothing where something else was stored meanwhile.
    pub async fn incident_reported(&self, row: &IncidentRow, facts: &str) -> Result<(), Failure> {
        let sql = "UPDATE incidents SET facts = $2 WHERE id = $1 AND facts = $3 AND ended_at IS NOT NULL";
        writing!(self, pool => sqlx::query(sql)
            .bind(&row.id).bind(facts).bind(&row.facts)
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// From now on no server answers anything but probes, in the name of an incident; `false` where they do already.
    pub async fn lock_down(&self, incident: &str, events: &[Recorded]) -> Result<bool, Failure> {
        let locked = transaction!(self, tx => {
            let locked = sqlx::query(LOCK).bind(incident).execute(&mut *tx).await?;
            if locked.rows_affected() == 0 {
                return Ok(false);
            }
            end_cached!(tx);
            record!(tx, events);
            true
        });
        Ok(locked)
    }

    /// The same, beginning an incident of its own, whatever else is in progress.
    pub async fn begin_lockdown(&self, new: NewIncident<'_>, events: &[Recorded]) -> Result<bool, Failure> {
        let locked = transaction!(self, tx => {
            let locked = sqlx::query(LOCK).bind(new.id).execute(&mut *tx).await?;
            if locked.rows_affected() == 0 {
                return Ok(false);
            }
            begin!(tx, new, None::<i64>);
            end_cached!(tx);
            record!(tx, events);
            true
        });
        Ok(locked)
    }

    /// Servers may answer again; `false` where they do.
    pub async fn lift_lockdown(&self, new: NewIncident<'_>, events: &[Recorded]) -> Result<bool, Failure> {
        let lift = "UPDATE revocation SET locked_by = NULL WHERE id = 1 AND locked_by IS NOT NULL";
        let lifted = transaction!(self, tx => {
            let lifted = sqlx::query(lift).execute(&mut *tx).await?;
            if lifted.rows_affected() == 0 {
                return Ok(false);
            }
            begin!(tx, new, None::<i64>);
            end_cached!(tx);
            record!(tx, events);
            true
        });
        Ok(lifted)
    }
}
