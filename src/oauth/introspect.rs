//! `POST /introspect`: a confidential client asks whether a token of its own still works (RFC 7662). Never says
//! anything about another client's token: unknown, foreign and dead all look alike, and are looked for alike.

use serde_json::{Value, json};

use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::client::AuthMethod;
use crate::store::TokenFacts;

use super::token::{Basic, authenticate};
use super::{OAuthError, Params, Reply, Visitor};

/// Describes a token; what is not a living token of this client is `{"active": false}` and nothing more. The hint is
/// not needed: our tokens say themselves what they are (RFC 7662 section 2.1).
pub async fn introspect(
    app: &App,
    form: &Params,
    basic: Basic,
    visitor: &Visitor,
) -> Result<Value, Reply<OAuthError>> {
    if let Some(fault) = form.fault() {
        return Err(Reply::Refused(OAuthError::bad("invalid_request", fault)));
    }
    let by_basic = !matches!(basic, Ok(None));
    let client = authenticate(app, form, basic, visitor).await?;
    if client.auth_method == AuthMethod::None {
        let said = "a client without a secret cannot introspect";
        return Err(Reply::Refused(OAuthError::invalid_client(said, by_basic)));
    }
    let Some(text) = form.get("token") else {
        return Err(Reply::Refused(OAuthError::bad("invalid_request", "token is missing")));
    };
    let parsed = |kind| Token::parse(kind, text).map(|token| token.hash());
    let (facts, is_access) = match (parsed(TokenKind::Access), parsed(TokenKind::Refresh)) {
        (Some(hash), _) => (app.store.access_token_facts(hash, &client.id, app.now()).await?, true),
        (None, Some(hash)) => (app.store.refresh_token_facts(hash, &client.id, app.now()).await?, false),
        (None, None) => (None, false),
    };
    Ok(facts.map_or_else(|| json!({"active": false}), |facts| described(app, &facts, is_access)))
}

fn described(app: &App, facts: &TokenFacts, is_access: bool) -> Value {
    let issuer = app.issuer();
    let mut answer = json!({
        "active": true,
        "client_id": facts.client,
        "scope": facts.scopes.to_string(),
        "sub": facts.user,
        "aud": facts.resource.url(&issuer),
        "iss": issuer,
        "iat": facts.issued_at.secs(),
        "exp": facts.expires_at.secs(),
    });
    // The type says how a token is used (RFC 6749 section 7.1); a refresh token has none.
    if is_access {
        answer["token_type"] = json!("Bearer");
    }
    answer
}
