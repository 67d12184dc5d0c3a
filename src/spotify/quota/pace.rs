//! How many requests an app may send in Spotify's window of 30 seconds, where the operator says so, and whose turn it is:
//! everybody who asks has an equal share. Counted by this server alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::share::is_fair;

/// Spotify's window (spotify.md 1.6).
const WINDOW: Duration = Duration::from_secs(30);
/// The shortest wait: what is due sooner is looked at again anyway.
const SOON: Duration = Duration::from_millis(50);
/// Most apps counted; beyond it those that rest are forgotten.
const APPS: usize = 1_000;

/// The pace of every app.
pub struct Pace {
    most: u64,
    apps: Mutex<HashMap<Arc<str>, Recent>>,
}

/// The requests of the last 30 seconds, the oldest first: when, and for whom.
#[derive(Default)]
struct Recent(VecDeque<(Timestamp, Arc<str>)>);

impl Pace {
    /// So many in 30 seconds for each app.
    pub fn of(most: u64) -> Self {
        Self { most, apps: Mutex::default() }
    }

    /// Counts a request of this app, for this person.
    ///
    /// # Errors
    /// How long to wait before it is tried again.
    pub fn admit(&self, app: &Arc<str>, person: &Arc<str>, now: Timestamp) -> Result<(), Duration> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= APPS && !apps.contains_key(app) {
            apps.retain(|_, recent| {
                recent.forget(now);
                !recent.0.is_empty()
            });
        }
        let recent = apps.entry(app.clone()).or_default();
        recent.forget(now);
        if recent.has_room(person, self.most) {
            recent.0.push_back((now, person.clone()));
            return Ok(());
        }
        let oldest = recent.0.front().map_or(now, |(at, _)| *at);
        Err(oldest.plus(WINDOW).since(now).max(SOON))
    }
}

impl Recent {
    fn forget(&mut self, now: Timestamp) {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.0.pop_front();
        }
    }

    fn has_room(&self, person: &Arc<str>, most: u64) -> bool {
        let mut had: HashMap<&Arc<str>, u64> = HashMap::new();
        for (_, who) in &self.0 {
            *had.entry(who).or_default() += 1;
        }
        let mine = had.remove(person).unwrap_or_default();
        let others: Vec<u64> = had.into_values().collect();
        is_fair(mine, &others, Some(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn so_many_in_thirty_seconds_for_each_app_and_the_wait_is_told() {
        let pace = Pace::of(3);
        let (app, other, ada): (Arc<str>, Arc<str>, Arc<str>) = ("a".into(), "b".into(), "ada".into());
        for second in 0..3 {
            assert_eq!(pace.admit(&app, &ada, later(second)), Ok(()));
        }
        assert_eq!(pace.admit(&app, &ada, later(10)), Err(Duration::from_secs(20)));
        assert_eq!(pace.admit(&other, &ada, later(10)), Ok(()));
        assert_eq!(pace.admit(&app, &ada, later(30)), Ok(()), "the first has left the window");
        assert_eq!(pace.admit(&app, &ada, later(30)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn whoever_comes_has_an_equal_share() {
        let pace = Pace::of(10);
        let (app, ada, ben): (Arc<str>, Arc<str>, Arc<str>) = ("a".into(), "ada".into(), "ben".into());
        assert_eq!(pace.admit(&app, &ben, NOW), Ok(()));
        let had = (0..20).filter(|_| pace.admit(&app, &ada, NOW).is_ok()).count();
        assert_eq!(had, 5, "four are kept for the other");
        let left = (0..20).filter(|_| pace.admit(&app, &ben, NOW).is_ok()).count();
        assert_eq!(left, 4);
    }

    #[test]
    fn apps_that_rest_are_forgotten() {
        let pace = Pace::of(1);
        let ada: Arc<str> = "ada".into();
        for app in 0..3 * APPS as u64 {
            let _ = pace.admit(&format!("a{app}").into(), &ada, later(app));
        }
        assert!(pace.apps.lock().unwrap().len() <= APPS);
    }
}
