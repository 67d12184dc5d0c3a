//! How much of what is refused is recorded: a stranger, or whoever holds something that is over, must not fill the disk
//! that the trail needs.
//!
//! Counts in this process alone: what is bounded is its own trail. Never decides what is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::limit::Quota;

use super::addresses::Addresses;
use super::shared::Source;
use super::{Limits, Verdict};

/// Most things that are remembered as told; what was not seen for longest is forgotten first.
const REMEMBERED: usize = 50_000;

/// What was recorded lately.
pub(super) struct Records {
    refusals: Addresses,
    /// When each was told, in milliseconds.
    told: Cache<TokenHash, Arc<AtomicI64>>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { refusals: Addresses::new("refusals"), told: Cache::new(REMEMBERED) }
    }

    fn is_news(&self, what: &TokenHash, lasting: Duration, now: Timestamp) -> bool {
        let never = || Ok::<_, std::convert::Infallible>(Arc::new(AtomicI64::new(i64::MIN)));
        let told = self.told.get_or_insert_with(what, never).unwrap_or_default();
        let before = told.load(Ordering::Acquire);
        let until = before.saturating_add(i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX));
        // Of many at once, one tells.
        (before == i64::MIN || now.millis() >= until)
            && told.compare_exchange(before, now.millis(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Limits {
    /// Counts a refusal that nobody is slowed down for, to be recorded where it fits: an honest client's clock is wrong,
    /// a token has just expired, a person comes back from Spotify too late. As many as failed attempts fit.
    pub async fn refusal(&self, address: IpAddr) -> Verdict {
        let quota = Quota::per_minute(self.config().failed_attempts_per_address_per_minute);
        self.records.refusals.count(address, &Source::Alone, (quota, self.clock.now())).await
    }

    /// Whether the thing of this hash was not told of for so long; it is now.
    pub fn is_news(&self, what: &TokenHash, lasting: Duration) -> bool {
        self.records.is_news(what, lasting, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_news_once_for_its_time_and_memory_is_bounded() {
        let records = Records::new();
        let minute = Duration::from_secs(60);
        let at = Timestamp::from_secs;
        let (one, other) = (TokenHash::of("one"), TokenHash::of("other"));
        assert!(records.is_news(&one, minute, at(6_000)));
        assert!(!records.is_news(&one, minute, at(6_059)));
        assert!(records.is_news(&other, minute, at(6_059)));
        assert!(records.is_news(&one, minute, at(6_060)));
        assert!(!records.is_news(&one, minute, at(6_061)));
        for n in 0..60_000 {
            records.is_news(&TokenHash::of(&n.to_string()), minute, at(6_000));
        }
        assert!(records.told.len() <= REMEMBERED);
    }
}
