//! The MCP endpoints: authenticate every request before anything is read, then hand it to the protocol server.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::app::Refused;
use crate::domain::event::{Event, EventCode};
use crate::domain::resource::Resource;
use crate::domain::{ClientId, ScopeSet};
use crate::failure::Failure;
use crate::mcp::{Caller, NotServed};
use crate::oauth::Visitor;
use crate::oauth::challenge::Challenge;

use super::{Http, Shared};

/// The client of requests without a credential, where they are allowed at all.
const LOCAL_CLIENT: &str = "local-http";

/// `/mcp`
pub(super) async fn mcp(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    serve(&http, Resource::Mcp, visitor, request).await
}

/// `/claude-mcp`
pub(super) async fn claude_mcp(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    serve(&http, Resource::ClaudeMcp, visitor, request).await
}

async fn serve(http: &Http, resource: Resource, visitor: Visitor, mut request: Request) -> Response {
    let Some(server) = &http.mcp else { return StatusCode::NOT_FOUND.into_response() };
    // What cannot be recorded is not done (and no queue grows while the disk refuses).
    if !http.app.audit.is_writable() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let caller = match caller(http, request.headers(), &visitor).await {
        Ok(caller) => caller,
        Err(Denied::Challenge(challenge)) => {
            return challenged(http, StatusCode::UNAUTHORIZED, challenge, resource);
        }
        Err(Denied::Unavailable) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let (user, client) = (caller.user.clone(), caller.client.clone());
    let credential = request.headers().get(header::AUTHORIZATION).cloned();
    request.extensions_mut().insert(caller);
    match server.handle(request, still_good(http, credential)).await {
        Ok(response) => response,
        Err(NotServed::Ended) => {
            challenged(http, StatusCode::UNAUTHORIZED, Challenge::InvalidToken, resource)
        }
        Err(NotServed::OtherBody) => {
            let event = event(EventCode::AuthenticationFailure, &visitor).by(&user).client(&client);
            http.app.audit.note(event.because("body_changed")).await;
            challenged(http, StatusCode::UNAUTHORIZED, Challenge::InvalidToken, resource)
        }
        Err(NotServed::InsufficientScope(missing)) => {
            let needed = missing.granted.with(missing.needed);
            let event = event(EventCode::AuthzFail, &visitor).by(&user).client(&client);
            http.app
                .audit
                .note(event.because("insufficient_scope").detail("needed", needed.to_string()))
                .await;
            challenged(
                http,
                StatusCode::FORBIDDEN,
                Challenge::InsufficientScope(ScopeSet::EMPTY.with(missing.needed)),
                resource,
            )
        }
    }
}

/// Whether the credential that was accepted before the body came is still good.
async fn still_good(http: &Http, credential: Option<HeaderValue>) -> bool {
    let app = &http.app;
    let token = credential.as_ref().and_then(|value| value.to_str().ok()?.split_once(' '));
    match token {
        Some((_, token)) => {
            app.bearers.look_up(token.trim(), (&app.store, &app.revocation), app.now()).await.is_ok()
        }
        // Taken without a credential: there is none that could end.
        None => credential.is_none(),
    }
}

enum Denied {
    Challenge(Challenge),
    Unavailable,
}

/// Who calls: from the credential alone, on every request (mcp.md R7).
async fn caller(http: &Http, headers: &HeaderMap, visitor: &Visitor) -> Result<Caller, Denied> {
    let app = &http.app;
    let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = sent.next() else { return without_credential(http, visitor).await };
    let refused = |why| async move {
        app.audit.note(event(EventCode::AuthenticationFailure, visitor).because(why)).await;
        Denied::Challenge(Challenge::InvalidToken)
    };
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token =
        token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let Some(token) = token.filter(|_| sent.next().is_none()) else {
        return Err(refused("malformed_credential").await);
    };
    match app.bearers.look_up(token, (&app.store, &app.revocation), app.now()).await {
        Ok(grant) => Ok(Caller {
            user: grant.user.clone(),
            link: grant.link.clone(),
            client: grant.client.clone(),
            scopes: grant.scopes,
            grant: Some(grant.grant.clone()),
            request_id: visitor.request.clone(),
            address: visitor.address,
        }),
        Err(Refused::Invalid) => Err(refused("invalid_token").await),
        Err(Refused::Unavailable(failure)) => {
            tracing::error!(cause = failure.chain(), "a token cannot be checked");
            Err(Denied::Unavailable)
        }
    }
}

/// Only a server for one person on loopback may be told to take whoever comes for that person.
async fn without_credential(http: &Http, visitor: &Visitor) -> Result<Caller, Denied> {
    let (app, missing) = (&http.app, Denied::Challenge(Challenge::Missing));
    let open = !app.config.auth.multi_user && app.config.auth.local_without_credential;
    if !open || !visitor.address.is_loopback() {
        return Err(missing);
    }
    let unavailable = |failure: Failure| {
        tracing::error!(cause = failure.chain(), "the local user cannot be read");
        Denied::Unavailable
    };
    let Some(user) = app.store.sole_user().await.map_err(unavailable)? else { return Err(missing) };
    let links = app.store.links(&user).await.map_err(unavailable)?;
    Ok(Caller {
        user,
        link: links.into_iter().next().map(|link| link.id),
        client: ClientId::parse(LOCAL_CLIENT).ok_or(missing)?,
        scopes: ScopeSet::ALL,
        grant: None,
        request_id: visitor.request.clone(),
        address: visitor.address,
    })
}

fn challenged(http: &Http, status: StatusCode, challenge: Challenge, resource: Resource) -> Response {
    let mut response = status.into_response();
    if let Ok(value) = HeaderValue::try_from(challenge.header(&http.app.issuer(), resource)) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn event(code: EventCode, visitor: &Visitor) -> Event {
    Event::new(code).refused().from(visitor.address).request(&visitor.request)
}
