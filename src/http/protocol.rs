//! The MCP endpoints: authenticate every request before anything is read, then hand it to the protocol server.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use crate::app::{App, Bearer, Refused};
use crate::crypto::token::{TokenHash, TokenKind};
use crate::domain::event::{Event, EventCode};
use crate::domain::resource::Resource;
use crate::domain::signature::{self, Flaw};
use crate::domain::{ApiKeyId, ClientId, Scope, ScopeSet};
use crate::failure::Failure;
use crate::mcp::{self, Caller, ExpectedDigest, InsufficientScope, NotServed};
use crate::oauth::challenge::Challenge;
use crate::oauth::{Visitor, refusals};
use crate::store::KeyGrant;
use crate::telemetry::metrics::Figure;

use super::limited::{self, Limited};
use super::signed::{by_signature, flawed};
use super::{Http, Shared, cors, reply};

/// The client of requests without a credential, where they are allowed at all.
const LOCAL_CLIENT: &str = "local-http";

/// How often the trail hears of the same credential's refusals.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(60);

/// Whatever reaches the protocol through the router: all but calls (see [`super::Front`]).
pub(super) async fn other(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    request: Request,
) -> Response {
    match resource_at(request.uri().path()) {
        Some(resource) => serve(&http, resource, visitor, request).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The protocol's endpoint at this path.
pub(super) fn resource_at(path: &str) -> Option<Resource> {
    match path {
        "/mcp" | "/mcp/" => Some(Resource::Mcp),
        "/claude-mcp" | "/claude-mcp/" => Some(Resource::ClaudeMcp),
        _ => None,
    }
}

/// Answers a request to the protocol. The script of a browser may read what it says.
pub(super) async fn serve(http: &Http, resource: Resource, visitor: Visitor, request: Request) -> Response {
    let from_browser = request.headers().contains_key(header::ORIGIN);
    let mut response = answer(http, resource, visitor, request).await;
    if from_browser {
        cors::mark(response.headers_mut());
    }
    response
}

async fn answer(http: &Http, resource: Resource, visitor: Visitor, request: Request) -> Response {
    let Some(server) = &http.mcp else { return StatusCode::NOT_FOUND.into_response() };
    // What cannot be recorded is not done (and no queue grows while the disk refuses).
    if !http.app.audit.is_writable() {
        return unavailable();
    }
    let (mut parts, body) = request.into_parts();
    // Before the credential: a page that is not ours gets nowhere, whatever it holds, and strangers can see that.
    if !server.lets_in(&parts.headers) {
        return mcp::refusal(StatusCode::FORBIDDEN, "this Origin is not allowed");
    }
    let Proven { caller, proof, digest } = match caller(http, &parts, &visitor).await {
        Ok(proven) => proven,
        Err(denied) => return denied.answer(http, resource),
    };
    if let Err(failure) = http.app.audit.can_tell_of(&caller.user).await {
        tracing::error!(cause = failure.chain(), "a request that cannot be recorded is refused");
        return unavailable();
    }
    let caller = Arc::new(caller);
    parts.extensions.insert(caller.clone());
    if let Some(digest) = digest {
        parts.extensions.insert(digest);
    }
    let credential = Arc::new(Held { app: http.app.clone(), proof });
    match server.handle(Request::from_parts(parts, body), credential).await {
        Ok(response) => response,
        Err(NotServed::Ended | NotServed::Expired) => {
            challenged(http, StatusCode::UNAUTHORIZED, Challenge::InvalidToken, resource)
        }
        Err(NotServed::Undecided) => unavailable(),
        Err(NotServed::OtherBody) => {
            let event =
                event(EventCode::AuthenticationFailure, &visitor).by(&caller.user).client(&caller.client);
            Box::pin(refusals::note(&http.app, &visitor, event.because(Flaw::OtherBody.reason()))).await;
            Denied::Signature(Flaw::OtherBody).answer(http, resource)
        }
        Err(NotServed::InsufficientScope(missing)) => {
            let needed = missing.granted.with(missing.needed);
            let event = event(EventCode::AuthzFail, &visitor).by(&caller.user).client(&caller.client);
            http.app
                .audit
                .note(event.because("insufficient_scope").detail("needed", needed.to_string()))
                .await;
            lacking(http, missing, resource)
        }
    }
}

macro_rules! scope_missing {
    ($scope:literal) => {
        concat!(
            "SCOPE_MISSING: this needs the scope '",
            $scope,
            "', which this credential was not granted. Ask the person to connect the client again and approve it; in place of an \
             API key they make another one with it, at /account."
        )
    };
}

/// Also to whoever sees nothing but the message, as models do.
fn lacking(http: &Http, missing: InsufficientScope, resource: Resource) -> Response {
    let message = match missing.needed {
        Scope::Read => scope_missing!("read"),
        Scope::Write => scope_missing!("write"),
        Scope::Player => scope_missing!("player"),
    };
    let challenge = Challenge::InsufficientScope(ScopeSet::EMPTY.with(missing.needed));
    with_challenge(http, mcp::refusal(StatusCode::FORBIDDEN, message), challenge, resource)
}

/// Who calls, and what shows it.
pub(super) struct Proven {
    pub(super) caller: Caller,
    pub(super) proof: Proof,
    /// What the body must be, where it was signed.
    pub(super) digest: Option<ExpectedDigest>,
}

/// What proved who calls, to be asked again when the body is there and while the call runs.
pub(super) enum Proof {
    /// Nothing: there is nothing that could end.
    None,
    /// A token of our authorization server.
    Token(Bearer),
    /// An API key.
    Key(String),
    /// A signature by an API key.
    Signer(ApiKeyId),
}

/// A credential that was accepted, in the hands of the call that it was accepted for.
struct Held {
    app: Arc<App>,
    proof: Proof,
}

impl mcp::Credential for Held {
    fn still_good(&self) -> BoxFuture<'_, Result<(), NotServed>> {
        Box::pin(still_good(&self.app, &self.proof))
    }

    fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.app.revocation.news()
    }
}

/// Whether a credential that was accepted is still good.
async fn still_good(app: &App, proof: &Proof) -> Result<(), NotServed> {
    let looked = match proof {
        Proof::None => Ok(()),
        Proof::Token(bearer) => {
            app.bearers.look_again(bearer, (&app.store, &app.revocation), app.now()).await
        }
        Proof::Key(key) => {
            let looked_up = app.api_keys.look_up(key, (&app.store, &app.revocation), app.now());
            Box::pin(looked_up).await.map(drop)
        }
        Proof::Signer(key) => {
            let looked_up = app.api_keys.signer(key, (&app.store, &app.revocation, &app.keys), app.now());
            Box::pin(looked_up).await.map(drop)
        }
    };
    looked.map_err(|why| match why {
        Refused::Invalid | Refused::Over => NotServed::Ended,
        Refused::Expired => NotServed::Expired,
        Refused::Unavailable(failure) => {
            undecided(&failure);
            NotServed::Undecided
        }
    })
}

fn undecided(failure: &Failure) {
    tracing::error!(cause = failure.chain(), "a credential cannot be checked");
}

fn unavailable() -> Response {
    reply::soon(mcp::refusal(StatusCode::SERVICE_UNAVAILABLE, "nothing can be done at the moment: try again"))
}

/// Why nobody is known to call.
pub(super) enum Denied {
    /// No credential, or none that is good.
    Challenge(Challenge),
    /// A signature that is not good, or none where there must be one.
    Signature(Flaw),
    /// A key signs faster than its nonces can be remembered.
    TooMany,
    /// Too many wrong credentials came from there.
    Limited(Limited),
    /// Nothing can be decided.
    Unavailable,
}

impl Denied {
    fn answer(self, http: &Http, resource: Resource) -> Response {
        match self {
            Self::Challenge(challenge) => challenged(http, StatusCode::UNAUTHORIZED, challenge, resource),
            Self::Signature(flaw) => {
                let challenge = Challenge::Signature(flaw.advice());
                let mut response = challenged(http, StatusCode::UNAUTHORIZED, challenge, resource);
                let accepted = HeaderValue::from_static(signature::ACCEPTED);
                response.headers_mut().insert("accept-signature", accepted);
                response
            }
            Self::TooMany => {
                let said = "this key signs faster than its signatures can be remembered: see Retry-After";
                let mut response = mcp::refusal(StatusCode::TOO_MANY_REQUESTS, said);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
                response
            }
            Self::Limited(limited) => limited.for_protocol(),
            Self::Unavailable => unavailable(),
        }
    }
}

/// Who calls: from the credential alone, on every request (mcp.md R7).
async fn caller(http: &Http, request: &Parts, visitor: &Visitor) -> Result<Proven, Denied> {
    let app = &http.app;
    let mut sent = request.headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = sent.next() else {
        if let Some(proven) = Box::pin(by_signature(http, request, visitor)).await? {
            return Ok(proven);
        }
        let caller = Box::pin(without_credential(http, visitor)).await?;
        return Ok(Proven { caller, proof: Proof::None, digest: None });
    };
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token =
        token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let Some(token) = token.filter(|_| sent.next().is_none()) else {
        return Err(Box::pin(refused(http, visitor, "malformed_credential")).await);
    };
    if token.starts_with(TokenKind::ApiKey.prefix()) {
        let caller = Box::pin(by_key(http, token, visitor)).await?;
        return Ok(Proven { caller, proof: Proof::Key(token.to_owned()), digest: None });
    }
    match app.bearers.look_up(token, (&app.store, &app.revocation), app.now()).await {
        Ok(bearer) => {
            let grant = &bearer.grant;
            let caller = Caller {
                user: grant.user.clone(),
                link: grant.link.clone(),
                client: grant.client.clone(),
                scopes: grant.scopes,
                grant: Some(grant.grant.clone()),
                request_id: visitor.request.clone(),
                address: visitor.address,
            };
            Ok(Proven { caller, proof: Proof::Token(bearer), digest: None })
        }
        Err(why) => Err(Box::pin(not_accepted(http, visitor, why, (token, "invalid_token"))).await),
    }
}

/// The owner of an API key; in the trail, the key's id stands for the client.
async fn by_key(http: &Http, presented: &str, visitor: &Visitor) -> Result<Caller, Denied> {
    let (app, now) = (&http.app, http.app.now());
    if !app.config.auth.api_keys {
        return Err(refused(http, visitor, "api_keys_off").await);
    }
    let key = match app.api_keys.look_up(presented, (&app.store, &app.revocation), now).await {
        Ok(key) => key,
        Err(why) => return Err(not_accepted(http, visitor, why, (presented, "invalid_api_key")).await),
    };
    if app.config.security.request_signing {
        return Err(flawed(http, visitor, Flaw::Unsigned, Some(&key.grant.id)).await);
    }
    app.api_keys.note_use(&key, now);
    Ok(caller_of(&key.grant, visitor))
}

pub(super) fn caller_of(key: &KeyGrant, visitor: &Visitor) -> Caller {
    Caller {
        user: key.user.clone(),
        link: key.link.clone(),
        client: ClientId::from(key.id.clone()),
        scopes: key.scopes,
        grant: None,
        request_id: visitor.request.clone(),
        address: visitor.address,
    }
}

async fn not_accepted(
    http: &Http,
    visitor: &Visitor,
    why: Refused,
    (presented, reason): (&str, &'static str),
) -> Denied {
    match why {
        Refused::Invalid => refused(http, visitor, reason).await,
        // One of ours once: whoever holds it need not guess.
        Refused::Over | Refused::Expired => {
            Figure::InvalidToken.count();
            if http.app.limits.is_news(&TokenHash::of(presented), TELL_EVERY) {
                let event = event(EventCode::AuthenticationFailure, visitor).because(reason);
                refusals::note(&http.app, visitor, event.detail("known", "expired or ended")).await;
            }
            Denied::Challenge(Challenge::InvalidToken)
        }
        Refused::Unavailable(failure) => {
            undecided(&failure);
            Denied::Unavailable
        }
    }
}

pub(super) async fn refused(http: &Http, visitor: &Visitor, why: &'static str) -> Denied {
    match limited::attempt_failed(http, visitor, why, None).await {
        Some(limited) => Denied::Limited(limited),
        None => Denied::Challenge(Challenge::InvalidToken),
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
    let response = mcp::refusal(status, "a good credential is needed: see WWW-Authenticate");
    with_challenge(http, response, challenge, resource)
}

fn with_challenge(http: &Http, mut response: Response, challenge: Challenge, resource: Resource) -> Response {
    if let Ok(value) = HeaderValue::try_from(challenge.header(&http.app.issuer(), resource)) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

pub(super) fn event(code: EventCode, visitor: &Visitor) -> Event {
    Event::new(code).refused().from(visitor.address).request(&visitor.request)
}
