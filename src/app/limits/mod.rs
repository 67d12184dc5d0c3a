//! How much one address, client, person and process may do (product.md 7, "Limits"), counted once across nodes.
//!
//! A valid credential is never refused for others' failures. Everything here is bounded in memory: see
//! `addresses` for what becomes of a flood. Never learns what a request was about.

mod addresses;
mod call_limits;
mod calls;
mod fields;
mod records;
mod shared;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::ambient::Clock;
use crate::config::LimitsConfig;
use crate::domain::limit::{Quota, Standing};
use crate::store::Store;
use crate::vault::KeyRing;

use addresses::Addresses;
use calls::Calls;
use records::Records;
use shared::Source;

pub use call_limits::CallLimits;
pub use calls::{Admission, Budget, CallRefused, Permit};
pub use fields::{retry_after, tell};

/// What becomes of an attempt, a registration or a login of somebody who is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Counted, and not too many.
    Fits,
    /// Too many: 429.
    TooMany {
        /// Which limit, and how long to wait.
        limit: Limit,
        /// Whether it is the first too many of this address in this window: to be audited once.
        first: bool,
    },
    /// The servers' shared count cannot be reached, and nobody is let in unseen: 503.
    Unreachable,
}

/// A limit by the name that clients are told, and how one stands with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As `RateLimit-Policy` says it.
    pub name: &'static str,
    /// How one stands.
    pub standing: Standing,
}

/// Counts everything that has a limit. On SQLite one process serves, and its memory is the truth; local servers of
/// standard input share a folder, and each counts its one person for itself. On PostgreSQL nodes reserve shares.
pub struct Limits {
    source: Source,
    clock: Clock,
    config: RwLock<LimitsConfig>,
    streams_per_user: Arc<AtomicU32>,
    calls: Calls,
    failures: Addresses,
    registrations: Addresses,
    logins: Addresses,
    records: Records,
}

impl Limits {
    /// Counts together with every other server on the same PostgreSQL database, or alone.
    pub fn new(config: &LimitsConfig, store: &Store, keys: &Arc<KeyRing>, clock: &Clock) -> Arc<Self> {
        let source = match store.is_postgres() {
            true => Source::shared(store.clone(), keys.clone()),
            false => Source::Alone,
        };
        Self::with(*config, source, clock)
    }

    /// Limits of calls alone, in this process alone.
    pub fn of_calls(calls: CallLimits, clock: &Clock) -> Arc<Self> {
        Self::with(calls.into(), Source::Alone, clock)
    }

    fn with(config: LimitsConfig, source: Source, clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            source,
            clock: clock.clone(),
            config: config.into(),
            streams_per_user: Arc::new(config.mcp_connections_per_user.into()),
            calls: Calls::new(),
            failures: Addresses::new("failed-attempts"),
            registrations: Addresses::new("registrations"),
            logins: Addresses::new("logins"),
            records: Records::new(),
        })
    }

    /// What holds now.
    pub fn config(&self) -> LimitsConfig {
        *self.config.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds from now on; what was counted stays counted.
    pub fn take_over(&self, config: &LimitsConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = *config;
        self.streams_per_user.store(config.mcp_connections_per_user, Ordering::Relaxed);
    }

    /// Most streamed answers of one person at once, as it changes.
    pub fn streams_per_user(&self) -> Arc<AtomicU32> {
        self.streams_per_user.clone()
    }

    /// Counts a credential that was not accepted: a code, refresh token, bearer, API key or client secret that we do
    /// not know. To be asked after the look-up, so that what is valid always passes.
    pub async fn attempt_failed(&self, address: IpAddr) -> Verdict {
        let quota = Quota::per_minute(self.config().failed_attempts_per_address_per_minute);
        self.failures.count(address, &self.source, (quota, self.clock.now())).await
    }

    /// Counts a client registration.
    pub async fn registration(&self, address: IpAddr) -> Verdict {
        let quota = Quota::per_hour(self.config().registrations_per_address_per_hour);
        self.registrations.count(address, &self.source, (quota, self.clock.now())).await
    }

    /// Counts a login that begins: each keeps a row until it ends.
    pub async fn login(&self, address: IpAddr) -> Verdict {
        let quota = Quota::per_minute(self.config().logins_per_address_per_minute);
        self.logins.count(address, &self.source, (quota, self.clock.now())).await
    }
}
