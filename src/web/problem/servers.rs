//! What problem pages say where the server, or Spotify, does not do its part.

use http::StatusCode;

use super::{Problem, Said};

impl Problem {
    pub(super) const fn said_of_pauses(self) -> Said {
        match self {
            Self::Unavailable => Said(
                "UNAVAILABLE",
                StatusCode::SERVICE_UNAVAILABLE,
                "This server is pausing",
                "It is very busy, restarting, closed by its operator, or cannot reach its database or keep its records.",
                "Wait a minute and try again.",
            ),
            Self::WithoutKey => Said(
                "SERVER_WITHOUT_KEY",
                StatusCode::SERVICE_UNAVAILABLE,
                "This server waits for its key",
                "Its operator has put another key in use and has not given it to this server yet. Nothing of yours is lost.",
                "Try again in some minutes. You need not disconnect or connect anything.",
            ),
            Self::LockedDown => Said(
                "LOCKED_DOWN",
                StatusCode::SERVICE_UNAVAILABLE,
                "This server is locked down",
                "Its operator deals with an incident and has closed everything meanwhile. Nothing of yours is lost by that.",
                "Try again later. The operator will say when it is over.",
            ),
            _ => Said(
                "ISSUANCE_FROZEN",
                StatusCode::SERVICE_UNAVAILABLE,
                "Nobody can log in at this moment",
                "The operator of this server deals with an emergency. Until it is over, nothing is issued: no login, no \
                 connection, no key.",
                "Try again in some minutes. You will have to log in and connect your apps again.",
            ),
        }
    }

    pub(super) const fn said_of_servers(self) -> Said {
        match self {
            Self::SpotifyUnavailable => Said(
                "SPOTIFY_UNAVAILABLE",
                StatusCode::BAD_GATEWAY,
                "Spotify does not answer",
                "This server could not reach Spotify, or got no usable answer. Nothing was changed.",
                "Wait a minute and try again.",
            ),
            Self::SpotifyMisconfigured => Said(
                "SPOTIFY_MISCONFIGURED",
                StatusCode::BAD_GATEWAY,
                "Spotify refuses this server’s app",
                "Spotify did not accept this server’s own client id, secret or redirect address.",
                "Only the operator can mend this: give them the code and the request id below.",
            ),
            Self::RateLimited => Said(
                "RATE_LIMITED",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "There were too many requests from your network in a short time.",
                "Wait a minute and try again.",
            ),
            Self::NotFound => Said(
                "NOT_FOUND",
                StatusCode::NOT_FOUND,
                "There is no such page",
                "The address does not lead anywhere on this server.",
                "Check the address, or begin at the start page.",
            ),
            Self::MethodNotAllowed => Said(
                "METHOD_NOT_ALLOWED",
                StatusCode::METHOD_NOT_ALLOWED,
                "This address works differently",
                "The page exists, but not for this kind of request.",
                "Begin at the start page.",
            ),
            _ => Said(
                "INTERNAL",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here",
                "This is a fault of the server, not yours.",
                "Try again. If it happens again, give the operator the request id below.",
            ),
        }
    }
}
