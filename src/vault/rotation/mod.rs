//! Rotations at work: each step decided by [`crate::domain::rotation`], done, and stored before the next. Killed
//! anywhere, the next run goes on with what is stored.

mod data;
mod facts;
mod master;
mod signing_keys;

use crate::ambient::{Clock, Dice};
use crate::crypto::envelope::OpenError;
use crate::domain::event::{Event, EventCode};
use crate::domain::rotation::State;
use crate::failure::Failure;
use crate::store::{ExceptionRow, Recorded, RotationRow, Store, Turn};

pub use data::Data;
pub use facts::{Counts, Facts, Probe, Succession};
pub use master::Master;
pub use signing_keys::{SUCCESSION, Signing};

/// Rows in one batch: a transaction of some tens of milliseconds.
const BATCH: i64 = 1_000;

/// Who follows the work.
pub trait Witness {
    /// A step has been stored.
    fn passed(&self, boundary: &'static str);
    /// So many rows of so many are done.
    fn progress(&self, done: u64, total: u64);
}

/// Why a run ended before the rotation did.
#[derive(Debug)]
pub enum Stopped {
    /// Another runner has the turn.
    TurnLost,
    /// Unexpected; run again, it goes on.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(cause: E) -> Self {
        Self::Failure(cause.into())
    }
}

/// What every rotation works with.
pub struct Bench<'a> {
    /// The database.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a Clock,
    /// Randomness.
    pub dice: &'a Dice,
    /// The right to work.
    pub turn: &'a Turn,
    /// Who follows.
    pub witness: &'a dyn Witness,
}

impl Bench<'_> {
    /// Gives a rotation up that nothing is sealed for yet.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn abort(&self, row: &RotationRow) -> Result<(), Stopped> {
        let mut facts = Facts::parse(&row.facts);
        let events = self.step(&mut facts, row, State::Aborted);
        let now = self.clock.now();
        held(self.store.abort_rotation(self.turn, &row.new_key, (&facts.text(), now), &events).await?)
    }

    /// Stores the next state.
    async fn to(&self, row: &RotationRow, state: State) -> Result<(), Stopped> {
        let mut facts = Facts::parse(&row.facts);
        let events = self.step(&mut facts, row, state);
        let now = self.clock.now();
        held(self.store.move_rotation(self.turn, (state, &facts.text()), now, &events).await?)?;
        self.witness.passed(state.name());
        Ok(())
    }

    /// Once more from the first row.
    async fn again(&self, row: &RotationRow) -> Result<(), Stopped> {
        let row = self.row().await.map(|read| RotationRow { facts: read.facts, ..row.clone() })?;
        let facts = Facts::parse(&row.facts);
        let facts = Facts { again: facts.again + 1, ..facts };
        self.to(&RotationRow { facts: facts.text(), ..row }, State::Rewrapping).await
    }

    async fn row(&self) -> Result<RotationRow, Stopped> {
        self.store.rotation(&self.turn.id).await?.ok_or(Stopped::TurnLost)
    }

    /// The event of a step, remembered in the facts so that the evidence can name it.
    fn step(&self, facts: &mut Facts, row: &RotationRow, state: State) -> [Recorded; 1] {
        let code = match state {
            State::Retired => EventCode::KeyRotationEnded,
            State::Aborted => EventCode::KeyRotationAborted,
            _ => EventCode::KeyRotationStep,
        };
        let event = Event::new(code)
            .subject(&row.id)
            .status(state.name())
            .detail("kind", &row.kind)
            .detail("old_key", &row.old_key)
            .detail("new_key", &row.new_key);
        let recorded = Recorded::now(event, self.clock, self.dice);
        facts.events.push(recorded.id.as_str().to_owned());
        [recorded]
    }
}

/// Whether a step was stored under our turn.
fn held(moved: bool) -> Result<(), Stopped> {
    if moved { Ok(()) } else { Err(Stopped::TurnLost) }
}

/// Why a value does not open, as evidence and trail say it.
const fn reason(error: OpenError) -> &'static str {
    match error {
        OpenError::Format => "format",
        OpenError::WrongKey => "unknown_key",
        OpenError::Tampered => "tampered",
    }
}

/// A value was set aside.
fn quarantined(bench: &Bench<'_>, row: &RotationRow, exception: &ExceptionRow) -> Recorded {
    let event = Event::new(EventCode::KeyRowQuarantined)
        .failed()
        .subject(&exception.row_id)
        .because(&exception.reason)
        .detail("rotation", &row.id)
        .detail("table", &exception.in_table)
        .detail("owner", &exception.user_id);
    Recorded::now(event, bench.clock, bench.dice)
}
