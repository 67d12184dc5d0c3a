//! Reading an answer of the Web API that is not a success: which row of spotify.md 1.7 it is.
//!
//! Decides by status, then by `reason`, then by words of the message, because texts have changed over the years.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::lenient;
use super::text::clean;
use super::{ApiError, Foreign};
use crate::ambient::Timestamp;
use crate::domain::freshness::http_date;

/// Longest wait that is believed: the window of a daily quota rolls, so that no more than a day can be left of it
/// (spotify.md 1.6).
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// `{"error":{"status":..,"message":..,"reason":..}}`
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Envelope {
    #[serde(deserialize_with = "lenient::object")]
    error: Option<Said>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Said {
    #[serde(deserialize_with = "lenient::foreign")]
    message: Option<Foreign>,
    #[serde(deserialize_with = "lenient::word")]
    reason: Option<String>,
}

/// What the service refused with: a reason code and a message, where there are any.
pub(super) struct Refused {
    reason: String,
    message: String,
}

impl Refused {
    /// From a body that may be JSON, plain text, HTML or nothing.
    pub(super) fn read(body: &[u8]) -> Self {
        let said = serde_json::from_slice::<Envelope>(body).ok().and_then(|envelope| envelope.error);
        match said {
            Some(said) => Self {
                reason: said.reason.unwrap_or_default().to_ascii_uppercase(),
                message: said.message.map(|text| text.clean(200)).unwrap_or_default(),
            },
            // "User not approved for app" has come as plain text.
            None => {
                let start = &body[..body.len().min(400)];
                Self { reason: String::new(), message: clean(&String::from_utf8_lossy(start), 200) }
            }
        }
    }

    fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    }
}

/// Which row of spotify.md 1.7 an answer other than 2xx is. `write`: the request would have changed something.
pub(crate) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    write: bool,
) -> ApiError {
    let said = Refused::read(body);
    let retry_after = retry_after(headers, now);
    match status.as_u16() {
        400 => ApiError::InvalidArgument(or(said.message, "Spotify gave no reason")),
        // The player has said so of a token that it knows.
        401 if said.says(&["permissions missing"]) => ApiError::ScopeMissing(Vec::new()),
        401 => ApiError::Unauthorized,
        403 => forbidden(&said),
        404 if said.reason == "NO_ACTIVE_DEVICE" || said.says(&["no active device", "device not found"]) => {
            ApiError::NoActiveDevice
        }
        404 => ApiError::NotFound,
        405 | 410 => ApiError::NotAvailableInMode,
        413 | 414 | 422 => ApiError::InvalidArgument(or(said.message, "it is too large")),
        429 if said.reason == "QUOTA_EXCEEDED" || said.says(&["quota"]) => {
            ApiError::QuotaExceeded { retry_after }
        }
        429 => ApiError::RateLimited { retry_after },
        // A gateway's error may hide a change that was made.
        500.. if write => ApiError::AmbiguousWrite { cause: "server_error" },
        status => ApiError::Upstream { status, retry_after },
    }
}

fn forbidden(said: &Refused) -> ApiError {
    match said.reason.as_str() {
        "PREMIUM_REQUIRED" => return ApiError::PremiumRequired,
        "NO_ACTIVE_DEVICE" => return ApiError::NoActiveDevice,
        _ => {}
    }
    if said.says(&[
        "not registered",
        "not be registered",
        "not approved for app",
        "settings on developer.spotify.com",
    ]) {
        ApiError::NotAllowlisted
    } else if said.says(&["scope"]) {
        ApiError::ScopeMissing(Vec::new())
    } else if said.says(&["premium"]) {
        // The player says "Player command failed: Premium required"; anything else speaks of the app's owner.
        if said.says(&["owner", "subscription"]) {
            ApiError::OwnerNotPremium
        } else {
            ApiError::PremiumRequired
        }
    } else if said.says(&["restriction violated", "player command failed", "restricted device"]) {
        ApiError::Restricted
    } else {
        ApiError::Forbidden
    }
}

/// `Retry-After` as seconds or as an HTTP date (RFC 9110 section 10.2.3). Negative and past is zero, what cannot be
/// read is `None`, and more than a day is a day: both of Spotify's windows roll within one.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let wait = if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if negative { Duration::ZERO } else { Duration::from_secs(digits.parse().unwrap_or(u64::MAX)) }
    } else {
        http_date(text)?.since(now)
    };
    Some(wait.min(LONGEST_WAIT))
}

fn or(text: String, otherwise: &str) -> String {
    // A sentence of ours follows, and ends this one.
    let text = text.trim_end_matches(['.', ' ']);
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_233_600); // 2026-11-21T04:00:00Z

    fn wait(value: &str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
        retry_after(&headers, NOW).map(|wait| wait.as_secs())
    }

    fn judge(status: u16, body: &str) -> ApiError {
        refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), NOW, false)
    }

    #[test]
    fn retry_after_in_every_form() {
        assert_eq!(wait("5"), Some(5));
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("-3"), Some(0));
        assert_eq!(wait("86207"), Some(86_207));
        assert_eq!(wait("99999999999999999999999"), Some(LONGEST_WAIT.as_secs()));
        assert_eq!(wait("Sat, 21 Nov 2026 04:00:30 GMT"), Some(30));
        assert_eq!(wait("Sat, 21 Nov 2026 03:00:00 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("1.5"), None);
        assert_eq!(wait("-"), None);
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }

    fn hold(table: &[(u16, &str, ApiError)]) {
        for (status, body, expected) in table {
            assert_eq!(judge(*status, body), *expected, "{status} {body}");
        }
    }

    #[test]
    fn every_known_refusal_of_a_person_or_command_has_its_row() {
        hold(&[
            (401, r#"{"error":{"status":401,"message":"The access token expired"}}"#, ApiError::Unauthorized),
            (401, "", ApiError::Unauthorized),
            (
                403,
                r#"{"error":{"message":"The user is not registered for this application. Please check your settings on https://developer.spotify.com/dashboard."}}"#,
                ApiError::NotAllowlisted,
            ),
            (
                403,
                r#"{"error":{"message":"User not registered in the Developer Dashboard"}}"#,
                ApiError::NotAllowlisted,
            ),
            (
                403,
                r#"{"error":{"message":"Check settings on developer.spotify.com/dashboard, the user may not be registered."}}"#,
                ApiError::NotAllowlisted,
            ),
            (403, "User not approved for app", ApiError::NotAllowlisted),
            (403, r#"{"error":{"status":403,"message":"Forbidden"}}"#, ApiError::Forbidden),
            (403, r#"{"error":{"message":"Insufficient client scope"}}"#, ApiError::ScopeMissing(Vec::new())),
            (
                401,
                r#"{"error":{"status":401,"message":"Permissions missing"}}"#,
                ApiError::ScopeMissing(Vec::new()),
            ),
            (403, r#"{"error":{"message":"x","reason":"PREMIUM_REQUIRED"}}"#, ApiError::PremiumRequired),
            (
                403,
                r#"{"error":{"message":"Active premium subscription required for the owner of the app."}}"#,
                ApiError::OwnerNotPremium,
            ),
            (
                403,
                r#"{"error":{"message":"Player command failed: Restriction violated","reason":"UNKNOWN"}}"#,
                ApiError::Restricted,
            ),
            (
                404,
                r#"{"error":{"message":"Player command failed: No active device found","reason":"NO_ACTIVE_DEVICE"}}"#,
                ApiError::NoActiveDevice,
            ),
            (404, r#"{"error":{"message":"Resource not found"}}"#, ApiError::NotFound),
        ]);
    }

    #[test]
    fn every_known_refusal_of_a_request_has_its_row() {
        let upstream = |status| ApiError::Upstream { status, retry_after: None };
        hold(&[
            (410, "", ApiError::NotAvailableInMode),
            (
                429,
                r#"{"error":{"message":"API rate limit exceeded"}}"#,
                ApiError::RateLimited { retry_after: None },
            ),
            (
                429,
                r#"{"error":{"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#,
                ApiError::QuotaExceeded { retry_after: None },
            ),
            (
                400,
                r#"{"error":{"message":"Invalid limit"}}"#,
                ApiError::InvalidArgument("Invalid limit".into()),
            ),
            (
                400,
                r#"{"error":{"message":"Index out of bounds."}}"#,
                ApiError::InvalidArgument("Index out of bounds".into()),
            ),
            (400, r#"{"error":"odd"}"#, ApiError::InvalidArgument(r#"{"error":"odd"}"#.into())),
            (411, "Length Required", upstream(411)),
            (503, "<html>Service Unavailable", upstream(503)),
            (302, "", upstream(302)),
        ]);
    }

    proptest! {
        #[test]
        fn no_body_panics_and_what_is_quoted_is_short(status in 300_u16..600, body: Vec<u8>) {
            let status = StatusCode::from_u16(status).unwrap();
            let error = refusal(status, &HeaderMap::new(), &body, NOW, false);
            prop_assert!(error.to_string().chars().count() < 300);
        }
    }

    #[test]
    fn a_server_error_leaves_a_write_in_doubt_and_a_refusal_does_not() {
        let judge = |status| refusal(status, &HeaderMap::new(), b"", NOW, true).code();
        assert_eq!(judge(StatusCode::BAD_GATEWAY), "AMBIGUOUS_WRITE");
        assert_eq!(judge(StatusCode::TOO_MANY_REQUESTS), "RATE_LIMITED");
        assert_eq!(judge(StatusCode::FORBIDDEN), "FORBIDDEN");
    }
}
