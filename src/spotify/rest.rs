//! Apps that Spotify told to wait: until the time it named nobody is sent there again with such an app, whatever a model
//! tries meanwhile. In memory alone; what runs out by the day has books of its own (`quota`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;

/// Most apps remembered; those whose time is over are forgotten first.
const APPS: usize = 10_000;

/// Until when nothing is asked with an app.
#[derive(Default)]
pub(super) struct Rest(Mutex<HashMap<Arc<str>, Timestamp>>);

impl Rest {
    /// Spotify said to come back with this app after so long.
    pub(super) fn told(&self, app: &Arc<str>, wait: Duration, now: Timestamp) {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= APPS {
            apps.retain(|_, until| !until.since(now).is_zero());
        }
        let until = now.plus(wait);
        if apps.len() < APPS || apps.contains_key(app) {
            let known = apps.entry(app.clone()).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// How long an app still has to wait.
    pub(super) fn left(&self, app: &Arc<str>, now: Timestamp) -> Option<Duration> {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = apps.get(app)?.since(now);
        if wait.is_zero() {
            apps.remove(app);
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn an_app_rests_for_as_long_as_was_said_and_no_other_does() {
        let (rest, app, other): (_, Arc<str>, Arc<str>) = (Rest::default(), "a".into(), "b".into());
        assert_eq!(rest.left(&app, NOW), None);
        rest.told(&app, seconds(120), NOW);
        rest.told(&app, seconds(10), NOW);
        assert_eq!(rest.left(&app, NOW.plus(seconds(20))), Some(seconds(100)), "the longer one counts");
        assert_eq!(rest.left(&other, NOW), None);
        assert_eq!(rest.left(&app, NOW.plus(seconds(120))), None);
    }

    #[test]
    fn apps_whose_time_is_over_are_forgotten() {
        let rest = Rest::default();
        for app in 0..2 * APPS as u64 {
            rest.told(&format!("a{app}").into(), seconds(1), NOW.plus(seconds(app)));
        }
        assert!(rest.0.lock().unwrap().len() <= APPS);
    }
}
