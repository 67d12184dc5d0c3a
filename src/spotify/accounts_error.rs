//! Why the accounts service gave no tokens, and whether the grant survives.
//!
//! Never carries a code, a token or a secret.

use std::fmt;
use std::time::Duration;

/// Why the accounts service gave no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// The code or refresh token is dead: discard it, do not retry, ask the person to connect again.
    #[error("Spotify refused the grant ({0})")]
    InvalidGrant(GrantFault),
    /// The app's client id or secret is wrong. The grants are fine; the operator must act.
    #[error("Spotify does not accept this server's client id or secret")]
    InvalidClient,
    /// Spotify understood and refused for another reason (a redirect URI, a grant type): a mistake of ours.
    #[error("Spotify refused the token request: {0}")]
    Refused(String),
    /// No answer that means anything: try again later, keep the grant.
    #[error("Spotify's accounts service is not available ({cause})")]
    Temporary {
        /// What happened; a stable word for logs.
        cause: &'static str,
        /// Whether Spotify may have acted: then a code is spent, or a refresh token may have been rotated and its
        /// successor lost. The next refresh tells.
        may_have_acted: bool,
        /// When to come back, where Spotify said so.
        retry_after: Option<Duration>,
    },
    /// A success without a usable token. As with `may_have_acted`, a rotated token may have been lost.
    #[error("Spotify's token answer could not be understood")]
    Malformed,
}

/// What Spotify said about a grant that it refused; for the person's instruction and the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantFault {
    /// Six months have passed since the person approved.
    Expired,
    /// The person took it back, or it was rotated away.
    Revoked,
    /// Anything else.
    Other,
}

impl fmt::Display for GrantFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Other => "invalid",
        })
    }
}

impl AccountsError {
    /// Whether the grant is gone for good.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::InvalidGrant(_))
    }

    /// Whether tokens may have been issued that never arrived.
    pub const fn may_have_acted(&self) -> bool {
        matches!(self, Self::Malformed | Self::Temporary { may_have_acted: true, .. })
    }
}
