//! Text of a configuration as messages may show it. What somebody wrote into an address, a command or by mistake into
//! another key may be a secret: of an address the host is shown, and of the rest nothing that looks made by chance.

use url::Url;

/// Stands for what is not shown.
const HIDDEN: char = '…';
/// Most characters that are shown.
const LONGEST: usize = 60;
/// Fewer characters are guessed, whatever they look like.
const FEWEST: usize = 16;

/// Text from outside, fit for a message: bounded, without control characters, and without what may be a secret.
pub fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    // An address of mail is no secret; what stands before a sign in an address of the web may be.
    let signed_in =
        plain.rsplit_once('@').is_some_and(|(before, after)| before.contains([':', '/']) || after.is_empty());
    if plain.contains("://") || signed_in || plain.contains(['=', '?']) {
        return shown(text);
    }
    if looks_random(&plain) {
        return format!("'{HIDDEN}'");
    }
    in_quotes(&plain)
}

/// An address from outside, or what was to be one: scheme, host and port, as far as they can be told from the rest.
pub fn shown(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    let (scheme, rest) = match plain.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), plain.as_str()),
    };
    if scheme.chars().count() > LONGEST / 2 || looks_random(&scheme) {
        return format!("'{HIDDEN}'");
    }
    let whole = if scheme.is_empty() { format!("https://{rest}") } else { plain.clone() };
    if rest.contains('@') {
        return match Url::parse(&whole) {
            Ok(url) if scheme.is_empty() && !has_name(&url) => format!("'{HIDDEN}'"),
            Ok(url) => {
                let before = if has_name(&url) { "…@" } else { "" };
                in_quotes(&format!("{scheme}{before}{}{}", host(&url), tail(&url)))
            }
            Err(_) => format!("'{scheme}{HIDDEN}'"),
        };
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.:*[]".contains(c);
    let end = rest.find(|c| !known(c)).unwrap_or(rest.len());
    let (named, more) = rest.split_at(end);
    // The size of a network is no secret.
    let size =
        more.strip_prefix('/').is_some_and(|size| size.len() < 4 && size.bytes().all(|b| b.is_ascii_digit()));
    let more = match more {
        "" | "/" => more.to_owned(),
        _ if size => more.to_owned(),
        _ if more.starts_with('/') => format!("/{HIDDEN}"),
        _ => HIDDEN.to_string(),
    };
    let named = if looks_random(named) { HIDDEN.to_string() } else { named.to_owned() };
    in_quotes(&format!("{scheme}{named}{more}"))
}

/// A valid URL: scheme, host and port, and that there is more.
pub fn address(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host(url), tail(url))
}

/// Whether a text holds something that looks made by chance: a token, a key, an id that nobody guesses.
pub fn looks_random(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_+~".contains(c))).any(is_random)
}

/// Letters of both kinds and digits change places where nobody spells words.
fn is_random(word: &str) -> bool {
    let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_alphanumeric).collect();
    if letters.len() < FEWEST || !letters.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    // A capital at the beginning of a word is how people write.
    let turns = |pair: &[u8]| {
        class(pair[0]) != class(pair[1]) && !(pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase())
    };
    letters.windows(2).filter(|pair| turns(pair)).count() * 5 >= letters.len()
}

fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

fn has_name(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn tail(url: &Url) -> &'static str {
    let more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    if more { "/…" } else { "" }
}

fn in_quotes(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        shown.push(HIDDEN);
    }
    format!("'{shown}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_bounded_and_without_escapes() {
        assert_eq!(quoted("a\u{1b}[31mb"), "'a[31mb'");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
        assert_eq!(quoted("12 minutes"), "'12 minutes'");
        assert_eq!(quoted("Ops <ops@example.org>"), "'Ops <ops@example.org>'");
    }

    #[test]
    fn of_an_address_the_host_is_shown_and_nothing_that_may_be_a_secret() {
        for (text, expected) in [
            ("https://hooks.example/services/T0?t=CANARY", "'https://hooks.example/…'"),
            ("https://u:CANARY@h.example:8443/x", "'https://…@h.example:8443/…'"),
            ("udp://u:CANARY@192.0.2.1:514", "'udp://…@192.0.2.1:514'"),
            ("https://u:pa/CANARY@h/", "'https://…'"),
            ("https://h.example/?t=a@CANARY", "'https://h.example/…'"),
            ("u:CANARY@h.example", "'…@h.example'"),
            ("CANARY@", "'…'"),
            ("h/CANARY@x", "'…'"),
            ("token=CANARY", "'token…'"),
            ("api.example.org/CANARY", "'api.example.org/…'"),
            ("10.0.0.0/99", "'10.0.0.0/99'"),
            ("*.example.org", "'*.example.org'"),
            ("ftp://a", "'ftp://a'"),
            ("a b", "'a…'"),
            ("", "''"),
        ] {
            assert_eq!(shown(text), expected);
            let is_address = text.contains(['@', '=']) || text.contains("://");
            assert!(!is_address || !quoted(text).contains("CANARY"), "{text}");
        }
        assert_eq!(shown("https://5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b"), "'https://…'");
        let url = Url::parse("https://u:p@h.example/v1?key=CANARY").unwrap();
        assert_eq!(address(&url), "https://h.example/…");
    }

    #[test]
    fn what_is_made_by_chance_is_told_from_words() {
        for random in [
            "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b",
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOHcbrzqgy",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "services/T024BE7LH/B024BE7LK/a8Bc9Dd0eE1fF2gG3hH4iI5j",
        ] {
            assert!(looks_random(random), "{random}");
        }
        for words in [
            "server-certificate-2026-11-22",
            "/etc/spotify-mcp/hooks/v2/notify-the-operators.sh",
            "hooks.alerts.eu-central-1.example.org:8443",
            "MyServerCertificateForTests2026",
            "2026-11-22T10:00:00Z",
            "correct horse battery staple",
        ] {
            assert!(!looks_random(words), "{words}");
        }
    }
}
