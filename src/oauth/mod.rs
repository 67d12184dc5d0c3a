//! Our OAuth 2.1 authorization server: one file per endpoint, each parse, load, decide, save, reply.
//!
//! Replies are plain values: [`crate::http`] turns them into HTTP and [`crate::web`] into pages. Decisions are in
//! [`crate::domain`]. Never imports [`crate::mcp`].

mod admission;
mod at_spotify;
pub mod authorize;
pub mod challenge;
pub(crate) mod client_document;
pub mod clients;
pub mod cookies;
mod departure;
pub mod forms;
mod giving_way;
mod home;
pub mod introspect;
pub mod linking;
pub mod login;
mod login_problem;
pub mod metadata;
pub mod params;
pub mod refusals;
pub mod register;
pub mod revoke;
pub mod sessions;
pub mod tickets;
pub mod token;
mod verifier;

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ClientId;
use crate::domain::ids::RequestId;
use crate::failure::Failure;

pub use cookies::Cookies;
pub use params::Params;

/// Who asks, as far as a request tells.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The cookies of ours that the browser sent.
    pub cookies: Cookies,
    /// What the browser calls itself: untrusted, at most 200 characters.
    pub agent: String,
    /// Where the request came from.
    pub address: IpAddr,
    /// The request's id.
    pub request: RequestId,
    /// The connection that waits for the answer; `None` outside of one.
    pub connection: Option<Arc<dyn Connection>>,
}

/// A visitor's connection, as far as it matters whom it waits for.
pub trait Connection: Debug + Send + Sync {
    /// It begins (or ceases) to wait for somebody else than us. Meanwhile it may be closed for a newcomer.
    fn waits_elsewhere(&self, waits: bool);
}

/// For as long as it lives, a visitor waits for somebody else than us.
pub struct Elsewhere(Option<Arc<dyn Connection>>);

impl Visitor {
    /// From now on we wait for a stranger's answer on this visitor's behalf: the connection may go for a newcomer.
    pub(crate) fn waits_elsewhere(&self) -> Elsewhere {
        if let Some(connection) = &self.connection {
            connection.waits_elsewhere(true);
        }
        Elsewhere(self.connection.clone())
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.waits_elsewhere(false);
        }
    }
}

/// An error for a client's program (RFC 6749 section 5.2, RFC 7591 section 3.2.2).
#[derive(Debug)]
pub struct OAuthError {
    /// The HTTP status.
    pub status: http::StatusCode,
    /// The registered error code.
    pub code: &'static str,
    /// For the client's developer; visible ASCII, never the caller's own text.
    pub description: String,
    /// Whether the answer challenges for HTTP Basic (RFC 6749 section 5.2).
    pub basic_challenge: bool,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// Set where a credential was presented that we do not know, and somebody may be guessing.
    pub attempt: Option<FailedAttempt>,
}

/// A credential that was not accepted: to be counted against its address, and audited.
#[derive(Debug)]
pub struct FailedAttempt {
    /// Why, for the trail.
    pub because: &'static str,
    /// As which client.
    pub client: Option<ClientId>,
}

impl OAuthError {
    /// A 400 with this code.
    pub fn bad(code: &'static str, description: impl Into<String>) -> Self {
        Self::with(http::StatusCode::BAD_REQUEST, code, description)
    }

    /// Another status with this code.
    pub fn with(status: http::StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            basic_challenge: false,
            retry_after: None,
            attempt: None,
        }
    }

    /// 401 `invalid_client`: what makes clients register again.
    pub fn invalid_client(description: &'static str, by_basic: bool) -> Self {
        let error = Self::with(http::StatusCode::UNAUTHORIZED, "invalid_client", description);
        let attempt = Some(FailedAttempt { because: description, client: None });
        Self { basic_challenge: by_basic, attempt, ..error }
    }

    /// The same, where the credential may have been guessed by this client.
    #[must_use]
    pub fn guessed(mut self, because: &'static str, client: &ClientId) -> Self {
        self.attempt = Some(FailedAttempt { because, client: Some(client.clone()) });
        self
    }
}

/// An expected refusal, or something unexpected (answered as an opaque 500 with the request's id).
#[derive(Debug)]
pub enum Reply<E> {
    /// Told to the caller.
    Refused(E),
    /// Told to the log.
    Failed(Failure),
}

impl<E, F: Into<Failure>> From<F> for Reply<E> {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}
