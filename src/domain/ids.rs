//! Identifiers: a prefix that tells the kind and 128 random bits in hexadecimal. Never secret, never guessable.

use std::fmt;

/// Why a text is not an identifier of the kind asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not {kind}: expected '{prefix}' followed by 32 hexadecimal digits")]
pub struct NotAnId {
    kind: &'static str,
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A fresh identifier from 16 random bytes.
            pub fn mint(random: [u8; 16]) -> Self {
                let mut text = String::with_capacity($prefix.len() + 32);
                text.push_str($prefix);
                push_hex(&mut text, &random);
                Self(text)
            }

            /// The text, prefix included.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                match text.strip_prefix($prefix) {
                    Some(body) if is_hex(body) => Ok(Self(text.to_owned())),
                    _ => Err(NotAnId { kind: $kind, prefix: $prefix }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A person, `u_...`.
    UserId, "u_", "a user id";
    /// One linked Spotify account of a person, `l_...`.
    LinkId, "l_", "a linked-account id";
    /// A one-time page on which a person links another Spotify account, `lp_...`.
    LinkPageId, "lp_", "a link page's id";
    /// A registered Spotify app (a client id at Spotify), `a_...`.
    AppId, "a_", "a Spotify app id";
    /// What a person granted to a client: the family of its tokens, `g_...`.
    GrantId, "g_", "a grant id";
    /// A browser session or a 2025-era MCP session, `s_...`.
    SessionId, "s_", "a session id";
    /// A person's data key, `k_...`.
    DataKeyId, "k_", "a data key id";
    /// An OAuth client that registered dynamically, `c_...`.
    DynamicClientId, "c_", "a client id";
    /// An API key's public id, `ak_...`.
    ApiKeyId, "ak_", "an API key id";
    /// An audit event, `e_...`.
    EventId, "e_", "an event id";
    /// A backup, `b_...`.
    BackupId, "b_", "a backup id";
    /// An alert, `al_...`.
    AlertId, "al_", "an alert id";
    /// A request, for matching an error page with the log, `r_...`.
    RequestId, "r_", "a request id";
    /// A rotation of keys, `rot_...`.
    RotationId, "rot_", "a rotation id";
    /// An emergency, `em_...`.
    EmergencyId, "em_", "an emergency id";
    /// An incident that is responded to, `inc_...`.
    IncidentId, "inc_", "an incident id";
    /// A change that a tool made and that may be undone, `ch_...`.
    ChangeId, "ch_", "a change id";
    /// A plan of a change that waits to be applied, `pl_...`.
    PlanId, "pl_", "a plan id";
    /// A question that waits for a person's reply, `qn_...`.
    QuestionId, "qn_", "a question's id";
}

/// An OAuth `client_id` as presented: ours (`c_...`), configured, or a metadata document's URL.
/// At most 512 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Accepts 1 to 512 visible ASCII characters (RFC 6749 appendix A.1 allows no more).
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it claims to be a URL, as no id that we mint does: only a metadata document can describe it.
    pub fn is_url(&self) -> bool {
        self.0.contains("://") || self.0.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"))
    }
}

impl From<DynamicClientId> for ClientId {
    fn from(id: DynamicClientId) -> Self {
        Self(id.0)
    }
}

/// An API key stands where a client stands: in the trail, for limits, for the sessions of its caller.
impl From<ApiKeyId> for ClientId {
    fn from(id: ApiKeyId) -> Self {
        Self(id.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// By hand: every request mints two ids, and `{:02x}` costs thirty times as much.
fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.map(|half| char::from(DIGITS[usize::from(half)])));
}

impl DataKeyId {
    /// The 16 bytes that stand in envelopes.
    pub fn key_id(&self) -> crate::crypto::keys::KeyId {
        key_id(&self.0[2..])
    }
}

impl ChangeId {
    /// The 16 bytes that stand in the envelopes under its own key.
    pub fn key_id(&self) -> crate::crypto::keys::KeyId {
        key_id(&self.0[3..])
    }
}

fn key_id(digits: &str) -> crate::crypto::keys::KeyId {
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(text, 16).unwrap_or_default();
    }
    crate::crypto::keys::KeyId::new(bytes)
}

fn is_hex(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_kind() {
        let id = UserId::mint([0xab; 16]);
        assert_eq!(id.as_str(), format!("u_{}", "ab".repeat(16)));
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert!(id.as_str().parse::<LinkId>().is_err());
        assert!("u_AB".parse::<UserId>().is_err());
    }

    #[test]
    fn a_data_key_id_gives_its_bytes_back() {
        assert_eq!(DataKeyId::mint([0xc3; 16]).key_id().as_bytes(), &[0xc3; 16]);
        assert_eq!(ChangeId::mint([0x5a; 16]).key_id().as_bytes(), &[0x5a; 16]);
    }

    #[test]
    fn no_id_that_we_mint_is_a_url() {
        for byte in 0..=255 {
            assert!(!ClientId::from(DynamicClientId::mint([byte; 16])).is_url());
        }
        for text in ["https://claude.ai/x", "HTTPS:claude.ai", "http://x/y", "cursor://x"] {
            assert!(ClientId::parse(text).unwrap().is_url(), "{text}");
        }
    }

    #[test]
    fn client_ids_are_short_visible_ascii() {
        assert!(ClientId::parse("https://claude.ai/x").is_some());
        assert!(ClientId::parse("").is_none());
        assert!(ClientId::parse("a b").is_none());
        assert!(ClientId::parse(&"x".repeat(513)).is_none());
    }
}
