//! Made-up facts of this area: a server on which every attempt went as it must, and for each rule one that did not.
//!
//! The self-test and the tests judge them. Never: starting anything.

use super::{Attempt, Facts, RULES};
use crate::check::network::proof::Outcome;
use crate::check::self_test::Case;

/// A check and the attempt of it that went wrong.
const WRONG: &[(&str, &str)] = &[
    ("SMC2006", "an answer tells a line of the program's source"),
    ("SMC2008", "a code goes to an address like the registered one"),
    ("SMC3001", "an access token lives longer than the configuration says"),
    ("SMC3002", "one session more than allowed is alive"),
    ("SMC3003", "the database holds a token as it is"),
    ("SMC3004", "a token opens the door when its time is over"),
    ("SMC3005", "a token works after it was given back"),
    ("SMC3006", "a code works twice"),
    ("SMC3007", "a used refresh token brings a further pair"),
    ("SMC3008", "a client registers with a script for an address"),
    ("SMC3009", "a person sees what is another's"),
    ("SMC3010", "a grant to read writes"),
    ("SMC3011", "wrong tokens are answered without end"),
    ("SMC3012", "another host's name is answered"),
    ("SMC4009", "whoever forges an address is counted as somebody else"),
    ("SMC4011", "a request larger than allowed is taken"),
    ("SMC6005", "a canary stands in the log"),
    ("SMC6006", "a name forges a line of the log"),
    ("SMC6007", "somebody is let in without a record"),
    ("SMC6009", "nobody is told of a reused token"),
    ("SMC7008", "a tool is shown that no policy knows"),
];

/// A case for every rule.
pub fn cases() -> Vec<Case<Facts>> {
    let facts = |wrong: Option<&str>| Facts {
        tried: Ok(RULES
            .iter()
            .map(|rule| Attempt {
                of: rule.id,
                outcome: Ok(Outcome {
                    what: "an attempt",
                    as_expected: wrong != Some(rule.id),
                    said: "answered 200".to_owned(),
                }),
            })
            .collect()),
    };
    let case = |(id, mutation): &(&'static str, &'static str)| Case {
        id,
        mutation,
        sound: facts(None),
        changed: facts(Some(id)),
    };
    WRONG.iter().map(case).collect()
}
