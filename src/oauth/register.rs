//! `POST /register`: dynamic client registration (RFC 7591), unauthenticated, hence bounded: by address, in total, in
//! size and in time. Never fetches what the metadata points to, and never lets a client choose its id.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::ambient::Timestamp;
use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::client::{
    self, AuthMethod, ClientMetadata, Registration, RegistrationError, RegistrationMode,
};
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::DynamicClientId;
use crate::domain::redirect::RedirectUri;
use crate::domain::{ClientId, Neighbourhood};
use crate::failure::Failure;
use crate::store::{NewClient, Registered, RegistrationBounds};

use super::{OAuthError, Reply, Visitor};

/// When to try again where this address has registered too many.
const NEXT_DAY: Duration = Duration::from_secs(24 * 3600);

/// Registers a client; the answer is the 201's JSON, which never holds `null` (several clients crash on it).
///
/// A public client that registers once more what its address registered today, and that nobody has used, gets the same
/// client: some register at every start. Nothing is to be learned or taken by that: such a client has no secret, no
/// grant and no consent, and whoever gets its id named the very same redirect URIs.
pub async fn register(app: &App, body: &[u8], visitor: &Visitor) -> Result<Value, Reply<OAuthError>> {
    let mode = app.config.auth.registration;
    if mode == RegistrationMode::Off {
        return Err(refusal(&RegistrationError::Closed));
    }
    let request = Registration::read(body).ok_or_else(|| {
        let said = "the body must be one JSON object of client metadata, no member twice, not nested deeply";
        Reply::Refused(OAuthError::bad("invalid_client_metadata", said))
    })?;
    let metadata = client::register(&request).map_err(|error| refusal(&error))?;
    mode.judge(&metadata).map_err(|error| refusal(&error))?;

    let secret = (metadata.auth_method != AuthMethod::None)
        .then(|| Token::mint(TokenKind::ClientSecret, &app.dice.bytes()));
    let new = new_client(app, &metadata, secret.as_ref(), visitor);
    let event = Event::new(EventCode::ClientRegistered)
        .client(&new.id)
        .from(visitor.address)
        .request(&visitor.request)
        .detail("auth_method", metadata.auth_method.name())
        .detail("redirect_uri", metadata.redirect_uris.first().map_or("", RedirectUri::as_str));
    match app.store.register_client(&new, &[app.stamp(event)]).await? {
        Registered::New { evicted } => {
            report_evicted(app, &evicted).await?;
            Ok(answer((&new.id, new.now), &metadata, secret.as_ref()))
        }
        Registered::Known { id, issued_at } => Ok(answer((&id, issued_at), &metadata, None)),
        Registered::TooManyFromAddress => {
            let said =
                "too many clients of this address were registered today and never used; use one of them";
            too_many(app, said, NEXT_DAY, visitor).await
        }
    }
}

fn refusal(error: &RegistrationError) -> Reply<OAuthError> {
    let status = match error {
        RegistrationError::Closed => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    Reply::Refused(OAuthError::with(status, error.code(), error.to_string()))
}

/// RFC 7591 has no code for this: HTTP's own status says it, and RFC 6749's word for "later".
async fn too_many(
    app: &App,
    said: &'static str,
    wait: Duration,
    visitor: &Visitor,
) -> Result<Value, Reply<OAuthError>> {
    let event = Event::new(EventCode::ExcessRateLimitExceeded)
        .refused()
        .from(visitor.address)
        .request(&visitor.request)
        .operation("POST /register")
        .because(said);
    app.audit.note(event).await;
    let error = OAuthError::with(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", said);
    Err(Reply::Refused(OAuthError { retry_after: Some(wait), ..error }))
}

async fn report_evicted(app: &App, evicted: &[ClientId]) -> Result<(), Failure> {
    for id in evicted {
        let event =
            Event::new(EventCode::ClientDeleted).client(id).because("never used, and the oldest of too many");
        app.audit.record(event).await?;
    }
    Ok(())
}

fn new_client(app: &App, metadata: &ClientMetadata, secret: Option<&Token>, visitor: &Visitor) -> NewClient {
    let (now, limits) = (app.now(), app.limits.config());
    NewClient {
        id: DynamicClientId::mint(app.dice.bytes()).into(),
        name: metadata.name.clone(),
        redirect_uris: metadata.redirect_uris.clone(),
        auth_method: metadata.auth_method,
        grant_types: metadata.grant_types.clone(),
        scopes: metadata.scopes,
        secret: secret.map(Token::hash),
        registered_from: Neighbourhood::of(visitor.address),
        now,
        expires_at: now.plus(app.config.auth.lifetimes.unused_client),
        fingerprint: secret.is_none().then(|| metadata.fingerprint()),
        bounds: RegistrationBounds {
            per_address: limits.unused_clients_per_address_per_day,
            total: limits.unused_clients,
        },
    }
}

fn answer(
    (id, issued_at): (&ClientId, Timestamp),
    metadata: &ClientMetadata,
    secret: Option<&Token>,
) -> Value {
    let uris: Vec<_> = metadata.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut answer = Map::new();
    answer.insert("client_id".to_owned(), json!(id));
    answer.insert("client_id_issued_at".to_owned(), json!(issued_at.secs()));
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
