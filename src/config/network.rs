//! An address range in CIDR notation, for `server.trusted_proxies`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses such as `10.0.0.0/8` or `::1` (a lone address is its own range).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in this range; an IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same_prefix(own.to_bits().into(), other.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same_prefix(own.to_bits(), other.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }

    /// Whether it is a range of IPv4.
    pub const fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether all of it is this machine.
    pub const fn is_loopback(&self) -> bool {
        match self.address {
            IpAddr::V4(own) => own.is_loopback() && self.prefix >= 8,
            IpAddr::V6(own) => own.is_loopback() && self.prefix == 128,
        }
    }

    /// Its first and last address as numbers.
    pub fn bounds(&self) -> (u128, u128) {
        let (bits, width) = match self.address {
            IpAddr::V4(own) => (own.to_bits().into(), 32),
            IpAddr::V6(own) => (own.to_bits(), 128),
        };
        let hosts = 1_u128.checked_shl(width - u32::from(self.prefix)).map_or(u128::MAX, |count| count - 1);
        (bits & !hosts, bits | hosts)
    }
}

fn same_prefix(own: u128, other: u128, prefix: u8, width: u8) -> bool {
    let ignored = u32::from(width.saturating_sub(prefix));
    (own ^ other).checked_shr(ignored).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr =
            address.parse().map_err(|_| "it is not an IP address or a range like 10.0.0.0/8")?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = if text.contains('/') {
            prefix.parse().map_err(|_| "the part after / is not a number")?
        } else {
            width
        };
        if prefix > width {
            return Err("the part after / is larger than the address is long");
        }
        // A range of mapped addresses is the range of IPv4 that it means: addresses are compared in that form.
        match (address.to_canonical(), prefix.checked_sub(96)) {
            (mapped @ IpAddr::V4(_), Some(prefix)) if address.is_ipv6() => {
                Ok(Self { address: mapped, prefix })
            }
            _ => Ok(Self { address, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_contains_its_own_addresses_only() {
        let range: Network = "10.1.0.0/16".parse().unwrap();
        assert!(range.contains("10.1.255.1".parse().unwrap()));
        assert!(range.contains("::ffff:10.1.0.9".parse().unwrap()));
        assert!(!range.contains("10.2.0.1".parse().unwrap()));
        assert!(!range.contains("::1".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        assert!("127.0.0.1".parse::<Network>().unwrap().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_range_has_a_first_and_a_last_address() {
        let bounds = |text: &str| text.parse::<Network>().unwrap().bounds();
        assert_eq!(bounds("10.1.2.3/8"), (0x0a00_0000, 0x0aff_ffff));
        assert_eq!(bounds("0.0.0.0/0"), (0, 0xffff_ffff));
        assert_eq!(bounds("1.2.3.4"), (0x0102_0304, 0x0102_0304));
        assert_eq!(bounds("::/0"), (0, u128::MAX));
        assert_eq!(bounds("8000::/1"), (1 << 127, u128::MAX));
    }

    #[test]
    fn malformed_ranges_are_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "proxy", "::/129", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
