//! The fetches of clients' metadata documents that are under way, and who waits for them.
//!
//! Everybody who waits holds a connection, and strangers decide for how long. So not only the fetches are bounded but
//! also those who wait: for one document, from one address, and in all. Never makes anybody wait beyond that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::domain::{ClientId, Neighbourhood};

use super::clients::{DocumentProblem, Fetched};

/// So many wait for one document,
const MOST_FOR_ONE: u32 = 32;

/// so many from one address (IPv6: its /64), for whatever documents,
const MOST_FROM_ONE: u32 = 4;

/// so many from one network (IPv4 /24, IPv6 /48) and from one region (/16, /32): less than may be fetched at once, for
/// one line of IPv6 has tens of thousands of addresses and must not take every turn,
const MOST_FROM_NETWORK: u32 = 8;
const MOST_FROM_REGION: u32 = 16;

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
    places: HashMap<Place, u32>,
    waiting: u32,
}

/// One who waits for a document, until it is dropped.
pub struct Waiting<'a> {
    flights: &'a Flights,
    id: ClientId,
    places: [Place; 3],
    fetch: Shared<Flight>,
}

impl Flights {
    /// Joins the fetch of this document, or begins one where `start` gives it. `per_address`: whether those from one
    /// address, and from around it, are bounded.
    ///
    /// # Errors
    /// [`DocumentProblem::TooMany`]: too many from this address, or from around it, wait, or `start` gives none.
    /// [`DocumentProblem::Busy`]: too many wait for this document, or in all.
    pub fn join(
        &self,
        id: &ClientId,
        address: IpAddr,
        per_address: bool,
        start: impl FnOnce() -> Option<Flight>,
    ) -> Result<Waiting<'_>, DocumentProblem> {
        let places = Place::around(address);
        let mut under_way = self.under_way();
        let full =
            |place: &Place| under_way.places.get(place).is_some_and(|waiting| *waiting >= place.room());
        if per_address && places.iter().any(full) {
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
        for place in places {
            *under_way.places.entry(place).or_default() += 1;
        }
        Ok(Waiting { flights: self, id: id.clone(), places, fetch })
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
        for place in self.places {
            if let Some(waiting) = under_way.places.get_mut(&place) {
                *waiting = waiting.saturating_sub(1);
                if *waiting == 0 {
                    under_way.places.remove(&place);
                }
            }
        }
    }
}

/// Where somebody asks from, more and less exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Address(Neighbourhood),
    Network([u8; 8]),
    /// By its first network.
    Region([u8; 8]),
}

impl Place {
    /// The address, and what is around it.
    pub(super) fn around(address: IpAddr) -> [Self; 3] {
        let address = Neighbourhood::of(address);
        [Self::Address(address), Self::Network(address.district()), Self::Region(address.region().0)]
    }

    /// How many wait from there at most.
    const fn room(self) -> u32 {
        match self {
            Self::Address(_) => MOST_FROM_ONE,
            Self::Network(_) => MOST_FROM_NETWORK,
            Self::Region(_) => MOST_FROM_REGION,
        }
    }

    /// How many fetches it asks for, where an address may ask for one.
    pub(super) const fn share(self) -> u32 {
        match self {
            Self::Address(_) => 1,
            Self::Network(_) => 10,
            Self::Region(_) => 50,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ClientId {
        ClientId::parse(&format!("https://client.example/{number}")).unwrap()
    }

    /// Each in a region of its own.
    fn address(number: u32) -> IpAddr {
        IpAddr::V4((number << 16).into())
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
        assert_eq!((under_way.waiting, under_way.fetches.len(), under_way.places.len()), (0, 0, 0));
    }

    #[test]
    fn one_holder_of_many_addresses_leaves_room_for_everybody_else() {
        let flights = Flights::default();
        let join = |text: &str, document| flights.join(&id(document), text.parse().unwrap(), true, endless);
        let of_network: Vec<_> = (0..8).map(|n| join(&format!("2001:db8:1:{n}::1"), n).unwrap()).collect();
        assert_eq!(why(join("2001:db8:1:99::1", 99)), DocumentProblem::TooMany);
        let of_region: Vec<_> =
            (0..8).map(|n| join(&format!("2001:db8:2:{n}::1"), 100 + n).unwrap()).collect();
        assert_eq!(why(join("2001:db8:3::1", 99)), DocumentProblem::TooMany);
        assert!(join("2001:db9::1", 99).is_ok() && join("192.0.2.1", 99).is_ok());
        drop((of_network, of_region));
        assert!(join("2001:db8:1:99::1", 99).is_ok());
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
