//! Which addresses are ordinary hosts of the public Internet, by the IANA special-purpose registries (RFC 6890).
//!
//! IPv6 is judged by what it may be, not by what it may not: only 2000::/3 is global unicast. Forms that carry an
//! IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo) are refused whatever they carry.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for. Only [`AddressClass::Global`] may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// An ordinary host of the public Internet.
    Global,
    /// `0.0.0.0/8`, `::`.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 1918 and unique local (RFC 4193).
    Private,
    /// `169.254.0.0/16`, `fe80::/10`: the usual place of cloud metadata services.
    LinkLocal,
    /// Shared address space of carriers, `100.64.0.0/10` (RFC 6598).
    CarrierNat,
    /// A cloud provider's metadata service at a public address.
    CloudMetadata,
    /// Multicast.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// Documentation and benchmarking (RFC 5737, 3849, 9637, 2544).
    Documentation,
    /// IPv6 with an IPv4 address inside: mapped, compatible, NAT64, 6to4, Teredo, or a 6to4 relay.
    Embedded,
    /// Anything else that is reserved or not yet assigned.
    Reserved,
}

impl AddressClass {
    /// A stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link_local",
            Self::CarrierNat => "carrier_nat",
            Self::CloudMetadata => "cloud_metadata",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Embedded => "embedded_ipv4",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What this address is for.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::CarrierNat,
        [169, 254, ..] => AddressClass::LinkLocal,
        [168, 63, 129, 16] => AddressClass::CloudMetadata,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18 | 19, ..] => {
            AddressClass::Documentation
        }
        [192, 0, 0, _] => AddressClass::Reserved,
        [192, 88, 99, _] => AddressClass::Embedded,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [224..=239, ..] => AddressClass::Multicast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Global,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // ::a.b.c.d, ::ffff:a.b.c.d, ::ffff:0:a.b.c.d, 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 4291, 2765, 6052, 8215).
        [0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, ..] => AddressClass::Embedded,
        // Teredo and 6to4 (RFC 4380, 3056).
        [0x2001, 0, ..] | [0x2002, ..] => AddressClass::Embedded,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        // ISATAP interface identifiers carry an IPv4 address too (RFC 5214 section 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => AddressClass::Embedded,
        // IETF protocol assignments, 2001::/23 (RFC 2928).
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Global,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().unwrap())
    }

    #[test]
    fn every_special_range_is_known_at_both_ends() {
        use AddressClass::*;
        let table = [
            (Unspecified, &["0.0.0.0", "0.255.255.255", "::"][..]),
            (Loopback, &["127.0.0.1", "127.255.255.255", "::1"]),
            (Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1"]),
            (Private, &["192.168.255.255", "fc00::", "fd00:ec2::254", "fdff:ffff::1"]),
            (CarrierNat, &["100.64.0.0", "100.100.100.200", "100.127.255.255"]),
            (LinkLocal, &["169.254.169.254", "169.254.0.0", "fe80::1", "febf:ffff::"]),
            (CloudMetadata, &["168.63.129.16"]),
            (Documentation, &["192.0.2.1", "198.51.100.255", "203.0.113.0", "198.18.0.1", "198.19.255.255"]),
            (Documentation, &["2001:db8::1", "3fff::1", "3fff:fff:ffff::"]),
            (Broadcast, &["255.255.255.255"]),
            (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ffff::"]),
            (
                Embedded,
                &["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8", "::ffff:0:10.0.0.1"],
            ),
            (Embedded, &["64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "192.88.99.1"]),
            (Embedded, &["2600::5efe:a00:1", "2600::200:5efe:7f00:1"]),
            (
                Reserved,
                &["192.0.0.192", "240.0.0.1", "255.255.255.254", "2001:2::1", "2001:1ff::", "fec0::1"],
            ),
            (Reserved, &["100::1", "5f00::1", "4000::1", "1fff::1"]),
            (
                Global,
                &["35.186.224.24", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1"],
            ),
            (Global, &["2600:1901:1:c36::", "2001:200::1", "2003::1", "3ffe::1", "3fff:1000::1"]),
        ];
        for (expected, addresses) in table {
            for address in addresses {
                assert_eq!(class(address), expected, "{address}");
            }
        }
    }

    proptest! {
        /// The standard library's own predicates, where they are stable, never find a special address global.
        #[test]
        fn nothing_special_by_the_standard_library_is_global(bits: u32, wide: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified()
            {
                prop_assert_ne!(classify(v4.into()), AddressClass::Global);
            }
            let v6 = Ipv6Addr::from_bits(wide);
            if v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.to_ipv4().is_some() {
                prop_assert_ne!(classify(v6.into()), AddressClass::Global);
            }
            prop_assert_ne!(classify(v4.to_ipv6_mapped().into()), AddressClass::Global);
            prop_assert_ne!(classify(v4.to_ipv6_compatible().into()), AddressClass::Global);
        }
    }
}
