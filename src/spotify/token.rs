//! Upstream tokens as types. Never shown, never logged; the vault alone keeps them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::quota::{Charge, QuotaMode};
use crate::crypto::SecretString;

/// Longest token taken from upstream, in bytes.
const LONGEST: usize = 8192;

/// An upstream bearer token. Lives for one hour at most, and in our hands for one call.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    text: SecretString,
    /// Whose quota its calls use; `None`: one that is not limited by the day.
    charge: Option<Charge>,
    /// The regime of the app that it was issued to, where that is known.
    mode: Option<QuotaMode>,
    /// Whose it is; `None`: not known, and nothing of it is shared, kept or paced.
    holder: Option<Arc<Holder>>,
    /// What its calls are for.
    pressing: Pressing,
    /// Whoever it is used for wants no more of it.
    closing: Closing,
}

/// Tells calls that wait to be sent that nobody may send them any more. Says nothing of a token itself.
#[derive(Clone, Default)]
struct Closing(Option<CancellationToken>);

impl PartialEq for Closing {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Closing {}

/// How far our own limits hold a call back: what has begun must not be left in its middle for their sake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pressing {
    /// They refuse it.
    #[default]
    Not,
    /// It mends what was broken off: no share of a quota refuses it.
    Mends,
    /// It goes on with what has begun: it waits for its turn until then, and is sent nevertheless.
    GoesOn(Instant),
}

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Print([u8; 32]);

/// Whose a token is. The texts say nothing here but which calls belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: Arc<str>,
    /// The app that its person has approved.
    pub app: Arc<str>,
    /// The person.
    pub person: Arc<str>,
}

impl AccessToken {
    /// Takes over what upstream issued: 1 to 8,192 visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        is_token(text).then(|| Self {
            text: SecretString::new(text),
            charge: None,
            mode: None,
            holder: None,
            pressing: Pressing::Not,
            closing: Closing::default(),
        })
    }

    /// The same, with whose quota its calls use.
    pub fn charged_to(self, charge: Option<Charge>) -> Self {
        Self { charge, ..self }
    }

    /// The same, with the regime of its app.
    pub fn in_mode(self, mode: QuotaMode) -> Self {
        Self { mode: Some(mode), ..self }
    }

    /// The regime of its app.
    pub(super) const fn mode(&self) -> Option<QuotaMode> {
        self.mode
    }

    /// The same, with whose it is.
    pub fn held_by(self, holder: Holder) -> Self {
        Self { holder: Some(Arc::new(holder)), ..self }
    }

    /// Whose it is.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.holder.as_deref()
    }

    /// The same, for calls that press so.
    pub fn pressing(self, pressing: Pressing) -> Self {
        Self { pressing, ..self }
    }

    /// The same, for calls that are not sent any more once this is cancelled.
    pub fn until(self, closed: CancellationToken) -> Self {
        Self { closing: Closing(Some(closed)), ..self }
    }

    /// The same, for calls that are sent whoever wants them.
    pub(super) fn unending(self) -> Self {
        Self { closing: Closing::default(), ..self }
    }

    /// Waits for something before a call is sent.
    ///
    /// # Errors
    /// [`ApiError::Stopped`], at once, where nobody may send it any more.
    pub(super) async fn waiting<T>(&self, waiting: impl Future<Output = T>) -> Result<T, ApiError> {
        let Some(closed) = &self.closing.0 else { return Ok(waiting.await) };
        let waited = closed.run_until_cancelled(waiting).await.ok_or(ApiError::Stopped)?;
        if closed.is_cancelled() { Err(ApiError::Stopped) } else { Ok(waited) }
    }

    /// How its calls press.
    pub(super) const fn presses(&self) -> Pressing {
        self.pressing
    }

    /// Tells this token from others of its account, in this process.
    pub(super) fn print(&self) -> Print {
        Print(Sha256::digest(self.expose()).into())
    }

    /// Whose quota its calls use.
    pub(super) const fn charge(&self) -> Option<&Charge> {
        self.charge.as_ref()
    }

    /// The one way out, for sealing.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The `Authorization` header, marked so that nothing logs it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(["Bearer ", self.expose()].concat()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AccessToken(..)")
    }
}

/// What the accounts service answers to a code or a refresh token (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// The new access token.
    pub access_token: AccessToken,
    /// How long it lives; one hour where upstream does not say.
    pub expires_in: Duration,
    /// A new refresh token. `Some` revokes the old one: persist it before anything else. `None`: keep the old one.
    pub refresh_token: Option<SecretString>,
    /// The scopes granted, space-separated; `None` means as before.
    pub scope: Option<String>,
}

/// Whether a text can be a token at all.
pub(super) fn is_token(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_visible_ascii_and_never_shown() {
        let token = AccessToken::parse("BQ-secret").unwrap();
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
        assert!(token.header().unwrap().is_sensitive());
        assert!(AccessToken::parse("").is_none());
        assert!(AccessToken::parse("a\r\nHost: b").is_none());
        assert!(AccessToken::parse(&"a".repeat(LONGEST + 1)).is_none());
    }
}
