//! The outbox of the audit trail: events wait here, in the transaction of the change that they report.

use crate::ambient::{Clock, Dice, Timestamp};
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
        Self { id: EventId::mint(dice.bytes()), at: clock.now(), event }
    }

    pub(super) fn json(&self) -> Result<String, Failure> {
        serde_json::to_string(&self.event).during("writing an audit event")
    }
}

impl Store {
    /// Puts events into the outbox by themselves, where nothing else changes.
    pub async fn record(&self, events: &[Recorded]) -> Result<(), Failure> {
        transaction!(self, tx => record!(tx, events));
        Ok(())
    }

    /// The oldest events that wait, at most `most`.
    pub async fn outbox(&self, most: i64) -> Result<Vec<Recorded>, Failure> {
        let sql = "SELECT id, at, event FROM audit_outbox ORDER BY at, id LIMIT $1";
        let rows: Vec<(String, i64, String)> =
            reading!(self, pool => sqlx::query_as(sql).bind(most).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(id, at, event)| {
                Ok(Recorded {
                    id: id.parse().map_err(corrupt)?,
                    at: Timestamp::from_millis(at),
                    event: serde_json::from_str(&event).map_err(corrupt)?,
                })
            })
            .collect()
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
