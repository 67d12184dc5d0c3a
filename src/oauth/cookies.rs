//! Our cookies: `__Host-` and `Secure` on https, plain names on loopback http; HttpOnly, SameSite=Lax always.
//!
//! | cookie | holds | lives |
//! |---|---|---|
//! | `smcp-session` | the browser session's token | as long as the session |
//! | `smcp-browser-<8 hex>` | a random name of this browser, which forms are bound to | one year |
//! | `smcp-login-<8 hex>` | the secret of one login in progress | as long as the login |

use std::time::Duration;

use crate::crypto::token::{Token, TokenHash, TokenKind};

const SESSION: &str = "smcp-session";
const BROWSER: &str = "smcp-browser-";
const LOGIN: &str = "smcp-login-";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Most cookies looked at in a request.
const MOST: usize = 64;

/// Logins in progress that one browser keeps, beside the one that begins: browsers keep some 180 cookies of a site, we
/// look at 64, and whoever makes a browser begin logins must not push the person's own out.
const MOST_LOGINS: usize = 8;

/// Most logins that one answer ends: proxies bound an answer's headers.
const MOST_ENDED: usize = 16;

/// Most names of one browser looked at: it gets a second one only where two first requests overlapped.
const MOST_NAMES: usize = 8;

/// The cookies of ours that a request carries.
#[derive(Clone, Debug, Default)]
pub struct Cookies {
    /// The browser session.
    pub session: Option<Token>,
    browsers: Vec<Token>,
    logins: Vec<(String, Token)>,
}

impl Cookies {
    /// Reads `Cookie` headers. Only names of the present form count: on https none without `__Host-`, which no
    /// sibling domain can set.
    pub fn parse<'a>(headers: impl Iterator<Item = &'a str>, https: bool) -> Self {
        let mut cookies = Self::default();
        for pair in headers.flat_map(|header| header.split(';')).take(MOST) {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let name = match (name.strip_prefix("__Host-"), https) {
                (Some(name), true) => name,
                (None, false) => name,
                _ => continue,
            };
            match name {
                SESSION => cookies.session = Token::parse(TokenKind::BrowserSession, value),
                _ => cookies.take_handle(name, value),
            }
        }
        cookies
    }

    fn take_handle(&mut self, name: &str, value: &str) {
        let Some(token) = Token::parse(TokenKind::Handle, value) else { return };
        if let Some(which) = name.strip_prefix(LOGIN).filter(|which| is_which(which)) {
            self.logins.push((which.to_owned(), token));
        } else if name.strip_prefix(BROWSER) == Some(which(token.hash()).as_str())
            && self.browsers.len() < MOST_NAMES
        {
            self.browsers.push(token);
        }
    }

    /// The browser's names, the one to use for new forms first. Mostly one; two where two tabs were opened at once in a
    /// browser that had none, and then the forms of both must work.
    pub fn browsers(&self) -> impl Iterator<Item = &Token> {
        self.browsers.iter()
    }

    /// The secret of the login with this state.
    pub fn login(&self, state: TokenHash) -> Option<&Token> {
        let which = which(state);
        self.logins.iter().find(|(name, _)| *name == which).map(|(_, token)| token)
    }
}

/// `Set-Cookie`s for a login that begins, and the end of the oldest where there are many: browsers send older cookies
/// first (RFC 6265 section 5.4). One cookie per login, so that two tabs do not disturb each other.
pub fn set_login(
    state: TokenHash,
    token: &Token,
    lifetime: Duration,
    (before, https): (&Cookies, bool),
) -> Vec<String> {
    let login = set(&format!("{LOGIN}{}", which(state)), token.expose(), lifetime, https);
    let surplus = before.logins.len().saturating_sub(MOST_LOGINS).min(MOST_ENDED);
    let ended = before.logins.iter().take(surplus);
    let ended = ended.map(|(which, _)| set(&format!("{LOGIN}{which}"), "", Duration::ZERO, https));
    std::iter::once(login).chain(ended).collect()
}

/// `Set-Cookie` for a new browser session.
pub fn set_session(token: &Token, lifetime: Duration, https: bool) -> String {
    set(SESSION, token.expose(), lifetime, https)
}

/// `Set-Cookie` that ends the browser session.
pub fn clear_session(https: bool) -> String {
    set(SESSION, "", Duration::ZERO, https)
}

/// `Set-Cookie` for the browser's name.
pub fn set_browser(token: &Token, https: bool) -> String {
    set(&format!("{BROWSER}{}", which(token.hash())), token.expose(), YEAR, https)
}

/// `Set-Cookie` that ends a login.
pub fn clear_login(state: TokenHash, https: bool) -> String {
    set(&format!("{LOGIN}{}", which(state)), "", Duration::ZERO, https)
}

fn which(state: TokenHash) -> String {
    state.as_bytes()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_which(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn set(name: &str, value: &str, lifetime: Duration, https: bool) -> String {
    let (prefix, secure) = if https { ("__Host-", "; Secure") } else { ("", "") };
    format!("{prefix}{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", lifetime.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_set_is_read_back_on_the_same_scheme_only() {
        let session = Token::mint(TokenKind::BrowserSession, &[1; 32]);
        let cookie = |https| set_session(&session, Duration::from_secs(60), https);
        let sent = |https| cookie(https).split(';').next().unwrap().to_owned();
        for https in [true, false] {
            let sent = sent(https);
            assert!(Cookies::parse([sent.as_str()].into_iter(), https).session.is_some());
            assert!(Cookies::parse([sent.as_str()].into_iter(), !https).session.is_none());
        }
        assert!(cookie(true).ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"));
    }

    #[test]
    fn overlapping_first_requests_name_a_browser_twice_and_both_count() {
        let tokens = [1, 2].map(|seed| Token::mint(TokenKind::Handle, &[seed; 32]));
        let sent = |token: &Token| set_browser(token, false).split(';').next().unwrap().to_owned();
        let both = format!("{}; {}", sent(&tokens[0]), sent(&tokens[1]));
        let hashes = |sent: &str| {
            let cookies = Cookies::parse([sent].into_iter(), false);
            cookies.browsers().map(|token| token.hash()).collect::<Vec<_>>()
        };
        assert!(hashes(&both) == tokens.each_ref().map(Token::hash));
        let foreign = sent(&tokens[0]).replace(tokens[0].expose(), tokens[1].expose());
        assert!(hashes(&foreign).is_empty(), "a name's cookie holds that name");
        assert!(hashes(&format!("{both}; ").repeat(40)).len() == MOST_NAMES);
    }

    #[test]
    fn each_login_has_its_own() {
        let (one, two) = (TokenHash::of("one"), TokenHash::of("two"));
        let token = Token::mint(TokenKind::Handle, &[2; 32]);
        let life = Duration::from_secs(300);
        let sent = set_login(one, &token, life, (&Cookies::default(), false));
        let cookies = Cookies::parse([sent[0].split(';').next().unwrap()].into_iter(), false);
        assert!(sent.len() == 1 && cookies.login(one).is_some());
        assert!(cookies.login(two).is_none());
        let foreign = format!("{LOGIN}x Domain=a={}", token.expose());
        assert!(Cookies::parse([foreign.as_str()].into_iter(), false).logins.is_empty());
    }

    #[test]
    fn of_very_many_logins_the_oldest_end_some_at_a_time() {
        let token = Token::mint(TokenKind::Handle, &[2; 32]);
        let states: Vec<_> = (0..40).map(|n| TokenHash::of(&n.to_string())).collect();
        let ended_after = |begun: usize| {
            let names =
                states[..begun].iter().map(|state| format!("{LOGIN}{}={}", which(*state), token.expose()));
            let cookies = Cookies::parse([names.collect::<Vec<_>>().join("; ").as_str()].into_iter(), false);
            let sent = set_login(TokenHash::of("new"), &token, Duration::from_secs(300), (&cookies, false));
            assert!(!sent[0].contains("Max-Age=0"));
            sent[1..].to_vec()
        };
        assert!(ended_after(8).is_empty());
        assert_eq!(ended_after(10), [clear_login(states[0], false), clear_login(states[1], false)]);
        assert_eq!(ended_after(40).len(), MOST_ENDED);
    }

    proptest! {
        #[test]
        fn ours_are_found_among_any_others_and_only_under_their_name(
            random: [u8; 32], before in "[ -:<-~]{0,40}", after in "[ -~]{0,40}", https: bool
        ) {
            let token = Token::mint(TokenKind::BrowserSession, &random);
            let prefix = if https { "__Host-" } else { "" };
            prop_assume!(!before.contains(SESSION) && !after.contains(SESSION));
            let header = format!("{before};{prefix}smcp-session={};{after}", token.expose());
            let found = Cookies::parse([header.as_str()].into_iter(), https).session;
            prop_assert_eq!(found.map(|token| token.hash()), Some(token.hash()));
            prop_assert!(Cookies::parse([header.as_str()].into_iter(), !https).session.is_none());
            let other = header.replace("smcp-session", "smcp-sessions");
            prop_assert!(Cookies::parse([other.as_str()].into_iter(), https).session.is_none());
        }
    }
}
