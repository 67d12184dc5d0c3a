//! What one content security policy lets in (Content Security Policy Level 3 sections 2.3 and 6.7). Pure.

use std::str::SplitAsciiWhitespace;

/// The sources of a directive, in lower case; of several of its name the first counts.
pub(super) fn sources<'a>(policy: &'a str, directive: &str) -> Vec<&'a str> {
    let all = policy.split(';').map(str::split_ascii_whitespace);
    let mut found = all.filter_map(|mut words| (words.next()? == directive).then_some(words));
    found.next().map(Iterator::collect).unwrap_or_default()
}

/// Directives that decide what runs: from nowhere, from this origin, or by the hash or nonce of each piece.
const RUNNING: [&str; 6] =
    ["script-src", "script-src-elem", "script-src-attr", "object-src", "worker-src", "base-uri"];

/// Whether nothing is let in but what it names, and nothing runs that is not the server's own.
pub(super) fn is_closed(policy: &str) -> bool {
    let is_own = |source: &&str| {
        let exact = ["'nonce-", "'sha256-", "'sha384-", "'sha512-"];
        matches!(*source, "'none'" | "'self'" | "'strict-dynamic'" | "'report-sample'")
            || exact.iter().any(|begin| source.starts_with(begin))
    };
    let runs_own = RUNNING.iter().all(|directive| sources(policy, directive).iter().all(is_own));
    let mut directives = policy.split(';').map(str::split_ascii_whitespace);
    let is_open = |mut words: SplitAsciiWhitespace<'_>| {
        let name = words.next().unwrap_or_default();
        words.any(|source| is_wide(name, source))
    };
    sources(policy, "default-src") == ["'none'"] && runs_own && !directives.any(is_open)
}

/// Directives of what is only shown: it may stand in the page itself.
const SHOWN: [&str; 3] = ["img-src", "media-src", "font-src"];

/// A source that is everybody, whatever has a scheme, or whatever somebody wrote into the page.
fn is_wide(directive: &str, source: &str) -> bool {
    let host = source.split_once("://").map_or(source, |(_, host)| host);
    match source {
        "'unsafe-inline'" | "'unsafe-eval'" | "'unsafe-hashes'" | "'wasm-unsafe-eval'" => true,
        "data:" | "blob:" => !SHOWN.contains(&directive),
        _ => source.ends_with(':') || host.starts_with('*') && host.matches('.').count() < 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_by_directive_and_not_by_words_in_it() {
        let closed =
            "default-src 'none'; script-src 'self' 'nonce-ab'; img-src 'self' data:; frame-ancestors 'none'";
        assert!(is_closed(closed) && sources(closed, "frame-ancestors") == ["'none'"]);
        for open in [
            "",
            "default-src 'self'",
            "default-src 'none'; script-src * 'unsafe-inline'",
            "default-src 'none'; script-src 'unsafe-eval'",
            "default-src 'none'; script-src https:",
            "default-src 'none'; connect-src *",
            "default-src 'none'; connect-src https:",
            "default-src 'none'; style-src 'unsafe-inline'",
            "default-src 'none'; form-action http: https:",
            "default-src 'none'; frame-src wss:",
            "default-src 'none'; connect-src https://*",
            "default-src 'none'; connect-src *.example",
            "default-src 'none'; style-src data:",
            "default-src *; default-src 'none'",
            "x-default-src 'none'",
        ] {
            assert!(!is_closed(open), "{open}");
        }
        let named = "default-src 'none'; connect-src https://api.example *.music.example; form-action 'self'; img-src data:";
        assert!(is_closed(named));
        assert_eq!(sources("frame-ancestors 'none' https://evil.example", "frame-ancestors").len(), 2);
        assert!(sources("sandbox", "sandbox").is_empty());
    }
}
