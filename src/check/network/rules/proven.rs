//! What was tried against our own way out, in this process.

use crate::check::finding::{Seen, Source, Unseen, Verdict};
use crate::check::network::Facts;
use crate::check::network::proof::Outcome;
use crate::check::rule::Ground;

/// SMC4004: certificates and versions that must be refused are.
pub(super) fn outbound_tls(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    outcomes(&facts.proof.tls)
}

/// SMC4005: targets that must be refused are.
pub(super) fn targets(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    outcomes(&facts.proof.targets)
}

/// SMC4006: redirects are not followed.
pub(super) fn redirects(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    outcomes(&facts.proof.redirects)
}

/// SMC4007: signatures hold every part of a request.
pub(super) fn signatures(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(&Ok(&facts.signing))
}

fn outcomes(outcomes: &Seen<Vec<Outcome>>) -> Vec<Verdict> {
    judged(&outcomes.as_ref())
}

fn judged(outcomes: &Result<&Vec<Outcome>, &Unseen>) -> Vec<Verdict> {
    let source = Source::Program;
    vec![match outcomes {
        Err(unseen) => Verdict::error(source, unseen.why.clone()),
        Ok(outcomes) => {
            let wrong: Vec<String> = outcomes
                .iter()
                .filter(|outcome| !outcome.as_expected)
                .map(|outcome| format!("{}: {}", outcome.what, outcome.said))
                .collect();
            match wrong.len() {
                0 if outcomes.is_empty() => Verdict::error(source, "nothing was tried"),
                0 => Verdict::pass(source, format!("{} probes went as they must", outcomes.len())),
                count => Verdict::fail(
                    source,
                    format!("{count} of {} probes did not: {}", outcomes.len(), wrong.join("; ")),
                ),
            }
        }
    }]
}
