//! The Web API's refusals, in the shapes and words of spotify.md 1.7.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::spotify::sandbox::limits::Limited;
use crate::spotify::sandbox::world::player::Impossible;

/// A refusal: the status, the message, what else it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: no token. The body is the same for all 401s; only the header tells them apart.
    NoToken,
    /// 401: a token that is unknown, expired or revoked.
    BadToken(&'static str),
    /// 403: not on the allow-list; as plain text or as JSON.
    NotAllowListed {
        /// Whether it comes as plain text.
        plain: bool,
    },
    /// 403: the owner of the app has no Premium.
    OwnerNotPremium,
    /// 403: the token lacks a scope.
    Scope,
    /// 403: removed in this mode, or somebody else's.
    Forbidden,
    /// 400.
    Bad(&'static str),
    /// 404.
    NotFound(&'static str),
    /// 410.
    Gone,
    /// 411.
    LengthRequired,
    /// 403: a command to the player by somebody who does not pay.
    Premium,
    /// 403 or 404: a command that the player cannot do.
    Player(Impossible),
    /// 500.
    Server,
    /// 413.
    TooLarge,
    /// 429.
    Limited(Limited),
}

impl Refusal {
    const fn parts(&self) -> (StatusCode, &'static str, Option<&'static str>) {
        match self {
            Self::NoToken | Self::BadToken(_) => {
                (StatusCode::UNAUTHORIZED, "Missing/invalid/expired access token", None)
            }
            Self::NotAllowListed { plain: true } => {
                (StatusCode::FORBIDDEN, "User not approved for app", None)
            }
            Self::NotAllowListed { plain: false } => (
                StatusCode::FORBIDDEN,
                "The user is not registered for this application. Please check your settings on \
                 https://developer.spotify.com/dashboard.",
                None,
            ),
            Self::OwnerNotPremium => (
                StatusCode::FORBIDDEN,
                "Active premium subscription required for the owner of the app.",
                None,
            ),
            Self::Scope => (StatusCode::FORBIDDEN, "Insufficient client scope", None),
            Self::Forbidden => (StatusCode::FORBIDDEN, "Forbidden", None),
            Self::Bad(message) => (StatusCode::BAD_REQUEST, message, None),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message, None),
            Self::Gone => (StatusCode::GONE, "Gone", None),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large", None),
            Self::LengthRequired => (StatusCode::LENGTH_REQUIRED, "Length Required", None),
            Self::Premium => {
                (StatusCode::FORBIDDEN, "Player command failed: Premium required", Some("PREMIUM_REQUIRED"))
            }
            Self::Player(why) => player(*why),
            Self::Server => (StatusCode::INTERNAL_SERVER_ERROR, "Server error.", None),
            Self::Limited(Limited::Rate(_)) => {
                (StatusCode::TOO_MANY_REQUESTS, "API rate limit exceeded", None)
            }
            Self::Limited(Limited::Quota(_)) => {
                (StatusCode::TOO_MANY_REQUESTS, "Too many requests", Some("QUOTA_EXCEEDED"))
            }
        }
    }

    fn header(&self) -> Option<(header::HeaderName, String)> {
        let challenge = |error: &str, description: &str| {
            let text =
                format!("Bearer realm=\"spotify\", error=\"{error}\", error_description=\"{description}\"");
            Some((header::WWW_AUTHENTICATE, text))
        };
        match self {
            Self::NoToken => challenge("missing_token", "No token provided"),
            Self::BadToken(description) => challenge("invalid_token", description),
            Self::Limited(Limited::Rate(secs) | Limited::Quota(secs)) => {
                Some((header::RETRY_AFTER, secs.to_string()))
            }
            _ => None,
        }
    }
}

const fn player(why: Impossible) -> (StatusCode, &'static str, Option<&'static str>) {
    match why {
        Impossible::NoActiveDevice => {
            (StatusCode::NOT_FOUND, "Player command failed: No active device found", Some("NO_ACTIVE_DEVICE"))
        }
        Impossible::DeviceNotFound => (StatusCode::NOT_FOUND, "Device not found", None),
        Impossible::RestrictedDevice => (
            StatusCode::FORBIDDEN,
            "Player command failed: Restricted device",
            Some("DEVICE_NOT_CONTROLLABLE"),
        ),
        Impossible::NoVolume => (
            StatusCode::FORBIDDEN,
            "Player command failed: Cannot control device volume",
            Some("VOLUME_CONTROL_DISALLOW"),
        ),
        Impossible::Restriction | Impossible::Advertisement => {
            (StatusCode::FORBIDDEN, "Player command failed: Restriction violated", Some("UNKNOWN"))
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message, reason) = self.parts();
        let mut reply = if self == (Self::NotAllowListed { plain: true }) {
            Response::new(Body::from(message))
        } else {
            let mut error = json!({ "status": status.as_u16(), "message": message });
            if let Some(reason) = reason {
                error["reason"] = json!(reason);
            }
            axum::Json(json!({ "error": error })).into_response()
        };
        *reply.status_mut() = status;
        if let Some((name, text)) = self.header()
            && let Ok(value) = HeaderValue::from_str(&text)
        {
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}
