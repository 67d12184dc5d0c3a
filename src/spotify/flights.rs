//! Reads under way, so that the same question of the same account goes to Spotify once, however many ask it at the same
//! time. Never shared between accounts, nor across a change that the account made, and never the player's state.
//!
//! A read goes on as long as anybody waits for it, whoever began it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use http::Response;
use tokio::time::Instant;

use super::error::ApiError;
use super::kept::Mark;
use super::token::Print;
use crate::egress::Bytes;

/// How old a read may be that somebody joins: changes by way of another server are not known here.
const JOINED_WITHIN: Duration = Duration::from_secs(1);
/// From how many on those that are over are looked for.
const MANY: usize = 1_000;

/// A read: its answer or its error.
pub(super) type Flight = BoxFuture<'static, Result<Response<Bytes>, ApiError>>;

/// What is asked, by whom, since which change of theirs, and with which token: who has just got another one must not be
/// answered by what became of the old one.
type Key = (Arc<str>, Mark, String, Print);

/// All reads under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, (WeakShared<Flight>, Instant)>>);

impl Flights {
    /// The read that is under way, or the one that `start` begins.
    pub(super) fn join(&self, key: Key, start: impl FnOnce() -> Flight) -> Shared<Flight> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((flight, began)) = under_way.get(&key)
            && began.elapsed() < JOINED_WITHIN
            && let Some(flight) = flight.upgrade()
            && flight.peek().is_none()
        {
            return flight;
        }
        if under_way.len() >= MANY {
            under_way.retain(|_, (flight, _)| flight.upgrade().is_some_and(|flight| flight.peek().is_none()));
        }
        let flight = start().shared();
        if let Some(weak) = flight.downgrade() {
            under_way.insert(key, (weak, Instant::now()));
        }
        flight
    }

    /// This read is over.
    pub(super) fn over(&self, key: &Key) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way
            .get(key)
            .is_some_and(|(flight, _)| flight.upgrade().is_none_or(|flight| flight.peek().is_some()))
        {
            under_way.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::AccessToken;
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn key(account: &str) -> Key {
        with_token(account, "token")
    }

    fn with_token(account: &str, token: &str) -> Key {
        let print = AccessToken::parse(token).unwrap().print();
        (account.into(), Mark::default(), "https://api/x".to_owned(), print)
    }

    /// A read that fails a moment later, and counts how often it was begun.
    fn failing(begun: &Arc<AtomicU32>) -> Flight {
        begun.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Err(ApiError::NotFound)
        })
    }

    #[tokio::test]
    async fn one_read_answers_all_who_ask_the_same_and_nobody_else() {
        let (flights, begun) = (Flights::default(), Arc::new(AtomicU32::new(0)));
        let join = |account: &str| flights.join(key(account), || failing(&begun));
        let (first, second, other) = (join("ada"), join("ada"), join("ben"));
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        drop(first);
        assert!(matches!(second.await, Err(ApiError::NotFound)), "it goes on without who began it");
        assert!(matches!(other.await, Err(ApiError::NotFound)), "an error is everybody's");
        let again = join("ada");
        assert_eq!(begun.load(Ordering::SeqCst), 3, "what is over is not an answer");
        drop(again);
        let anew = join("ada");
        assert_eq!(begun.load(Ordering::SeqCst), 4, "what nobody waits for any more neither");
        let _ = anew.await;
        flights.over(&key("ada"));
        assert!(!flights.0.lock().unwrap().contains_key(&key("ada")));
    }

    #[tokio::test]
    async fn who_has_another_token_is_not_answered_by_what_became_of_the_old_one() {
        let (flights, begun) = (Flights::default(), Arc::new(AtomicU32::new(0)));
        let _old = flights.join(with_token("ada", "old"), || failing(&begun));
        let _new = flights.join(with_token("ada", "new"), || failing(&begun));
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_read_that_is_old_is_not_joined() {
        let (flights, begun) = (Flights::default(), Arc::new(AtomicU32::new(0)));
        let begin = || {
            flights.join(key("ada"), || {
                begun.fetch_add(1, Ordering::SeqCst);
                Box::pin(std::future::pending())
            })
        };
        let _first = begin();
        let long_ago = Instant::now().checked_sub(JOINED_WITHIN).unwrap();
        flights.0.lock().unwrap().get_mut(&key("ada")).unwrap().1 = long_ago;
        let _second = begin();
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn reads_that_are_over_are_forgotten() {
        let flights = Flights::default();
        for account in 0..=MANY {
            drop(flights.join(key(&account.to_string()), || Box::pin(std::future::pending())));
        }
        assert!(flights.0.lock().unwrap().len() <= 2);
    }
}
