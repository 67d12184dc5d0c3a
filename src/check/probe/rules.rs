//! The judgement of what was tried: a check passes where each of its attempts went as it must.

use super::Facts;
use crate::check::finding::counted;
use crate::check::network::proof::Outcome;
use crate::check::rule::Rule;
use crate::check::{Source, Unseen, Verdict};

/// A rule that judges the attempts of its own check.
macro_rules! tried {
    ($id:literal) => {
        Rule { id: $id, judge: |facts, _| judged(facts, $id) }
    };
}

/// Every rule. Some checks have another one beside it, which judges the configuration.
pub const RULES: &[Rule<Facts>] = &[
    tried!("SMC2006"),
    tried!("SMC2008"),
    tried!("SMC3001"),
    tried!("SMC3002"),
    tried!("SMC3003"),
    tried!("SMC3004"),
    tried!("SMC3005"),
    tried!("SMC3006"),
    tried!("SMC3007"),
    tried!("SMC3008"),
    tried!("SMC3009"),
    tried!("SMC3010"),
    tried!("SMC3011"),
    tried!("SMC3012"),
    tried!("SMC4009"),
    tried!("SMC4011"),
    tried!("SMC6005"),
    tried!("SMC6006"),
    tried!("SMC6007"),
    tried!("SMC6009"),
    tried!("SMC7008"),
];

fn judged(facts: &Facts, id: &str) -> Vec<Verdict> {
    let source = || Source::Address("a server of this program, started apart".to_owned());
    let verdict = match &facts.tried {
        Err(unseen) => Verdict::error(source(), unseen.why.clone()),
        Ok(attempts) => {
            let own: Vec<_> =
                attempts.iter().filter(|attempt| attempt.of == id).map(|one| &one.outcome).collect();
            let unseen: Option<&Unseen> = own.iter().find_map(|outcome| outcome.as_ref().err());
            let wrong: Vec<&Outcome> = own
                .iter()
                .filter_map(|outcome| outcome.as_ref().ok())
                .filter(|one| !one.as_expected)
                .collect();
            match (wrong.first(), unseen) {
                (Some(_), _) => Verdict::fail(source(), in_words(&wrong, own.len())),
                (None, Some(unseen)) => Verdict::error(source(), unseen.why.clone()),
                (None, None) if own.is_empty() => Verdict::error(source(), "nothing was tried"),
                (None, None) => Verdict::pass(
                    source(),
                    counted(own.len(), "attempt went as it must", "attempts went as they must"),
                ),
            }
        }
    };
    vec![verdict.about("tried apart")]
}

fn in_words(wrong: &[&Outcome], all: usize) -> String {
    let each: Vec<String> = wrong.iter().map(|one| format!("{}: {}", one.what, one.said)).collect();
    format!("{} of {} did not: {}", wrong.len(), counted(all, "attempt", "attempts"), each.join("; "))
}
