//! `POST /revoke`: a client gives a token back (RFC 7009). Unknown tokens are answered 200 as well.

use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::event::{Event, EventCode};
use crate::domain::{GrantId, UserId};

use super::token::{Basic, authenticate};
use super::{OAuthError, Params, Reply, Visitor};

/// Revokes. A refresh token ends its whole grant; an access token ends alone.
pub async fn revoke(
    app: &App,
    form: &Params,
    basic: Basic,
    visitor: &Visitor,
) -> Result<(), Reply<OAuthError>> {
    if let Some(fault) = form.fault() {
        return Err(Reply::Refused(OAuthError::bad("invalid_request", fault)));
    }
    let client = authenticate(app, form, basic, visitor).await?;
    let Some(text) = form.get("token") else {
        return Err(Reply::Refused(OAuthError::bad("invalid_request", "token is missing")));
    };
    // The hint is only a hint (RFC 7009 section 2.1): our tokens say themselves what they are.
    if let Some(hash) = Token::parse(TokenKind::Refresh, text).map(|token| token.hash()) {
        if let Some(row) = app.store.refresh_token(hash).await?
            && row.token.client == client.id
        {
            let event = event(&row.user, &row.grant, visitor).client(&client.id);
            let events = [app.stamp(event)];
            app.store.revoke_grant(&row.user, &row.grant, "revoked_by_client", app.now(), &events).await?;
        }
    } else if let Some(hash) = Token::parse(TokenKind::Access, text).map(|token| token.hash())
        && let Some(grant) = app.store.access_grant(hash).await?
        && grant.client == client.id
    {
        let event = event(&grant.user, &grant.grant, visitor).client(&client.id);
        app.store.revoke_access_token(hash, app.now(), &[app.stamp(event)]).await?;
    }
    app.notice_revocations().await;
    Ok(())
}

fn event(user: &UserId, grant: &GrantId, visitor: &Visitor) -> Event {
    Event::new(EventCode::AuthnTokenRevoked)
        .by(user)
        .subject(grant.as_str())
        .from(visitor.address)
        .request(&visitor.request)
        .because("given back by the client")
}
