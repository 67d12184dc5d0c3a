//! Spotify's clock, as its answers tell it (`Date`): what it dates is compared with that, and never with ours.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, header};

use crate::ambient::Timestamp;
use crate::domain::change::Moment;
use crate::domain::freshness::http_date;

/// How far Spotify's clock is ahead of ours, as the latest answer shows it.
#[derive(Default)]
pub(super) struct SpotifyClock(Mutex<Option<Ahead>>);

/// In milliseconds.
#[derive(Clone, Copy)]
struct Ahead {
    least: i64,
    most: i64,
}

impl SpotifyClock {
    /// An answer came now, that was asked for so long ago.
    pub(super) fn told(&self, headers: &HeaderMap, now: Timestamp, took: Duration) {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(http_date) else { return };
        // It is told in whole seconds, and was written at some time between asking and now.
        let ahead = Ahead {
            least: date.millis() - now.millis(),
            most: date.millis() + 999 - now.minus(took).millis(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// What it shows where ours shows this; `None` as long as nothing was answered.
    pub(super) fn at(&self, now: Timestamp) -> Option<Moment> {
        let ahead = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let second = |ahead: i64| Timestamp::from_millis(now.millis().saturating_add(ahead)).secs();
        Some(Moment { earliest: second(ahead.least), latest: second(ahead.most) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_shows_lies_between_the_bounds_whatever_ours_shows() {
        let (clock, sent) = (SpotifyClock::default(), 1_795_262_400);
        assert!(clock.at(Timestamp::from_secs(sent)).is_none());
        for ours in [0, 120, -600] {
            // Asked at 0.4 s, written at 1.2 s ("1"), here at 1.6 s, looked at after 10 s more.
            let at = |millis: i64| Timestamp::from_millis((sent + ours) * 1000 + millis);
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, "Sat, 21 Nov 2026 12:00:01 GMT".parse().unwrap());
            clock.told(&headers, at(1_600), Duration::from_millis(1_200));
            let moment = clock.at(at(11_600)).unwrap();
            assert_eq!((moment.earliest - sent, moment.latest - sent), (11, 13));
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, "yesterday".parse().unwrap());
        clock.told(&headers, Timestamp::from_secs(0), Duration::ZERO);
        assert!(clock.at(Timestamp::from_secs(sent - 600)).is_some_and(|at| at.earliest >= sent - 1));
    }
}
