//! A rotation of keys as a state machine: which step comes next is decided here from the stored state and the facts,
//! so that a run that was killed anywhere goes on with the step that was not yet stored.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::ambient::Timestamp;

/// What is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The master key: what it wraps is wrapped anew, no token is touched.
    Master,
    /// Every person's data key: what it seals is sealed anew.
    Data,
    /// The keys that authenticate and sign what this server itself has made.
    Signing,
    /// The credentials of a Spotify app: written to the configuration, taken over by servers.
    SpotifyClient,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Master, Self::Data, Self::Signing, Self::SpotifyClient];

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Data => "data",
            Self::Signing => "signing",
            Self::SpotifyClient => "spotify-client",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// How far it is. Each is stored before the work of the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Old and new key are named; nothing has changed.
    Planned,
    /// Servers can open with the new key; nothing is sealed under it.
    Staged,
    /// What is new is sealed under the new key.
    Active,
    /// What is old is being sealed under the new key.
    Rewrapping,
    /// Everything is under the new key, as far as was seen; all of it is being opened with that key alone.
    Verifying,
    /// The old key opens nothing any more.
    Retired,
    /// Given up before anything was sealed under the new key.
    Aborted,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Planned,
        Self::Staged,
        Self::Active,
        Self::Rewrapping,
        Self::Verifying,
        Self::Retired,
        Self::Aborted,
    ];

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Rewrapping => "rewrapping",
            Self::Verifying => "verifying",
            Self::Retired => "retired",
            Self::Aborted => "aborted",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing is left to do.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Retired | Self::Aborted)
    }

    /// Whether it can still be given up: nothing is sealed under the new key.
    pub const fn can_be_aborted(self) -> bool {
        matches!(self, Self::Planned | Self::Staged)
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What the last look at the rows said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Rows after the present position that are not under the new key; quarantined ones do not count.
    pub ahead: u64,
    /// All such rows, wherever they are.
    pub remaining: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand the new key over to servers.
    Stage,
    /// Seal with the new key from now on.
    Promote,
    /// Begin with the first row.
    Begin,
    /// The next batch of rows.
    Batch,
    /// Nothing is ahead: open everything with the new key alone.
    Verify,
    /// Rows came behind the position, by servers that did not know yet: once more from the first row.
    Again,
    /// Let the old key open nothing any more.
    Retire,
    /// It is over.
    Nothing,
}

/// The step after a stored state.
pub const fn next(state: State, facts: Facts) -> Step {
    match state {
        State::Planned => Step::Stage,
        State::Staged => Step::Promote,
        State::Active => Step::Begin,
        State::Rewrapping if facts.ahead > 0 => Step::Batch,
        State::Rewrapping => Step::Verify,
        State::Verifying if facts.remaining > 0 => Step::Again,
        State::Verifying => Step::Retire,
        State::Retired | State::Aborted => Step::Nothing,
    }
}

/// How fast rows are gone through, so that a rotation leaves the database room for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Most rows in a second; `None`: as fast as it goes.
    pub per_second: Option<NonZeroU32>,
}

impl Pace {
    /// Rows in one batch, of at most so many: never more than a second's, so that no pause outlasts a runner's turn.
    pub fn batch(self, most: i64) -> i64 {
        self.per_second.map_or(most, |rate| most.min(rate.get().into()))
    }

    /// How long to wait after so many rows, which took so long themselves.
    pub fn pause(self, rows: u64, took: Duration) -> Duration {
        let Some(rate) = self.per_second else { return Duration::ZERO };
        let due = Duration::from_micros(rows.saturating_mul(1_000_000).div_ceil(rate.get().into()));
        due.saturating_sub(took)
    }
}

/// How long a finished rotation of the master key answers for the same command run again: whoever lost their terminal
/// tries again within hours, and whoever rotates by a calendar does so after a day at the soonest.
pub const ANSWERS_AGAIN: Duration = Duration::from_secs(12 * 3600);

/// The same for an emergency: long enough for a lost terminal, too short for the next leak to be taken for the last.
pub const CONTAINED_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Whether something that ended then answers for the same command now.
pub fn answers_again(ended: Timestamp, now: Timestamp, within: Duration) -> bool {
    now.since(ended) < within && ended <= now
}

/// Envelopes that one key may seal before another has to take its place, where random nonces are used under the very
/// key: nine tenths of the 2^32 of NIST SP 800-38D. Here every record has a key of its own, so that it is a long way off.
pub const MOST_SEALS: u64 = 3_865_470_566;

/// How a key stands to the bounds on its age and use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Neither is reached.
    No,
    /// It is older than the policy allows.
    Age,
    /// It has sealed as much as it may.
    Seals,
}

impl Due {
    /// By age in seconds, the most days that the policy allows, and the envelopes sealed.
    pub const fn of(age: u64, most_days: u64, seals: u64) -> Self {
        if seals >= MOST_SEALS {
            Self::Seals
        } else if age >= most_days.saturating_mul(86_400) {
            Self::Age
        } else {
            Self::No
        }
    }

    /// Its stable name; `None` where nothing is due.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Age => Some("age"),
            Self::Seals => Some("seals"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_leads_to_the_end_and_rows_that_came_late_are_not_forgotten() {
        let facts = |ahead, remaining| Facts { ahead, remaining };
        let table = [
            (State::Planned, facts(9, 9), Step::Stage),
            (State::Staged, facts(9, 9), Step::Promote),
            (State::Active, facts(9, 9), Step::Begin),
            (State::Rewrapping, facts(9, 9), Step::Batch),
            (State::Rewrapping, facts(0, 2), Step::Verify),
            (State::Verifying, facts(0, 2), Step::Again),
            (State::Verifying, facts(0, 0), Step::Retire),
            (State::Retired, facts(0, 0), Step::Nothing),
            (State::Aborted, facts(9, 9), Step::Nothing),
        ];
        for (state, facts, step) in table {
            assert_eq!(next(state, facts), step, "{state}");
        }
    }

    #[test]
    fn names_come_back() {
        for state in State::ALL {
            assert_eq!(State::named(state.name()), Some(state));
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
    }

    #[test]
    fn a_pace_is_held_over_many_batches_and_no_pause_is_longer_than_a_second() {
        let free = Pace::default();
        assert_eq!((free.batch(1_000), free.pause(1_000, Duration::ZERO)), (1_000, Duration::ZERO));
        for rate in [1, 3, 7, 999, 1_000, 1_001, 250_000] {
            let pace = Pace { per_second: NonZeroU32::new(rate) };
            let (mut left, mut spent, mut batches) = (10_000_i64, Duration::ZERO, 0_u32);
            while left > 0 {
                let rows = pace.batch(1_000).min(left);
                let pause = pace.pause(rows.unsigned_abs(), Duration::from_micros(500));
                assert!(pause <= Duration::from_secs(1), "{rate}: {pause:?}");
                (left, spent, batches) =
                    (left - rows, spent + pause + Duration::from_micros(500), batches + 1);
            }
            assert_eq!(batches, 10_000_u32.div_ceil(rate.min(1_000)), "{rate}");
            assert!(spent >= Duration::from_secs(10_000) / rate, "{rate}: {spent:?}");
        }
        let slow = Pace { per_second: NonZeroU32::new(10) };
        assert_eq!(slow.pause(10, Duration::from_secs(2)), Duration::ZERO);
    }

    #[test]
    fn a_finished_rotation_answers_for_twelve_hours_and_not_from_the_future() {
        let at = |secs| Timestamp::from_secs(secs);
        let hours = 12 * 3600;
        assert!(answers_again(at(1_000), at(1_000), ANSWERS_AGAIN));
        assert!(answers_again(at(1_000), at(999 + hours), ANSWERS_AGAIN));
        assert!(!answers_again(at(1_000), at(1_000 + hours), ANSWERS_AGAIN));
        assert!(!answers_again(at(2_000), at(1_000), ANSWERS_AGAIN));
        assert!(!answers_again(at(1_000), at(1_600), CONTAINED_AGAIN));
    }

    #[test]
    fn a_key_is_due_by_age_or_by_use() {
        assert_eq!(Due::of(86_400 * 30 - 1, 30, 0), Due::No);
        assert_eq!(Due::of(86_400 * 30, 30, 0), Due::Age);
        assert_eq!(Due::of(0, 30, MOST_SEALS - 1), Due::No);
        assert_eq!(Due::of(0, 30, MOST_SEALS), Due::Seals);
    }
}
