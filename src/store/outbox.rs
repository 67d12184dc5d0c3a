//! The outbox of the audit trail: events wait here, in the transaction of the change that they report.

use std::time::Duration;

use crate::ambient::{self, Clock, Dice, Timestamp};
use crate::domain::event::Event;
use crate::domain::ids::EventId;
use crate::failure::{During as _, Failure};

use super::{Store, corrupt, reading, record, transaction};

/// An event with its stamp, as it will stand in the trail.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its id: written to the trail once, however often it is drained.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Recorded {
    /// Stamps an event with a fresh id and the present instant.
    pub fn now(event: Event, clock: &Clock, dice: &Dice) -> Self {
        Self::known(EventId::mint(dice.bytes()), event, clock)
    }

    /// The same with an id that is known already. What a command does, it says by whom.
    pub fn known(id: EventId, event: Event, clock: &Clock) -> Self {
        let event = match ambient::operator() {
            Some(operator) => event.detail("by", operator),
            None => event,
        };
        Self { id, at: clock.now(), event }
    }

    pub(super) fn json(&self) -> Result<String, Failure> {
        serde_json::to_string(&self.event).during("writing an audit event")
    }
}

/// How long a claimed event is left to whoever claimed it.
const CLAIM: Duration = Duration::from_secs(60);

/// Id, when, what.
type Row = (String, i64, String);

impl Store {
    /// Puts events into the outbox by themselves, where nothing else changes.
    pub async fn record(&self, events: &[Recorded]) -> Result<(), Failure> {
        transaction!(self, tx => record!(tx, events));
        Ok(())
    }

    /// The oldest events that wait, at most `most`.
    pub async fn outbox(&self, most: i64) -> Result<Vec<Recorded>, Failure> {
        let sql = "SELECT id, at, event FROM audit_outbox ORDER BY at, id LIMIT $1";
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(sql).bind(most).fetch_all(pool).await)?;
        rows.into_iter().map(parse).collect()
    }

    /// Claims the oldest events that wait for one writer of a trail, at most `most`, those that it claimed before among
    /// them. What another has claimed is left to it for a minute: it may be in that trail already.
    pub async fn claim_outbox(
        &self,
        writer: &str,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<Recorded>, Failure> {
        // Where nothing waits, which is nearly always, nothing is locked.
        if self.outbox(1).await?.is_empty() {
            return Ok(Vec::new());
        }
        // The condition stands twice: on PostgreSQL only the outer one is looked at again behind a lock.
        let sql = "UPDATE audit_outbox SET claimed_by = $1, claimed_until = $3
            WHERE id IN (SELECT id FROM audit_outbox
                WHERE claimed_by IS NULL OR claimed_by = $1 OR claimed_until <= $2 ORDER BY at, id LIMIT $4)
            AND (claimed_by IS NULL OR claimed_by = $1 OR claimed_until <= $2)
            RETURNING id, at, event";
        let mut rows: Vec<Row> = transaction!(self, tx => {
            sqlx::query_as(sql).bind(writer).bind(now.millis()).bind(now.plus(CLAIM).millis()).bind(most)
                .fetch_all(&mut *tx).await?
        });
        rows.sort_by(|(a_id, a_at, _), (b_id, b_at, _)| (a_at, a_id).cmp(&(b_at, b_id)));
        rows.into_iter().map(parse).collect()
    }

    /// Removes events that the trail now holds.
    pub async fn outbox_drained(&self, ids: &[EventId]) -> Result<(), Failure> {
        transaction!(self, tx => {
            for id in ids {
                sqlx::query("DELETE FROM audit_outbox WHERE id = $1").bind(id.as_str()).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }
}

fn parse((id, at, event): Row) -> Result<Recorded, Failure> {
    Ok(Recorded {
        id: id.parse().map_err(corrupt)?,
        at: Timestamp::from_millis(at),
        event: serde_json::from_str(&event).map_err(corrupt)?,
    })
}
