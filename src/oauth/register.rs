//! `POST /register`: dynamic client registration (RFC 7591), open and unauthenticated, hence bounded.

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::client::{self, AuthMethod, ClientMetadata, Registration};
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::DynamicClientId;
use crate::domain::redirect::RedirectUri;
use crate::store::NewClient;

use super::{OAuthError, Reply, Visitor};

/// Registers a client; the answer is the 201's JSON, which never holds `null` (several clients crash on it).
pub async fn register(app: &App, body: &[u8], visitor: &Visitor) -> Result<Value, Reply<OAuthError>> {
    let request = Registration::read(body).ok_or_else(|| {
        Reply::Refused(OAuthError::bad(
            "invalid_client_metadata",
            "the body must be a JSON object of client metadata",
        ))
    })?;
    let metadata = client::register(&request)
        .map_err(|error| Reply::Refused(OAuthError::bad(error.code(), error.to_string())))?;

    let secret = (metadata.auth_method != AuthMethod::None)
        .then(|| Token::mint(TokenKind::ClientSecret, &app.dice.bytes()));
    let new = new_client(app, &metadata, secret.as_ref(), visitor);
    let event = Event::new(EventCode::ClientRegistered)
        .client(&new.id)
        .from(visitor.address)
        .request(&visitor.request)
        .detail("auth_method", metadata.auth_method.name())
        .detail("redirect_uri", metadata.redirect_uris.first().map_or("", RedirectUri::as_str));
    app.store.register_client(&new, &[app.stamp(event)]).await?;
    Ok(answer(&new, &metadata, secret.as_ref()))
}

fn new_client(app: &App, metadata: &ClientMetadata, secret: Option<&Token>, visitor: &Visitor) -> NewClient {
    let now = app.now();
    NewClient {
        id: DynamicClientId::mint(app.dice.bytes()).into(),
        name: metadata.name.clone(),
        redirect_uris: metadata.redirect_uris.clone(),
        auth_method: metadata.auth_method,
        grant_types: metadata.grant_types.clone(),
        scopes: metadata.scopes,
        secret: secret.map(Token::hash),
        registered_from: neighbourhood(visitor.address),
        now,
        expires_at: now.plus(app.config.auth.lifetimes.unused_client),
    }
}

fn answer(new: &NewClient, metadata: &ClientMetadata, secret: Option<&Token>) -> Value {
    let uris: Vec<_> = metadata.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut answer = Map::new();
    answer.insert("client_id".to_owned(), json!(new.id));
    answer.insert("client_id_issued_at".to_owned(), json!(new.now.secs()));
    answer.insert("client_name".to_owned(), json!(metadata.name));
    answer.insert("redirect_uris".to_owned(), json!(uris));
    answer.insert("grant_types".to_owned(), json!(metadata.grant_types));
    answer.insert("response_types".to_owned(), json!(["code"]));
    answer.insert("token_endpoint_auth_method".to_owned(), json!(metadata.auth_method.name()));
    answer.insert("scope".to_owned(), json!(metadata.scopes.to_string()));
    if let Some(secret) = secret {
        answer.insert("client_secret".to_owned(), json!(secret.expose()));
        answer.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    Value::Object(answer)
}

/// An address as limits count it: IPv6 by its /64, because one line has that many.
fn neighbourhood(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
