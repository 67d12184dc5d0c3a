//! Who runs a rotation: one process of this machine at a time, by a lock that the kernel lets go of when it dies, and
//! one machine at a time, by its turn in the database.

use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use super::Args;
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::boundaries::Boundaries;
use crate::cli::output::{Output, Refused, io_cause};
use crate::config::master_key::make_data_dir;
use crate::domain::rotation::Pace;
use crate::failure::Failure;
use crate::store::Turn;
use crate::vault::rotation::{Bench, Stopped, Witness};

/// The right to run rotations from this data directory, held until it is dropped.
pub(in crate::cli) struct Runner {
    name: String,
    _lock: File,
}

impl Runner {
    /// Takes the lock without waiting. Its file holds the name by which the database knows this runner: whoever has
    /// the lock and finds that name there follows a runner that has died.
    pub(super) fn take(desk: &Desk) -> Result<Self, Refused> {
        Self::take_by(desk, "rotation.lock")
    }

    /// The same for a whole emergency, which takes the other one for each of its rotations.
    pub(super) fn take_emergency(desk: &Desk) -> Result<Self, Refused> {
        Self::take_by(desk, "emergency.lock")
    }

    /// The same for the response to an incident.
    pub(in crate::cli) fn take_incident(desk: &Desk) -> Result<Self, Refused> {
        Self::take_by(desk, "incident.lock")
    }

    fn take_by(desk: &Desk, name: &str) -> Result<Self, Refused> {
        let path = desk.config.storage.data_dir.join(name);
        let unusable = |error: std::io::Error| {
            let text = format!("{} cannot be used: {}", path.display(), io_cause(&error));
            Refused::incomplete("DATA_DIR_UNWRITABLE", text, "run it as the user that runs the server")
        };
        make_data_dir(&desk.config.storage.data_dir).map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(elsewhere()),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let mut name = String::new();
        lock.read_to_string(&mut name).map_err(unusable)?;
        if name.len() != 32 {
            name = desk.dice.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
            lock.set_len(0).and_then(|()| lock.rewind()).map_err(unusable)?;
            lock.write_all(name.as_bytes()).and_then(|()| lock.sync_all()).map_err(unusable)?;
        }
        Ok(Self { name, _lock: lock })
    }

    /// The name by which the database knows it.
    pub(in crate::cli) fn name(&self) -> &str {
        &self.name
    }

    /// The turn to work on a rotation.
    pub(super) async fn turn(&self, desk: &Desk, rotation: &str) -> Result<Turn, Refused> {
        let turn = desk.store.take_turn(rotation, &self.name, desk.clock.now()).await;
        turn.map_err(|failure| broken(&failure))?.ok_or_else(elsewhere)
    }
}

/// What a run works with.
pub(super) fn bench<'a>(args: &Args, desk: &'a Desk, turn: &'a Turn, witness: &'a Follow) -> Bench<'a> {
    let (store, clock, dice) = (&desk.store, &desk.clock, &desk.dice);
    Bench { store, clock, dice, turn, witness, pace: Pace { per_second: args.max_rows_per_sec } }
}

/// Why a run ended early.
pub(super) fn stopped(stopped: Stopped) -> Refused {
    match stopped {
        Stopped::TurnLost => elsewhere(),
        Stopped::AtStep => stalled(&Failure::new("a step of the rotation could not be done")),
        Stopped::Failure(failure) => stalled(&failure),
    }
}

/// A step failed; nothing is half done.
pub(super) fn stalled(failure: &Failure) -> Refused {
    let next = "nothing is lost: run the same command again, it goes on; -v shows the cause";
    Refused::unexpected("ROTATION_STOPPED", failure, next)
}

fn elsewhere() -> Refused {
    Refused::incomplete(
        "ROTATION_ELSEWHERE",
        "another process works on this rotation",
        "wait for it; one that was killed elsewhere gives way after half a minute",
    )
}

/// Shows how far it is: a bar on a terminal, a line for each tenth elsewhere.
pub(super) struct Follow {
    output: Output,
    tenth: Cell<u64>,
    boundaries: Boundaries,
}

impl Follow {
    pub(super) fn new(output: Output) -> Self {
        Self { output, tenth: Cell::new(0), boundaries: Boundaries::default() }
    }
}

impl Witness for Follow {
    fn passed(&self, boundary: &'static str) {
        self.boundaries.passed(boundary);
    }

    fn progress(&self, done: u64, total: u64) {
        let tenth = done * 10 / total.max(1);
        let news = tenth > self.tenth.get();
        self.tenth.set(tenth);
        self.output.progress((done, total), "rows", news);
    }
}

/// How long something took, in words.
pub(super) fn took(from: Timestamp, to: Timestamp) -> String {
    format!("{:.1} s", to.since(from).as_secs_f64())
}
