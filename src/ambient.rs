//! The only place that asks the system for time or randomness.
//!
//! Everything else takes a [`Clock`] or a [`Dice`] (or better: a [`Timestamp`] and bytes), so that decisions
//! can be tested at any instant. `clippy.toml` bans the ambient functions elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// An instant in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch, as the database keeps them.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant and `later`, saturating.
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This instant less `earlier`, saturating.
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How much later `self` is than `earlier`; zero where it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-21T04:00:00.000Z`.
    pub fn rfc3339(self) -> String {
        use time::macros::format_description;
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|at| {
                at.format(format_description!(
                    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
                ))
                .ok()
            })
            .unwrap_or_else(|| self.0.to_string())
    }
}

/// Where the time comes from: the system, or a hand that a test or the sandbox moves.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Moved(Arc<AtomicI64>),
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until its [`Hand`] moves it.
    pub fn moved_by_hand(start: Timestamp) -> (Self, Hand) {
        let at = Arc::new(AtomicI64::new(start.millis()));
        (Self(Source::Moved(at.clone())), Hand(at))
    }

    /// The system's clock plus an offset that its [`Hand`] sets (in milliseconds, zero at first).
    pub fn shifted_by_hand() -> (Self, Hand) {
        let offset = Arc::new(AtomicI64::new(0));
        (Self(Source::Shifted(offset.clone())), Hand(offset))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Moved(at) => Timestamp(at.load(Ordering::SeqCst)),
            Source::Shifted(offset) => {
                Timestamp(system_now().0.saturating_add(offset.load(Ordering::SeqCst)))
            }
        }
    }
}

/// Moves a clock made by [`Clock::moved_by_hand`] or [`Clock::shifted_by_hand`].
#[derive(Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that may")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Where randomness comes from: the operating system's generator.
#[derive(Clone, Default)]
pub struct Dice(());

impl Dice {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(())
    }

    /// `N` unpredictable bytes. A system without randomness cannot serve: the process ends at once.
    #[allow(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if getrandom::fill(&mut bytes).is_err() {
            std::process::abort();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_round_down_and_print_in_utc() {
        assert_eq!(Timestamp::from_millis(1_999).secs(), 1);
        assert_eq!(Timestamp::from_millis(-1).secs(), -1);
        assert_eq!(Timestamp::from_secs(1_795_233_600).rfc3339(), "2026-11-21T04:00:00.000Z");
    }

    #[test]
    fn a_hand_moves_its_clock() {
        let (clock, hand) = Clock::moved_by_hand(Timestamp::from_secs(10));
        hand.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(15));
    }
}
