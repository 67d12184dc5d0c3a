//! How many tool calls a person may make in a minute and at once (product.md 7, "Limits").
//!
//! In this process only: with several nodes the counts move to the shared database. Never knows what a call does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::config::LimitsConfig;
use crate::domain::UserId;

/// From how many remembered people on the idle ones are forgotten, at most once in [`SWEEP_EVERY`].
const SWEEP_FROM: usize = 1_024;
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The limits; 0 switches one off.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Calls of one person in a minute; a burst of as many is allowed after a minute's rest.
    pub per_minute: u32,
    /// Calls of one person at once.
    pub concurrent: u32,
}

impl From<&LimitsConfig> for CallLimits {
    fn from(config: &LimitsConfig) -> Self {
        Self { per_minute: config.calls_per_user_per_minute, concurrent: config.concurrent_calls_per_user }
    }
}

/// Why a call has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// Too many in the last minute.
    Rate {
        /// When the next one fits, at least one second.
        retry_after: Duration,
    },
    /// Too many at once.
    Concurrency,
}

/// Counts calls per person.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: CallLimits,
    people: Mutex<People>,
}

#[derive(Debug, Default)]
struct People {
    states: HashMap<UserId, State>,
    swept: Timestamp,
}

/// One person's bucket: thousandths of calls, so that time refills it without loss.
#[derive(Debug)]
struct State {
    millicalls: u64,
    filled: Timestamp,
    running: u32,
}

/// The right to one call; ends with the value.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    user: UserId,
}

impl Limiter {
    pub(crate) fn new(limits: CallLimits) -> Arc<Self> {
        Arc::new(Self { limits, people: Mutex::default() })
    }

    /// Counts a call in, or says why it has to wait. A call that is refused does not count.
    pub(crate) fn enter(self: &Arc<Self>, user: &UserId, now: Timestamp) -> Result<Permit, Limited> {
        let mut people = self.lock();
        people.sweep(now, self.limits.per_minute);
        let full = u64::from(self.limits.per_minute) * 1000;
        let state = match people.states.get_mut(user) {
            Some(state) => state,
            None => people.states.entry(user.clone()).or_insert(State {
                millicalls: full,
                filled: now,
                running: 0,
            }),
        };
        if self.limits.concurrent > 0 && state.running >= self.limits.concurrent {
            return Err(Limited::Concurrency);
        }
        if self.limits.per_minute > 0 {
            state.take(now, u64::from(self.limits.per_minute))?;
        }
        state.running = state.running.saturating_add(1);
        drop(people);
        Ok(Permit { limiter: self.clone(), user: user.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, People> {
        // Nothing panics while it is held; a count is never worth a refusal.
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refill(&mut self, now: Timestamp, per_minute: u64) {
        let elapsed = u64::try_from(now.since(self.filled).as_millis()).unwrap_or(u64::MAX);
        // per_minute calls in 60,000 ms are per_minute / 60 thousandths in a millisecond.
        let gained = elapsed.saturating_mul(per_minute) / 60;
        if gained > 0 {
            self.millicalls = self.millicalls.saturating_add(gained).min(per_minute * 1000);
            self.filled = now;
        }
    }

    fn take(&mut self, now: Timestamp, per_minute: u64) -> Result<(), Limited> {
        self.refill(now, per_minute);
        match self.millicalls.checked_sub(1000) {
            Some(left) => {
                self.millicalls = left;
                Ok(())
            }
            None => {
                let missing = (1000 - self.millicalls) * 60;
                let retry_after = Duration::from_millis(missing.div_ceil(per_minute));
                Err(Limited::Rate { retry_after: retry_after.max(Duration::from_secs(1)) })
            }
        }
    }
}

impl People {
    /// Forgets people whose state says nothing: nothing runs and the bucket is full again.
    fn sweep(&mut self, now: Timestamp, per_minute: u32) {
        if self.states.len() < SWEEP_FROM || now.since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.states.retain(|_, state| {
            state.refill(now, u64::from(per_minute));
            state.running > 0 || state.millicalls < u64::from(per_minute) * 1000
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(state) = self.limiter.lock().states.get_mut(&self.user) {
            state.running = state.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u8) -> UserId {
        UserId::mint([n; 16])
    }

    #[test]
    fn a_minute_refills_what_a_burst_used_up_and_people_do_not_share() {
        let limiter = Limiter::new(CallLimits { per_minute: 60, concurrent: 0 });
        let start = Timestamp::from_secs(1_000);
        for _ in 0..60 {
            assert!(limiter.enter(&user(1), start).is_ok());
        }
        let refused = limiter.enter(&user(1), start).unwrap_err();
        assert_eq!(refused, Limited::Rate { retry_after: Duration::from_secs(1) });
        assert!(limiter.enter(&user(2), start).is_ok());
        assert!(limiter.enter(&user(1), start.plus(Duration::from_secs(1))).is_ok());
        assert!(limiter.enter(&user(1), start.plus(Duration::from_millis(1_500))).is_err());
    }

    #[test]
    fn a_call_that_ends_makes_room() {
        let limiter = Limiter::new(CallLimits { per_minute: 0, concurrent: 2 });
        let now = Timestamp::from_secs(1);
        let first = limiter.enter(&user(1), now).unwrap();
        let _second = limiter.enter(&user(1), now).unwrap();
        assert_eq!(limiter.enter(&user(1), now).unwrap_err(), Limited::Concurrency);
        drop(first);
        assert!(limiter.enter(&user(1), now).is_ok());
    }

    #[test]
    fn idle_people_are_forgotten_and_busy_ones_are_not() {
        let limiter = Limiter::new(CallLimits { per_minute: 60, concurrent: 1 });
        let start = Timestamp::from_secs(1_000);
        let _busy = limiter.enter(&user(255), start).unwrap();
        for n in 0..u32::try_from(SWEEP_FROM).unwrap() {
            let mut random = [0; 16];
            random[..4].copy_from_slice(&n.to_be_bytes());
            drop(limiter.enter(&UserId::mint(random), start).unwrap());
        }
        drop(limiter.enter(&user(3), start.plus(Duration::from_secs(120))).unwrap());
        assert_eq!(limiter.lock().states.len(), 2);
        assert_eq!(
            limiter.enter(&user(255), start.plus(Duration::from_secs(121))).unwrap_err(),
            Limited::Concurrency
        );
    }
}
