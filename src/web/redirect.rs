//! Where a client wants the answer sent, taken apart so that a person can judge it: the host stands out, and what
//! kind of place it is gets said (mcp.md C12, C13, S10).

use url::{Host, Position, Url};

use super::Untrusted;

/// What kind of place a redirect URI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// A site, reached over https.
    Site,
    /// Whatever program listens on this computer; nothing proves which.
    Loopback,
    /// An app registered on this computer under a scheme of its own; any program may register it.
    PrivateScheme,
}

/// A redirect URI in three parts, the middle one to be emphasised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRedirect {
    /// What kind of place it is.
    pub kind: RedirectKind,
    /// `https://`; absent under a private-use scheme.
    pub before: Option<Untrusted>,
    /// Host and port, in the ASCII form, where an imitation of another script's letters shows.
    pub host: Untrusted,
    /// Path and query, possibly empty.
    pub after: Option<Untrusted>,
}

/// DNS allows 253 characters and the port takes six: a host is never cut.
const HOST: usize = 260;
const REST: usize = 400;

impl ShownRedirect {
    /// Takes the URI apart. It has been proven to be the client's before: this only shows it.
    pub fn of(uri: &str) -> Self {
        match Url::parse(uri) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::web(&url),
            _ => Self::private(uri),
        }
    }

    fn web(url: &Url) -> Self {
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let after = &url[Position::AfterPort..];
        Self {
            kind: if loopback { RedirectKind::Loopback } else { RedirectKind::Site },
            before: Some(Untrusted::capped(&url[..Position::BeforeHost], HOST)),
            host: Untrusted::capped(&url[Position::BeforeHost..Position::AfterPort], HOST),
            after: (!after.is_empty()).then(|| Untrusted::capped(after, REST)),
        }
    }

    /// `cursor://anysphere.cursor-mcp/oauth/callback`: the scheme names the program.
    fn private(uri: &str) -> Self {
        let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
        Self {
            kind: RedirectKind::PrivateScheme,
            before: None,
            host: Untrusted::capped(&format!("{scheme}:"), HOST),
            after: (!rest.is_empty()).then(|| Untrusted::capped(rest, REST)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str) -> (RedirectKind, String, String, String) {
        let shown = ShownRedirect::of(uri);
        let text = |part: Option<Untrusted>| part.map(|part| part.text().to_owned()).unwrap_or_default();
        (shown.kind, text(shown.before), shown.host.text().to_owned(), text(shown.after))
    }

    fn expect(uri: &str, kind: RedirectKind, before: &str, host: &str, after: &str) {
        assert_eq!(parts(uri), (kind, before.to_owned(), host.to_owned(), after.to_owned()), "{uri}");
    }

    #[test]
    fn the_host_stands_alone() {
        use RedirectKind::{Loopback, PrivateScheme, Site};
        expect("https://claude.ai/api/cb?x=1", Site, "https://", "claude.ai", "/api/cb?x=1");
        expect("http://127.0.0.1:3334/cb", Loopback, "http://", "127.0.0.1:3334", "/cb");
        expect("http://[::1]:1/", Loopback, "http://", "[::1]:1", "/");
        expect("http://localhost/callback", Loopback, "http://", "localhost", "/callback");
        expect("cursor://anysphere.cursor-mcp/cb", PrivateScheme, "", "cursor:", "//anysphere.cursor-mcp/cb");
    }

    #[test]
    fn imitations_show() {
        // A user name that looks like a host, a Cyrillic a, a label that is not the domain.
        expect(
            "https://claude.ai@evil.example/",
            RedirectKind::Site,
            "https://claude.ai@",
            "evil.example",
            "/",
        );
        assert_eq!(parts("https://cl\u{430}ude.ai/").2, "xn--clude-5ve.ai");
        assert_eq!(parts("http://127.0.0.1.evil.example/").0, RedirectKind::Site);
        assert_eq!(parts("http://localhost.evil.example/").0, RedirectKind::Site);
    }

    #[test]
    fn a_host_is_never_cut_and_a_path_is() {
        let host = format!("{}.example", vec!["a".repeat(60); 4].join("."));
        let (_, _, shown, after) = parts(&format!("https://{host}/{}", "p".repeat(10_000)));
        assert_eq!(shown, host);
        assert!(after.chars().count() == REST + 1 && after.ends_with('…'));
    }
}
