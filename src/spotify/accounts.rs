//! The accounts service: where a person is sent to log in, and where codes and refresh tokens become tokens.
//!
//! Only [`AccountsError::InvalidGrant`] says that a grant is gone. Everything else leaves it alone: outages, HTML from
//! a gateway and lost answers must never cost a person their login (spotify.md 1.5).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde::Deserialize;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::measured::{self, Service};
use super::token::{TokenSet, is_token};
use super::{AccessToken, AccountsError, BaseUrl, Foreign, GrantFault, lenient, reply};
use crate::ambient::Clock;
use crate::crypto::SecretString;
use crate::domain::pkce::{CodeChallenge, CodeVerifier};
use crate::egress::{Bytes, EgressError, Gate, Limits};

/// Most bytes of a token answer.
const MAX_BODY: usize = 64 * 1024;
/// Lifetime of an access token where the answer does not say (spotify.md 1.5).
const USUAL_LIFETIME: u64 = 3600;
/// Longest lifetime that is believed.
const LONGEST_LIFETIME: u64 = 24 * 3600;

/// A Spotify app as the accounts service knows it.
#[derive(Clone)]
pub struct AppCredentials {
    /// The client id. Spotify's terms treat it as a security code: it is not shown.
    pub client_id: String,
    /// The secret, where the app has one. PKCE is used either way.
    pub client_secret: Option<SecretString>,
}

impl fmt::Debug for AppCredentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AppCredentials(..)")
    }
}

/// What a login begins with.
pub struct AuthorizeRequest<'a> {
    /// The app's client id.
    pub client_id: &'a str,
    /// Where Spotify sends the browser back; exactly as registered and as in [`Accounts::exchange`].
    pub redirect_uri: &'a str,
    /// Spotify scopes.
    pub scopes: &'a [&'a str],
    /// An opaque handle that comes back unchanged.
    pub state: &'a SecretString,
    /// The PKCE verifier; it stays here, its challenge travels.
    pub verifier: &'a CodeVerifier,
    /// Ask even where Spotify's browser session would be reused silently: when linking another account.
    pub show_dialog: bool,
}

/// The accounts service at one base address, for any number of apps. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    gate: Gate,
    clock: Clock,
    base: BaseUrl,
    timeout: Duration,
}

impl Accounts {
    /// `base` is `https://accounts.spotify.com`, or the simulator's.
    pub const fn new(gate: Gate, clock: Clock, base: BaseUrl, timeout: Duration) -> Self {
        Self { gate, clock, base, timeout }
    }

    /// The address to which a browser is sent.
    pub fn authorize_url(&self, login: &AuthorizeRequest<'_>) -> String {
        let address = self
            .base
            .at(&["authorize"])
            .with("response_type", "code")
            .with("client_id", login.client_id)
            .with("redirect_uri", login.redirect_uri)
            .with("scope", &login.scopes.join(" "))
            .with("state", login.state.expose())
            .with("code_challenge_method", "S256")
            .with("code_challenge", CodeChallenge::of(login.verifier).as_str());
        let address = if login.show_dialog { address.with("show_dialog", "true") } else { address };
        address.into_text()
    }

    /// Turns a code into tokens. A code works once: after an error with [`AccountsError::may_have_acted`] the person
    /// logs in again.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn exchange(
        &self,
        app: &AppCredentials,
        code: &SecretString,
        verifier: &CodeVerifier,
        redirect_uri: &str,
    ) -> Result<TokenSet, AccountsError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose()),
        ];
        self.token(app, &fields).await
    }

    /// Turns a refresh token into an access token, and perhaps into a new refresh token, which then replaces the old.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub async fn refresh(
        &self,
        app: &AppCredentials,
        refresh_token: &SecretString,
    ) -> Result<TokenSet, AccountsError> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        self.token(app, &fields).await
    }

    /// Whether Spotify knows an app by these credentials. Nothing comes of it: an app with a secret asks for a token of
    /// its own (RFC 6749 section 4.4), which is dropped; one without presents a refresh token that cannot be one, which
    /// only a known app is told.
    ///
    /// # Errors
    /// [`AccountsError::InvalidClient`]: it does not. Anything else: that is not known.
    pub async fn probe(&self, app: &AppCredentials) -> Result<(), AccountsError> {
        if app.client_secret.is_some() {
            return self.token(app, &[("grant_type", "client_credentials")]).await.map(drop);
        }
        let fields = [("grant_type", "refresh_token"), ("refresh_token", "none")];
        match self.token(app, &fields).await {
            Ok(_) | Err(AccountsError::InvalidGrant(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn token(&self, app: &AppCredentials, fields: &[(&str, &str)]) -> Result<TokenSet, AccountsError> {
        let request = self.request(app, fields).ok_or_else(|| {
            AccountsError::Refused("the client id or secret cannot be put into a request".to_owned())
        })?;
        let began = Instant::now();
        let answer = self.gate.send(request, Limits::within(self.timeout, MAX_BODY)).await;
        measured::asked(Service::Accounts, &answer, began.elapsed());
        match answer {
            Ok(answer) if answer.status() == StatusCode::OK => understood(answer.body()),
            Ok(answer) => Err(self.refused(&answer)),
            Err(error) => Err(unanswered(&error)),
        }
    }

    fn request(&self, app: &AppCredentials, fields: &[(&str, &str)]) -> Option<Request<Bytes>> {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut request = Request::post(self.base.at(&["api", "token"]).into_text())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        match &app.client_secret {
            Some(secret) => {
                let pair = STANDARD.encode(format!("{}:{}", app.client_id, secret.expose()));
                let mut basic = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
                basic.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, basic);
            }
            None => {
                form.append_pair("client_id", &app.client_id);
            }
        }
        request.body(form.finish().into()).ok()
    }

    /// RFC 6749 section 5.2, and everything that gateways say instead.
    fn refused(&self, answer: &Response<Bytes>) -> AccountsError {
        let status = answer.status();
        let retry_after = reply::retry_after(answer.headers(), self.clock.now());
        if status.is_server_error() {
            return AccountsError::Temporary { cause: "server_error", may_have_acted: true, retry_after };
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
            return AccountsError::Temporary { cause: "rate_limited", may_have_acted: false, retry_after };
        }
        // Without the documented form this is a gateway's page, not Spotify's word on the grant.
        let Ok(OAuthRefusal { error: Some(code), error_description }) = serde_json::from_slice(answer.body())
        else {
            return AccountsError::Temporary {
                cause: "unexpected_answer",
                may_have_acted: true,
                retry_after,
            };
        };
        let described = error_description.map(|text| text.clean(200)).unwrap_or_default();
        match code.as_str() {
            "invalid_grant" => AccountsError::InvalidGrant(fault(&described)),
            "invalid_client" | "unauthorized_client" => AccountsError::InvalidClient,
            "temporarily_unavailable" | "server_error" => {
                AccountsError::Temporary { cause: "server_error", may_have_acted: false, retry_after }
            }
            _ => AccountsError::Refused(super::text::clean(&format!("{code} {described}"), 200)),
        }
    }
}

fn fault(description: &str) -> GrantFault {
    let description = description.to_ascii_lowercase();
    if description.contains("expired") {
        GrantFault::Expired
    } else if description.contains("revoked") {
        GrantFault::Revoked
    } else {
        GrantFault::Other
    }
}

fn unanswered(error: &EgressError) -> AccountsError {
    AccountsError::Temporary {
        cause: error.code(),
        may_have_acted: error.may_have_arrived(),
        retry_after: None,
    }
}

pub(crate) fn understood(body: &[u8]) -> Result<TokenSet, AccountsError> {
    let said: RawTokens = serde_json::from_slice(body).map_err(|_| AccountsError::Malformed)?;
    let bearer = said.token_type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let access_token = said.access_token.as_ref().and_then(|text| AccessToken::parse(text.expose()));
    let (true, Some(access_token)) = (bearer, access_token) else { return Err(AccountsError::Malformed) };
    let refresh_token = match said.refresh_token {
        // An empty one has meant "none" elsewhere; a damaged one must not replace the good one.
        Some(text) if text.expose().is_empty() => None,
        Some(text) if !is_token(text.expose()) => return Err(AccountsError::Malformed),
        other => other,
    };
    let lifetime = said.expires_in.unwrap_or(USUAL_LIFETIME).min(LONGEST_LIFETIME);
    Ok(TokenSet {
        access_token,
        expires_in: Duration::from_secs(lifetime),
        refresh_token,
        scope: said.scope.map(|scope| scope.clean(1000)),
    })
}

#[derive(Deserialize)]
struct RawTokens {
    access_token: Option<SecretString>,
    #[serde(default, deserialize_with = "lenient::word")]
    token_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    expires_in: Option<u64>,
    refresh_token: Option<SecretString>,
    #[serde(default, deserialize_with = "lenient::foreign")]
    scope: Option<Foreign>,
}

#[derive(Deserialize)]
struct OAuthRefusal {
    #[serde(default, deserialize_with = "lenient::word")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient::foreign")]
    error_description: Option<Foreign>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_answers_are_read_leniently_and_damaged_ones_refused() {
        let full = br#"{"access_token":"a","token_type":"bearer","expires_in":"60","refresh_token":"r","scope":"s t"}"#;
        let set = understood(full).unwrap();
        assert_eq!(set.expires_in.as_secs(), 60);
        assert_eq!(set.refresh_token, Some(SecretString::new("r")));
        assert_eq!(set.scope.as_deref(), Some("s t"));
        let least = understood(br#"{"access_token":"a","refresh_token":null,"expires_in":-5}"#).unwrap();
        assert_eq!((least.expires_in.as_secs(), least.refresh_token, least.scope), (3600, None, None));
        for damaged in [
            "",
            "<html>",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a","token_type":"mac"}"#,
            r#"{"access_token":"a","refresh_token":"r\n"}"#,
            r#"{"access_token":"a""#,
        ] {
            assert_eq!(understood(damaged.as_bytes()).unwrap_err(), AccountsError::Malformed, "{damaged}");
        }
    }

    #[test]
    fn the_fault_of_a_grant_is_read_from_its_description() {
        assert_eq!(fault("Refresh token expired"), GrantFault::Expired);
        assert_eq!(fault("Refresh token revoked"), GrantFault::Revoked);
        assert_eq!(fault(""), GrantFault::Other);
    }
}
