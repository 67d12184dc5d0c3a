//! Why a request did not get its answer, and what the gate refused.
//!
//! Never a URL, a query, a header or a body in these texts: they carry tokens and codes.

use std::fmt;

use super::AddressClass;
use crate::ambient::Timestamp;

/// Why a request did not get its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The policy does not allow this host.
    #[error("the egress gate does not allow this host ({0})")]
    HostNotAllowed(RefusalReason),
    /// The name resolved to at least one address that is no public host.
    #[error("the host's name leads to a {0} address, which the egress gate does not allow")]
    AddressNotAllowed(AddressClass),
    /// The request has no absolute http or https target.
    #[error("the request has no usable target")]
    NoTarget,
    /// The name could not be resolved.
    #[error("the host's name could not be resolved")]
    Resolve,
    /// No connection within the connect timeout.
    #[error("the host could not be connected to")]
    Connect,
    /// The TLS handshake failed.
    #[error("no trusted TLS connection: {detail}")]
    Tls {
        /// Whether the host's certificate was the reason.
        certificate: bool,
        /// What rustls said; for the log.
        detail: String,
    },
    /// Too many requests were under way until the deadline.
    #[error("too many requests are under way")]
    Busy,
    /// No complete answer within the deadline.
    #[error("no complete answer within the deadline")]
    Timeout,
    /// The answer's body is larger than allowed; the rest was not read.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// Most bytes that were allowed.
        limit: usize,
    },
    /// The connection ended, or what came is not HTTP.
    #[error("the connection broke before the answer was complete")]
    Broken,
}

impl EgressError {
    /// A stable code for logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HostNotAllowed(_) => "host_not_allowed",
            Self::AddressNotAllowed(_) => "address_not_allowed",
            Self::NoTarget => "no_target",
            Self::Resolve => "resolve_failed",
            Self::Connect => "connect_failed",
            Self::Tls { certificate: true, .. } => "certificate_not_trusted",
            Self::Tls { certificate: false, .. } => "tls_failed",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Broken => "connection_broken",
        }
    }

    /// Whether the request may have reached the host: `false` is certain, `true` is not.
    pub const fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Timeout | Self::TooLarge { .. } | Self::Broken)
    }

    /// Whether the gate itself refused (as opposed to a failure of the network or the host).
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::HostNotAllowed(_) | Self::AddressNotAllowed(_) | Self::NoTarget)
    }
}

/// What about a target the gate refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// The host is not on the list, or not with this port or scheme.
    Unlisted,
    /// An address in place of a name, in whatever notation.
    Literal,
    /// A trailing dot or an empty label.
    Dots,
    /// A user name or password in the target.
    UserInfo,
    /// Neither https nor plain http to an allowed loopback literal.
    Scheme,
    /// The name leads to an address that is no public host.
    Address(AddressClass),
}

impl RefusalReason {
    /// A stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlisted => "unlisted",
            Self::Literal => "literal",
            Self::Dots => "dots",
            Self::UserInfo => "userinfo",
            Self::Scheme => "scheme",
            Self::Address(class) => class.name(),
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One refusal, to be audited as `blocked_host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// The host asked for: visible ASCII, at most 253 characters, no port, no path.
    pub host: String,
    /// Why.
    pub reason: RefusalReason,
}
