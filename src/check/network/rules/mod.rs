//! The rules of `security-check network`, by what they look at. Pure: facts in, verdicts out.

mod answers;
mod declared;
mod protocol;
mod proven;
#[cfg(test)]
mod tests;
mod transport;

use super::live::Live;
use super::web::Reply;
use super::{Facts, Looked};
use crate::check::finding::{Seen, Source, Unseen, Verdict};
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

/// Judges each server that was looked at.
fn each(looked: &[Looked], none: &str, judge: impl Fn(Source, &Looked) -> Verdict) -> Vec<Verdict> {
    if looked.is_empty() {
        return vec![Verdict::not_applicable(Source::Program, none)];
    }
    let one =
        |looked: &Looked| judge(Source::Address(looked.name.clone()), looked).about(looked.name.clone());
    looked.iter().map(one).collect()
}

/// Judges what a live server answered; without one there is nothing to judge.
fn living(facts: &Facts, judge: impl FnOnce(Source, &Live) -> Vec<Verdict>) -> Vec<Verdict> {
    match &facts.live {
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
