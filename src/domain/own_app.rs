//! A person's own Spotify app, as they type it: its client id, and its secret where they give one.
//!
//! Never says what was typed.

use std::fmt;

use crate::crypto::SecretString;

/// The page on which somebody who is not logged in brings one.
pub const PAGE: &str = "/auth/own-app";

/// Where an account is linked; `?again=` names one that is linked anew.
pub const LINK: &str = "/account/link";

/// How many hexadecimal digits Spotify's client ids have.
const ID_DIGITS: usize = 32;

/// Longest secret taken; Spotify's have 32 characters.
const LONGEST_SECRET: usize = 128;

/// What a person typed, in the form of an app's id and secret.
#[derive(Clone)]
pub struct OwnApp {
    /// The client id, in small letters.
    pub client_id: String,
    /// The secret; PKCE is used with and without it.
    pub client_secret: Option<SecretString>,
}

impl fmt::Debug for OwnApp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("OwnApp(..)")
    }
}

/// Why it is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadOwnApp {
    /// The client id does not have the form of one.
    IdForm,
    /// The secret does not have the form of one.
    SecretForm,
    /// There is a secret and no client id.
    SecretAlone,
    /// The client id is one of the operator's apps, which nobody has to bring.
    Operators,
    /// Spotify knows no app of that client id.
    IdUnknown,
    /// Spotify knows the app, and the secret is not its.
    SecretWrong,
}

impl BadOwnApp {
    /// Each of them, for previews and tests.
    pub const ALL: [Self; 6] = [
        Self::IdForm,
        Self::SecretForm,
        Self::SecretAlone,
        Self::Operators,
        Self::IdUnknown,
        Self::SecretWrong,
    ];
}

impl OwnApp {
    /// Reads both fields of a form; `None` where they were left empty. Blanks around them do not count.
    ///
    /// # Errors
    /// [`BadOwnApp`].
    pub fn parse(client_id: &str, client_secret: &str) -> Result<Option<Self>, BadOwnApp> {
        let (id, secret) = (client_id.trim(), client_secret.trim());
        if id.is_empty() {
            return if secret.is_empty() { Ok(None) } else { Err(BadOwnApp::SecretAlone) };
        }
        if id.len() != ID_DIGITS || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadOwnApp::IdForm);
        }
        if secret.len() > LONGEST_SECRET || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadOwnApp::SecretForm);
        }
        let client_secret = Some(secret).filter(|secret| !secret.is_empty()).map(SecretString::new);
        Ok(Some(Self { client_id: id.to_ascii_lowercase(), client_secret }))
    }
}

/// Whether somebody new may come by an app of their own where anybody may sign up. Where the operator did not say that
/// anybody may, Spotify's list of the operator's app is what guards the door, and theirs would be a way around it.
pub const fn opens_the_door(signup_is_said: bool, in_development: bool) -> bool {
    signup_is_said || in_development
}

/// What whoever has no place in an app of the operator's may do with an app of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bring {
    /// Nothing.
    #[default]
    Nothing,
    /// Log in by it, where their account here stands on it already; somebody new is not let in by one.
    LogInBy,
    /// Come by one, or link an account through it.
    One,
}

impl Bring {
    /// What to offer to somebody of whom it is known, or not, whether they are here already.
    pub const fn offered(anybody_may: bool, newcomers_may: bool, is_here: Option<bool>) -> Self {
        match (anybody_may, newcomers_may, is_here) {
            (false, ..) | (true, false, Some(false)) => Self::Nothing,
            (true, true, _) | (true, false, Some(true)) => Self::One,
            (true, false, None) => Self::LogInBy,
        }
    }
}

/// A client id as it may be shown: Spotify's terms treat it as a security code.
pub fn shortened(client_id: &str) -> String {
    let digits: Vec<char> = client_id.chars().collect();
    let kept = digits.len().min(4);
    format!("…{}", digits[digits.len() - kept..].iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn an_id_has_32_digits_and_a_secret_no_blanks() {
        let app = OwnApp::parse(&format!(" {} ", ID.to_uppercase()), " s3cret ").unwrap().unwrap();
        assert_eq!((app.client_id.as_str(), app.client_secret.unwrap().expose()), (ID, "s3cret"));
        assert!(OwnApp::parse(ID, " ").unwrap().unwrap().client_secret.is_none());
        assert!(OwnApp::parse(" ", "").unwrap().is_none());
        let refused = |id: &str, secret: &str| OwnApp::parse(id, secret).err();
        for id in ["x", &ID[1..], &format!("{ID}0"), &ID.replace('a', "g"), &ID.replace('a', " "), "é"] {
            assert_eq!(refused(id, ""), Some(BadOwnApp::IdForm), "{id}");
        }
        for secret in ["a b", "a\nb", "a\u{7f}", "é", &"x".repeat(LONGEST_SECRET + 1)] {
            assert_eq!(refused(ID, secret), Some(BadOwnApp::SecretForm), "{secret}");
        }
        assert_eq!(refused("", "x"), Some(BadOwnApp::SecretAlone));
    }

    #[test]
    fn outside_of_development_the_operator_has_to_say_that_anybody_may_come() {
        assert!(!opens_the_door(false, false));
        assert!(opens_the_door(true, false) && opens_the_door(false, true));
    }

    #[test]
    fn who_is_let_in_by_one_is_offered_one() {
        for (newcomers_may, is_here, offered) in [
            (true, Some(false), Bring::One),
            (true, None, Bring::One),
            (false, Some(true), Bring::One),
            (false, None, Bring::LogInBy),
            (false, Some(false), Bring::Nothing),
        ] {
            assert_eq!(Bring::offered(true, newcomers_may, is_here), offered);
            assert_eq!(Bring::offered(false, newcomers_may, is_here), Bring::Nothing);
        }
    }

    #[test]
    fn four_digits_are_shown() {
        assert_eq!(shortened(ID), "…cdef");
        assert_eq!(shortened("é"), "…é");
    }
}
