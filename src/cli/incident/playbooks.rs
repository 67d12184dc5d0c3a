//! The playbooks: what each is for, and its steps in order. Pure data, so that a run, a dry run, the list and the report
//! say the same.

use std::path::Path;

use serde_json::{Value, json};

use super::{Common, Compromise, Exposure, Vulnerability};

/// A playbook, with what it was asked.
#[derive(Clone, Debug)]
pub(super) enum Playbook {
    /// Credentials are in wrong hands.
    Authentication(Compromise),
    /// A dependency has a hole.
    Dependency(Vulnerability),
    /// The configuration or a key leaked.
    Configuration(Exposure),
    /// Somebody is in the network or on the machine.
    Network(Exposure),
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What the trail, the keys and the program are now.
    Preserve,
    /// No server answers anything.
    Lockdown,
    /// What is selected is ended.
    Revoke,
    /// The keys of tickets, pending logins and evidence are replaced.
    SigningKeys,
    /// Every key is replaced, everything is ended, and what is dead is tried.
    Emergency,
    /// Which program and which dependencies run.
    Inventory,
    /// The mended program is there.
    Replaced,
    /// What the configuration holds that whoever has read it now knows.
    Exposed,
    /// What this server may reach, and what was refused.
    Network,
    /// That what was ended is dead.
    Prove,
    /// What the trail says of the days before.
    Review,
    /// What only people can do.
    ByHand,
}

impl Step {
    /// Its name in the report and the trail.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Preserve => "preserve",
            Self::Lockdown => "lockdown",
            Self::Revoke => "revoke",
            Self::SigningKeys => "signing-keys",
            Self::Emergency => "emergency-rotation",
            Self::Inventory => "inventory",
            Self::Replaced => "program-replaced",
            Self::Exposed => "exposed-values",
            Self::Network => "network",
            Self::Prove => "prove",
            Self::Review => "review",
            Self::ByHand => "by-hand",
        }
    }

    /// Whether every run takes it, also where it is stored as done: a row of the database alone shows nothing, and servers
    /// may have been opened meanwhile.
    pub(super) const fn is_taken_by_every_run(self) -> bool {
        matches!(self, Self::Lockdown | Self::Revoke | Self::Prove)
    }

    /// What it does, for people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Preserve => "Note the trail, the keys and the program as they are",
            Self::Lockdown => "Lock down: every server answers nothing but probes of its health",
            Self::Revoke => "End the credentials that are concerned, API keys included",
            Self::SigningKeys => "Replace the keys of tickets, pending logins and evidence",
            Self::Emergency => "Replace every key, end everything that anybody holds, and try what is dead",
            Self::Inventory => "Say which program runs, and which dependencies it was built from",
            Self::Replaced => "See that another program has taken this one's place",
            Self::Exposed => "Name the secrets that whoever has read the configuration knows",
            Self::Network => "Say what this server may reach, and what it was kept from",
            Self::Prove => "See that nothing of what was ended is good any more",
            Self::Review => "Count what the trail says of the days before",
            Self::ByHand => "What only people can do",
        }
    }
}

impl Playbook {
    /// Its name on the command line.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Authentication(_) => "authentication-compromise",
            Self::Dependency(_) => "dependency-vulnerability",
            Self::Configuration(_) => "configuration-exposure",
            Self::Network(_) => "network-breach",
        }
    }

    /// Its steps, in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        match self {
            Self::Authentication(of) if of.is_everybody() => {
                vec![Step::Preserve, Step::Revoke, Step::SigningKeys, Step::Prove, Step::Review, Step::ByHand]
            }
            // Others' tickets and logins on their way are theirs.
            Self::Authentication(_) => {
                vec![Step::Preserve, Step::Revoke, Step::Prove, Step::Review, Step::ByHand]
            }
            Self::Dependency(of) => {
                let mut steps = vec![Step::Preserve, Step::Inventory];
                steps.extend(of.lockdown.then_some(Step::Lockdown));
                steps.extend([Step::Replaced, Step::Review, Step::ByHand]);
                steps
            }
            Self::Configuration(_) => {
                vec![Step::Preserve, Step::Exposed, Step::Emergency, Step::Review, Step::ByHand]
            }
            Self::Network(_) => vec![
                Step::Preserve,
                Step::Lockdown,
                Step::Emergency,
                Step::Exposed,
                Step::Network,
                Step::Review,
                Step::ByHand,
            ],
        }
    }

    /// What every playbook takes.
    pub(super) const fn common(&self) -> &Common {
        match self {
            Self::Authentication(of) => &of.common,
            Self::Dependency(of) => &of.common,
            Self::Configuration(of) | Self::Network(of) => &of.common,
        }
    }

    /// Where the new master key is, or comes.
    pub(super) fn new_master_key_file(&self) -> Option<&Path> {
        match self {
            Self::Configuration(of) | Self::Network(of) => of.new_master_key_file.as_deref(),
            Self::Authentication(_) | Self::Dependency(_) => None,
        }
    }

    /// What was asked, as the report has it; never what somebody is called at Spotify.
    pub(super) fn asked(&self) -> Value {
        match self {
            // Whom the options mean is looked up once: `selected`.
            Self::Authentication(_) => Value::Null,
            Self::Dependency(of) => json!({
                "advisories": of.advisory, "packages": of.package, "lockdown": of.lockdown,
            }),
            Self::Configuration(_) | Self::Network(_) => Value::Null,
        }
    }

    /// What it does, said before it begins.
    pub(super) const fn about(&self) -> &'static str {
        match self {
            Self::Authentication(of) if of.is_everybody() => {
                "This ends every session, token and API key of everybody, and replaces the keys of tickets."
            }
            Self::Authentication(_) => "This ends what is selected, API keys included.",
            Self::Dependency(of) if of.lockdown => {
                "This locks every server down until the mended program is there."
            }
            Self::Dependency(_) => "This begins the response to the advisory; nothing ends.",
            Self::Configuration(_) => "This replaces every key, and ends everything that anybody holds.",
            Self::Network(_) => {
                "This locks every server down, replaces every key, and ends everything that anybody holds."
            }
        }
    }

    /// Whether an incident that waits is about the same: one of the advisories.
    pub(super) fn is_about(&self, asked: &Value) -> bool {
        let Self::Dependency(of) = self else { return false };
        let known = asked["advisories"].as_array();
        known.is_some_and(|known| of.advisory.iter().any(|advisory| known.iter().any(|one| one == advisory)))
    }
}

impl Compromise {
    /// Whether nothing narrows it.
    pub(super) const fn is_everybody(&self) -> bool {
        self.user.is_none() && self.client.is_none() && self.issued_before.is_none()
    }
}

/// Every playbook with what it is for, for the list.
pub(super) const ALL: [(&str, &str); 7] = [
    (
        "authentication-compromise",
        "credentials are in wrong hands: end them (--all, or by --user, --client, --issued-before), replace the keys of \
         tickets, prove it",
    ),
    (
        "dependency-vulnerability",
        "a dependency has a hole: say what runs, lock down if asked, wait for the mended program, prove that it runs",
    ),
    (
        "configuration-exposure",
        "the configuration or a key leaked: replace every key, end everything, prove it, name the secrets to replace",
    ),
    (
        "network-breach",
        "somebody is in the network or on the machine: lock down, replace every key, end everything, prove it",
    ),
    ("lockdown", "every server answers nothing but probes of its health, until 'lift'"),
    ("lift", "look whether it is safe, and let servers answer again"),
    ("abandon", "end the incident that is in progress as it is: what was done stays done, the rest is left"),
];

/// The id of an advisory: RUSTSEC-2026-0001, CVE-2026-12345 or GHSA-xxxx-xxxx-xxxx, in any case of letters.
///
/// # Errors
/// Where it has none of these shapes.
pub(super) fn advisory(text: &str) -> Result<String, &'static str> {
    let digits = |part: &str, most: std::ops::RangeInclusive<usize>| {
        most.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let large = text.to_ascii_uppercase();
    let parts: Vec<&str> = large.split('-').collect();
    match parts.as_slice() {
        ["RUSTSEC", year, number] if digits(year, 4..=4) && digits(number, 4..=6) => Ok(large),
        ["CVE", year, number] if digits(year, 4..=4) && digits(number, 4..=19) => Ok(large),
        ["GHSA", rest @ ..] if rest.len() == 3 && rest.iter().all(|part| is_word(part)) => {
            Ok(format!("GHSA{}", large["GHSA".len()..].to_ascii_lowercase()))
        }
        _ => Err("write its id: RUSTSEC-2026-0001, CVE-2026-12345 or GHSA-xxxx-xxxx-xxxx"),
    }
}

fn is_word(part: &str) -> bool {
    part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::advisory;

    #[test]
    fn an_advisory_has_an_id_that_others_know() {
        for (written, meant) in [
            ("rustsec-2026-0001", "RUSTSEC-2026-0001"),
            ("CVE-2026-12345", "CVE-2026-12345"),
            ("ghsa-C5HX-w945-j4pq", "GHSA-c5hx-w945-j4pq"),
        ] {
            assert_eq!(advisory(written), Ok(meant.to_owned()));
        }
        for wrong in [
            "",
            "nonsense",
            "RUSTSEC-26-1",
            "CVE-2026-1",
            "CVE-2026-12345 ",
            "GHSA-c5hx-w945",
            "GHSA-c5hx-w945-j4p\u{e9}",
        ] {
            assert!(advisory(wrong).is_err(), "{wrong}");
        }
    }
}
