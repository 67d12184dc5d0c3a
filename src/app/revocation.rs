//! Knows within a second what has ended: reads the revocation epoch four times a second and drops what is
//! remembered whenever it has moved. A server that cannot read it trusts nothing that it remembers.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::ambient::Clock;
use crate::domain::UserId;
use crate::failure::Failure;
use crate::store::{Reading, Store};

/// How often the epoch is read.
pub(super) const EVERY: Duration = Duration::from_millis(250);

/// How old the last good reading may be before memory is not trusted.
const TRUSTED: Duration = Duration::from_secs(1);

/// What is closed for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Nothing may be issued: an emergency is dealt with.
    pub frozen: bool,
    /// Nothing may be answered but probes of health.
    pub locked: bool,
}

/// The last reading.
pub struct Revocation {
    epoch: AtomicI64,
    sessions: AtomicI64,
    accounts: AtomicI64,
    frozen: AtomicBool,
    locked: watch::Sender<bool>,
    /// One reading at a time takes effect.
    turn: Mutex<()>,
    /// Milliseconds since the machine began: a clock that is set back must not make an old reading young.
    read_at: AtomicU64,
    /// Counts up after memory was dropped, and while nothing can be read.
    news: watch::Sender<u64>,
    clock: Clock,
}

/// What has ended since the last reading.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// Anything that servers remember.
    pub(super) epoch: bool,
    /// Only sessions of 2025-era clients.
    pub(super) sessions: bool,
    /// Only what is remembered of these people.
    pub(super) people: Vec<UserId>,
}

impl Moved {
    /// Whether anything has.
    pub(super) const fn is_any(&self) -> bool {
        self.epoch || self.sessions || !self.people.is_empty()
    }
}

impl Revocation {
    /// Starts from a reading that has just been made.
    pub fn new(reading: Reading, clock: Clock) -> Self {
        let read_at = AtomicU64::new(up(&clock));
        let Reading { epoch, sessions, accounts, frozen, locked } = reading;
        let [epoch, sessions, accounts] = [epoch, sessions, accounts].map(AtomicI64::new);
        let (frozen, locked) = (AtomicBool::new(frozen), watch::Sender::new(locked));
        let (turn, news) = (Mutex::new(()), watch::Sender::new(0));
        Self { epoch, sessions, accounts, frozen, locked, turn, read_at, news, clock }
    }

    /// Whether what is remembered may be used without asking the database.
    pub fn memory_is_good(&self) -> bool {
        let lasted = up(&self.clock).saturating_sub(self.read_at.load(Ordering::Acquire));
        u128::from(lasted) < TRUSTED.as_millis()
    }

    /// Changes whenever something that runs may have lost what it stands on: it asks again. What is told after it was
    /// made is not missed.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Lets everything that runs ask again; after memory was dropped, never before.
    pub(super) fn tell(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What is closed, as last read, however long ago.
    pub fn last_closed(&self) -> Closed {
        Closed { frozen: self.frozen.load(Ordering::Acquire), locked: *self.locked.borrow() }
    }

    /// What is closed, asked of the database.
    ///
    /// # Errors
    /// Where that does not answer.
    pub async fn ask_closed(&self, store: &Store) -> Result<Closed, Failure> {
        let Reading { frozen, locked, .. } = store.revocations().await?;
        Ok(Closed { frozen, locked })
    }

    /// What is closed: as last read where that is a moment ago, else asked of the database.
    ///
    /// # Errors
    /// Where that does not answer.
    pub async fn closed(&self, store: &Store) -> Result<Closed, Failure> {
        if self.memory_is_good() { Ok(self.last_closed()) } else { self.ask_closed(store).await }
    }

    /// Follows the lockdown: what is in progress when it begins has to be broken off.
    pub fn lockdown(&self) -> watch::Receiver<bool> {
        self.locked.subscribe()
    }

    /// The epoch as last read.
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The epoch and the counter of changes of accounts as last read: changes whenever a remembered credential may stand for
    /// something else.
    pub fn account_epoch(&self) -> (i64, i64) {
        (self.epoch(), self.accounts.load(Ordering::Acquire))
    }

    /// The epoch and the sessions' counter as last read: changes whenever a remembered session may have ended.
    pub fn session_epoch(&self) -> (i64, i64) {
        (self.epoch(), self.sessions.load(Ordering::Acquire))
    }

    /// Reads both, and has what may have ended forgotten before this reading makes memory good: after a gap, what is
    /// remembered from before it must not count for an instant.
    pub(super) async fn read(&self, store: &Store, forget: impl FnOnce(&Moved) + Send) -> Moved {
        let began = up(&self.clock);
        let known = self.accounts.load(Ordering::Acquire);
        let read = async {
            let reading = store.revocations().await?;
            let people = match reading.accounts == known {
                true => Some(Vec::new()),
                false => store.people_changed(known).await?,
            };
            Ok::<_, Failure>((reading, people))
        };
        match read.await {
            Ok((Reading { epoch, sessions, accounts, frozen, locked }, people)) => {
                // Whoever reads at the same time finds nothing moved, and must not be done before it is forgotten.
                let _one = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
                // Told only where it changed: connections are broken off each time.
                if self.locked.send_if_modified(|known| std::mem::replace(known, locked) != locked) {
                    tracing::warn!(
                        locked,
                        "locked down, or not any more: while it is, only probes are answered"
                    );
                }
                if self.frozen.swap(frozen, Ordering::AcqRel) != frozen {
                    tracing::warn!(
                        frozen,
                        "an emergency is dealt with, or is over: while it is, nothing is issued"
                    );
                }
                self.accounts.store(accounts, Ordering::Release);
                let moved = Moved {
                    // Where there are too many to name, everybody.
                    epoch: self.epoch.swap(epoch, Ordering::AcqRel) != epoch || people.is_none(),
                    sessions: self.sessions.swap(sessions, Ordering::AcqRel) != sessions,
                    people: people.unwrap_or_default(),
                };
                forget(&moved);
                self.read_at.store(began, Ordering::Release);
                moved
            }
            Err(failure) => {
                tracing::error!(cause = failure.chain(), "the revocation epoch cannot be read");
                Moved::default()
            }
        }
    }
}

fn up(clock: &Clock) -> u64 {
    u64::try_from(clock.since_boot().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_reading_grows_old_whatever_the_wall_clock_says() {
        let (clock, hand) = Clock::moved_by_hand(crate::ambient::Timestamp::from_secs(1_000));
        let reading = Reading { epoch: 1, sessions: 1, accounts: 0, frozen: false, locked: false };
        let revocation = Revocation::new(reading, clock);
        assert!(revocation.memory_is_good());
        hand.advance(Duration::from_millis(999));
        assert!(revocation.memory_is_good());
        hand.advance(Duration::from_millis(1));
        assert!(!revocation.memory_is_good());
    }
}
