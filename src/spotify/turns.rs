//! How many requests to the Web API are under way at once for one person, all their accounts and calls together: a part of
//! what the way out takes, so that nobody fills it. Further ones wait their turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Most requests at once: an eighth of what the gate takes ([`crate::egress::GatePolicy::concurrent`]), and more than one
/// call makes for ten accounts.
pub(super) const MOST: usize = 64;
/// People beyond which those who rest are forgotten.
const REMEMBERED: usize = 1_000;

/// Everybody's.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Arc<str>, Weak<Semaphore>>>);

impl Turns {
    /// The right to one request; ends with the value. `None` where it did not come in time.
    pub(super) async fn of(&self, person: &Arc<str>, until: Instant) -> Option<OwnedSemaphorePermit> {
        let turns = self.semaphore(person);
        timeout_at(until, turns.acquire_owned()).await.ok()?.ok()
    }

    fn semaphore(&self, person: &Arc<str>) -> Arc<Semaphore> {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = people.get(person).and_then(Weak::upgrade) {
            return known;
        }
        if people.len() >= REMEMBERED {
            people.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(MOST));
        people.insert(person.clone(), Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_person_waits_for_themselves_alone_and_who_rests_is_forgotten() {
        let (turns, ada, ben): (_, Arc<str>, Arc<str>) = (Turns::default(), "ada".into(), "ben".into());
        let soon = || Instant::now() + Duration::from_millis(100);
        let mut had = Vec::new();
        for _ in 0..MOST {
            had.push(turns.of(&ada, soon()).await.unwrap());
        }
        assert!(turns.of(&ada, soon()).await.is_none());
        assert!(turns.of(&ben, soon()).await.is_some());
        had.pop();
        assert!(turns.of(&ada, soon()).await.is_some());
        for person in 0..3 * REMEMBERED {
            assert!(turns.of(&format!("u{person}").into(), soon()).await.is_some());
        }
        assert!(turns.0.lock().unwrap().len() <= REMEMBERED);
        assert!(turns.of(&ada, soon()).await.is_some(), "whose other requests are still under way");
        had.push(turns.of(&ada, soon()).await.unwrap());
        assert!(turns.of(&ada, soon()).await.is_none(), "and still counted");
    }
}
