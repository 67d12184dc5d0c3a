//! `WWW-Authenticate` challenges of the MCP endpoints (RFC 6750 section 3, RFC 9728 section 5.1).
//!
//! Older clients split this header at every comma and `=`: no commas and no `=` inside quoted values.

use crate::domain::ScopeSet;
use crate::domain::resource::Resource;

use super::metadata;

/// What a 401 or 403 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// No credential was presented: a bare challenge (RFC 6750 section 3.1).
    Missing,
    /// One was, and is not good.
    InvalidToken,
    /// A signature was missing or is not good: this advice, without commas, equals signs and quotation marks.
    Signature(&'static str),
    /// One was, and lacks these scopes.
    InsufficientScope(ScopeSet),
}

impl Challenge {
    /// The header's value.
    pub fn header(self, issuer: &str, resource: Resource) -> String {
        let metadata = metadata::protected_resource_url(issuer, resource);
        match self {
            Self::Missing => format!("Bearer resource_metadata=\"{metadata}\", scope=\"{}\"", ScopeSet::ALL),
            Self::InvalidToken => format!(
                "Bearer error=\"invalid_token\", error_description=\"The access token is unknown or has expired or \
                 was revoked\", resource_metadata=\"{metadata}\", scope=\"{}\"",
                ScopeSet::ALL
            ),
            Self::Signature(advice) => format!(
                "Bearer error=\"invalid_token\", error_description=\"{advice}\", \
                 resource_metadata=\"{metadata}\", scope=\"{}\"",
                ScopeSet::ALL
            ),
            Self::InsufficientScope(needed) => format!(
                "Bearer error=\"insufficient_scope\", error_description=\"The access token does not allow this \
                 call\", scope=\"{needed}\", resource_metadata=\"{metadata}\""
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_presented_credential_gets_an_error() {
        let header = |challenge: Challenge| challenge.header("https://m.example", Resource::Mcp);
        assert_eq!(
            header(Challenge::Missing),
            "Bearer resource_metadata=\"https://m.example/.well-known/oauth-protected-resource/mcp\", scope=\"read write player\""
        );
        assert!(header(Challenge::InvalidToken).contains("error=\"invalid_token\""));
        let narrow = header(Challenge::InsufficientScope(ScopeSet::known("player")));
        assert!(narrow.contains("error=\"insufficient_scope\"") && narrow.contains("scope=\"player\""));
    }

    #[test]
    fn no_quoted_value_holds_a_comma_or_an_equals_sign() {
        for challenge in
            [Challenge::Missing, Challenge::InvalidToken, Challenge::InsufficientScope(ScopeSet::ALL)]
        {
            let header = challenge.header("https://m.example", Resource::ClaudeMcp);
            let quoted = header.split('"').skip(1).step_by(2);
            assert!(quoted.clone().all(|value| !value.contains([',', '='])), "{header}");
        }
    }
}
