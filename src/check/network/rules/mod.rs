//! The rules of `security-check network`, by what they look at. Pure: facts in, verdicts out.

mod answers;
mod csp;
mod declared;
mod protocol;
mod proven;
mod telling;
#[cfg(test)]
mod tests;
mod transport;

use std::net::SocketAddr;

use super::live::Live;
use super::tls::Shown;
use super::web::Reply;
use super::{Facts, Kind, Looked, OFFLINE};
use crate::check::finding::{Seen, Severity, Source, State, Unseen, Verdict, cleaned};
use crate::check::rule::Rule;

/// Every rule, by the id of its check.
pub const RULES: &[Rule<Facts>] = &[
    Rule { id: "SMC3004", judge: protocol::challenge },
    Rule { id: "SMC4001", judge: transport::versions },
    Rule { id: "SMC4002", judge: transport::suites },
    Rule { id: "SMC4003", judge: transport::certificates },
    Rule { id: "SMC4004", judge: proven::outbound_tls },
    Rule { id: "SMC4005", judge: proven::targets },
    Rule { id: "SMC4006", judge: proven::redirects },
    Rule { id: "SMC4007", judge: proven::signatures },
    Rule { id: "SMC4009", judge: declared::proxies },
    Rule { id: "SMC4010", judge: answers::headers },
    Rule { id: "SMC4011", judge: declared::limits },
    Rule { id: "SMC4012", judge: protocol::discovery },
    Rule { id: "SMC4013", judge: answers::cross_origin },
    Rule { id: "SMC4014", judge: answers::cookies },
    Rule { id: "SMC4015", judge: answers::plain_http },
    Rule { id: "SMC4016", judge: answers::metrics },
    Rule { id: "SMC4017", judge: transport::upstreams },
    Rule { id: "SMC4018", judge: protocol::hosts_and_origins },
    Rule { id: "SMC6004", judge: declared::clock },
];

/// Judges each server that was looked at, by what it shows at each of its addresses.
fn each(
    looked: &[Looked],
    none: &str,
    judge: impl Fn(Source, (Kind, &Seen<Shown>)) -> Verdict,
) -> Vec<Verdict> {
    if looked.is_empty() {
        return vec![Verdict::not_applicable(Source::Program, none)];
    }
    let one = |looked: &Looked| {
        let source = || Source::Address(looked.name.clone());
        let verdicts = looked.at.iter().map(|at| (at.address, judge(source(), (looked.kind, &at.shown))));
        joined(looked, verdicts.collect())
    };
    looked.iter().flat_map(one).collect()
}

/// One verdict about a server, the worst that is said of an address of it; and one more where a failure at one address
/// would hide that another could not be seen.
fn joined(looked: &Looked, verdicts: Vec<(Option<SocketAddr>, Verdict)>) -> Vec<Verdict> {
    let all = verdicts.len();
    let rank = |verdict: &Verdict| match (verdict.state, verdict.severity) {
        (State::Fail, None | Some(Severity::Critical)) => 0,
        (State::Fail, _) => 1,
        (State::Error, _) => 2,
        _ => 3,
    };
    let worst = |state: State| {
        let of_state = || verdicts.iter().filter(move |(_, verdict)| verdict.state == state);
        let (address, verdict) = of_state().min_by_key(|(_, verdict)| rank(verdict))?;
        let mut verdict = verdict.clone();
        // Whoever accepts the fault of one address does not accept another's.
        let mut kinds: Vec<&String> = of_state().flat_map(|(_, verdict)| verdict.kinds()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        verdict.identity = std::iter::once(&looked.name).chain(kinds).cloned().collect();
        if let (true, Some(address)) = (all > 1, address) {
            verdict.observed = cleaned(&format!(
                "at {} of {all} addresses, {address}: {}",
                of_state().count(),
                verdict.observed
            ));
        }
        Some(verdict)
    };
    match (worst(State::Fail), worst(State::Error)) {
        (Some(fail), Some(error)) => {
            vec![fail.about(looked.name.clone()), error.about(format!("{}, unseen addresses", looked.name))]
        }
        (Some(one), None) | (None, Some(one)) => vec![one.about(looked.name.clone())],
        (None, None) => {
            let Some((_, mut verdict)) = verdicts.into_iter().next() else { return Vec::new() };
            if all > 1 {
                verdict.observed =
                    cleaned(&format!("{} (each of {all} addresses is sound)", verdict.observed));
            }
            if let [first, ..] = looked.without_way.as_slice() {
                let count = looked.without_way.len();
                let seen = &verdict.observed;
                verdict.observed = cleaned(&format!(
                    "{seen}; not seen: {count} addresses that this machine has no way to ({first})"
                ));
            }
            if looked.more > 0 {
                let seen = &verdict.observed;
                verdict.observed = cleaned(&format!("{seen}; not seen: {} more addresses", looked.more));
            }
            vec![verdict.about(looked.name.clone())]
        }
    }
}

/// Judges what a live server answered; without one there is nothing to judge.
fn living(facts: &Facts, judge: impl FnOnce(Source, &Live) -> Vec<Verdict>) -> Vec<Verdict> {
    match &facts.live {
        None if facts.no_server == OFFLINE => {
            vec![Verdict::not_applicable(Source::Program, "--offline: no live server was asked")]
        }
        None => vec![Verdict::not_applicable(
            Source::Program,
            "no live server is named: --live URL, or a public URL in the configuration",
        )],
        Some(Err(Unseen { why })) => vec![Verdict::error(Source::Program, why.clone())],
        Some(Ok(live)) => judge(Source::Address(live.origin.clone()), live),
    }
}

/// The first question that got no answer, as an error.
fn unanswered(source: &Source, replies: &[(&str, &Seen<Reply>)]) -> Option<Verdict> {
    let (what, unseen) = replies.iter().find_map(|(what, reply)| Some((what, reply.as_ref().err()?)))?;
    Some(Verdict::error(source.clone(), format!("{what}: {unseen}")))
}

/// One verdict about several things: fails with every flaw, and passes with `good` where there is none.
fn flawless(source: Source, flaws: &[String], good: &str) -> Verdict {
    match flaws {
        [] => Verdict::pass(source, good),
        flaws => Verdict::fail(source, flaws.join("; ")),
    }
}
