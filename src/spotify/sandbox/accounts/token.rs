//! `POST /api/token`: codes for tokens, refresh tokens for more (spotify.md 1.5, 1.7, 6.2 to 6.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::spotify::sandbox::journal::Who;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::app::{App, RefreshMode};
use crate::spotify::sandbox::world::grants::{ACCESS_LIFE, CODE_LIFE, Code, Grant};
use crate::spotify::sandbox::world::shards::lock;

/// A successful answer of the token endpoint. The tokens are worth nothing outside of the sandbox.
#[derive(Clone, Serialize)]
pub struct Tokens {
    /// For the Web API; good for 3600 seconds of virtual time.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u64,
    /// What was granted, space-separated; nothing is granted to an app itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Left out where the app's refresh mode says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// A refusal: always 400, with `error` and `error_description`.
struct Refused(&'static str, &'static str);

type Answer = Result<(Tokens, Who), Refused>;

/// `POST /api/token`.
pub async fn endpoint(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let form = Form(form_urlencoded::parse(&body).into_owned().collect());
    match answer(&world, &headers, &form) {
        Ok((tokens, who)) => {
            let mut reply = axum::Json(tokens).into_response();
            reply.extensions_mut().insert(who);
            // The real service sets cookies here, which a client must ignore (spotify.md 6.3).
            let cookie = HeaderValue::from_static("__Host-sandbox_device=1; Path=/; Secure; HttpOnly");
            reply.headers_mut().insert(header::SET_COOKIE, cookie);
            reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            reply
        }
        Err(refused) => refused.into_response(),
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = axum::Json(json!({ "error": self.0, "error_description": self.1 }));
        (StatusCode::BAD_REQUEST, body).into_response()
    }
}

struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn answer(world: &World, headers: &HeaderMap, form: &Form) -> Answer {
    let app = authenticate(world, headers, form).ok_or(Refused("invalid_client", "Invalid client"))?;
    match form.get("grant_type") {
        Some("authorization_code") => exchange(world, &app, form),
        Some("refresh_token") => refresh(world, &app, form),
        Some("client_credentials") => app_alone(world, &app),
        _ => Err(Refused("unsupported_grant_type", "grant_type parameter is missing or not supported")),
    }
}

/// The app that asks: by HTTP Basic or by form; a secret app must prove itself, a public one names itself.
fn authenticate(world: &World, headers: &HeaderMap, form: &Form) -> Option<Arc<App>> {
    let basic = headers.get(header::AUTHORIZATION).and_then(|value| basic(value.to_str().ok()?));
    let (client_id, secret) = match &basic {
        Some((id, secret)) => (id.as_str(), Some(secret.as_str())),
        None => (form.get("client_id")?, form.get("client_secret")),
    };
    let app = world.app(client_id)?;
    let secrets = app.secrets();
    match (&secrets.present, secret) {
        (None, None | Some("")) => Some(app),
        (Some(hash), Some(secret)) if *hash == TokenHash::of(secret) => Some(app),
        (Some(_), Some(secret)) if secrets.former.is_some_and(|hash| hash == TokenHash::of(secret)) => {
            Some(app)
        }
        // A secret app may also use PKCE without its secret, but only with a code that has a challenge.
        (Some(_), None) if form.get("code_verifier").is_some() => Some(app),
        (Some(_), None) if form.get("grant_type") == Some("refresh_token") => Some(app),
        _ => None,
    }
}

fn basic(value: &str) -> Option<(String, String)> {
    let pair = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    pair.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

const INVALID_GRANT: &str = "invalid_grant";

fn exchange(world: &World, app: &Arc<App>, form: &Form) -> Answer {
    let hash = TokenHash::of(form.get("code").unwrap_or_default());
    let now = world.now();
    let code = {
        let mut codes = lock(&world.grants.codes);
        let code = codes.get_mut(&hash).ok_or(Refused(INVALID_GRANT, "Invalid authorization code"))?;
        if code.used {
            if app.rules().code_reuse_revokes {
                revoke_what_it_gave(world, code);
            }
            return Err(Refused(INVALID_GRANT, "Invalid authorization code"));
        }
        check(code, app, form, now)?;
        code.used = true;
        code.clone()
    };
    let person = world.person(&code.user).ok_or(Refused(INVALID_GRANT, "Invalid authorization code"))?;
    person.counts.exchanges.fetch_add(1, Ordering::Relaxed);
    let grant = Arc::new(Grant {
        app: app.clone(),
        person,
        scopes: code.scopes,
        authorized_at: Timestamp::from_millis(code.approved_at),
        revoked: AtomicBool::new(false),
    });
    let tokens = issue(world, &grant, true);
    if let Some(kept) = lock(&world.grants.codes).get_mut(&hash) {
        kept.gave = Some(TokenHash::of(&tokens.access_token));
    }
    world.saver.changed();
    Ok((tokens, who(&grant)))
}

fn check(code: &Code, app: &App, form: &Form, now: Timestamp) -> Result<(), Refused> {
    if now >= Timestamp::from_millis(code.approved_at).plus(CODE_LIFE) {
        return Err(Refused(INVALID_GRANT, "Authorization code expired"));
    }
    if code.client_id != *app.client_id {
        return Err(Refused(INVALID_GRANT, "Invalid authorization code"));
    }
    if form.get("redirect_uri") != Some(code.redirect_uri.as_str()) {
        return Err(Refused(INVALID_GRANT, "Invalid redirect URI"));
    }
    match (&code.challenge, form.get("code_verifier")) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refused(INVALID_GRANT, "code_verifier required")),
        (Some(challenge), Some(verifier))
            if (43..=128).contains(&verifier.len())
                && *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) =>
        {
            Ok(())
        }
        _ => Err(Refused(INVALID_GRANT, "code_verifier was incorrect")),
    }
}

fn revoke_what_it_gave(world: &World, code: &Code) {
    if let Some(hash) = code.gave {
        world.grants.access.read(&hash, |access| access.grant.revoked.store(true, Ordering::Release));
        world.saver.changed();
    }
}

fn refresh(world: &World, app: &Arc<App>, form: &Form) -> Answer {
    let presented = form.get("refresh_token").unwrap_or_default();
    let mode = app.rules().refresh;
    let now = world.now();
    let outcome = world.grants.refresh.update(&TokenHash::of(presented), |refresh| {
        let grant = &refresh.grant;
        if grant.app.client_id != app.client_id {
            return Err(Refused(INVALID_GRANT, "Invalid refresh token"));
        }
        if refresh.spent || grant.is_revoked() {
            return Err(Refused(INVALID_GRANT, "Refresh token revoked"));
        }
        if grant.is_expired(now) {
            return Err(Refused(INVALID_GRANT, "Refresh token expired"));
        }
        // Spent under its lock: of two that race, one wins.
        refresh.spent = mode == RefreshMode::Rotate;
        Ok(grant.clone())
    });
    let grant = outcome.unwrap_or(Err(Refused(INVALID_GRANT, "Invalid refresh token")))?;
    grant.person.counts.refreshes.fetch_add(1, Ordering::Relaxed);
    let mut tokens = issue(world, &grant, mode == RefreshMode::Rotate);
    if mode == RefreshMode::Same {
        tokens.refresh_token = Some(presented.to_owned());
    }
    Ok((tokens, who(&grant)))
}

/// A token for the app itself, for which it needs its secret (spotify.md 1.5). Here it opens nothing: everything in
/// this Web API belongs to somebody.
fn app_alone(world: &World, app: &App) -> Answer {
    if app.is_public() {
        return Err(Refused("invalid_client", "Invalid client"));
    }
    let tokens = Tokens {
        access_token: world.opaque("BQ"),
        token_type: "Bearer",
        expires_in: ACCESS_LIFE.as_secs(),
        scope: None,
        refresh_token: None,
    };
    Ok((tokens, Who { user: None, app: app.client_id.clone() }))
}

/// Issues an access token, and a refresh token where asked.
pub fn issue(world: &World, grant: &Arc<Grant>, with_refresh: bool) -> Tokens {
    let access_token = world.opaque("BQ");
    let refresh_token = with_refresh.then(|| world.opaque("AQ"));
    let refresh = refresh_token.as_deref().map(TokenHash::of);
    world.grants.keep(grant, TokenHash::of(&access_token), refresh, world.now());
    world.saver.changed();
    Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: ACCESS_LIFE.as_secs(),
        scope: Some(grant.scopes.to_string()),
        refresh_token,
    }
}

fn who(grant: &Grant) -> Who {
    Who { user: Some(grant.person.id.clone()), app: grant.app.client_id.clone() }
}
