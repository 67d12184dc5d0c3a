//! Counts by address, for those who are not known yet.
//!
//! A flood from millions of addresses must not grow memory or the database: beyond [`MOST_ADDRESSES`] in a window, new
//! ones are counted together with others of their district (IPv4 /24, IPv6 /48) in one of [`CROWDS`] counts. They may
//! then be refused for each other's failures. So that this is not done to everybody by one holder of many addresses, a
//! district has a twentieth of the places and a region (/16, /32) a fifth; beyond them, its own are counted together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::limit::{Allowance, Quota, Taken};
use crate::domain::{Neighbourhood, district_share, region_share};

use super::shared::{Blind, Counted, Source, Unreachable, lock};
use super::{Limit, Verdict};

/// Most addresses that are counted one by one.
const MOST_ADDRESSES: u32 = 8_192;

/// How many counts all further ones share.
const CROWDS: u16 = 1_024;

/// How often counts that are over are swept, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// One limit's counts.
pub(super) struct Addresses {
    name: &'static str,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    by_who: HashMap<Who, Arc<Mutex<Allowance>>>,
    /// How many are counted one by one: in all, of each district, and of each region (by its first district).
    ones: u32,
    of_district: HashMap<[u8; 8], u32>,
    of_region: HashMap<[u8; 8], u32>,
    swept: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    One(Neighbourhood),
    Crowd(u16),
}

impl Addresses {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, counts: Mutex::default() }
    }

    /// Counts one in.
    pub(super) async fn count(
        &self,
        address: IpAddr,
        source: &Source,
        (quota, now): (Quota, Timestamp),
    ) -> Verdict {
        if quota.is_off() {
            return Verdict::Fits;
        }
        let (who, allowance) = lock(&self.counts).find(Neighbourhood::of(address), quota, now);
        let bytes = who.bytes();
        let counted = Counted { limit: self.name, who: &bytes };
        match source.take(&allowance, counted, (quota, now), Blind::Refuse).await {
            Ok(Taken::Counted(_)) => Verdict::Fits,
            Ok(Taken::Spent { standing, first }) => {
                Verdict::TooMany { limit: Limit { name: self.name, standing }, first }
            }
            Ok(Taken::Reserve(_)) | Err(Unreachable) => Verdict::Unreachable,
        }
    }
}

impl Counts {
    fn find(&mut self, one: Neighbourhood, quota: Quota, now: Timestamp) -> (Who, Arc<Mutex<Allowance>>) {
        let known = Who::One(one);
        if let Some(allowance) = self.by_who.get(&known) {
            return (known, allowance.clone());
        }
        if !self.has_place(one) {
            self.sweep(quota, now);
        }
        let who = if self.has_place(one) { known } else { Who::Crowd(crowd(one)) };
        let allowance = self.by_who.entry(who).or_default().clone();
        if who == known {
            self.note(one);
        }
        (who, allowance)
    }

    fn has_place(&self, one: Neighbourhood) -> bool {
        let fits = |counts: &HashMap<_, u32>, of: [u8; 8], share| counts.get(&of).is_none_or(|n| *n < share);
        self.ones < MOST_ADDRESSES
            && fits(&self.of_district, one.district(), district_share(MOST_ADDRESSES))
            && fits(&self.of_region, one.region().0, region_share(MOST_ADDRESSES))
    }

    fn note(&mut self, one: Neighbourhood) {
        self.ones += 1;
        *self.of_district.entry(one.district()).or_default() += 1;
        *self.of_region.entry(one.region().0).or_default() += 1;
    }

    fn sweep(&mut self, quota: Quota, now: Timestamp) {
        if now.since(self.swept) < SWEEP_EVERY && now >= self.swept {
            return;
        }
        self.swept = now;
        self.by_who.retain(|_, allowance| !lock(allowance).is_over(quota, now));
        (self.ones, self.of_district, self.of_region) = Default::default();
        let ones: Vec<_> = self.by_who.keys().filter_map(|who| who.one()).collect();
        for one in ones {
            self.note(one);
        }
    }
}

impl Who {
    const fn one(self) -> Option<Neighbourhood> {
        match self {
            Self::One(one) => Some(one),
            Self::Crowd(_) => None,
        }
    }

    fn bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        match self {
            Self::One(Neighbourhood::Host(address)) => {
                bytes[0] = 4;
                bytes[1..5].copy_from_slice(&address.octets());
            }
            Self::One(Neighbourhood::Line(prefix)) => {
                bytes[0] = 6;
                bytes[1..9].copy_from_slice(&prefix.to_be_bytes());
            }
            Self::Crowd(crowd) => bytes[8..].copy_from_slice(&crowd.to_be_bytes()),
        }
        bytes
    }
}

/// The same on every node: FNV-1a of the district. Whoever aims for a crowd gains nothing but to be counted in it.
fn crowd(one: Neighbourhood) -> u16 {
    let hash = one
        .district()
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    u16::try_from(hash % u32::from(CROWDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_addresses_is_counted_in_bounded_memory() {
        let failures = Addresses::new("failed-attempts");
        let (quota, now) = (Quota::per_minute(3), Timestamp::from_secs(6_000));
        let early: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(failures.count(early, &Source::Alone, (quota, now)).await, Verdict::Fits);
        let mut refused = 0;
        for n in 0..60_000_u128 {
            let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | (n << 64));
            let verdict = failures.count(address.into(), &Source::Alone, (quota, now)).await;
            refused += u32::from(verdict != Verdict::Fits);
        }
        let most = MOST_ADDRESSES as usize + usize::from(CROWDS);
        assert!(lock(&failures.counts).by_who.len() <= most);
        assert!(refused > 40_000, "{refused}");
        // Who was counted before the flood still is, alone.
        for _ in 0..2 {
            assert_eq!(failures.count(early, &Source::Alone, (quota, now)).await, Verdict::Fits);
        }
        assert!(matches!(
            failures.count(early, &Source::Alone, (quota, now)).await,
            Verdict::TooMany { first: true, .. }
        ));
        // And afterwards there is room again.
        let later = Timestamp::from_secs(6_060);
        let newcomer: IpAddr = "2001:db8:0:ffff::1".parse().unwrap();
        assert_eq!(failures.count(newcomer, &Source::Alone, (quota, later)).await, Verdict::Fits);
        assert_eq!(lock(&failures.counts).by_who.len(), 1);
    }

    #[tokio::test]
    async fn one_holder_of_many_addresses_is_counted_together_and_nobody_else() {
        let logins = Addresses::new("logins");
        let (quota, now) = (Quota::per_minute(2), Timestamp::from_secs(6_000));
        let count = async |bits: u128| {
            logins.count(Ipv6Addr::from_bits(bits).into(), &Source::Alone, (quota, now)).await
                == Verdict::Fits
        };
        // All that a /48 has, and one /64 of each of its neighbours.
        for n in 0..40_000_u128 {
            count((0x2001_0db8_0007 << 80) | (n << 64)).await;
            count((0x2001_0db8 << 96) | (n << 80)).await;
        }
        assert!(lock(&logins.counts).ones <= region_share(MOST_ADDRESSES));
        for n in 0..4_000_u32 {
            let elsewhere = IpAddr::from((0xc000_0000 | (n << 14)).to_be_bytes());
            let verdict = logins.count(elsewhere, &Source::Alone, (quota, now)).await;
            assert_eq!(verdict, Verdict::Fits, "{elsewhere}");
        }
        // What is over makes room.
        let later = Timestamp::from_secs(6_060);
        let neighbour: IpAddr = "2001:db8:7:ffff::1".parse().unwrap();
        assert_eq!(logins.count(neighbour, &Source::Alone, (quota, later)).await, Verdict::Fits);
        assert_eq!(lock(&logins.counts).ones, 1);
    }

    #[tokio::test]
    async fn a_line_is_one_address_and_zero_is_no_limit() {
        let (quota, now) = (Quota::per_minute(1), Timestamp::from_secs(6_000));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let failures = Addresses::new("failed-attempts");
        assert_eq!(failures.count(address("2001:db8::1"), &Source::Alone, (quota, now)).await, Verdict::Fits);
        let neighbour = failures.count(address("2001:db8::2"), &Source::Alone, (quota, now)).await;
        let Verdict::TooMany { limit, first: true } = neighbour else { panic!("{neighbour:?}") };
        assert_eq!((limit.name, limit.standing.left, limit.standing.resets_in), ("failed-attempts", 0, 60));
        let again = failures.count(address("2001:db8::3"), &Source::Alone, (quota, now)).await;
        assert!(matches!(again, Verdict::TooMany { first: false, .. }));
        assert_eq!(
            failures.count(address("2001:db8:0:1::1"), &Source::Alone, (quota, now)).await,
            Verdict::Fits
        );
        let quota = Quota::per_minute(0);
        let off = Addresses::new("failed-attempts");
        for _ in 0..1000 {
            assert_eq!(off.count(address("2001:db8::1"), &Source::Alone, (quota, now)).await, Verdict::Fits);
        }
    }
}
