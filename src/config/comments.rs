//! Secrets in comments of a configuration or dotenv file: whoever reads the file reads them. Never: telling one.

use super::keys::{KeySpec, Secrecy};
use super::master_key;
use super::table::TABLE;

/// The numbers of the lines, counted from 1, whose comments read as a secret.
pub fn with_secrets(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    lines.filter(|(_, line)| comment(line).is_some_and(is_secret)).map(|(at, _)| at + 1).collect()
}

/// What follows the first `#` that stands in no quotes.
fn comment(line: &str) -> Option<&str> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => escaped = true,
            (Some(open), c) => {
                if c == open && !escaped {
                    quote = None;
                }
                escaped = false;
            }
            (None, '#') => return line.get(at + 1..),
            (None, '"' | '\'') => quote = Some(c),
            (None, _) => {}
        }
    }
    None
}

/// A master key anywhere, or a setting of a secret that somebody took out.
fn is_secret(comment: &str) -> bool {
    let is_mark = |c: char| c.is_whitespace() || "\"'`,;()<>".contains(c);
    let is_key = |word: &str| master_key::decode(word).is_ok();
    let keys = comment
        .split(is_mark)
        .any(|word| is_key(word) || word.split_once(['=', ':']).is_some_and(|(_, value)| is_key(value)));
    keys || comment.split_once('=').is_some_and(|(name, value)| names_secret(name) && is_value(value))
}

fn names_secret(name: &str) -> bool {
    let name = name.trim().trim_start_matches("export ").trim();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let is_it = |spec: &KeySpec| spec.env_names().any(|known| known == name) || last(spec.path) == last(name);
    TABLE.iter().filter(|spec| spec.secrecy == Secrecy::Secret).any(is_it)
}

/// What stands for a value in examples.
const STANDS_FOR: [&str; 8] = ["...", "…", "your", "change", "example", "xxx", "secret", "password"];

/// One word that stands for nothing else.
fn is_value(text: &str) -> bool {
    let text = text.trim();
    let inner = text.trim_matches(['"', '\'']);
    let lower = inner.to_ascii_lowercase();
    inner.len() >= 6
        && !inner.contains(char::is_whitespace)
        && !inner.starts_with(['<', '$', '{', '/', '['])
        && !STANDS_FOR.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Dice;

    #[test]
    fn a_secret_in_a_comment_is_seen_and_an_example_is_none() {
        let key = master_key::generate(&Dice::system());
        let key = key.expose();
        let text = [
            "# How this server is set up.",
            &format!("# old key: {key}"),
            &format!("#master_key = \"{key}\""),
            &format!("# SPOTIFY_MCP_MASTER_KEY={key}"),
            "# client_secret = \"b1946ac92492d2347c6235b4d2611184\"",
            "port = 1 # SPOTIFY_CLIENT_SECRET=hunter22",
            "name = \"a # client_secret=hunter22\"",
            "# client_secret = \"your-client-secret\"",
            "# client_secret = \"...\"",
            "# client_secret = \"${CLIENT_SECRET}\"",
            "# master_key_file = \"/run/secrets/master.key\"",
            "# client_id = \"5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b\"",
            "# the secret = what nobody is told",
        ];
        assert_eq!(with_secrets(&text.join("\n")), [2, 3, 4, 5, 6]);
    }
}
