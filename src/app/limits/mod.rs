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
use std::sync::Arc;

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
        let failures = Quota::per_minute(config.failed_attempts_per_address_per_minute);
        let registrations = Quota::per_hour(config.registrations_per_address_per_hour);
        let logins = Quota::per_minute(config.logins_per_address_per_minute);
        Arc::new(Self {
            source,
            clock: clock.clone(),
            calls: Calls::new(CallLimits::from(config)),
            failures: Addresses::new("failed-attempts", failures),
            registrations: Addresses::new("registrations", registrations),
            logins: Addresses::new("logins", logins),
            records: Records::new(failures),
        })
    }

    /// Limits of calls alone, in this process alone.
    pub fn of_calls(calls: CallLimits, clock: &Clock) -> Arc<Self> {
        let off = Quota::per_minute(0);
        Arc::new(Self {
            source: Source::Alone,
            clock: clock.clone(),
            calls: Calls::new(calls),
            failures: Addresses::new("failed-attempts", off),
            registrations: Addresses::new("registrations", off),
            logins: Addresses::new("logins", off),
            records: Records::new(off),
        })
    }

    /// Counts a credential that was not accepted: a code, refresh token, bearer, API key or client secret that we do
    /// not know. To be asked after the look-up, so that what is valid always passes.
    pub async fn attempt_failed(&self, address: IpAddr) -> Verdict {
        self.failures.count(address, &self.source, self.clock.now()).await
    }

    /// Counts a client registration.
    pub async fn registration(&self, address: IpAddr) -> Verdict {
        self.registrations.count(address, &self.source, self.clock.now()).await
    }

    /// Counts a login that begins: each keeps a row until it ends.
    pub async fn login(&self, address: IpAddr) -> Verdict {
        self.logins.count(address, &self.source, self.clock.now()).await
    }
}
