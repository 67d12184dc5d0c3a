//! Rules of the group keys that the configuration and this program decide: SMC1001, 1002, 1004, 1008, 1010.

use sha2::{Digest as _, Sha256};

use super::master::{Master, Place};
use super::self_tests::SelfTest;
use super::{Facts, KEY};
use crate::check::{Ground, Profile, Severity, Source, Verdict};
use crate::crypto::kdf::Kdf;

/// SMC1001.
pub fn master_key_sound(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let at = || Source::key(KEY);
    vec![match &facts.master {
        Master::None if ground.profile == Profile::Development => {
            Verdict::not_applicable(at(), "there is none yet: development makes one at the first start")
        }
        Master::None => Verdict::fail(at(), "no source has a master key"),
        Master::Refused { place, why, is_closed: true, .. } => {
            Verdict::error(at(), format!("from {place}, which cannot be seen here: {why}"))
        }
        Master::Refused { place, why, fix, .. } => {
            Verdict::fail(at(), format!("from {place}: {why}")).mended_by(fix.clone())
        }
        Master::Unrun(_) => Verdict::error(at(), "the program that prints the key was not run"),
        Master::Passphrase { place, words } => match words.flaw(ground.parameters.list("words")) {
            Some(flaw) => Verdict::fail(at(), format!("the passphrase {flaw}")),
            None => {
                Verdict::pass(at(), format!("a passphrase of {} bytes ({})", words.length, place.in_words()))
            }
        },
        Master::Key { place, digest } => match known(digest, ground) {
            Some(how) => Verdict::fail(at(), how),
            None => Verdict::pass(
                at(),
                format!("32 bytes, canonical base64, of no known pattern ({})", place.in_words()),
            ),
        },
    }]
}

/// How everybody knows this key, where they do. The digest is SHA-256 of the key's 32 bytes.
fn known(digest: &[u8; 32], ground: &Ground<'_>) -> Option<&'static str> {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if ground.parameters.list("known").contains(&hex) {
        return Some("the key is one that stands in public documentation");
    }
    let hashed = |word: &String| Sha256::digest(Sha256::digest(word))[..] == digest[..];
    let is_hashed = ground.parameters.list("words").iter().any(hashed);
    is_hashed.then_some("the key is the SHA-256 of a well-known word")
}

/// SMC1002.
pub fn key_source(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let at = || Source::key(KEY);
    let place = match &facts.master {
        Master::None => return vec![Verdict::not_applicable(at(), "there is no master key")],
        Master::Refused { place, .. } => {
            return vec![Verdict::error(at(), format!("the key from {place} cannot be used"))];
        }
        Master::Unrun(place) | Master::Passphrase { place, .. } | Master::Key { place, .. } => place,
    };
    let is_in = |list: &str| ground.parameters.list(list).iter().any(|name| name == place.name());
    let seen = place.in_words();
    vec![if is_in("good") {
        Verdict::pass(at(), seen)
    } else if is_in("tolerated") {
        Verdict::fail(at(), seen).severe(Severity::Low)
    } else {
        Verdict::fail(at(), seen)
    }]
}

/// SMC1004 and SMC1010: each test of this program by itself, one finding for all that hold.
fn tests(tests: &[SelfTest], all: &str) -> Vec<Verdict> {
    let failed: Vec<Verdict> = tests
        .iter()
        .filter(|test| !test.holds)
        .map(|test| Verdict::fail(Source::Program, format!("{}: does not hold", test.name)).about(test.name))
        .collect();
    match (tests.len(), failed.len()) {
        (0, _) => vec![Verdict::error(Source::Program, "no test was run")],
        (count, 0) => vec![Verdict::pass(Source::Program, format!("{count} {all}"))],
        _ => failed,
    }
}

/// SMC1004.
pub fn bound_to_place(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    tests(&facts.binding, "cases: a sealed token opens in its own place and in no other")
}

/// SMC1008.
pub fn derivation_strong(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let place = || Source::key("security.passphrase");
    // A key of its own is derived from nothing.
    let is_key = facts.problems.iter().any(|problem| problem.key == KEY);
    let hidden = match &facts.master {
        Master::Refused { place, is_closed: true, .. } if !is_key => Some(format!(
            "whether a key is derived from a passphrase cannot be seen: {place} is closed to this user"
        )),
        _ => None,
    };
    let unseen = facts.kept_unseen.as_ref().map(|unseen| unseen.why.clone()).or(hidden);
    let unseen = unseen.map(|why| Verdict::error(place(), why));
    if facts.derivations.is_empty() && unseen.is_none() {
        let why = "no key is derived from a passphrase";
        return vec![Verdict::not_applicable(place(), why)];
    }
    let mut salts: Vec<&str> = facts.derivations.iter().map(|(_, kdf)| salt(kdf)).collect();
    salts.sort_unstable();
    let is_twice = |salt: &str| salts.iter().filter(|other| **other == salt).count() > 1;
    let one = |(place, kdf): &(String, Kdf)| {
        let at = Source::file(place.split('#').next().unwrap_or_default());
        let verdict = match strength(kdf, ground) {
            Err(why) => Verdict::fail(at, why),
            Ok(_) if is_twice(salt(kdf)) => Verdict::fail(at, "its salt is used twice"),
            Ok(seen) => Verdict::pass(at, seen),
        };
        verdict.about(place.clone())
    };
    facts.derivations.iter().map(one).chain(unseen).collect()
}

fn salt(kdf: &Kdf) -> &str {
    match kdf {
        Kdf::Argon2id { salt, .. } | Kdf::Pbkdf2Sha256 { salt, .. } => salt,
    }
}

/// The parameters in words, or what is weak about them.
fn strength(kdf: &Kdf, ground: &Ground<'_>) -> Result<String, String> {
    let floor = |name: &str| ground.parameters.number(name);
    let (seen, strong) = match kdf {
        Kdf::Argon2id { memory_kib, passes, lanes, .. } => (
            format!("Argon2id, {memory_kib} KiB, {passes} passes, {lanes} lanes"),
            i64::from(*memory_kib) >= floor("argon2_memory_kib")
                && i64::from(*passes) >= floor("argon2_passes"),
        ),
        Kdf::Pbkdf2Sha256 { rounds, .. } => {
            (format!("PBKDF2-HMAC-SHA256, {rounds} rounds"), i64::from(*rounds) >= floor("pbkdf2_rounds"))
        }
    };
    if !strong {
        return Err(format!("{seen}: below the floor"));
    }
    match kdf.check() {
        Ok(()) => Ok(seen),
        Err(error) => Err(format!("{seen}: {error}")),
    }
}

/// SMC1010.
pub fn primitives_right(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let provider = "published vectors (RustCrypto and ring; no validated FIPS 140-3 module)";
    tests(&facts.vectors, provider)
}

impl Place {
    /// The stable name, as the policy lists it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Environment(_) => "environment",
            Self::OwnFile(_) => "file",
            Self::SealedFile(_) => "sealed_file",
            Self::PlainFile(_) => "plain_file",
            Self::Dotenv(_) => "dotenv",
            Self::Credential(_) => "credential",
            Self::Command => "command",
            Self::BesideData(_) => "beside_data",
            Self::Typed => "typed",
        }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        match self {
            Self::Environment(name) => format!("environment variable {name}"),
            Self::OwnFile(path) => format!("a file of its own, {}", path.display()),
            Self::SealedFile(path) => format!("the sealed configuration {}", path.display()),
            Self::PlainFile(path) => format!("the plain configuration {}", path.display()),
            Self::Dotenv(path) => format!("the dotenv file {}", path.display()),
            Self::Credential(path) => format!("systemd credential {}", path.display()),
            Self::Command => "printed by security.master_key_command".to_owned(),
            Self::BesideData(path) => format!("beside the data that it protects, {}", path.display()),
            Self::Typed => "a command-line flag or terminal".to_owned(),
        }
    }
}
