//! What the Web API's client remembers of its accounts: reads under way, and whole playlists for a moment. In this process
//! alone; both know of the changes that an account makes through it.

use std::sync::Arc;

use http::Response;

use super::Api;
use super::error::ApiError;
use super::flights::{Flight, Flights};
use super::kept::{Kept, Mark};
use super::rows::Row;
use super::token::Print;
use crate::ambient::Clock;
use crate::egress::Bytes;

/// All of it.
#[derive(Default)]
pub(super) struct Memory {
    kept: Kept,
    flights: Flights,
}

/// A change that an account is making. What was read before it begins or ends is not shared and not kept, whether it is
/// waited for or not.
pub(super) struct Changing<'a> {
    memory: &'a Memory,
    account: &'a str,
    clock: &'a Clock,
}

impl Memory {
    pub(super) fn change<'a>(&'a self, account: &'a str, clock: &'a Clock) -> Changing<'a> {
        self.kept.changed(account, clock.now());
        Changing { memory: self, account, clock }
    }

    /// The answer to what this account asks at this address: of the read that is under way, or of the one that is begun.
    pub(super) async fn read(
        &self,
        account: &Arc<str>,
        (address, token): (String, Print),
        begin: impl FnOnce() -> Flight,
    ) -> Result<Response<Bytes>, ApiError> {
        let key = (account.clone(), self.kept.mark(account), address, token);
        let answer = self.flights.join(key.clone(), begin).await;
        self.flights.over(&key);
        answer
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.memory.kept.changed(self.account, self.clock.now());
    }
}

impl Api {
    /// How an account stands before something of it is read that is to be kept.
    pub fn mark(&self, account: &str) -> Mark {
        self.memory.as_ref().map(|memory| memory.kept.mark(account)).unwrap_or_default()
    }

    /// Keeps a playlist in this state for a moment, for the account that has read it since `mark`.
    pub fn keep_rows(&self, of: (&str, Mark), list: (&str, &str), rows: &[Row]) {
        if let Some(memory) = &self.memory {
            memory.kept.keep(of, list, rows, self.clock.now());
        }
    }

    /// A playlist in this state, where this account has read it a moment ago.
    pub fn kept_rows(&self, account: &str, list: (&str, &str)) -> Option<Arc<[Row]>> {
        self.memory.as_ref()?.kept.rows(account, list, self.clock.now())
    }

    /// Forgets everything that is kept: something has ended somewhere.
    pub fn forget_all(&self) {
        if let Some(memory) = &self.memory {
            memory.kept.forget_all();
        }
    }

    /// Forgets what is too old.
    pub fn sweep(&self) {
        if let Some(memory) = &self.memory {
            memory.kept.sweep(self.clock.now());
        }
    }
}
