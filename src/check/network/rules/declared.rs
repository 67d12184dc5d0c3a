//! What the configuration says about the way in, beside what a live server shows of it; and this machine's clock.

use super::living;
use crate::check::finding::{Severity, Source, Verdict};
use crate::check::network::Facts;
use crate::check::rule::Ground;

/// SMC4009: forwarded headers count from proxies that were named, and from nobody else.
pub(super) fn proxies(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let declared = &facts.declared;
    let source = Source::key("server.trusted_proxies");
    let everybody: Vec<&str> =
        declared.proxies.iter().map(String::as_str).filter(|network| network.ends_with("/0")).collect();
    let behind_proxy = declared.public_tls && !declared.own_tls;
    vec![match declared.proxies.as_slice() {
        _ if !everybody.is_empty() => {
            Verdict::fail(source, format!("{} is everybody: anyone can claim any address", everybody.join(", ")))
        }
        [] if behind_proxy => Verdict::fail(source, "TLS ends at a proxy, and none is named: all clients look like the proxy")
            .severe(Severity::Medium)
            .because("limits per address count all clients as one, and the trail names the proxy instead of whoever came"),
        [] => Verdict::pass(source, "none is named, and none is needed"),
        proxies => Verdict::pass(source, format!("forwarded headers count from {}", proxies.join(", "))),
    }]
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
