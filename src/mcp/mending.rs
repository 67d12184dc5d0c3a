//! How often what was broken off may be mended past a person's share of a quota: mending reads and writes a whole list, and
//! others have their shares too.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::UserId;

/// So often
const MOST: usize = 6;
/// within so long; further ones have what is left of the share.
const WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Who has mended when.
#[derive(Debug, Default)]
pub(super) struct Mending(Mutex<HashMap<UserId, Vec<Timestamp>>>);

impl Mending {
    /// Whether this person may once more, which is counted.
    pub(super) fn may_be(&self, user: &UserId, now: Timestamp) -> bool {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        people.retain(|_, times| {
            times.retain(|at| now.since(*at) < WITHIN);
            !times.is_empty()
        });
        let times = people.entry(user.clone()).or_default();
        let may = times.len() < MOST;
        if may {
            times.push(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_often_a_day_each_and_nobody_is_kept_for_longer() {
        let (mending, [ada, ben]) = (Mending::default(), [1, 2].map(|n| UserId::mint([n; 16])));
        let now = Timestamp::from_secs(1_795_262_400);
        let mended = (0..10).filter(|_| mending.may_be(&ada, now)).count();
        assert_eq!(mended, MOST);
        assert!(mending.may_be(&ben, now));
        let next = now.plus(WITHIN);
        assert!(mending.may_be(&ada, next));
        assert_eq!(mending.0.lock().unwrap().len(), 1);
    }
}
