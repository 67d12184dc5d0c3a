//! Apps that Spotify told to wait: until the time it named nobody is sent there again with such an app, whatever a model
//! tries meanwhile, on no server, before and after a restart (the app stores what changes here). What runs out by the day
//! has books of its own (`quota`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;

/// Most apps remembered; those whose time is over are forgotten first.
const APPS: usize = 10_000;

/// Until when nothing is asked with an app.
#[derive(Default)]
pub struct Rest(Mutex<Apps>);

#[derive(Default)]
struct Apps {
    until: HashMap<Arc<str>, Timestamp>,
    /// Told since it was last taken.
    changed: Vec<Arc<str>>,
}

impl Rest {
    /// Spotify said to come back with this app after so long.
    pub(super) fn told(&self, app: &Arc<str>, wait: Duration, now: Timestamp) {
        let mut apps = self.lock();
        apps.until_at_least(app, now.plus(wait), now);
        if !apps.changed.contains(app) {
            apps.changed.push(app.clone());
        }
    }

    /// How long an app still has to wait.
    pub fn left(&self, app: &str, now: Timestamp) -> Option<Duration> {
        let mut apps = self.lock();
        let wait = apps.until.get(app)?.since(now);
        if wait.is_zero() {
            apps.until.remove(app);
            return None;
        }
        Some(wait)
    }

    /// What was told and is not stored yet.
    pub fn take_changed(&self) -> Vec<(Arc<str>, Timestamp)> {
        let mut apps = self.lock();
        let changed = std::mem::take(&mut apps.changed).into_iter();
        changed.filter_map(|app| apps.until.get(&app).map(|until| (app.clone(), *until))).collect()
    }

    /// Puts back what could not be stored.
    pub fn keep_changed(&self, changed: &[(Arc<str>, Timestamp)]) {
        self.lock().changed.extend(changed.iter().map(|(app, _)| app.clone()));
    }

    /// Takes over what is stored: another server's, or from before the start. `None`: an operator ended the wait.
    pub fn recall(&self, app: &str, until: Option<Timestamp>, now: Timestamp) {
        let mut apps = self.lock();
        match until {
            Some(until) => apps.until_at_least(&app.into(), until, now),
            // What was told since, and could not be stored yet, counts.
            None if apps.changed.iter().any(|changed| **changed == *app) => {}
            None => drop(apps.until.remove(app)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Apps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Apps {
    fn until_at_least(&mut self, app: &Arc<str>, until: Timestamp, now: Timestamp) {
        if until <= now {
            return;
        }
        if self.until.len() >= APPS {
            self.until.retain(|_, until| !until.since(now).is_zero());
        }
        if self.until.len() < APPS || self.until.contains_key(app) {
            let known = self.until.entry(app.clone()).or_insert(until);
            *known = until.max(*known);
        }
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
        assert!(rest.lock().until.len() <= APPS);
    }

    #[test]
    fn what_was_told_is_known_to_another_server_until_an_operator_ends_it() {
        let (rest, other, app): (_, _, Arc<str>) = (Rest::default(), Rest::default(), "a".into());
        rest.told(&app, seconds(120), NOW);
        let changed = rest.take_changed();
        assert_eq!(changed, [(app.clone(), NOW.plus(seconds(120)))]);
        assert!(rest.take_changed().is_empty());
        rest.keep_changed(&changed);
        assert_eq!(rest.take_changed(), changed);
        for (app, until) in &changed {
            other.recall(app, Some(*until), NOW);
        }
        assert_eq!(other.left(&app, NOW), Some(seconds(120)));
        other.recall(&app, Some(NOW.plus(seconds(60))), NOW);
        assert_eq!(other.left(&app, NOW), Some(seconds(120)), "the longer one counts");
        other.recall(&app, None, NOW);
        assert_eq!(other.left(&app, NOW), None);
        other.told(&app, seconds(30), NOW);
        other.recall(&app, None, NOW);
        assert_eq!(other.left(&app, NOW), Some(seconds(30)), "told anew, and not stored yet");
    }
}
