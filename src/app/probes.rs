//! How often strangers may make this server ask Spotify's accounts service whether it knows an app: so few in all that
//! everybody's tokens can still be refreshed from its address. Where there are more, nothing is asked and nobody is refused:
//! the way back from Spotify tells.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ambient::Timestamp;
use crate::domain::limit::Quota;

/// So many at once,
const AT_ONCE: usize = 4;
/// and so many in a minute, whoever asks from wherever.
const IN_ALL: Quota = Quota::per_minute(60);

/// What strangers had asked.
pub struct Probes {
    turns: Semaphore,
    /// When the present window began, and how many were asked in it.
    asked: Mutex<(i64, u32)>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), asked: Mutex::default() }
    }
}

impl Probes {
    /// The right to ask once; ends with the value. `None`: nothing is asked.
    pub fn turn(&self, now: Timestamp) -> Option<SemaphorePermit<'_>> {
        let turn = self.turns.try_acquire().ok()?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let window = IN_ALL.window_at(now);
        if asked.0 != window {
            *asked = (window, 0);
        }
        (asked.1 < IN_ALL.most).then(|| {
            asked.1 += 1;
            turn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_so_many_in_a_minute() {
        let (probes, now) = (Probes::default(), Timestamp::from_secs(1_795_262_400));
        let turns: Vec<_> = (0..AT_ONCE).map(|_| probes.turn(now)).collect();
        assert!(turns.iter().all(Option::is_some) && probes.turn(now).is_none());
        drop(turns);
        let more = (0..100).filter(|_| probes.turn(now).is_some()).count();
        assert_eq!(more, IN_ALL.most as usize - AT_ONCE, "what found no turn was not asked");
        let next = Timestamp::from_secs(now.secs() + 60);
        assert!(probes.turn(next).is_some());
    }
}
