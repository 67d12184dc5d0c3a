//! Whose and which credentials an operator ends, and until when they were issued. Everything is never the default: it
//! is asked for by its name.

use std::time::Duration;

use crate::ambient::Timestamp;

use super::{ClientId, SessionId, UserId};

/// Which credentials: those to which every part applies that is given. A part that a kind of credential does not have
/// (an API key belongs to no client) leaves that kind out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    user: Option<UserId>,
    client: Option<ClientId>,
    session: Option<SessionId>,
    issued_before: Option<Timestamp>,
}

/// The parts of a selection; none: nothing was selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// This person's.
    pub user: Option<UserId>,
    /// This OAuth client's.
    pub client: Option<ClientId>,
    /// This one session, of a browser or of a 2025-era client.
    pub session: Option<SessionId>,
    /// Issued before this. What is renewed counts from its beginning: whoever has stolen a refresh token has its successors.
    pub issued_before: Option<Timestamp>,
}

impl Selection {
    /// Everything that anybody holds.
    pub const fn everything() -> Self {
        Self { user: None, client: None, session: None, issued_before: None }
    }

    /// All that one person holds.
    pub const fn of(user: UserId) -> Self {
        Self { user: Some(user), client: None, session: None, issued_before: None }
    }

    /// All that anybody gave to one client.
    pub const fn at(client: ClientId) -> Self {
        Self { user: None, client: Some(client), session: None, issued_before: None }
    }

    /// What all the given parts apply to; `None` where none is given.
    pub fn narrowed(parts: Parts) -> Option<Self> {
        let given = parts != Parts::default();
        let Parts { user, client, session, issued_before } = parts;
        given.then_some(Self { user, client, session, issued_before })
    }

    /// Whether it is everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::everything()
    }

    /// Whose alone.
    pub const fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// Which client's alone.
    pub const fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    /// Which session alone.
    pub const fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Only what was issued before.
    pub const fn issued_before(&self) -> Option<Timestamp> {
        self.issued_before
    }

    /// Whether API keys and linked accounts can be among it: they belong to no client and to no session.
    pub const fn reaches_keys_and_links(&self) -> bool {
        self.client.is_none() && self.session.is_none()
    }
}

/// Why a text is no instant to select by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoInstant {
    /// Neither form.
    #[error("write an instant such as 2026-11-21T04:00:00Z, or an age such as 45s, 30m, 2h or 7d")]
    Form,
    /// Nothing was issued then.
    #[error("that instant is still to come")]
    Future,
}

/// The longest age: what is older has gone by itself.
const LONGEST: u64 = 3_650 * 86_400;

/// Reads RFC 3339, or an age before `now`.
///
/// # Errors
/// [`NoInstant`].
pub fn instant(text: &str, now: Timestamp) -> Result<Timestamp, NoInstant> {
    let at = match age(text) {
        Some(age) => now.minus(age),
        None => Timestamp::parse_rfc3339(text).ok_or(NoInstant::Form)?,
    };
    if at > now { Err(NoInstant::Future) } else { Ok(at) }
}

fn age(text: &str) -> Option<Duration> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let number: u64 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    number.checked_mul(unit).filter(|secs| *secs <= LONGEST).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_233_600);

    #[test]
    fn nothing_given_is_nothing_selected_and_never_everything() {
        assert_eq!(Selection::narrowed(Parts::default()), None);
        let of =
            Selection::narrowed(Parts { user: Some(UserId::mint([1; 16])), ..Parts::default() }).unwrap();
        assert!(!of.is_everything() && of == Selection::of(UserId::mint([1; 16])));
        assert!(Selection::everything().is_everything() && Selection::everything().reaches_keys_and_links());
        let session = Parts { session: Some(SessionId::mint([1; 16])), ..Parts::default() };
        assert!(!Selection::narrowed(session).unwrap().reaches_keys_and_links());
    }

    #[test]
    fn an_instant_is_a_time_or_an_age_and_never_to_come() {
        assert_eq!(instant("2h", NOW), Ok(Timestamp::from_secs(NOW.secs() - 7_200)));
        assert_eq!(instant("0s", NOW), Ok(NOW));
        assert_eq!(instant("7d", NOW).unwrap().secs(), NOW.secs() - 7 * 86_400);
        assert_eq!(instant("2026-11-21T05:00:00+01:00", NOW), Ok(NOW));
        assert_eq!(instant("2026-11-21T04:00:00.001Z", NOW), Err(NoInstant::Future));
        for wrong in ["", "h", "2", "-2h", "1.5h", "2 h", "3651d", "99999999999999999999s", "yesterday", "2é"]
        {
            assert_eq!(instant(wrong, NOW), Err(NoInstant::Form), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,40}") {
            if let Ok(at) = instant(&text, NOW) {
                prop_assert!(at <= NOW);
            }
        }
    }
}
