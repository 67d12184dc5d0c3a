//! Rotations at work: each step decided by [`crate::domain::rotation`], done, and stored before the next. Killed
//! anywhere, the next run goes on with what is stored.

mod data;
mod facts;
mod master;
mod signing_keys;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::crypto::envelope::OpenError;
use crate::domain::RotationId;
use crate::domain::event::{Event, EventCode};
use crate::domain::rotation::{self, Kind, Pace, State, Step};
use crate::failure::Failure;
use crate::store::{ExceptionRow, NewRotation, Recorded, RotationRow, Store, Turn};

pub use data::Data;
pub use facts::{Client, Counts, Facts, Probe, Succession};
pub use master::Master;
pub use signing_keys::{PREDECESSOR, SUCCESSION, Signing};

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
    /// A step cannot be done now, and says why by itself.
    AtStep,
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
    /// How fast rows are gone through.
    pub pace: Pace,
}

/// What is to be rotated.
pub struct Plan<'a> {
    /// Which kind of key.
    pub kind: Kind,
    /// Whether the old key is taken to be in wrong hands.
    pub emergency: bool,
    /// The id of the key that goes.
    pub old_key: &'a str,
    /// The id of the key that comes.
    pub new_key: &'a str,
    /// What there is before it.
    pub before: Facts,
}

/// Plans a rotation and gives its id; `None` where one is in progress already.
///
/// # Errors
/// Where the database fails.
pub async fn plan(
    plan: Plan<'_>,
    (store, clock, dice): (&Store, &Clock, &Dice),
) -> Result<Option<String>, Failure> {
    let id = RotationId::mint(dice.bytes());
    let event = Event::new(EventCode::KeyRotationStarted)
        .subject(id.as_str())
        .detail("kind", plan.kind.name())
        .detail("old_key", plan.old_key)
        .detail("new_key", plan.new_key)
        .detail("emergency", if plan.emergency { "yes" } else { "no" });
    let recorded = Recorded::now(event, clock, dice);
    let facts = Facts { events: vec![recorded.id.as_str().to_owned()], ..plan.before }.text();
    let new = NewRotation {
        id: id.as_str(),
        kind: plan.kind,
        emergency: plan.emergency,
        old_key: plan.old_key,
        new_key: plan.new_key,
        facts: &facts,
        now: clock.now(),
    };
    let begun = store.begin_rotation(&new, &[recorded]).await?;
    Ok(begun.then(|| id.as_str().to_owned()))
}

/// What the steps of one kind of rotation do. Each stores the state that it leads to; the usual ones do nothing else.
#[allow(async_fn_in_trait, reason = "one runner, on one thread")]
pub trait Steps {
    /// What has to be known before the next step is decided.
    async fn look(&self, _: &Bench<'_>, _: &RotationRow, _: State) -> Result<rotation::Facts, Stopped> {
        Ok(rotation::Facts::default())
    }

    /// Makes the new key known.
    async fn stage(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        bench.to(row, State::Staged).await
    }

    /// Puts the new key in use.
    async fn promote(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        bench.to(row, State::Active).await
    }

    /// What comes before the first row.
    async fn begin(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        bench.to(row, State::Rewrapping).await
    }

    /// Goes through the rows that are ahead.
    async fn batch(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        bench.to(row, State::Verifying).await
    }

    /// Lets the old key do nothing any more.
    async fn retire(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped>;
}

/// Works until the rotation is over.
///
/// # Errors
/// [`Stopped`]; what was done stays done.
pub async fn run(steps: &impl Steps, bench: &Bench<'_>) -> Result<(), Stopped> {
    loop {
        let row = bench.row().await?;
        let state = State::named(&row.state).ok_or(Failure::new("a rotation is in an unknown state"))?;
        let known = steps.look(bench, &row, state).await?;
        // Looking may have added to what the row remembers.
        let row = bench.row().await?;
        match rotation::next(state, known) {
            Step::Stage => steps.stage(bench, &row).await?,
            Step::Promote => steps.promote(bench, &row).await?,
            Step::Begin => steps.begin(bench, &row).await?,
            Step::Batch => steps.batch(bench, &row).await?,
            Step::Verify => bench.to(&row, State::Verifying).await?,
            Step::Again => bench.again(&row).await?,
            Step::Retire => steps.retire(bench, &row).await?,
            Step::Nothing => return Ok(()),
        }
    }
}

impl Bench<'_> {
    /// Waits until so many rows, begun then, are no more than the pace allows.
    async fn rest(&self, rows: usize, begun: Timestamp) {
        let pause = self.pace.pause(rows as u64, self.clock.now().since(begun));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

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
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn to(&self, row: &RotationRow, state: State) -> Result<(), Stopped> {
        let mut facts = Facts::parse(&row.facts);
        let events = self.step(&mut facts, row, state);
        let now = self.clock.now();
        held(self.store.move_rotation(self.turn, (state, &facts.text()), now, &events).await?)?;
        self.witness.passed(state.name());
        Ok(())
    }

    /// Once more from the first row.
    async fn again(&self, row: &RotationRow) -> Result<(), Stopped> {
        let facts = Facts::parse(&row.facts);
        let facts = Facts { again: facts.again + 1, ..facts };
        self.to(&RotationRow { facts: facts.text(), ..row.clone() }, State::Rewrapping).await
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
