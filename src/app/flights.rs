//! The fetches of clients' metadata documents that are under way, and who waits for them.
//!
//! Everybody who waits holds a connection, and strangers decide for how long. So not only the fetches are bounded but
//! also those who wait: for one document, from one address, and in all. Never makes anybody wait beyond that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::domain::ClientId;

use super::clients::{DocumentProblem, Fetched};

/// So many wait for one document,
const MOST_FOR_ONE: u32 = 32;

/// so many from one address (IPv6: its /64), for whatever documents,
const MOST_FROM_ONE: u32 = 4;

/// and so many in all.
const MOST: u32 = 256;

/// A fetch of a document: it goes on while anybody waits for it.
pub type Flight = BoxFuture<'static, Fetched>;

/// All fetches under way.
#[derive(Default)]
pub struct Flights(Mutex<UnderWay>);

#[derive(Default)]
struct UnderWay {
    fetches: HashMap<ClientId, (WeakShared<Flight>, u32)>,
    addresses: HashMap<u128, u32>,
    waiting: u32,
}

/// One who waits for a document, until it is dropped.
pub struct Waiting<'a> {
    flights: &'a Flights,
    id: ClientId,
    address: u128,
    fetch: Shared<Flight>,
}

impl Flights {
    /// Joins the fetch of this document, or begins one where `start` gives it. `per_address`: whether those from one
    /// address are bounded.
    ///
    /// # Errors
    /// [`DocumentProblem::TooMany`]: too many from this address wait, or `start` gives none.
    /// [`DocumentProblem::Busy`]: too many wait for this document, or in all.
    pub fn join(
        &self,
        id: &ClientId,
        address: IpAddr,
        per_address: bool,
        start: impl FnOnce() -> Option<Flight>,
    ) -> Result<Waiting<'_>, DocumentProblem> {
        let address = network(address);
        let mut under_way = self.under_way();
        if per_address && under_way.addresses.get(&address).is_some_and(|waiting| *waiting >= MOST_FROM_ONE) {
            return Err(DocumentProblem::TooMany);
        }
        let known = under_way.fetches.get(id).and_then(|(fetch, waiting)| Some((fetch.upgrade()?, *waiting)));
        if under_way.waiting >= MOST || known.as_ref().is_some_and(|(_, waiting)| *waiting >= MOST_FOR_ONE) {
            return Err(DocumentProblem::Busy);
        }
        let (fetch, waiting) = match known {
            Some(known) => known,
            None => (start().ok_or(DocumentProblem::TooMany)?.shared(), 0),
        };
        if let Some(weak) = fetch.downgrade() {
            under_way.fetches.insert(id.clone(), (weak, waiting + 1));
        }
        under_way.waiting += 1;
        *under_way.addresses.entry(address).or_default() += 1;
        Ok(Waiting { flights: self, id: id.clone(), address, fetch })
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// What comes of it.
    pub async fn end(self) -> Fetched {
        self.fetch.clone().await
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way();
        under_way.waiting = under_way.waiting.saturating_sub(1);
        if let Some((_, waiting)) = under_way.fetches.get_mut(&self.id) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                under_way.fetches.remove(&self.id);
            }
        }
        if let Some(waiting) = under_way.addresses.get_mut(&self.address) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                under_way.addresses.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: of IPv6 its /64.
pub(super) fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ClientId {
        ClientId::parse(&format!("https://client.example/{number}")).unwrap()
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn endless() -> Option<Flight> {
        Some(std::future::pending().boxed())
    }

    fn why(joined: Result<Waiting<'_>, DocumentProblem>) -> DocumentProblem {
        joined.err().unwrap()
    }

    #[test]
    fn no_more_wait_than_may_and_whoever_leaves_makes_room() {
        let flights = Flights::default();
        let join = |document, from| flights.join(&id(document), address(from), true, endless);

        let mut of_one: Vec<_> = (0..4).map(|document| join(document, 7).unwrap()).collect();
        assert_eq!(why(join(0, 7)), DocumentProblem::TooMany);
        assert_eq!(why(join(9, 7)), DocumentProblem::TooMany);
        of_one.pop();
        of_one.push(join(0, 7).unwrap());
        assert!(flights.join(&id(0), address(7), false, endless).is_ok(), "not bounded");
        drop(of_one);

        let mut for_one: Vec<_> = (0..32).map(|from| join(0, from).unwrap()).collect();
        assert_eq!(why(join(0, 32)), DocumentProblem::Busy);
        for_one.pop();
        for_one.push(join(0, 33).unwrap());
        assert_eq!(why(join(0, 34)), DocumentProblem::Busy);

        let others: Vec<_> = (32..256).map(|number| join(number, 1000 + number).unwrap()).collect();
        assert_eq!(why(join(5000, 5000)), DocumentProblem::Busy);
        drop((for_one, others));
        let under_way = flights.under_way();
        assert_eq!((under_way.waiting, under_way.fetches.len(), under_way.addresses.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn who_joins_gets_what_the_one_fetch_brings_and_none_is_begun_that_is_not_given() {
        let flights = Flights::default();
        assert_eq!(why(flights.join(&id(0), address(0), true, || None)), DocumentProblem::TooMany);
        let brought = || Some(std::future::ready(Err(DocumentProblem::Refused("x"))).boxed());
        let first = flights.join(&id(0), address(0), true, brought).unwrap();
        let second = flights.join(&id(0), address(1), true, || None).unwrap();
        for waiting in [first, second] {
            assert_eq!(waiting.end().await.err(), Some(DocumentProblem::Refused("x")));
        }
    }
}
