//! Why the Web API did not do what was asked: one variant per row of spotify.md 1.7, a code for programs, and an
//! instruction for people.
//!
//! Never carries a URL, a token or more than a cleaned line of what upstream said.

use std::time::Duration;

use crate::egress::EgressError;

/// Why the Web API did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 401: the access token is missing, unknown or expired. The vault refreshes and tries once more.
    #[error("Spotify no longer accepts the access token")]
    Unauthorized,
    /// 403: the person is not on the app's list in Spotify's dashboard.
    #[error("this Spotify account is not on the list of people who may use this Spotify app")]
    NotAllowlisted,
    /// 403: the grant lacks a scope, one of these as far as is known.
    #[error("Spotify did not grant the permission that this needs")]
    ScopeMissing(Vec<&'static str>),
    /// 403: the person's account is not Premium.
    #[error("Spotify allows this only to Premium accounts")]
    PremiumRequired,
    /// 403: the app's owner has no Premium any more, which stops the whole app.
    #[error("Spotify has stopped this app because its owner's Premium subscription lapsed")]
    OwnerNotPremium,
    /// 403: impossible at the moment (already paused, not playable here).
    #[error("Spotify refused the command at this moment")]
    Restricted,
    /// 404: nothing to play on.
    #[error("no active Spotify device was found")]
    NoActiveDevice,
    /// 405, 410 or a 403 of an endpoint that the app's quota mode does not have.
    #[error("Spotify does not offer this to apps in this quota mode")]
    NotAvailableInMode,
    /// 403 for any other reason: somebody else's playlist, for example.
    #[error("Spotify does not allow this account to do that")]
    Forbidden,
    /// 404.
    #[error("Spotify does not know this item, or the account may not see it")]
    NotFound,
    /// 400, or refused before sending.
    #[error("the request was not valid: {0}")]
    InvalidArgument(String),
    /// 429 by rate: nothing was done.
    #[error("Spotify is limiting the rate of requests")]
    RateLimited {
        /// When to come back, where Spotify said so.
        retry_after: Option<Duration>,
    },
    /// 429 by quota: nothing was done, and asking again makes it worse.
    #[error("the daily Spotify quota of this server's app is used up for this kind of request")]
    QuotaExceeded {
        /// When to come back, where Spotify said so; hours.
        retry_after: Option<Duration>,
    },
    /// Not sent: this person had their share of a quota that others have not had theirs of.
    #[error("your share of this server's daily Spotify quota is used up for this kind of request")]
    ShareUsed {
        /// When at the latest: the first of their calls count no more then.
        retry_after: Duration,
    },
    /// Not sent: the operator lets an app send only so many requests in 30 seconds.
    #[error("this server sends no more requests to Spotify for the moment")]
    Paced {
        /// When to come back.
        retry_after: Duration,
    },
    /// Not sent: whoever it was for may have nothing sent any more.
    #[error("the call was stopped before it was sent")]
    Stopped,
    /// 411, 5xx and any other status that says the fault is not the caller's.
    #[error("Spotify failed to answer (HTTP {status})")]
    Upstream {
        /// The HTTP status.
        status: u16,
        /// When to come back, where Spotify said so.
        retry_after: Option<Duration>,
    },
    /// A success whose body is not what the documentation says.
    #[error("Spotify's answer could not be understood")]
    Malformed,
    /// The answer was larger than allowed.
    #[error("Spotify's answer was too large")]
    TooLarge,
    /// No complete answer in time.
    #[error("Spotify did not answer in time")]
    Timeout,
    /// Spotify could not be reached at all; nothing was sent.
    #[error("Spotify could not be reached: {0}")]
    Unreachable(EgressError),
    /// The connection broke while a read was under way.
    #[error("the connection to Spotify broke")]
    Broken,
    /// A change was sent and its outcome is not known.
    #[error("the change was sent, but Spotify's confirmation was lost ({cause})")]
    AmbiguousWrite {
        /// What happened instead of a confirmation; a stable word for logs.
        cause: &'static str,
    },
}

impl ApiError {
    /// The stable code of tool answers (product.md 7, "Tools").
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "RECONNECT_REQUIRED",
            Self::NotAllowlisted => "NOT_ALLOWLISTED",
            Self::ScopeMissing(_) => "SCOPE_MISSING",
            Self::PremiumRequired => "PREMIUM_REQUIRED",
            Self::Restricted => "RESTRICTED",
            Self::NoActiveDevice => "NO_ACTIVE_DEVICE",
            Self::NotAvailableInMode => "NOT_AVAILABLE_IN_MODE",
            Self::Forbidden | Self::OwnerNotPremium => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidArgument(_) => "INVALID_ARGUMENT",
            Self::RateLimited { .. } | Self::Paced { .. } => "RATE_LIMITED",
            Self::QuotaExceeded { .. } | Self::ShareUsed { .. } => "QUOTA_EXCEEDED",
            Self::Timeout => "UPSTREAM_TIMEOUT",
            Self::AmbiguousWrite { .. } => "AMBIGUOUS_WRITE",
            Self::Stopped => "DECLINED",
            Self::Upstream { .. }
            | Self::Malformed
            | Self::TooLarge
            | Self::Unreachable(_)
            | Self::Broken => "UPSTREAM_ERROR",
        }
    }

    /// In how many seconds to come back, rounded up, where Spotify said so.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after }
            | Self::QuotaExceeded { retry_after }
            | Self::Upstream { retry_after, .. } => {
                retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
            }
            Self::Paced { retry_after } | Self::ShareUsed { retry_after } => {
                Some(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0))
            }
            _ => None,
        }
    }

    /// What the person (or the model on their behalf) should do now.
    pub const fn instruction(&self) -> &'static str {
        match self {
            Self::Unauthorized => "Connect the Spotify account again.",
            Self::NotAllowlisted => {
                "Ask the operator to add your Spotify account under Settings, Users Management, in Spotify's \
                 developer dashboard; it takes some minutes to act. Or connect with a Spotify client id of your own."
            }
            Self::ScopeMissing(_) => "Connect the Spotify account again and approve the permission.",
            Self::PremiumRequired => "This works only with a Spotify Premium account.",
            Self::OwnerNotPremium => {
                "Tell the operator to renew the Premium subscription of the app's owner."
            }
            Self::Restricted => "Check what is playing now; the command may already have taken effect.",
            Self::NoActiveDevice => "Open Spotify on a device and start something there, then try again.",
            Self::NotAvailableInMode => {
                "Do it another way: Spotify has withdrawn this from apps like this one."
            }
            Self::Forbidden => {
                "Spotify lets an account read and change only its own and collaborative playlists; choose another one."
            }
            Self::NotFound => "Check the id or link.",
            Self::InvalidArgument(_) => "Correct the argument.",
            Self::RateLimited { .. } | Self::Paced { .. } => "Wait for the time stated, then try again.",
            Self::QuotaExceeded { .. } => {
                "Do not try again before the time stated: asking earlier lengthens the wait."
            }
            Self::ShareUsed { .. } => {
                "The rest is kept for the others who use this server. The time stated is the latest: what takes few requests \
                 may fit earlier, once they have had theirs. Or connect with a Spotify client id of your own."
            }
            Self::Upstream { .. } | Self::Broken | Self::Timeout | Self::Unreachable(_) => {
                "Try again in a moment. If it persists, tell the operator."
            }
            Self::Malformed | Self::TooLarge => "Try a smaller page. If it persists, tell the operator.",
            Self::Stopped => "Nothing more was done.",
            Self::AmbiguousWrite { .. } => {
                "Look first whether the change is there, and only repeat it if it is not."
            }
        }
    }

    /// What became of a request that the gate could not complete. `write`: it would have changed something.
    pub(super) fn from_egress(error: EgressError, write: bool) -> Self {
        match error {
            error if !error.may_have_arrived() => Self::Unreachable(error),
            error if write => Self::AmbiguousWrite { cause: error.code() },
            EgressError::TooLarge { .. } => Self::TooLarge,
            EgressError::Timeout => Self::Timeout,
            _ => Self::Broken,
        }
    }
}
