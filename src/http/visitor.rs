//! Who asks: address (through trusted proxies only), cookies, agent, and a fresh request id.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Network;
use crate::domain::ids::RequestId;
use crate::oauth::{Connection, Cookies, Visitor};

use super::Http;
use super::line::Line;

/// The other end of the connection, put into each request by the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Longest agent kept, in characters.
const LONGEST_AGENT: usize = 200;

/// Most hops of a forwarded chain looked at.
const MOST_HOPS: usize = 16;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who asks; with a fresh id of the request.
pub(super) fn identify(http: &Http, request: &Request) -> Visitor {
    let https = http.site.https();
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    Visitor {
        cookies: Cookies::parse(texts(headers, &header::COOKIE), https),
        agent: texts(headers, &header::USER_AGENT)
            .next()
            .unwrap_or_default()
            .chars()
            .take(LONGEST_AGENT)
            .collect(),
        address: client_address(peer, headers, &http.app.config.server.trusted_proxies),
        request: RequestId::mint(http.app.dice.name()),
        connection: request.extensions().get::<Arc<Line>>().map(|line| line.clone() as Arc<dyn Connection>),
    }
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// The nearest address of `X-Forwarded-For` that is not a trusted proxy, where the peer is one.
///
/// That header alone: a proxy cleans or appends to the one that it knows, and whoever asks writes the others
/// (`Forwarded` of RFC 7239, `X-Real-IP`) as they like.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    // In bytes, from the end: a line with bytes that are no text must not uncover the line before it.
    let lines: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).into_iter().map(HeaderValue::as_bytes).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    let mut nearest = peer;
    for hop in hops.take(MOST_HOPS) {
        // What does not read as an address was not written by a proxy that we trust.
        let Some(address) = hop_address(hop.trim_ascii()) else { break };
        nearest = address.to_canonical();
        if !is_trusted(nearest) {
            break;
        }
    }
    nearest
}

/// An address as proxies write it: bare, with a port, or in the brackets of IPv6 with or without one.
pub(crate) fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let address = text.parse::<IpAddr>().ok();
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_forward() {
        assert_eq!(address("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(address("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
    }

    #[test]
    fn the_nearest_untrusted_hop_counts() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(address("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], trusted), "1.2.3.4");
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "1.2.3.4"], trusted), "1.2.3.4");
        assert_eq!(address("10.0.0.1", &["junk"], trusted), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[], trusted), "10.0.0.1");
        assert_eq!(address("::ffff:10.0.0.1", &["1.2.3.4"], trusted), "1.2.3.4");
    }

    proptest! {
        #[test]
        fn what_a_stranger_puts_in_front_changes_nothing(
            made_up in prop::collection::vec("[0-9a-f.:, ]{0,20}", 0..5), real: [u8; 4], proxies in 0_usize..4
        ) {
            let real = IpAddr::from(real);
            prop_assume!(!real.to_string().starts_with("10."));
            let ours = (0..proxies).map(|n| format!(", 10.0.0.{n}")).collect::<String>();
            let honest = address("10.0.0.9", &[&format!("{real}{ours}")], &["10.0.0.0/8"]);
            let forged = address("10.0.0.9", &[&made_up.join(","), &format!("{real}{ours}")], &["10.0.0.0/8"]);
            prop_assert_eq!(&honest, &real.to_string());
            prop_assert_eq!(forged, honest);
        }
    }

    #[test]
    fn every_way_in_which_proxies_write_an_address_is_read_and_nothing_else() {
        let trusted = &["10.0.0.0/8", "::ffff:192.0.2.0/120"];
        for (hop, expected) in [
            ("1.2.3.4:5678", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
            ("\t1.2.3.4 ", "1.2.3.4"),
        ] {
            assert_eq!(address("10.0.0.1", &[hop], trusted), expected, "{hop}");
        }
        for junk in [
            "",
            "unknown",
            "_hidden",
            "[1.2.3.4]",
            "1.2.3",
            "1.2.3.4:99999",
            "\"1.2.3.4\"",
            "fe80::1%eth0",
            "é",
        ] {
            assert_eq!(address("10.0.0.1", &["6.6.6.6", junk], trusted), "10.0.0.1", "{junk}");
            let chain = format!("6.6.6.6, {junk}, 1.2.3.4, 10.0.0.2, 192.0.2.7");
            assert_eq!(address("10.0.0.1", &[&chain], trusted), "1.2.3.4", "{junk}");
            let behind = format!("6.6.6.6, {junk}, 10.0.0.2");
            assert_eq!(address("10.0.0.1", &[&behind], trusted), "10.0.0.2", "{junk}");
        }
        let long = format!("6.6.6.6{}", ", 10.0.0.2".repeat(MOST_HOPS));
        assert_eq!(address("10.0.0.1", &[&long], trusted), "10.0.0.2");
    }
}
