//! Where more of a limit comes from: all of it at once where one process serves, a share at a time from the
//! database where several do.
//!
//! The time is the node's: a window is named by when it began, and each name holds one quota, so clocks that differ
//! shift the border and never add to what fits. Never waits long: see [`PATIENCE`].

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::KeyPurpose;
use crate::domain::limit::{Allowance, Quota, Reservation, Reserved, Taken};
use crate::failure::Failure;
use crate::store::{Bucket, Store};
use crate::vault::KeyRing;

/// How long a reservation may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long nobody asks after one could not be made.
const REST: Duration = Duration::from_secs(1);

/// More tries than windows can turn while one waits.
const MOST_TRIES: u32 = 3;

/// Where more of a limit comes from.
pub(super) enum Source {
    /// This process.
    Alone,
    /// A row that all nodes share.
    Shared(Shared),
}

pub(super) struct Shared {
    store: Store,
    keys: Arc<KeyRing>,
    /// Until when nobody asks, in milliseconds.
    resting: AtomicI64,
}

/// The shared count cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreachable;

/// Who is counted, by which limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'a> {
    /// The limit.
    pub(super) limit: &'static str,
    /// Who.
    pub(super) who: &'a [u8],
}

/// What to do where the shared count cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    /// Count in this process alone, as if there were no other: for people whom we know.
    CountAlone,
    /// Refuse: for strangers.
    Refuse,
}

impl Source {
    pub(super) fn shared(store: Store, keys: Arc<KeyRing>) -> Self {
        Self::Shared(Shared { store, keys, resting: AtomicI64::new(0) })
    }

    /// Counts one in; asks the database only where this node's share is used up.
    pub(super) async fn take(
        &self,
        allowance: &Mutex<Allowance>,
        counted: Counted<'_>,
        (quota, now): (Quota, Timestamp),
        blind: Blind,
    ) -> Result<Taken, Unreachable> {
        let mut taken = lock(allowance).take(quota, now);
        for _ in 0..MOST_TRIES {
            let Taken::Reserve(asked) = taken else { return Ok(taken) };
            let reserved = match self {
                Self::Alone => asked.alone(quota),
                Self::Shared(shared) => match Box::pin(shared.reserve(counted, quota, asked, now)).await {
                    Ok(reserved) => reserved,
                    Err(Unreachable) if blind == Blind::CountAlone => asked.alone(quota),
                    Err(Unreachable) => return Err(Unreachable),
                },
            };
            taken = lock(allowance).reserved(quota, asked, reserved, now);
        }
        match taken {
            Taken::Reserve(_) => Err(Unreachable),
            taken => Ok(taken),
        }
    }
}

impl Shared {
    async fn reserve(
        &self,
        counted: Counted<'_>,
        quota: Quota,
        asked: Reservation,
        now: Timestamp,
    ) -> Result<Reserved, Unreachable> {
        if now.millis() < self.resting.load(Ordering::Relaxed) {
            return Err(Unreachable);
        }
        let Ok(bucket) = self.bucket(counted) else { return Err(Unreachable) };
        let asking = self.store.reserve(bucket, quota, asked);
        let why = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(reserved)) => return Ok(reserved),
            Ok(Err(failure)) => failure.chain(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.resting.store(now.plus(REST).millis(), Ordering::Relaxed);
        tracing::error!(
            limit = counted.limit,
            cause = why,
            "limits cannot be counted together with other servers"
        );
        Err(Unreachable)
    }

    fn bucket(&self, counted: Counted<'_>) -> Result<Bucket, Failure> {
        let parts = [counted.limit.as_bytes(), counted.who];
        let mut bucket = Bucket([0; 16]);
        let key = self.keys.own(KeyPurpose::LimitBuckets)?;
        bucket.0.copy_from_slice(&key.authenticate(&parts)[..16]);
        Ok(bucket)
    }
}

/// Nothing panics while a count is held, and it is never worth a refusal.
pub(super) fn lock<T>(counted: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}
