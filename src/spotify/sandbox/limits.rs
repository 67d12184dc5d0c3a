//! Rate limits per app (rolling 30 seconds) and quotas per developer account and bucket (rolling 24 hours):
//! spotify.md 1.6 and 6.9. A call that is refused counts too, so that hammering makes it worse.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use super::world::app::{App, AppRules};
use super::world::shards::lock;
use crate::ambient::Timestamp;

const RATE_WINDOW: Duration = Duration::from_secs(30);
const QUOTA_WINDOW: Duration = Duration::from_secs(24 * 3600);
const MOST_WINDOWS: usize = 4096;

/// Why a call is turned away, and for how many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// The app is too fast.
    Rate(u64),
    /// The developer account has used up the bucket.
    Quota(u64),
}

/// Calls in a rolling window, in 30 to 48 slots of time rather than one by one.
#[derive(Default)]
struct Window {
    slots: VecDeque<(i64, u32)>,
    total: u32,
}

/// All windows, by app and by (developer account, bucket).
#[derive(Default)]
pub struct Limits {
    windows: Mutex<HashMap<String, Window>>,
}

impl Limits {
    /// Counts one call to `path` and says whether it goes too far.
    pub fn admit(&self, app: &App, rules: &AppRules, path: &str, now: Timestamp) -> Result<(), Limited> {
        if rules.rate_limit.is_none() && rules.daily_quota.is_none() {
            return Ok(());
        }
        let mut windows = lock(&self.windows);
        if windows.len() >= MOST_WINDOWS {
            windows.clear();
        }
        if let Some(most) = rules.rate_limit {
            let window = windows.entry(format!("rate {}", app.client_id)).or_default();
            window.count(most, RATE_WINDOW, now).map_err(Limited::Rate)?;
        }
        if let Some(most) = rules.daily_quota {
            let window = windows.entry(format!("quota {} {}", rules.developer, bucket(path))).or_default();
            window.count(most, QUOTA_WINDOW, now).map_err(Limited::Quota)?;
        }
        Ok(())
    }

    /// Forgets all counts.
    pub fn reset(&self) {
        lock(&self.windows).clear();
    }
}

impl Window {
    fn count(&mut self, most: u32, length: Duration, now: Timestamp) -> Result<(), u64> {
        let slot = i64::try_from(length.as_millis() / 48).unwrap_or(1).max(1);
        let at = now.millis().div_euclid(slot);
        while self.slots.front().is_some_and(|(old, _)| old + 48 <= at) {
            self.total -= self.slots.pop_front().map_or(0, |(_, calls)| calls);
        }
        match self.slots.back_mut() {
            Some((newest, calls)) if *newest == at => *calls = calls.saturating_add(1),
            _ => self.slots.push_back((at, 1)),
        }
        self.total = self.total.saturating_add(1);
        if self.total <= most {
            return Ok(());
        }
        Err(self.wait(most, slot, now))
    }

    /// Seconds until so many calls have left the window that another fits.
    fn wait(&self, most: u32, slot: i64, now: Timestamp) -> u64 {
        let mut left = self.total;
        for (at, calls) in &self.slots {
            left -= calls;
            if left < most {
                let free_at = (at + 48) * slot;
                return u64::try_from((free_at - now.millis()).max(0))
                    .unwrap_or_default()
                    .div_ceil(1000)
                    .max(1);
            }
        }
        1
    }
}

/// The quota bucket of a path under `/v1`.
fn bucket(path: &str) -> &'static str {
    if path.contains("/playlists") {
        "playlist"
    } else if path.ends_with("/search") {
        "search"
    } else if path.contains("/artists/") && path.ends_with("/albums") {
        "artist-albums"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_rolls_and_says_how_long_to_wait() {
        let mut window = Window::default();
        let at = |secs: i64| Timestamp::from_secs(1_000_000_020 + secs);
        for _ in 0..3 {
            assert_eq!(window.count(3, RATE_WINDOW, at(0)), Ok(()));
        }
        let wait = window.count(3, RATE_WINDOW, at(10)).unwrap_err();
        assert!((19..=21).contains(&wait), "{wait}");
        assert_eq!(window.count(3, RATE_WINDOW, at(31)), Ok(()));
    }

    #[test]
    fn one_buckets_quota_leaves_the_others_alone() {
        use super::super::world::app::Secrets;
        let limits = Limits::default();
        let rules = AppRules { daily_quota: Some(1), ..AppRules::default() };
        let app = App::new("a", Secrets::default(), rules.clone());
        let now = Timestamp::from_secs(1_800_000_000);
        assert_eq!(limits.admit(&app, &rules, "/v1/search", now), Ok(()));
        let Err(Limited::Quota(secs)) = limits.admit(&app, &rules, "/v1/search", now) else {
            panic!("no quota")
        };
        assert!(secs > 20 * 3600);
        assert_eq!(limits.admit(&app, &rules, "/v1/me", now), Ok(()));
    }
}
