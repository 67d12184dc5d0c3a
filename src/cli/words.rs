//! The words of a command line before anything else is made of them. Never: a credential of ours as an id, a reason or
//! anything else that would be repeated on a terminal, kept in the trail or in a report. Whoever lists the processes of
//! this machine sees arguments too.

use std::ffi::OsStr;

use super::output::Refused;
use crate::crypto::token::TokenKind;

/// So many characters behind a prefix are no accident: a third of the shortest of ours.
const TELLING: usize = 16;

/// Kinds that have a prefix, with what they are called.
const KINDS: [(TokenKind, &str); 7] = [
    (TokenKind::Access, "an access token"),
    (TokenKind::Refresh, "a refresh token"),
    (TokenKind::Code, "an authorization code"),
    (TokenKind::ClientSecret, "a client secret"),
    (TokenKind::BrowserSession, "the cookie of a browser session"),
    (TokenKind::ApiKey, "an API key"),
    (TokenKind::McpSession, "an Mcp-Session-Id"),
];

/// Refuses words that hold a credential of ours, without repeating it. An `Mcp-Session-Id` may stand behind
/// `revoke-sessions --session`, which is there to end it.
pub(super) fn check<'a>(words: impl Iterator<Item = &'a OsStr> + Clone) -> Result<(), Refused> {
    let ends_sessions = words.clone().any(|word| word == "revoke-sessions");
    let mut before = String::new();
    for word in words {
        let word = word.to_string_lossy();
        let ends_it = ends_sessions && (before == "--session" || word.starts_with("--session="));
        if let Some((kind, called)) = KINDS.iter().find(|(kind, _)| holds(&word, *kind))
            && !(ends_it && *kind == TokenKind::McpSession)
        {
            return Err(Refused::usage(
                "SECRET_INSTEAD_OF_ID",
                format!(
                    "one of these words is {called}, and others on this machine can see them; nothing was done"
                ),
                "give an id instead (ak_..., s_..., c_..., u_...), and end what was shown: 'api-keys revoke', or \
                 'revoke-sessions'",
            ));
        }
        before = word.into_owned();
    }
    Ok(())
}

/// Whether a word holds the prefix of this kind with what may be a secret behind it, whole or cut off.
fn holds(word: &str, kind: TokenKind) -> bool {
    word.match_indices(kind.prefix()).any(|(at, prefix)| {
        let body = word[at + prefix.len()..].bytes();
        body.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count() >= TELLING
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::crypto::token::Token;

    fn refused(words: &[&str]) -> Option<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        check(words.iter().map(OsString::as_os_str)).err().map(|refused| refused.message().to_owned())
    }

    #[test]
    fn credentials_of_every_kind_are_found_wherever_they_stand() {
        for (kind, called) in KINDS {
            let token = Token::mint(kind, &[9; 32]);
            for word in [token.expose().to_owned(), format!("--reason=it was {} of ada", token.expose())] {
                let said = refused(&["users", "delete", &word]).unwrap_or_default();
                assert!(said.contains(called) && !said.contains(token.expose()), "{said}");
            }
            // Cut off, as a list or a mistaken copy shows it.
            assert!(refused(&["users", "show", &token.expose()[..30]]).is_some());
        }
    }

    #[test]
    fn what_lists_show_of_a_key_and_ids_are_no_credentials() {
        let key = Token::mint(TokenKind::ApiKey, &[9; 32]);
        let id = format!("u_{}", "ab".repeat(16));
        for word in [&key.expose()[..crate::domain::api_key::SHOWN], &id, "smcp_", "the key smcp_... is lost"]
        {
            assert_eq!(refused(&["users", "show", word]), None, "{word}");
        }
    }

    #[test]
    fn a_session_is_ended_by_its_own_id_and_by_nothing_else() {
        let session = Token::mint(TokenKind::McpSession, &[9; 32]);
        let attached = format!("--session={}", session.expose());
        assert_eq!(refused(&["revoke-sessions", "--session", session.expose()]), None);
        assert_eq!(refused(&["revoke-sessions", &attached]), None);
        assert!(refused(&["revoke-sessions", "--reason", session.expose()]).is_some());
        assert!(refused(&["audit", "query", "--session", session.expose()]).is_some());
        let access = Token::mint(TokenKind::Access, &[9; 32]);
        assert!(refused(&["revoke-sessions", "--session", access.expose()]).is_some());
    }
}
