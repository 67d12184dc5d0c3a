//! The resource (RFC 8707) that tokens are for: this server, under either of its two MCP paths.

use url::Url;

/// One of our protected resources. A token for either is accepted at both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `<public_url>/mcp`.
    Mcp,
    /// `<public_url>/claude-mcp`.
    ClaudeMcp,
}

impl Resource {
    /// The path of the endpoint, without trailing slash.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Mcp => "/mcp",
            Self::ClaudeMcp => "/claude-mcp",
        }
    }

    /// The canonical resource identifier, compared byte for byte by clients.
    pub fn url(self, issuer: &str) -> String {
        format!("{issuer}{}", self.path())
    }

    /// Reads a `resource` parameter. Absent means `/mcp`; our origin alone is a parent of `/mcp` (RFC 9728 section
    /// 3.3 as clients apply it); scheme and host compare without case, a trailing slash is ignored. `None`: foreign.
    pub fn requested(text: Option<&str>, issuer: &str) -> Option<Self> {
        let Some(text) = text else { return Some(Self::Mcp) };
        let (asked, ours) = (Url::parse(text).ok()?, Url::parse(issuer).ok()?);
        let plain = asked.query().is_none() && asked.fragment().is_none() && asked.username().is_empty();
        if !plain || asked.password().is_some() || asked.origin() != ours.origin() {
            return None;
        }
        match asked.path().strip_suffix('/').unwrap_or(asked.path()) {
            "" | "/mcp" => Some(Self::Mcp),
            "/claude-mcp" => Some(Self::ClaudeMcp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://music.example";

    #[test]
    fn ours_in_every_spelling_and_nothing_else() {
        let asked = |text| Resource::requested(text, ISSUER);
        assert_eq!(asked(None), Some(Resource::Mcp));
        for text in [
            "https://music.example/mcp",
            "https://music.example/mcp/",
            "HTTPS://Music.Example/mcp",
            "https://music.example",
            "https://music.example:443/mcp",
        ] {
            assert_eq!(asked(Some(text)), Some(Resource::Mcp), "{text}");
        }
        assert_eq!(asked(Some("https://music.example/claude-mcp")), Some(Resource::ClaudeMcp));
        for text in [
            "",
            "https://evil.example/mcp",
            "http://music.example/mcp",
            "https://music.example/mcp-other",
            "https://music.example/mcp?x",
            "https://music.example:8443/mcp",
            "https://u@music.example/mcp",
            "mcp",
        ] {
            assert_eq!(asked(Some(text)), None, "{text}");
        }
    }
}
