//! What must hold of every parser of outside bytes, whatever the bytes: one function per fuzz target.
//!
//! `scripts/fuzz` drives them with libFuzzer (the programs in `fuzz/` only name them); `cargo test` replays their
//! seeds and mutations of these. Each states more than "does not panic": a round trip, a bound, or agreement with a
//! second, simpler reading. Never part of a product build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by panicking")]

mod clients;
mod http;
mod json;
mod mcp;
mod oauth;
#[cfg(test)]
mod replay;
mod sealed;
mod sessions;
mod settings;
mod spotify;
mod stored;
mod text;
mod tokens;
mod trail;

/// A fuzz target: reads the bytes in every way that is meant by its name, and panics where something does not hold.
pub type Target = fn(&[u8]);

/// Every target by the name of its program in `fuzz/fuzz_targets` and of its seeds in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("arguments", mcp::arguments),
    ("audit", stored::audit),
    ("client_document", clients::client_document),
    ("config", settings::config),
    ("egress", settings::egress),
    ("envelope", stored::envelope),
    ("freshness", clients::freshness),
    ("headers", http::headers),
    ("message", mcp::message),
    ("names", spotify::names),
    ("params", oauth::params),
    ("prompt", mcp::prompt),
    ("redirect", oauth::redirect),
    ("registration", oauth::registration),
    ("replies", spotify::replies),
    ("sealed", sealed::sealed),
    ("sessions", sessions::sessions),
    ("signature", http::signature),
    ("strict_json", json::strict_json),
    ("text", text::text),
    ("tickets", oauth::tickets),
    ("tokens", tokens::tokens),
    ("trail", trail::trail),
];

/// Runs the target of this name.
///
/// # Panics
/// Where something does not hold, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("no target is called {name}")).1(data);
}

/// The bytes with one of them changed: which one and how, the bytes of `choice` say. `None` where nothing changes.
fn changed(bytes: &[u8], choice: &[u8]) -> Option<Vec<u8>> {
    let (at, by) = match choice {
        [high, low, by, ..] => (usize::from(*high) << 8 | usize::from(*low), *by),
        _ => return None,
    };
    if by == 0 || bytes.is_empty() {
        return None;
    }
    let mut changed = bytes.to_vec();
    changed[at % bytes.len()] ^= by;
    Some(changed)
}

/// Percent- and plus-decoding as a second reader would write it.
fn decoded(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap());
                at += 2;
            }
            (b'+', ..) if plus_is_space => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out
}

/// Characters that no cleaned text may hold, whichever cleaner it went through: controls, and what reorders or hides.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}
