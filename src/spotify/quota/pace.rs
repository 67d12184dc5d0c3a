//! How many requests an app may send in Spotify's window of 30 seconds, where the operator says so, and whose turn it is:
//! everybody who asks has an equal share, whoever was refused too, and a part is kept for who comes next. Counted by this
//! server alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::share::is_fair;

/// Spotify's window (spotify.md 1.6).
const WINDOW: Duration = Duration::from_secs(30);
/// The shortest wait: what is due sooner is looked at again anyway.
const SOON: Duration = Duration::from_millis(50);
/// One person alone leaves one part in so many to whoever comes next.
const NEXT: u64 = 4;
/// Most people of an app who wait at once.
const WAITING: usize = 1_000;
/// Most apps counted; beyond it those that rest are forgotten.
const APPS: usize = 1_000;

/// The pace of every app.
pub struct Pace {
    most: u64,
    apps: Mutex<HashMap<Arc<str>, Recent>>,
}

/// The last 30 seconds of an app.
#[derive(Default)]
struct Recent {
    /// The requests, the oldest first: when, and for whom.
    sent: VecDeque<(Timestamp, Arc<str>)>,
    /// Who asked and found no room, and when they last did: their share is kept for them.
    waiting: HashMap<Arc<str>, Timestamp>,
}

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
                !(recent.sent.is_empty() && recent.waiting.is_empty())
            });
        }
        let recent = apps.entry(app.clone()).or_default();
        recent.forget(now);
        if recent.has_room(person, self.most) {
            recent.sent.push_back((now, person.clone()));
            return Ok(());
        }
        if recent.waiting.len() < WAITING || recent.waiting.contains_key(person) {
            recent.waiting.insert(person.clone(), now);
        }
        let oldest = recent.sent.front().map_or(now, |(at, _)| *at);
        Err(oldest.plus(WINDOW).since(now).max(SOON))
    }
}

impl Pace {
    /// Counts a request that is sent nevertheless.
    pub fn count(&self, app: &Arc<str>, person: &Arc<str>, now: Timestamp) {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        apps.entry(app.clone()).or_default().sent.push_back((now, person.clone()));
    }

    /// About how long so many requests of this person take, as things are now.
    pub fn time_for(&self, requests: u64, app: &Arc<str>, person: &Arc<str>, now: Timestamp) -> Duration {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = apps.entry(app.clone()).or_default();
        recent.forget(now);
        let (mine, others) = recent.had(person);
        let each = match others.len() as u64 {
            0 => self.most - self.most / NEXT,
            others => self.most / (others + 1),
        };
        let free = each.saturating_sub(mine).min(self.most.saturating_sub(recent.sent.len() as u64));
        let windows = requests.saturating_sub(free).div_ceil(each.max(1));
        WINDOW.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
    }
}

impl Recent {
    fn forget(&mut self, now: Timestamp) {
        while self.sent.front().is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.sent.pop_front();
        }
        self.waiting.retain(|_, at| now.since(*at) < WINDOW);
    }

    fn has_room(&self, person: &Arc<str>, most: u64) -> bool {
        let (mine, others) = self.had(person);
        let may_have = if others.is_empty() { most - most / NEXT } else { most };
        mine < may_have && is_fair(mine, &others, Some(most))
    }

    /// How many requests the person had, and each of the others, whoever waits for one too.
    fn had(&self, person: &Arc<str>) -> (u64, Vec<u64>) {
        let mut had: HashMap<&Arc<str>, u64> = self.waiting.keys().map(|who| (who, 0)).collect();
        for (_, who) in &self.sent {
            *had.entry(who).or_default() += 1;
        }
        let mine = had.remove(person).unwrap_or_default();
        (mine, had.into_values().collect())
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
    fn one_alone_leaves_room_for_who_comes_next() {
        let pace = Pace::of(20);
        let (app, ada, ben): (Arc<str>, Arc<str>, Arc<str>) = ("a".into(), "ada".into(), "ben".into());
        let had = |who: &Arc<str>, at| (0..40).filter(|_| pace.admit(&app, who, at).is_ok()).count();
        assert_eq!(had(&ada, NOW), 15);
        assert_eq!(had(&ben, later(1)), 5, "at once");
        assert_eq!(had(&ada, later(2)), 0);
        assert_eq!(had(&ada, later(30)), 10);
        assert_eq!(had(&ben, later(30)), 5, "which makes ten of twenty");
    }

    #[test]
    fn whoever_was_refused_has_a_share_of_what_comes_free() {
        let pace = Pace::of(9);
        let (app, ada, ben, eve): (Arc<str>, Arc<str>, Arc<str>, Arc<str>) =
            ("a".into(), "ada".into(), "ben".into(), "eve".into());
        let had = |who: &Arc<str>, at| (0..40).filter(|_| pace.admit(&app, who, at).is_ok()).count();
        assert_eq!(pace.admit(&app, &ben, NOW), Ok(()));
        assert_eq!((had(&ada, NOW), had(&ben, later(1))), (5, 3));
        assert_eq!(had(&eve, later(2)), 0, "two had all of it");
        assert_eq!(
            (had(&ada, later(30)), had(&eve, later(30))),
            (3, 3),
            "ada asks first, and leaves eve hers"
        );
    }

    #[test]
    fn how_long_many_requests_take_is_told_beforehand() {
        let pace = Pace::of(20);
        let (app, ada, ben): (Arc<str>, Arc<str>, Arc<str>) = ("a".into(), "ada".into(), "ben".into());
        let takes = |requests| pace.time_for(requests, &app, &ada, NOW).as_secs();
        assert_eq!([15, 16, 30, 31].map(takes), [0, 30, 30, 60], "a quarter is left to others");
        assert_eq!(pace.admit(&app, &ben, NOW), Ok(()));
        assert_eq!([10, 11, 21].map(takes), [0, 30, 60], "half of it beside another");
        (0..19).for_each(|_| pace.count(&app, &ada, NOW));
        assert_eq!([0, 1].map(takes), [0, 30], "what was sent nevertheless counts");
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
