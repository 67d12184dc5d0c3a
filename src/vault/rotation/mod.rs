//! Rotations at work: each step decided by [`crate::domain::rotation`], done, and stored before the next. Killed
//! anywhere, the next run goes on with what is stored.

mod facts;
mod master;

use crate::ambient::{Clock, Dice};
use crate::domain::event::{Event, EventCode};
use crate::domain::rotation::State;
use crate::failure::Failure;
use crate::store::{Recorded, RotationRow, Store, Turn};

pub use facts::{Counts, Facts, Probe};
pub use master::Master;

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
