//! What the configuration says about the way in, beside what a live server shows of it; and this machine's clock.

use super::{flawless, living, unanswered};
use crate::check::finding::{Severity, Source, Verdict};
use crate::check::network::Facts;
use crate::check::network::live::Live;
use crate::check::network::web::Reply;
use crate::check::rule::Ground;
use crate::config::Network;

/// SMC4009: forwarded headers count from proxies that were named, and from nobody else.
pub(super) fn proxies(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let mut verdicts = named(facts);
    if facts.live.is_some() {
        verdicts.extend(
            living(facts, |source, live| vec![forged(source, live)]).into_iter().map(|v| v.about("live")),
        );
    }
    verdicts
}

/// What a stranger says of where they come from, and whom they asked, changes nothing.
fn forged(source: Source, live: &Live) -> Verdict {
    let asked = [("discovery", &live.metadata), ("discovery under forged headers", &live.forwarded)];
    if let Some(verdict) = unanswered(&source, &asked) {
        return verdict;
    }
    let (plain, forged) = (live.metadata.as_ref().ok(), live.forwarded.as_ref().ok());
    let said = |reply: Option<&Reply>| reply.map(|reply| (reply.status, reply.body.clone()));
    let mut flaws = Vec::new();
    if said(plain) != said(forged) {
        flaws.push("discovery answers otherwise under forged forwarded headers".to_owned());
    }
    match (&live.metrics, &live.forwarded_metrics) {
        (Ok(plain), Ok(forged)) if plain.status != forged.status && forged.status < 400 => {
            flaws.push("metrics are shown to who claims to be on this machine".to_owned());
        }
        (_, Err(unseen)) => return Verdict::error(source, unseen.why.clone()),
        _ => {}
    }
    flawless(source, &flaws, "forged forwarded headers change nothing that a stranger can see")
}

fn named(facts: &Facts) -> Vec<Verdict> {
    let declared = &facts.declared;
    let source = Source::key("server.trusted_proxies");
    let behind_proxy = declared.public_tls && !declared.own_tls;
    let said =
        |networks: &[&Network]| networks.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
    let (four, six): (Vec<&Network>, Vec<&Network>) =
        declared.proxies.iter().partition(|network| network.is_ipv4());
    let (inner_four, inner_six): (Vec<Network>, Vec<Network>) =
        INNER.iter().filter_map(|text| text.parse().ok()).partition(Network::is_ipv4);
    let strangers = [
        (&four, outside(&four, &inner_four), MOST_FOUR),
        (&six, outside(&six, &inner_six), MOST_SIX),
        (&six, translated(&six), MOST_FOUR),
    ];
    let wide = strangers.iter().find(|(_, count, most)| count > most);
    if let Some((networks, ..)) = wide {
        let seen = format!("{}: so wide that anyone can claim any address", said(networks));
        return vec![Verdict::fail(source, seen)];
    }
    let all: Vec<&Network> = declared.proxies.iter().collect();
    vec![match all.as_slice() {
        [] if behind_proxy => Verdict::fail(source, "TLS ends at a proxy, and none is named: all clients look like the proxy")
            .severe(Severity::Medium)
            .because("limits per address count all clients as one, and the trail names the proxy instead of whoever came"),
        [] => Verdict::pass(source, "none is named, and none is needed"),
        proxies => Verdict::pass(source, format!("forwarded headers count from {}", said(proxies))),
    }]
}

/// This machine and networks behind a router (RFC 1918, 3927, 4193, 4291, 6598): who is there was let in.
const INNER: [&str; 9] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
/// More addresses of the internet than this, a /8, are no proxies.
const MOST_FOUR: u128 = 1 << 24;
/// The same: a /16.
const MOST_SIX: u128 = 1 << 112;

/// Ranges of IPv6 from which all of IPv4 may come, and by how many bits an address of IPv4 is followed there: NAT64
/// (RFC 6052, 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
const OF_FOUR: [(&str, u32); 4] =
    [("64:ff9b::/96", 0), ("64:ff9b:1::/48", 0), ("2002::/16", 80), ("2001::/32", 64)];

/// For how many addresses of IPv4 these ranges of IPv6 stand.
fn translated(networks: &[&Network]) -> u128 {
    let all = joined(networks);
    let of = |(text, bits): &(&str, u32)| {
        let range: Option<Network> = text.parse().ok();
        range
            .map_or(0, |range| all.iter().map(|one| size(common(*one, range.bounds()))).sum::<u128>() >> bits)
    };
    OF_FOUR.iter().map(of).fold(0, u128::saturating_add)
}

/// How many addresses these ranges hold together that are in none of the others, which do not overlap.
fn outside(networks: &[&Network], inner: &[Network]) -> u128 {
    let shared =
        |range: &(u128, u128)| inner.iter().map(|inner| size(common(*range, inner.bounds()))).sum::<u128>();
    let all = joined(networks);
    all.iter().map(|range| size(*range).saturating_sub(shared(range))).fold(0, u128::saturating_add)
}

/// From the first to the last; none where that comes before.
fn size((first, last): (u128, u128)) -> u128 {
    last.checked_sub(first).map_or(0, |more| more.saturating_add(1))
}

fn common(one: (u128, u128), other: (u128, u128)) -> (u128, u128) {
    (one.0.max(other.0), one.1.min(other.1))
}

/// The ranges without what is in several of them.
fn joined(networks: &[&Network]) -> Vec<(u128, u128)> {
    let mut ranges: Vec<(u128, u128)> = networks.iter().map(|network| network.bounds()).collect();
    ranges.sort_unstable();
    let mut joined: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// SMC4011: limits are set, and a live server keeps one that a stranger can see.
pub(super) fn limits(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let unlimited = &facts.declared.unlimited;
    let set = match unlimited.as_slice() {
        [] => Verdict::pass(Source::key("limits"), "every limit is set"),
        [first, ..] => Verdict::fail(Source::key(*first), format!("switched off: {}", unlimited.join(", "))),
    };
    let mut verdicts = vec![set.about("configured")];
    verdicts.extend(
        living(facts, |source, live| {
            vec![match &live.wide {
                Ok(reply) if matches!(reply.status, 400 | 413 | 414 | 431) => {
                    Verdict::pass(source, format!("300 headers are answered {}", reply.status))
                }
                Ok(reply) if reply.status == 429 || reply.status == 503 => {
                    Verdict::error(source, format!("300 headers are answered {}: it is busy", reply.status))
                }
                Ok(reply) => Verdict::fail(source, format!("300 headers are answered {}", reply.status)),
                // A server in bounds may hang up in the midst of it.
                Err(unseen) if live.page.is_ok() && unseen.why.contains("no HTTP answer") => {
                    Verdict::pass(source, "300 headers end the connection")
                }
                Err(unseen) => Verdict::error(source, unseen.why.clone()),
            }]
        })
        .into_iter()
        .map(|verdict| verdict.about("live")),
    );
    verdicts
}

/// SMC6004: this machine's clock is right.
pub(super) fn clock(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let most = ground.parameters.number("most_seconds");
    let source = Source::System("clock".to_owned());
    vec![match &facts.skew {
        Err(unseen) => Verdict::error(source, unseen.why.clone()),
        Ok(skew) if skew.abs() <= most => {
            Verdict::pass(source, format!("{skew} s from a trusted upstream's clock"))
        }
        Ok(skew) => Verdict::fail(source, format!("{skew} s from a trusted upstream's clock"))
            .expecting(format!("{most} s at most")),
    }]
}
