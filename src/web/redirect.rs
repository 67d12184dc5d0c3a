//! A redirect URI taken apart so that a person can judge it: the host, or the scheme of an app, stands out
//! (mcp.md C12). What kind of place it is, [`RedirectUri`] has decided.

use super::Untrusted;
use crate::domain::redirect::{RedirectKind, RedirectUri};

/// The exact URI in three parts, the middle one to be emphasised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownRedirect {
    /// `https://`; absent under a private-use scheme.
    pub(super) before: Option<Untrusted>,
    /// Host and port, never cut; or the scheme with its colon.
    pub(super) strong: Untrusted,
    /// The rest, cut where it is very long.
    pub(super) after: Option<Untrusted>,
}

/// The URI itself is at most 2,048 characters: a limit under which no host is cut.
const WHOLE: usize = 2048;
const REST: usize = 400;

impl ShownRedirect {
    pub(super) fn of(uri: &RedirectUri) -> Self {
        let (before, strong, after) = split(uri);
        let after = (!after.is_empty()).then(|| Untrusted::capped(after, REST));
        let before = (!before.is_empty()).then(|| Untrusted::capped(before, WHOLE));
        Self { before, strong: Untrusted::capped(strong, WHOLE), after }
    }
}

/// Splits the text as it stands: it is canonical and has no user information, so the authority ends at the first
/// slash or question mark.
fn split(uri: &RedirectUri) -> (&str, &str, &str) {
    let text = uri.as_str();
    if uri.kind() == RedirectKind::CustomScheme {
        let (scheme, rest) = text.split_at(text.find(':').map_or(text.len(), |colon| colon + 1));
        return ("", scheme, rest);
    }
    let (scheme, rest) = text.split_at(text.find("//").map_or(0, |slashes| slashes + 2));
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    (scheme, authority, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str) -> [String; 3] {
        let shown = ShownRedirect::of(&RedirectUri::parse(uri).unwrap());
        let text = |part: Option<Untrusted>| part.map(|part| part.text().to_owned()).unwrap_or_default();
        [text(shown.before), shown.strong.text().to_owned(), text(shown.after)]
    }

    #[test]
    fn the_host_stands_alone_and_the_parts_are_the_whole() {
        for (uri, strong) in [
            ("https://claude.ai/api/cb?x=1", "claude.ai"),
            ("https://claude.ai.evil.example/https://claude.ai", "claude.ai.evil.example"),
            ("https://client.example:8443", "client.example:8443"),
            ("https://client.example/?a=//other.example", "client.example"),
            ("http://127.0.0.1:3334/cb", "127.0.0.1:3334"),
            ("http://[::1]:1/", "[::1]:1"),
            ("http://localhost/callback", "localhost"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            let parts = parts(uri);
            assert_eq!(parts[1], strong);
            assert_eq!(parts.concat(), uri);
        }
    }

    #[test]
    fn a_host_is_never_cut_and_a_path_is() {
        let host = format!("{}.example", vec!["a".repeat(60); 4].join("."));
        let [_, shown, after] = parts(&format!("https://{host}/{}", "p".repeat(1_700)));
        assert_eq!(shown, host);
        assert!(after.chars().count() == REST + 1 && after.ends_with('…'));
    }
}
