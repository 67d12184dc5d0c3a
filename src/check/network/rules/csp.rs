//! What one content security policy lets in (Content Security Policy Level 3 sections 2.3 and 6.7). Pure.

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
    let mut directives = policy.split(';');
    let wild = |directive: &str| directive.split_ascii_whitespace().any(|word| word == "*");
    sources(policy, "default-src") == ["'none'"] && runs_own && !directives.any(wild)
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
            "default-src *; default-src 'none'",
            "x-default-src 'none'",
        ] {
            assert!(!is_closed(open), "{open}");
        }
        assert_eq!(sources("frame-ancestors 'none' https://evil.example", "frame-ancestors").len(), 2);
        assert!(sources("sandbox", "sandbox").is_empty());
    }
}
