//! How long writes of a playlist's rows take lately, for whoever decides whether many of them fit into the time there is:
//! the slowest counts, quick ones wear it down, and so does time. One slow write must not stand in the way for ever.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What a write is taken to need before there was one.
const USUAL: Duration = Duration::from_secs(1);
/// After so long a slow one counts for half.
const HALVES_IN: Duration = Duration::from_secs(30);

/// The slowest, and when that was.
#[derive(Default)]
pub(super) struct WritePace(Mutex<Option<(Duration, Instant)>>);

impl WritePace {
    /// How long one may be expected to take.
    pub(super) fn expected(&self, now: Instant) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map_or(USUAL, |known| worn(known, now))
    }

    /// One took so long.
    pub(super) fn took(&self, took: Duration, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was slow once is forgotten in some twenty quick ones.
        let before = known.map_or(USUAL, |known| worn(known, now));
        *known = Some((took.max(before - before / 8), now));
    }
}

fn worn((slowest, at): (Duration, Instant), now: Instant) -> Duration {
    let halves = now.saturating_duration_since(at).as_secs_f64() / HALVES_IN.as_secs_f64();
    slowest.mul_f64(0.5_f64.powf(halves)).max(USUAL.min(slowest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_counts_until_quick_ones_or_time_have_worn_it_down() {
        let (pace, now) = (WritePace::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(pace.expected(now), USUAL);
        pace.took(Duration::from_secs(8), now);
        pace.took(Duration::from_millis(100), now);
        assert_eq!(pace.expected(now), Duration::from_secs(7));
        assert_eq!(pace.expected(after(30)), Duration::from_millis(3_500));
        assert_eq!(pace.expected(after(300)), USUAL, "though nothing else was written");
        (0..30).for_each(|_| pace.took(Duration::from_millis(100), now));
        assert!(pace.expected(now) < Duration::from_millis(300));
        pace.took(Duration::from_secs(9), after(1));
        assert_eq!(pace.expected(after(1)), Duration::from_secs(9));
    }
}
