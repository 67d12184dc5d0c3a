//! Redirect URIs: which may be registered, and which a request may then name.
//!
//! Exact string comparison (OAuth 2.1 section 2.3.1), except that a loopback URI matches on any port (RFC 8252
//! section 7.3): shipped clients register `http://127.0.0.1/callback` and listen wherever they can.

use url::{Host, Url};

/// Longest redirect URI accepted.
const LONGEST: usize = 2048;

/// Private-use schemes of shipped clients that are not reverse domain names; only these exact URIs.
const KNOWN_CUSTOM: &[&str] = &["cursor://anysphere.cursor-mcp/oauth/callback"];

/// What kind of place a redirect URI is, which decides what the consent page warns of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// `https` on a host name.
    Https,
    /// `http` on `127.0.0.1`, `[::1]` or `localhost`: any program on the person's own computer.
    Loopback,
    /// A private-use scheme: any program that claims the scheme.
    CustomScheme,
}

/// Why a redirect URI is not accepted. The text names the rule, for the client's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// Empty, over 2,048 characters, or with characters outside visible ASCII.
    #[error("must be 1 to 2048 visible ASCII characters")]
    Length,
    /// Not an absolute URI in its canonical spelling (case, dot segments, numeric hosts, default ports).
    #[error("must be an absolute URI in canonical form")]
    NotCanonical,
    /// Carries a fragment, user information or a wildcard.
    #[error("must not have a fragment, user information or a wildcard")]
    Forbidden,
    /// Plain http to something that is not loopback.
    #[error("http is allowed only for 127.0.0.1, [::1] and localhost; use https")]
    PlainHttp,
    /// https to an address or a local name instead of a site's host name.
    #[error("https needs a full host name, not an address or a local name")]
    Address,
    /// A scheme that is neither https, loopback http, a reverse domain name nor a known client's.
    #[error("scheme not allowed; use https, loopback http, or a reverse-domain private-use scheme")]
    Scheme,
}

/// A redirect URI that passed [`RedirectUri::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    kind: RedirectKind,
}

impl RedirectUri {
    /// Parses and classifies. The same function judges registration, `/authorize` and the decision on consent.
    pub fn parse(text: &str) -> Result<Self, RedirectError> {
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RedirectError::Length);
        }
        let url = Url::parse(text).map_err(|_| RedirectError::NotCanonical)?;
        let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        if !canonical || text.contains(['\\', '<', '>', '"', '`', '{', '}', '|', '^']) {
            return Err(RedirectError::NotCanonical);
        }
        let userinfo = !url.username().is_empty() || url.password().is_some() || text.contains('@');
        if url.fragment().is_some() || text.contains('#') || userinfo || text.contains('*') {
            return Err(RedirectError::Forbidden);
        }
        if encoded_dot_segment(url.path()) {
            return Err(RedirectError::NotCanonical);
        }
        Ok(Self { kind: classify(&url, text)?, text: text.to_owned() })
    }

    /// The URI as registered or presented.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI for a message, at most 200 characters: visible ASCII without quotes, as all that was parsed.
    pub fn shortened(&self) -> String {
        self.text.chars().take(200).collect()
    }

    /// What kind of place it is.
    pub const fn kind(&self) -> RedirectKind {
        self.kind
    }

    /// The host, or the scheme where there is none: what the consent page shows in bold.
    pub fn host(&self) -> String {
        match Url::parse(&self.text) {
            Ok(url) => url.host_str().map_or_else(|| format!("{}:", url.scheme()), str::to_owned),
            Err(_) => String::new(),
        }
    }

    /// Whether a request may name `presented` where `self` is registered.
    pub fn admits(&self, presented: &Self) -> bool {
        if self.kind == RedirectKind::Loopback && presented.kind == RedirectKind::Loopback {
            return without_port(&self.text) == without_port(&presented.text);
        }
        self.text == presented.text
    }

    /// This URI with parameters added to its query (RFC 6749 section 4.1.2 keeps what is there).
    pub fn with_query(&self, parameters: &[(&str, &str)]) -> String {
        match Url::parse(&self.text) {
            Ok(mut url) => {
                url.query_pairs_mut().extend_pairs(parameters);
                url.into()
            }
            // Cannot be: `parse` proved it.
            Err(_) => self.text.clone(),
        }
    }
}

fn classify(url: &Url, text: &str) -> Result<RedirectKind, RedirectError> {
    match url.scheme() {
        "https" => match url.host() {
            // A name without a dot leads to this computer or this network, not to a site of the web.
            Some(Host::Domain(name)) if name.ends_with('.') || !name.contains('.') => {
                Err(RedirectError::Address)
            }
            Some(Host::Domain(name)) if name.ends_with(".localhost") => Err(RedirectError::Address),
            Some(Host::Domain(_)) => Ok(RedirectKind::Https),
            _ => Err(RedirectError::Address),
        },
        "http" if is_loopback(url) => Ok(RedirectKind::Loopback),
        "http" => Err(RedirectError::PlainHttp),
        // RFC 8252 section 7.1: private-use schemes are reverse domain names.
        scheme if scheme.contains('.') || KNOWN_CUSTOM.contains(&text) => Ok(RedirectKind::CustomScheme),
        _ => Err(RedirectError::Scheme),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// Whether a path hides a dot segment or a separator behind an escape.
pub(super) fn encoded_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".." || plain.contains("%2f") || plain.contains("%5c")
    })
}

fn without_port(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    url.set_port(None).ok()?;
    Some(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ok(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_shipped_clients_register_is_accepted() {
        for text in [
            "https://claude.ai/api/mcp/auth_callback",
            "https://claude.com/api/mcp/auth_callback",
            "https://chatgpt.com/connector_platform_oauth_redirect",
            "https://vscode.dev/redirect",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
            "http://127.0.0.1:33418/",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418",
            "http://[::1]:4000/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "com.example.app:/oauth",
        ] {
            ok(text);
        }
    }

    #[test]
    fn dangerous_ones_are_refused() {
        for text in [
            "",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "ftp://a.b/c",
            "http://example.com/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.2/cb",
            "http://2130706433/cb",
            "http://0x7f.1/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "https://user@claude.ai/cb",
            "https://claude.ai/cb#x",
            "https://claude.ai/a/../b",
            "https://claude.ai/a/%2e%2e/b",
            "https://claude.ai/a%2fb",
            "https://*.claude.ai/cb",
            "HTTPS://claude.ai/cb",
            "https://claude.ai:443/cb",
            "https://1.2.3.4/cb",
            "https://[::1]/cb",
            "https://claude.ai./cb",
            "https://localhost/cb",
            "https://foo.localhost/cb",
            "https://intranet/cb",
            "https://claude.ai\\@evil.example/cb",
            "cursor://evil/cb",
            "//claude.ai/cb",
            "/cb",
            "https:claude.ai/cb",
            "https://claude.ai/c b",
            "https://cläude.ai/cb",
            "about:blank",
            "ws://localhost/x",
            "blob:https://a.b/c",
        ] {
            assert!(RedirectUri::parse(text).is_err(), "{text} was accepted");
        }
        assert_eq!(
            RedirectUri::parse(&format!("https://a.b/{}", "x".repeat(2048))),
            Err(RedirectError::Length)
        );
    }

    #[test]
    fn only_the_port_of_loopback_is_free() {
        let registered = ok("http://127.0.0.1/callback");
        assert!(registered.admits(&ok("http://127.0.0.1:49152/callback")));
        assert!(!registered.admits(&ok("http://localhost:49152/callback")));
        assert!(!registered.admits(&ok("http://127.0.0.1:49152/callback/")));
        assert!(!registered.admits(&ok("http://127.0.0.1:49152/callback?x=1")));
        let remote = ok("https://claude.ai/cb");
        assert!(remote.admits(&ok("https://claude.ai/cb")));
        assert!(!remote.admits(&ok("https://claude.ai:8443/cb")));
        assert!(!remote.admits(&ok("https://claude.ai/cb/")));
    }

    #[test]
    fn parameters_are_added_to_what_is_there() {
        assert_eq!(
            ok("https://a.example/cb?x=1").with_query(&[("code", "a b")]),
            "https://a.example/cb?x=1&code=a+b"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,80}") {
            if let Ok(uri) = RedirectUri::parse(&text) {
                prop_assert!(uri.admits(&uri));
                prop_assert!(!uri.as_str().contains('#'));
            }
        }
    }

    proptest! {
        #[test]
        fn a_loopback_uri_admits_every_port_and_nothing_else_that_differs(
            host in prop::sample::select(vec!["127.0.0.1", "[::1]", "localhost"]),
            other in prop::sample::select(vec!["127.0.0.1", "[::1]", "localhost"]),
            path in "/[a-z/]{0,12}",
            query in "(\\?[a-z]=[a-z0-9]{0,4})?",
            port in 1_u16..,
        ) {
            prop_assume!(port != 80);
            let registered = ok(&format!("http://{host}{path}{query}"));
            let [same, elsewhere, deeper, asking] = [
                format!("http://{host}:{port}{path}{query}"),
                format!("http://{other}:{port}{path}{query}"),
                format!("http://{host}:{port}{path}x{query}"),
                format!("http://{host}:{port}{path}?y"),
            ].map(|text| ok(&text));
            prop_assert!(registered.admits(&same));
            prop_assert_eq!(registered.admits(&elsewhere), host == other);
            prop_assert!(!registered.admits(&deeper) && !registered.admits(&asking));
            prop_assume!(port != 443);
            let remote = ok(&format!("https://a.example:{port}{path}{query}"));
            prop_assert!(!ok(&format!("https://a.example{path}{query}")).admits(&remote), "another port");
        }

        #[test]
        fn one_changed_character_makes_another_uri(at in 0_usize..40, by in 1_u8..128) {
            let text = "https://client.example/oauth/callback?x=1";
            let mut bytes = text.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= by;
            if let Ok(uri) = RedirectUri::parse(&String::from_utf8(bytes).unwrap()) {
                prop_assert!(!ok(text).admits(&uri) && !uri.admits(&ok(text)));
            }
        }
    }
}
