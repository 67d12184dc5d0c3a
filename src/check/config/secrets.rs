//! The secrets of a configuration as rules see them: where each stands, and whether it is one of a list of known words.
//! Never: a secret in a form that can be read or printed.

use std::fmt;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::trivial;
use crate::ambient::Dice;
use crate::config::{Config, Loaded, Origin, SaidSecret};
use crate::crypto::SecretString;

/// What shows that somebody forgot to put a value in.
const PLACEHOLDERS: [&str; 10] = [
    "your_",
    "your-",
    "<your",
    "changeme",
    "change-me",
    "change_me",
    "example",
    "placeholder",
    "xxxx",
    "replace_me",
];

/// A secret that can only be compared.
#[derive(Clone)]
pub struct Concealed {
    salt: [u8; 16],
    digest: [u8; 32],
    core: [u8; 32],
    /// It is a repetition, or rows of keys.
    pub is_pattern: bool,
    /// Its length in bytes.
    pub length: usize,
    /// How many different bytes it has.
    pub distinct: usize,
    /// It reads as something that was to be replaced.
    pub is_placeholder: bool,
}

impl Concealed {
    /// Conceals a text, whatever its case.
    pub fn of(text: &str, dice: &Dice) -> Self {
        let (salt, lower) = (dice.bytes(), text.trim().to_ascii_lowercase());
        let mut seen = [false; 256];
        text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
        Self {
            salt,
            digest: digest(&salt, &lower),
            core: digest(&salt, &trivial::core(text.trim())),
            is_pattern: trivial::is_pattern(text.trim()),
            length: text.len(),
            distinct: seen.iter().filter(|seen| **seen).count(),
            is_placeholder: PLACEHOLDERS.iter().any(|words| lower.contains(words)),
        }
    }

    /// Whether it is this word, whatever its case.
    pub fn is(&self, word: &str) -> bool {
        digest(&self.salt, &word.to_ascii_lowercase()).ct_eq(&self.digest).into()
    }

    /// Whether it is this word with little around it, again and again, or in common substitutions.
    fn is_made_of(&self, word: &str) -> bool {
        digest(&self.salt, &trivial::core(word)).ct_eq(&self.core).into()
    }

    /// How it would be guessed, where that is easy: one judgement for every check of secrets.
    pub fn flaw(&self, words: &[String]) -> Option<&'static str> {
        if words.iter().any(|word| self.is(word)) {
            Some("is one of a list of known ones")
        } else if words.iter().any(|word| self.is_made_of(word)) {
            Some("is a known word with little around it")
        } else if self.is_placeholder {
            Some("reads as something that was to be replaced")
        } else if self.is_pattern || self.distinct < 4 {
            Some("is a repetition, or a row of keys")
        } else {
            None
        }
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Concealed(..)")
    }
}

fn digest(salt: &[u8; 16], text: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(text).finalize().into()
}

/// A secret that was said.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its key.
    pub key: String,
    /// Where it was said, in words.
    pub origin: String,
    /// The plain configuration or dotenv file in which it can be read, and the line.
    pub in_the_clear: Option<(PathBuf, Option<u32>)>,
    /// What counts in its place, in words, where this counts for nothing.
    pub outranked_by: Option<String>,
    /// When it ends, where the sealed file says so.
    pub ends: Option<String>,
    /// What can be compared of it.
    pub value: Concealed,
}

impl Secret {
    /// What findings about it are about: where it counts for nothing, the place too.
    pub fn subject(&self) -> String {
        match self.outranked_by {
            None => self.key.clone(),
            Some(_) => format!("{} in {}", self.key, self.origin),
        }
    }
}

/// Every secret that was said, by key.
pub fn all(loaded: &Loaded, ends: &[(String, String)], dice: &Dice) -> Vec<Secret> {
    let one = |said: SaidSecret| Secret {
        in_the_clear: said.in_the_clear().map(|path| (path.to_owned(), line(&said.origin))),
        origin: said.origin.to_string(),
        outranked_by: said.outranked_by.as_ref().map(ToString::to_string),
        ends: ends.iter().find(|(key, _)| *key == said.key).map(|(_, at)| at.clone()),
        value: Concealed::of(said.value.expose(), dice),
        key: said.key,
    };
    let mut found: Vec<Secret> = loaded.secrets().into_iter().map(one).collect();
    for (key, value, origin) in in_own_files(loaded) {
        if !found.iter().any(|known| known.key == key && known.outranked_by.is_none()) {
            let value = Concealed::of(value.expose(), dice);
            found.push(Secret { key, origin, in_the_clear: None, outranked_by: None, ends: None, value });
        }
    }
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

/// Secrets within lists that a file of their own holds.
fn in_own_files(loaded: &Loaded) -> Vec<(String, SecretString, String)> {
    let config: &Config = loaded.as_far_as_valid();
    let apps = config.spotify.apps.iter().enumerate().filter_map(|(index, app)| {
        let single = index == 0 && loaded.origin_of("spotify.client_id") != Origin::Default;
        let key = if single {
            "spotify.client_secret".to_owned()
        } else {
            format!("spotify.apps.{index}.client_secret")
        };
        Some((key, app.client_secret.clone()?, loaded.origin_of("spotify.apps").to_string()))
    });
    let clients = config.auth.clients.iter().enumerate().filter_map(|(index, client)| {
        let origin = loaded.origin_of("auth.clients").to_string();
        Some((format!("auth.clients.{index}.secret"), client.secret.clone()?, origin))
    });
    apps.chain(clients).collect()
}

fn line(origin: &Origin) -> Option<u32> {
    match origin {
        Origin::File { line, .. } | Origin::Sealed { line, .. } => {
            line.and_then(|line| u32::try_from(line).ok())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concealed_secret_is_compared_and_never_shown() {
        let secret = Concealed::of("Hunter2", &Dice::system());
        assert!(secret.is("hunter2") && secret.is("HUNTER2") && !secret.is("hunter3"));
        assert_eq!((secret.length, secret.distinct), (7, 7));
        assert_eq!(format!("{secret:?}"), "Concealed(..)");
        assert!(Concealed::of("your-client-secret", &Dice::system()).is_placeholder);
        assert!(!secret.is_placeholder);
    }
}
