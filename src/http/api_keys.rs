//! `POST /account/api-keys` and its revocation: keys of the person who is logged in, each shown once.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::ambient::Timestamp;
use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::api_key::{self, KeyName, Wanted};
use crate::domain::event::EventCode;
use crate::domain::{ApiKeyId, Scope, ScopeSet, UserId};
use crate::failure::Failure;
use crate::oauth::{Params, Visitor};
use crate::store::{Added, ApiKey, KeyEnd, NewApiKey};
use crate::vault::seal_signing_key;
use crate::web::{ApiKeyRow, ApiKeys, Done, LIVES, MadeKey, NoKey, Problem, Untrusted, key_made, no_key};

use super::account::{Posted, by, finish};
use super::reply::{failed_page, page};
use super::{Http, Shared};

/// The section of the account page.
pub(super) async fn section(app: &App, user: &UserId, now: Timestamp) -> Result<ApiKeys, Failure> {
    let keys = app.store.api_keys(Some(user)).await?;
    Ok(ApiKeys {
        on: app.config.auth.api_keys,
        signing: app.config.security.request_signing,
        rows: keys.into_iter().map(|key| row(key, now)).collect(),
    })
}

fn row(key: ApiKey, now: Timestamp) -> ApiKeyRow {
    ApiKeyRow {
        id: key.id,
        name: Untrusted::new(&key.name),
        prefix: Untrusted::new(&key.prefix),
        scopes: key.scopes,
        since: key.created_at,
        until: key.expires_at,
        expired: key.expires_at.is_some_and(|end| now >= end),
        last_used: key.last_used_at,
    }
}

/// `POST /account/api-keys`
pub(super) async fn create(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    posted: Posted,
) -> Response {
    if !http.app.config.auth.api_keys {
        return no_key(&http.site, NoKey::Off).into_response();
    }
    match wanted(&posted.form) {
        Ok(wanted) => match made(&http, &posted, &visitor, wanted).await {
            Ok(response) => response,
            Err(failure) => failed_page(&http, &failure, &visitor),
        },
        Err(why) => no_key(&http.site, why).into_response(),
    }
}

fn wanted(form: &Params) -> Result<Wanted, NoKey> {
    let name = KeyName::parse(form.get("name").unwrap_or_default()).map_err(|_| NoKey::Name)?;
    let chosen = Scope::ALL.into_iter().filter(|scope| form.get(scope.name()) == Some("on"));
    let scopes: ScopeSet = chosen.collect();
    if scopes == ScopeSet::EMPTY {
        return Err(NoKey::Scope);
    }
    let life = form.get("expires").filter(|life| LIVES.iter().any(|(offered, _)| offered == life));
    let life = life.and_then(|life| api_key::life(life).ok()).ok_or(NoKey::Life)?;
    Ok(Wanted { name, scopes, life })
}

/// Most times that a key is sealed before it is given up.
const SEALINGS: u32 = 5;

async fn made(http: &Http, posted: &Posted, visitor: &Visitor, wanted: Wanted) -> Result<Response, Failure> {
    let app = &http.app;
    let (user, now) = (&posted.session.user, app.now());
    let token = Token::mint(TokenKind::ApiKey, &app.dice.bytes());
    let id = ApiKeyId::mint(app.dice.bytes());
    let most = app.config.limits.api_keys_per_user;
    // 0 switches a limit off.
    let most = if most == 0 { i64::MAX } else { i64::from(most) };
    let made = NewApiKey::of(&token, &wanted, (id, user.clone()), now);
    let mut key = NewApiKey { most, ..made };
    let event = by(EventCode::ApiKeyCreated, &posted.session, visitor)
        .subject(key.id.as_str())
        .detail("scope", key.scopes.to_string());
    let events = [app.stamp(event)];
    let mut added = Added::KeyReplaced;
    // The person's data key may be replaced between sealing and saving.
    for _ in 0..SEALINGS {
        key.signing = seal_signing_key(&app.store, (&app.keys, &app.dice), (user, &key.id), &token).await?;
        added = app.store.add_api_key(&key, &events).await?;
        if added != Added::KeyReplaced {
            break;
        }
    }
    Ok(match added {
        Added::KeyReplaced => return Err(Failure::new("the person's data key kept changing")),
        Added::Done => key_made(&http.site, &shown(&key, &token, app)).into_response(),
        Added::TooMany => no_key(&http.site, NoKey::TooMany).into_response(),
        Added::Nobody => page(http, Problem::NotFound, visitor).into_response(),
    })
}

fn shown<'a>(key: &'a NewApiKey, token: &'a Token, app: &App) -> MadeKey<'a> {
    MadeKey {
        key: token.expose(),
        id: &key.id,
        name: Untrusted::new(&key.name),
        scopes: key.scopes,
        until: key.expires_at,
        signing: app.config.security.request_signing,
    }
}

/// `POST /account/api-keys/revoke`
pub(super) async fn revoke(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    posted: Posted,
) -> Response {
    let Some(id) = posted.form.get("key").and_then(|id| id.parse::<ApiKeyId>().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let app = &http.app;
    let event = by(EventCode::ApiKeyRevoked, &posted.session, &visitor).subject(id.as_str());
    let events = [app.stamp(event)];
    let ended = app.store.revoke_api_key(Some(&posted.session.user), &id, app.now(), &events).await;
    finish(&http, ended.map(|end| end == KeyEnd::Done), Done::KeyRevoked, &visitor).await
}
