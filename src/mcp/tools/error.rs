//! A tool call that did not work: what happened, a stable code, what to do (product.md 7, "Tools").
//!
//! Never carries an argument's secret, an upstream URL or an internal cause.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::super::limits;
use super::super::several::name;
use super::standing::reconnect_at;
use crate::app::limits::CallRefused;
use crate::domain::own_app::{LINK, PAGE};
use crate::domain::permission::{enumerated, missing};
use crate::failure::Failure;
use crate::spotify::ApiError;
use crate::store::Link;
use crate::vault::{APP_REMOVED, CallError, OWN_APP_REFUSED};

/// Every code that a tool can answer with.
#[cfg(test)]
pub(crate) const CODES: [&str; 17] = [
    "RECONNECT_REQUIRED",
    "NOT_ALLOWLISTED",
    "SCOPE_MISSING",
    "PREMIUM_REQUIRED",
    "NO_ACTIVE_DEVICE",
    "RESTRICTED",
    "NOT_AVAILABLE_IN_MODE",
    "NOT_FOUND",
    "FORBIDDEN",
    "ACCOUNT_UNKNOWN",
    "INVALID_ARGUMENT",
    "RATE_LIMITED",
    "QUOTA_EXCEEDED",
    "UPSTREAM_ERROR",
    "UPSTREAM_TIMEOUT",
    "AMBIGUOUS_WRITE",
    "DECLINED",
];

/// Why a tool call did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ToolError {
    /// A stable code for programs, such as RECONNECT_REQUIRED, NOT_FOUND or RATE_LIMITED.
    pub(crate) code: &'static str,
    /// What happened and what to do.
    pub(crate) message: String,
    /// In how many seconds to try again, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_seconds: Option<u64>,
}

/// The account that an error is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// Where a person connects an account again.
    pub(crate) reconnect_url: &'a str,
    /// The account itself, where it was looked at.
    pub(crate) link: Option<&'a Link>,
    /// All that the person has linked, where they were looked at.
    pub(crate) links: &'a [Link],
}

impl About<'_> {
    /// Where exactly this account is connected again.
    fn address(&self) -> String {
        self.link.map_or_else(|| self.reconnect_url.to_owned(), |link| reconnect_at(self.reconnect_url, link))
    }

    /// Another page of this server.
    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.reconnect_url.trim_end_matches("/auth/login"))
    }

    fn is_on_own_app(&self) -> bool {
        self.link.is_some_and(|link| link.own_app.is_some())
    }

    /// What a request did not get that needs these: what of it is missing, as far as that is known.
    fn lacking(&self, needed: &[&'static str]) -> String {
        let granted = self.link.map(|link| link.scope.as_str()).unwrap_or_default();
        let missing = missing(needed.iter().copied(), granted);
        match (missing.is_empty(), needed) {
            (false, _) => format!("what this needs ({} missing)", are_missing(&missing)),
            (true, []) => "a permission that this needs".to_owned(),
            (true, needed) => format!("what this needs ({})", enumerated(needed)),
        }
    }

    /// How a person gives a permission that is missing.
    pub(crate) fn give(&self) -> String {
        format!("The person connects the account again at {} and agrees to everything.", self.address())
    }

    /// What is said of an account in place of what is true of most; message without code.
    fn said(&self, error: &ApiError) -> Option<String> {
        let own = self.is_on_own_app();
        Some(match error {
            ApiError::Unauthorized => format!(
                "Spotify no longer accepts the access token. Connect the Spotify account again at {}.",
                self.address()
            ),
            ApiError::ScopeMissing(needed) => {
                format!("Spotify did not grant {}. {}", self.lacking(needed), self.give())
            }
            ApiError::NotAllowlisted if own => {
                "The person's own Spotify app does not list this account. They add its name and e-mail address in Spotify's \
                 developer dashboard, on the app's page under Settings, Users Management; it takes some minutes to act."
                    .to_owned()
            }
            ApiError::NotAllowlisted => format!(
                "{}. {} The page for that: {}.",
                sentence(&error.to_string()),
                error.instruction().trim_end(),
                self.page(PAGE)
            ),
            ApiError::OwnerNotPremium if own => {
                "Spotify has stopped the person's own Spotify app, because they have no Spotify Premium any more: they renew it."
                    .to_owned()
            }
            ApiError::QuotaExceeded { .. } if own => format!(
                "The daily Spotify quota of the person's own app is used up for this kind of request. {}",
                error.instruction()
            ),
            ApiError::NotFound | ApiError::Forbidden => {
                let (asked, others): (Vec<_>, Vec<_>) =
                    self.links.iter().partition(|link| self.link.is_some_and(|asked| asked.id == link.id));
                let [asked] = asked[..] else { return None };
                let others: Vec<_> = others.into_iter().map(name).collect();
                if others.is_empty() {
                    return None;
                }
                format!(
                    "{}. {} Asked with the account {}; also linked: {}. Where one of those is meant, name it.",
                    sentence(&error.to_string()),
                    error.instruction(),
                    name(asked),
                    others.join(", ")
                )
            }
            ApiError::RateLimited { .. } if own => format!(
                "Spotify is limiting the requests of the person's own app. {}",
                error.instruction()
            ),
            ApiError::RateLimited { .. } if self.link.is_some() => format!(
                "Spotify is limiting the requests of the Spotify app that this account is linked through, for everybody who \
                 shares it and not for this person alone. {}",
                error.instruction()
            ),
            _ => return None,
        })
    }
}

fn are_missing(permissions: &[&str]) -> String {
    let verb = if permissions.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", enumerated(permissions))
}

/// Seconds as people say them too, where they are many.
fn in_words(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3_600, seconds % 3_600 / 60);
    match (hours, minutes) {
        (0, 0 | 1) => format!("{seconds} s"),
        (0, minutes) => format!("{seconds} s ({minutes} min)"),
        (hours, minutes) => format!("{seconds} s ({hours} h {minutes} min)"),
    }
}

impl JsonSchema for ToolError {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ToolError".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // In full it would stand in every tool twice. The server's instructions tell it once.
        schemars::json_schema!({"type": "object", "required": ["code", "message"]})
    }
}

impl ToolError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_seconds: None }
    }

    /// As a text: what happened, when to come again, the code.
    pub(crate) fn told(&self) -> String {
        let wait = self.retry_after_seconds.map(|wait| format!(" Retry after {}.", in_words(wait)));
        let wait = wait.unwrap_or_default();
        format!("{}{wait} ({})", self.message, self.code)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_ARGUMENT", message)
    }

    /// The person was asked and did not agree.
    pub(crate) fn declined(message: impl Into<String>) -> Self {
        Self::new("DECLINED", message)
    }

    /// Out of time before anything was changed.
    pub(crate) fn timeout() -> Self {
        Self::new(
            "UPSTREAM_TIMEOUT",
            "Spotify did not answer in time, so the call was given up. Ask for less at once, or try again in a moment.",
        )
    }

    /// Whoever called wants no more of it.
    pub(crate) fn stopped() -> Self {
        Self::declined("The call was stopped before its end: nothing more was done.")
    }

    /// A change that has begun and takes longer than a call may.
    pub(crate) fn still_writing() -> Self {
        Self::new(
            "AMBIGUOUS_WRITE",
            "The change has begun and takes longer than one call may. It goes on by itself; list_changes tells how it \
             ended. Do not do it again.",
        )
    }

    /// Another change of the person is under way.
    pub(crate) fn busy() -> Self {
        let mut error = Self::new(
            "RATE_LIMITED",
            "Another change of this person is still being written, so nothing was done. Try again when it has ended: \
             list_changes tells.",
        );
        error.retry_after_seconds = Some(10);
        error
    }

    pub(crate) fn no_account(reconnect_url: &str) -> Self {
        Self::new(
            "RECONNECT_REQUIRED",
            format!("No Spotify account is linked. Ask the person to connect one at {reconnect_url}."),
        )
    }

    pub(crate) fn limited(refused: &CallRefused) -> Self {
        let mut error = Self::new("RATE_LIMITED", limits::said(refused));
        error.retry_after_seconds = Some(limits::wait(refused).into());
        error
    }

    /// What an upstream error means to the caller. Internal failures go to the log and say nothing here.
    pub(crate) fn upstream(error: CallError, about: About<'_>) -> Self {
        match error {
            CallError::Api(error) => Self::api(&error, about),
            CallError::ReconnectRequired(why) => Self::new("RECONNECT_REQUIRED", lost(&why, about)),
            CallError::Unlinked => Self::new(
                "ACCOUNT_UNKNOWN",
                "The Spotify account was unlinked meanwhile: nothing of it is told any more. list_my_accounts names those that \
                 are linked.",
            ),
            CallError::AccountsUnavailable { retry_after } => {
                let mut error = Self::new(
                    "UPSTREAM_ERROR",
                    "Spotify's accounts service failed for the moment; nothing was done. Try again in a moment.",
                );
                error.retry_after_seconds = retry_after.map(seconds);
                error
            }
            CallError::Stopped => Self::stopped(),
            CallError::Failure(failure) => Self::internal(&failure),
        }
    }

    /// Something of ours failed: the cause goes to the log alone.
    pub(crate) fn internal(failure: &Failure) -> Self {
        tracing::error!(cause = %failure.chain(), "a tool call failed");
        Self::new(
            "UPSTREAM_ERROR",
            "The server failed to do this. Try again; if it persists, tell the operator.",
        )
    }

    fn api(error: &ApiError, about: About<'_>) -> Self {
        let message = about.said(error);
        let message =
            message.unwrap_or_else(|| format!("{}. {}", sentence(&error.to_string()), error.instruction()));
        Self { code: error.code(), message, retry_after_seconds: error.retry_after_seconds() }
    }
}

/// Why an account has to be connected again, and where.
fn lost(why: &str, about: About<'_>) -> String {
    let address = about.address();
    match why {
        OWN_APP_REFUSED => format!(
            "Spotify no longer knows the person's own app by the client id and secret that they gave. They link the account \
             again at {} with its present ones.",
            about.page(
                &about.link.map_or_else(|| LINK.to_owned(), |link| format!("{LINK}?again={}", link.id))
            )
        ),
        APP_REMOVED => format!(
            "The Spotify app that this account was linked through is in use no more. Ask the person to connect it again at \
             {address}."
        ),
        _ => format!(
            "Spotify no longer accepts the link to this account: the permission was withdrawn there, or is six months old. \
             Ask the person to connect it again at {address}."
        ),
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_errors_become_a_listed_code_and_an_instruction() {
        let lost = ToolError::upstream(
            CallError::ReconnectRequired("invalid_grant".to_owned()),
            About { reconnect_url: "https://h/auth/login", link: None, links: &[] },
        );
        let about = About { reconnect_url: "u", link: None, links: &[] };
        assert_eq!(lost.code, "RECONNECT_REQUIRED");
        assert!(lost.message.contains("https://h/auth/login") && !lost.message.contains("invalid_grant"));
        let wait = Some(Duration::from_millis(1_500));
        let limited = ToolError::upstream(CallError::Api(ApiError::RateLimited { retry_after: wait }), about);
        assert_eq!((limited.code, limited.retry_after_seconds), ("RATE_LIMITED", Some(2)));
        assert!(limited.message.starts_with("Spotify is limiting"));
        let failed = ToolError::upstream(CallError::Failure(Failure::new("disk /secret")), about);
        assert!(!failed.message.contains("secret"));
        for error in [
            &lost,
            &limited,
            &failed,
            &ToolError::timeout(),
            &ToolError::no_account("u"),
            &ToolError::declined("No."),
        ] {
            assert!(CODES.contains(&error.code));
        }
        for error in
            [ApiError::Unauthorized, ApiError::Malformed, ApiError::OwnerNotPremium, ApiError::Timeout]
        {
            assert!(CODES.contains(&error.code()));
        }
    }
}
