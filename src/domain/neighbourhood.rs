//! An address as limits count it: IPv6 by its /64, because one line has that many (product.md 7, "Limits").

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The least that a district may fill of a total, however small the total.
const SMALLEST_SHARE: u32 = 10;

/// How many of a total one district may fill: a twentieth. What it does beyond that must cost nobody else.
pub fn district_share(total: u32) -> u32 {
    (total / 20).max(SMALLEST_SHARE).min(total)
}

/// How many of a total one region may fill: a fifth, so that a flood from one holder of many districts leaves room.
pub fn region_share(total: u32) -> u32 {
    (total / 5).max(2 * SMALLEST_SHARE).min(total)
}

/// Whose addresses count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neighbourhood {
    /// One IPv4 address, also where it came as an IPv6 one.
    Host(Ipv4Addr),
    /// An IPv6 /64.
    Line(u64),
}

impl Neighbourhood {
    /// The one that an address is in.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Host(address),
            IpAddr::V6(address) => Self::Line((address.to_bits() >> 64) as u64),
        }
    }

    /// The wider one around it, an IPv4 /24 or an IPv6 /48, as bytes that differ for each.
    pub const fn district(self) -> [u8; 8] {
        match self {
            Self::Host(address) => {
                let [a, b, c, _] = address.octets();
                [4, 0, 0, 0, 0, a, b, c]
            }
            Self::Line(prefix) => {
                let [a, b, c, d, e, f, ..] = prefix.to_be_bytes();
                [6, 0, a, b, c, d, e, f]
            }
        }
    }

    /// The widest around it, an IPv4 /16 or an IPv6 /32: the first and the last of its districts, in their order.
    pub const fn region(self) -> ([u8; 8], [u8; 8]) {
        let (mut first, mut last) = (self.district(), self.district());
        if let Self::Line(_) = self {
            (first[6], last[6]) = (0, u8::MAX);
        }
        (first[7], last[7]) = (0, u8::MAX);
        (first, last)
    }
}

impl fmt::Display for Neighbourhood {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(address) => write!(out, "{address}"),
            Self::Line(prefix) => {
                let group = |at: u32| (prefix >> (48 - 16 * at)) & 0xffff;
                write!(out, "{:x}:{:x}:{:x}:{:x}::/64", group(0), group(1), group(2), group(3))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Neighbourhood {
        Neighbourhood::of(text.parse().unwrap())
    }

    #[test]
    fn one_line_is_one_and_neighbours_are_not() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(of("192.0.2.7").to_string(), "192.0.2.7");
    }

    #[test]
    fn a_district_fills_a_twentieth_and_never_more_than_there_is() {
        for (total, share) in [(0, 0), (2, 2), (10, 10), (100, 10), (200, 10), (10_000, 500), (20_000, 1_000)]
        {
            assert_eq!(district_share(total), share, "{total}");
        }
    }

    #[test]
    fn districts_are_wider_and_engines_do_not_mix() {
        assert_eq!(of("2001:db8:1:2::1").district(), of("2001:db8:1:ffff::").district());
        assert_ne!(of("2001:db8:1::").district(), of("2001:db8:2::").district());
        assert_eq!(of("192.0.2.7").district(), of("192.0.2.200").district());
        assert_ne!(of("192.0.2.7").district(), of("192.0.3.7").district());
    }

    #[test]
    fn a_region_is_the_districts_from_its_first_to_its_last() {
        let holds = |one: &str, other: &str| {
            let (first, last) = of(one).region();
            (first..=last).contains(&of(other).district())
        };
        for inside in ["2001:db8::1", "2001:db8:ffff:ffff::1"] {
            assert!(holds("2001:db8:1:2::1", inside), "{inside}");
        }
        for outside in ["2001:db9::1", "2001:db7:ffff::", "32.1.13.184"] {
            assert!(!holds("2001:db8:1:2::1", outside), "{outside}");
        }
        assert!(holds("192.0.2.7", "192.0.255.1") && holds("192.0.2.7", "192.0.0.0"));
        assert!(!holds("192.0.2.7", "192.1.2.7") && !holds("192.0.2.7", "2001:db8::1"));
        assert_eq!([20, 40, 200, 10_000].map(region_share), [20, 20, 40, 2_000]);
    }
}
