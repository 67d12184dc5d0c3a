//! Knows within a second what has ended: reads the revocation epoch four times a second and drops what is
//! remembered whenever it has moved. A server that cannot read it trusts nothing that it remembers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::ambient::{Clock, Timestamp};
use crate::store::Store;

/// How often the epoch is read.
pub(super) const EVERY: Duration = Duration::from_millis(250);

/// How old the last good reading may be before memory is not trusted.
const TRUSTED: Duration = Duration::from_secs(1);

/// The last reading.
pub struct Revocation {
    epoch: AtomicI64,
    read_at: AtomicI64,
    clock: Clock,
}

impl Revocation {
    /// Starts from a reading that has just been made.
    pub fn new(epoch: i64, clock: Clock) -> Self {
        Self { epoch: AtomicI64::new(epoch), read_at: AtomicI64::new(clock.now().millis()), clock }
    }

    /// Whether what is remembered may be used without asking the database.
    pub fn memory_is_good(&self) -> bool {
        let read_at = Timestamp::from_millis(self.read_at.load(Ordering::Acquire));
        self.clock.now().since(read_at) < TRUSTED
    }

    /// The epoch as last read.
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Reads the epoch; `true` where it has moved and memory must be dropped.
    pub(super) async fn read(&self, store: &Store) -> bool {
        let began = self.clock.now();
        match store.epoch().await {
            Ok(epoch) => {
                let moved = self.epoch.swap(epoch, Ordering::AcqRel) != epoch;
                self.read_at.store(began.millis(), Ordering::Release);
                moved
            }
            Err(failure) => {
                tracing::error!(cause = failure.chain(), "the revocation epoch cannot be read");
                false
            }
        }
    }
}
