//! Secrets where none belong: in arguments of commands, in addresses, under names that are no keys. Looks at a plain file
//! as it is written, so that `${NAME}` is no secret. Never: a value in what is told.

use std::path::Path;

use serde_json::Value as Node;
use url::Url;

use super::file::{Tree, join};
use super::keys::{self, Kind};
use super::quoting::looks_random;
use super::sealed::is_secret;
use super::value::Value;
use super::{Loaded, Origin, comments, file, file_text};

/// What reads as a secret, where whoever reads the file reads it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The key, as far as there is one.
    pub key: String,
    /// Where it stands.
    pub origin: Origin,
    /// What it is, in words that follow the key.
    pub what: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const IN_ARGUMENT: (&str, &str) = (
    "has what reads as a secret among its arguments",
    "have the program read it from a file of its own that only the server may read; arguments stand in the list of processes too",
);
const IN_ADDRESS: (&str, &str) = (
    "has what reads as a secret in an address",
    "put the whole address into a variable and write ${NAME}, or use the key that is meant for the secret",
);
const IN_COMMENT: (&str, &str) = (
    "reads as a secret",
    "remove it, and rotate what it was: a comment is read by whoever reads the file, and stays in its history",
);
const NO_KEY: (&str, &str) = (
    "reads as a secret under a name that is no key",
    "write the name of the key that was meant ('spotify-mcp config show' lists every key), or remove the line",
);

impl Loaded {
    /// What a plain configuration and a dotenv file say in the clear under keys that are not secret.
    pub fn strays(&self) -> Vec<Stray> {
        let plain = self.gathered.file.as_deref().filter(|_| self.gathered.sealed.is_none());
        let mut found = Vec::new();
        if let Some((path, tree)) = plain.and_then(|path| Some((path, file::read_plain(path).ok()?))) {
            let mut note = |key: &str, (what, fix): (&'static str, &'static str)| {
                found.push(Stray { key: key.to_owned(), origin: tree.origin(path, key), what, fix });
            };
            look(&tree, &mut note);
        }
        found.extend(plain.into_iter().chain(self.gathered.env_file.as_deref()).flat_map(in_comments));
        let outranked = self.gathered.outranked.iter().map(|(key, setting)| (key, setting));
        for (key, setting) in self.gathered.values.iter().chain(outranked) {
            let Origin::EnvFile { .. } = &setting.origin else { continue };
            let judged = match &setting.value {
                Value::Text(text) => of_value(key, &[text]),
                Value::List(items) => of_value(key, &items.iter().map(String::as_str).collect::<Vec<_>>()),
                _ => None,
            };
            found.extend(judged.map(|(what, fix)| Stray {
                key: (*key).to_owned(),
                origin: setting.origin.clone(),
                what,
                fix,
            }));
        }
        found
    }
}

/// Comments of a file that has such; one that cannot be read is a problem of its own.
fn in_comments(path: &Path) -> Vec<Stray> {
    let has_none = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let text = if has_none { String::new() } else { file_text(path).unwrap_or_default() };
    let (what, fix) = IN_COMMENT;
    let one = |line| Stray {
        key: format!("a comment in line {line}"),
        origin: Origin::File { path: path.to_owned(), line: Some(line) },
        what,
        fix,
    };
    comments::with_secrets(&text).into_iter().map(one).collect()
}

type Note<'a> = dyn FnMut(&str, (&'static str, &'static str)) + 'a;

fn look(tree: &Tree, note: &mut Note<'_>) {
    tree.root.iter().for_each(|(name, node)| below(name, node, note));
}

fn below(key: &str, node: &Node, note: &mut Note<'_>) {
    if let Some(spec) = keys::find(key) {
        if spec.is_secret() {
            return;
        }
        if !matches!(spec.kind, Kind::Apps | Kind::Clients) {
            let texts: Vec<&str> = match node {
                Node::Array(items) => items.iter().filter_map(Node::as_str).collect(),
                other => other.as_str().into_iter().collect(),
            };
            of_value(key, &texts).into_iter().for_each(|judged| note(key, judged));
            return;
        }
    }
    match node {
        Node::Object(fields) => fields.iter().for_each(|(name, node)| below(&join(key, name), node, note)),
        Node::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| below(&join(key, &at.to_string()), item, note));
        }
        Node::String(text) if !is_secret(&format!("/{}", key.replace('.', "/"))) => {
            let name = key.rsplit('.').next().unwrap_or_default();
            let in_list = key.contains(".apps.") || key.contains(".clients.");
            let known = in_list || keys::find_file_form(key).is_some();
            if !known && sounds_secret(name) && !literal(text).is_empty() && !name.ends_with("_file") {
                note(key, NO_KEY);
            } else if in_address(text, false) {
                note(key, IN_ADDRESS);
            }
        }
        _ => {}
    }
}

/// The value of one known key: its text, or the items of its list.
fn of_value(key: &str, texts: &[&str]) -> Option<(&'static str, &'static str)> {
    match keys::find(key)?.kind {
        Kind::Command => {
            let words: Vec<&str> = match texts {
                [one] => one.split(' ').collect(),
                several => several.to_vec(),
            };
            in_command(&words).then_some(IN_ARGUMENT)
        }
        _ => texts.iter().any(|text| in_address(text, key.ends_with("webhook"))).then_some(IN_ADDRESS),
    }
}

/// A text without the variables that are put in later.
fn literal(text: &str) -> String {
    file::expand(text, &|_| Some(String::new()), &mut |_| {})
}

/// Whether an address has a password, a query that is a token, or, where `path` counts, a part that nobody guesses.
fn in_address(text: &str, path: bool) -> bool {
    let Ok(url) = Url::parse(&literal(text)) else { return false };
    if url.host_str().is_none() {
        return false;
    }
    let signed_in =
        url.password().is_some_and(|password| !password.is_empty()) || looks_random(url.username());
    let told = |name: &str, value: &str| !value.is_empty() && (sounds_secret(name) || looks_random(value));
    signed_in
        || url.query_pairs().any(|(name, value)| told(&name, &value))
        || (path && looks_random(url.path()))
}

/// Flags whose next word is a secret.
const FLAGS: [&str; 8] =
    ["--password", "--pass", "--passphrase", "--token", "--secret", "--api-key", "--apikey", "--bearer"];
/// Flags whose next word is a name, and a password behind a colon.
const LOGINS: [&str; 3] = ["-u", "--user", "--proxy-user"];
/// Ends of flags whose next word names something.
const NAMES: [&str; 6] = ["id", "name", "recipient", "fingerprint", "arn", "profile"];

fn in_command(words: &[&str]) -> bool {
    let mut before = "";
    for (at, word) in words.iter().enumerate() {
        let word = literal(word);
        let value = is_value(&word);
        let named = NAMES.iter().any(|name| {
            before.ends_with(name) || word.split('=').next().is_some_and(|w| w.ends_with(name) && w != word)
        });
        let login = LOGINS.contains(&before) && word.split_once(':').is_some_and(|(_, word)| is_value(word));
        let is_id = word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
        let place = word.starts_with('/') || word.starts_with("arn:") || is_id;
        if (FLAGS.contains(&before) && value)
            || login
            || names_secret(&word)
            || in_address(&word, true)
            || (at > 0 && !named && !place && !word.contains("://") && looks_random(&word))
        {
            return true;
        }
        before = words[at];
    }
    false
}

/// `bearer x`, `token=x`, `X-Api-Key: x`.
fn names_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let after = |name: &str, separators: &[char]| {
        lower.match_indices(name).any(|(at, _)| {
            let rest = &lower[at + name.len()..];
            let value = rest.trim_start_matches(' ').strip_prefix(separators);
            value.is_some_and(|value| is_value(value.trim()))
        })
    };
    let spaced = |name: &str| {
        lower.match_indices(name).any(|(at, _)| {
            lower[at + name.len()..].strip_prefix(' ').is_some_and(|value| is_value(value.trim()))
        })
    };
    SECRETS.iter().any(|name| after(name, &[':', '='])) || ["bearer", "basic"].iter().any(|name| spaced(name))
}

const SECRETS: [&str; 9] =
    ["token", "secret", "password", "passwd", "passphrase", "api-key", "api_key", "apikey", "credential"];

fn sounds_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| lower.contains(secret))
        || ["key", "sig", "signature", "auth"].contains(&&*lower)
}

/// Neither empty, nor the name of a file or of a variable.
fn is_value(text: &str) -> bool {
    text.len() >= 4 && !text.starts_with(['/', '@', '$', '-', '<', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> bool {
        in_command(&text.split('|').collect::<Vec<_>>())
    }

    #[test]
    fn secrets_among_arguments_are_seen() {
        for text in [
            "curl|-H|Authorization: Bearer sk_live_abc",
            "curl|-H|X-Api-Key: hunter22",
            "curl|--data|token=hunter22",
            "notify|--password|hunter22",
            "notify|--token=hunter22",
            "curl|-u|ops:hunter22|https://mail.example",
            "curl|https://ops:hunter22@mail.example/x",
            "curl|https://hooks.example/services/T024BE7LH/B024BE7LK/a8Bc9Dd0eE1fF2gG3hH4iI5j",
            "sh|-c|printf b1946ac92492d2347c6235b4d2611184",
        ] {
            assert!(command(text), "{text}");
        }
        for text in [
            "/usr/bin/true",
            "/nix/store/3k4jf9s8d7f6g5h4j3k2l1m0n9b8v7c6-curl-8.0/bin/curl|--version",
            "curl|-H|Authorization: Bearer ${TOKEN}|https://hooks.example/x",
            "curl|-H|@/run/secrets/header|https://hooks.example/services",
            "notify|--token-file|/run/secrets/token",
            "notify|--password|/run/secrets/password",
            "aws|kms|decrypt|--key-id|1234abcd-12ab-34cd-56ef-1234567890ab|--query|Plaintext",
            "gpg|--decrypt|--recipient|3AA5C34371567BD2AA11|/etc/key.gpg",
            "logger|-t|spotify-mcp|the token expired",
            "op|read|op://vault/spotify-mcp/master-key",
        ] {
            assert!(!command(text), "{text}");
        }
    }

    #[test]
    fn secrets_in_addresses_are_seen() {
        for (text, path) in [
            ("https://u:hunter22@h.example/", false),
            ("https://h.example/?token=hunter22", false),
            ("https://h.example/?x=b1946ac92492d2347c6235b4d2611184", false),
            ("https://h.example/services/T024BE7LH/a8Bc9Dd0eE1fF2gG3hH4iI5j", true),
        ] {
            assert!(in_address(text, path), "{text}");
        }
        for text in [
            "https://h.example/services/T0/B0",
            "https://u:${PASSWORD}@h.example/",
            "https://h.example/?token=${TOKEN}",
            "mailto:security@example.org",
            "h.example:8443",
            "/var/lib/spotify-mcp",
        ] {
            assert!(!in_address(text, true), "{text}");
        }
    }

    #[test]
    fn a_file_is_looked_through_as_it_is_written() {
        let text = r#"
            [spotify]
            client_id = "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b"
            client_secret = "in a place of its own"
            client_secrett = "hunter22"
            client_secret_file = "/run/secrets/spotify"
            apps = [{ client_id = "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b", client_secret = "x" }]
            [auth]
            allowlist = ["31l77y2al5lnn7mxfrmd4bpfhqke"]
            [[auth.clients]]
            id = "mine"
            redirect_uris = ["https://u:hunter22@h.example/cb"]
            [alerts]
            command = ["curl", "--token", "hunter22"]
            mail.password = "judged elsewhere"
            [audit]
            anchors.webhook = "https://h.example/hook"
        "#;
        let tree = file::parse_toml(text).unwrap();
        let mut found = Vec::new();
        look(&tree, &mut |key, (what, _)| found.push((key.to_owned(), what)));
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["alerts.command", "auth.clients.0.redirect_uris.0", "spotify.client_secrett"]);
    }
}
