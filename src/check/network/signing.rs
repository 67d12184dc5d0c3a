//! Negative probes of request signatures (RFC 9421), in this process: each part of a signed request is changed, and the
//! signature must not hold any more. Never: a key that is anybody's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::proof::Outcome;
use crate::ambient::{Dice, Timestamp};
use crate::crypto::Key;
use crate::crypto::keys::{mac, mac_holds};
use crate::domain::signature::{AHEAD, ALGORITHM, Message, WINDOW, read};

/// What must be covered.
const COVERED: [&str; 5] = ["@method", "@authority", "@path", "@query", "content-digest"];

/// One thing of a request that a signature covers, made other.
type Change = fn(&mut Sample);

/// A request as its signer sees it.
#[derive(Clone)]
struct Sample {
    method: &'static str,
    authority: &'static str,
    path: &'static str,
    query: &'static str,
    /// One byte stands for the body's digest.
    digest: u8,
    created: i64,
    nonce: &'static str,
    covered: Vec<&'static str>,
}

impl Sample {
    fn input(&self) -> String {
        let covered: Vec<String> = self.covered.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "sig=({});created={};nonce=\"{}\";keyid=\"ak_0123456789abcdef0123456789abcdef\";alg=\"{ALGORITHM}\"",
            covered.join(" "),
            self.created,
            self.nonce
        )
    }

    /// What a server makes of it with this signature, in words of ours; with it the base that was signed.
    fn judged(&self, signature: &[u8], key: &Key, now: Timestamp) -> Result<Timestamp, String> {
        let headers = [
            ("signature-input", self.input()),
            ("signature", format!("sig=:{}:", STANDARD.encode(signature))),
            ("content-digest", format!("sha-256=:{}:", STANDARD.encode([self.digest; 32]))),
        ];
        let field = |name: &str| {
            Some(headers.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.clone()).collect())
        };
        match read(&self.message(&field), now) {
            Err(flaw) => Err(flaw.reason().to_owned()),
            Ok(None) => Err("no signature".to_owned()),
            Ok(Some(signed)) if mac_holds(key, signed.base.as_bytes(), &signed.mac) => Ok(signed.spent_until),
            Ok(Some(_)) => Err("signature_wrong".to_owned()),
        }
    }

    fn message<'a>(&'a self, field: &'a dyn Fn(&str) -> Option<Vec<String>>) -> Message<'a> {
        let (method, authority, path) = (self.method, self.authority, self.path);
        Message {
            method,
            scheme: "https",
            authority,
            path,
            query: Some(self.query),
            has_content: true,
            field,
        }
    }

    /// As its holder signs it.
    fn signed(&self, key: &Key) -> [u8; 32] {
        let mut base = String::new();
        for name in &self.covered {
            let value = match *name {
                "@method" => self.method.to_owned(),
                "@authority" => self.authority.to_owned(),
                "@path" => self.path.to_owned(),
                "@query" => format!("?{}", self.query),
                _ => format!("sha-256=:{}:", STANDARD.encode([self.digest; 32])),
            };
            base += &format!("\"{name}\": {value}\n");
        }
        let input = self.input();
        base += &format!("\"@signature-params\": {}", input.trim_start_matches("sig="));
        mac(key, base.as_bytes())
    }
}

/// Tries all of it.
pub fn run(dice: &Dice, now: Timestamp) -> Vec<Outcome> {
    let key = Key::new(dice.bytes::<32>());
    let sample = Sample {
        method: "POST",
        authority: "music.example",
        path: "/mcp",
        query: "x=1",
        digest: 1,
        created: now.secs(),
        nonce: "a-nonce-that-is-used-once",
        covered: COVERED.to_vec(),
    };
    let signature = sample.signed(&key);
    let held = sample.judged(&signature, &key, now);
    let mut outcomes = vec![
        outcome("an untouched request is accepted", held.is_ok(), &held),
        // Whatever still passes is still remembered, so that it passes once.
        outcome(
            "its nonce is remembered for as long as it passes",
            held.as_ref().is_ok_and(|until| *until >= Timestamp::from_secs(sample.created).plus(WINDOW)),
            &held,
        ),
    ];
    let changes: [(&'static str, Change); 7] = [
        ("another method", |sample| sample.method = "GET"),
        ("another host", |sample| sample.authority = "other.example"),
        ("another path", |sample| sample.path = "/claude-mcp"),
        ("another query", |sample| sample.query = "x=2"),
        ("another body", |sample| sample.digest = 2),
        ("another time", |sample| sample.created += 1),
        ("another nonce", |sample| sample.nonce = "a-nonce-that-was-not-signed"),
    ];
    for (what, change) in changes {
        let mut changed = sample.clone();
        change(&mut changed);
        let judged = changed.judged(&signature, &key, now);
        outcomes.push(outcome(what, judged.is_err(), &judged));
    }
    for (what, left_out) in COVERED_WORDS {
        let mut narrower = sample.clone();
        narrower.covered.retain(|name| *name != left_out);
        let judged = narrower.judged(&narrower.signed(&key), &key, now);
        outcomes.push(outcome(what, judged.is_err(), &judged));
    }
    let second = std::time::Duration::from_secs(1);
    for (what, then) in [
        ("a signature that is too old", now.plus(WINDOW).plus(second)),
        ("a signature from the future", now.minus(AHEAD).minus(second)),
    ] {
        let judged = sample.judged(&signature, &key, then);
        outcomes.push(outcome(what, judged.is_err(), &judged));
    }
    let other = sample.judged(&signature, &Key::new(dice.bytes::<32>()), now);
    outcomes.push(outcome("a signature by another key", other.is_err(), &other));
    outcomes
}

/// Signatures that leave a part out.
const COVERED_WORDS: [(&str, &str); 5] = [
    ("a signature without the method", "@method"),
    ("a signature without the host", "@authority"),
    ("a signature without the path", "@path"),
    ("a signature without the query", "@query"),
    ("a signature without the body", "content-digest"),
];

fn outcome(what: &'static str, as_expected: bool, judged: &Result<Timestamp, String>) -> Outcome {
    let said = judged.as_ref().err().map_or("accepted", String::as_str).to_owned();
    Outcome { what, as_expected, said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_reading_of_signatures_holds_every_part_and_lets_the_untouched_through() {
        let outcomes = run(&Dice::system(), Timestamp::from_secs(1_795_219_200));
        assert_eq!(outcomes.len(), 17);
        let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.as_expected).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let said = |what: &str| outcomes.iter().find(|outcome| outcome.what == what).unwrap().said.clone();
        assert_eq!(said("another path"), "signature_wrong");
        assert_eq!(said("a signature without the path"), "signature_components");
        assert_eq!(said("a signature that is too old"), "signature_expired");
    }
}
