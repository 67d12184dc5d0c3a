//! The HTTP front: one endpoint for both eras, on the library's Streamable HTTP service without sessions.
//!
//! Before the library sees a request, the body is read once (bounded), malformed messages get a JSON-RPC error, the
//! session of a 2025-era client is checked, and the scope is decided, because a missing scope is an HTTP status (403) and not an answer of the protocol.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;
use tokio::sync::mpsc;

use super::basis::{Basis, Credential, StandsOn};
use super::caller::{Caller, ExpectedDigest};
use super::cancel::{Cancellable, Key};
use super::http_policy::{HttpPolicy, Origins};
use super::message::{self, Malformed, Message};
use super::refusal::{explain, refusal, refuse};
use super::server::Server;
use super::session;
use super::streamed::{self, Asker, UnderWay};
use super::streams::Streams;
use crate::app::McpSessions;
use crate::domain::asking::Offers;
use crate::domain::event::EventCode;
use crate::domain::{QuestionId, Scope, ScopeSet, SessionId};

/// Headers that decide what a request means; one that comes twice could mean two things to two readers.
static ONCE: [HeaderName; 9] = [
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("mcp-session-id"),
    header::HOST,
    header::ORIGIN,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("last-event-id"),
];

/// So many headers are added to an answer at most, here and by the layers around.
const MOST_OF_OURS: usize = 20;

/// Why a request was not served; the HTTP layer answers with its challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// The token does not allow what was asked.
    InsufficientScope(InsufficientScope),
    /// Somebody ended the token while the body came.
    Ended,
    /// The token's time was over while the body came.
    Expired,
    /// Whether it has ended cannot be said at the moment.
    Undecided,
    /// The body is not the one that the request's signature covers.
    OtherBody,
}

/// The caller's token does not allow what was asked: to be answered with 403 and a challenge (mcp.md R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsufficientScope {
    /// What the request needs.
    pub needed: Scope,
    /// What the token allows.
    pub granted: ScopeSet,
}

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub(super) struct Endpoint {
    service: Arc<dyn Protocol>,
    streams: Arc<Streams>,
    body_bytes: usize,
    origins: Origins,
}

/// The library's service around a handler. One type for all handlers, so that a request takes the same way to each.
trait Protocol: Send + Sync {
    fn answer(&self, request: Request<Body>) -> BoxFuture<'_, Response>;
}

impl<H: ServerHandler> Protocol for StreamableHttpService<H, NeverSessionManager> {
    fn answer(&self, request: Request<Body>) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.handle(request).await.map(Body::new) })
    }
}

impl Endpoint {
    pub(super) fn new<H: ServerHandler + Clone>(handler: H, policy: HttpPolicy) -> Self {
        let body_bytes = policy.most_body_bytes();
        let origins = policy.to_compare();
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_allowed_origins(policy.origins_with_ports())
            .with_allowed_hosts(policy.hosts)
            .enforce_origin_validation()
            .with_max_request_body_bytes(body_bytes)
            .with_cancellation_token(policy.shutdown);
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(NeverSessionManager::default()),
            config,
        );
        Self {
            service: Arc::new(service),
            streams: Streams::new(policy.streams_per_user),
            body_bytes,
            origins,
        }
    }
}

impl Server {
    /// Whether a request comes from no page of a browser, or from one of an origin that may call.
    pub fn lets_in(&self, headers: &HeaderMap) -> bool {
        self.endpoint.origins.let_in(headers)
    }

    /// Answers a request on `/mcp` or `/claude-mcp`. It must carry its [`Caller`] (in an [`Arc`]) in its extensions; without one every
    /// tool call fails.
    ///
    /// # Errors
    /// Where the token's scopes do not allow the call, or it ended while the body came or the call ran: the HTTP layer
    /// answers with its challenge. `credential` is asked when the body is there, and whenever something has ended.
    pub async fn handle(
        &self,
        request: Request<Body>,
        credential: Arc<dyn Credential>,
    ) -> Result<Response, NotServed> {
        match *request.method() {
            Method::POST => {}
            Method::DELETE => return Ok(Box::pin(self.delete(request)).await),
            _ => return Ok(explain(self.endpoint.service.answer(request).await)),
        }
        if let Some(refused) = refused_head(request.headers()) {
            return Ok(refused);
        }
        let (mut parts, body) = request.into_parts();
        let body = match self.read(&parts.headers, body).await {
            Ok(body) => body,
            Err(response) => return Ok(response),
        };
        if parts.extensions.get::<ExpectedDigest>().is_some_and(|expected| !expected.fits(&body)) {
            return Err(NotServed::OtherBody);
        }
        // A body may take its time, and the credential may have ended meanwhile.
        parts.extensions.insert(StandsOn(credential.clone()));
        let basis = Basis::of(credential);
        basis.still_good().await?;
        let message = match message::read(&body) {
            Ok(message) => message,
            Err(malformed) => return Ok(refuse(StatusCode::BAD_REQUEST, &malformed)),
        };
        // Before the scope is decided: a refusal for want of one leaves as much behind as a call.
        let budget = match self.count(&mut parts, &message).await {
            Ok(budget) => budget,
            Err(refused) => return Ok(refused),
        };
        if let Some((question, result)) = &message.reply {
            return Ok(Box::pin(self.reply(&parts, &message, (question, result))).await);
        }
        let granted = parts.extensions.get::<Arc<Caller>>().map_or(ScopeSet::EMPTY, |caller| caller.scopes);
        if let Some(needed) = self.scope_of(&message).filter(|needed| !granted.allows(*needed)) {
            return Err(NotServed::InsufficientScope(InsufficientScope { needed, granted }));
        }
        spell_out_accept(&mut parts.headers);
        let mut response = self.answer(&message, parts, &body, basis).await?;
        // All that is added to an answer on its way out, in one growth.
        response.headers_mut().reserve(MOST_OF_OURS);
        budget.tell(response.headers_mut());
        Ok(response)
    }

    /// Answers a message that may be answered: with the session of its era, if it has one, and as long as there is what
    /// it stands on.
    async fn answer(
        &self,
        message: &Message<'_>,
        mut parts: Parts,
        body: &Bytes,
        mut basis: Basis,
    ) -> Result<Response, NotServed> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        let legacy = !session::is_modern(&parts.headers, Some(message));
        let begins = legacy && message.method.as_deref() == Some("initialize");
        let session = match &self.sessions {
            Some(sessions) if legacy && !begins => {
                session::check(sessions, &parts.headers, caller.as_deref(), message.id.as_ref()).await
            }
            _ => Ok(None),
        };
        let session = match session {
            Ok(session) => session,
            Err(refused) => return Ok(refused),
        };
        if let (Some(_), Some(sessions), Some(caller)) = (&session, &self.sessions, &caller)
            && let Some(Ok(token)) = parts.headers.get(&session::HEADER).map(HeaderValue::to_str)
        {
            basis.on_session(sessions, token, session::owner(caller));
        }
        let asked = self.lets_ask(message, &mut parts, session.as_ref());
        let running = match &caller {
            Some(caller) if legacy => self.cancellable(message, caller, session.map(|(id, _)| id)),
            _ => None,
        };
        let (service, request) =
            (self.endpoint.service.clone(), Request::from_parts(parts, Body::from(body.clone())));
        let answering: BoxFuture<'static, Response> = Box::pin(async move { service.answer(request).await });
        let answer = tokio::select! {
            biased;
            answer = UnderWay::new(answering, asked, (running, message)).answer() => answer,
            gone = basis.gone() => return gone.answer(message.id.as_ref()),
        };
        Ok(match (&self.sessions, caller) {
            (Some(sessions), Some(caller)) if begins => {
                Box::pin(self.begin(sessions, &caller, body, explain(answer))).await
            }
            (_, Some(caller)) => self.endpoint.streams.count(&caller.user, explain(answer), basis),
            _ => explain(answer),
        })
    }

    /// Lets the call of a 2025-era client ask its person, where the client can show something; what it asks comes out of
    /// what is returned.
    fn lets_ask(
        &self,
        message: &Message<'_>,
        parts: &mut Parts,
        session: Option<&(SessionId, Offers)>,
    ) -> Option<mpsc::Receiver<Bytes>> {
        let is_call = message.method.as_deref() == Some("tools/call");
        let (id, offers) = session.filter(|(_, offers)| is_call && *offers != Offers::default())?;
        let user = parts.extensions.get::<Arc<Caller>>()?.user.clone();
        let (asker, asked) = Asker::of(self.sessions.as_ref()?, (user, id.clone()), *offers);
        parts.extensions.insert(asker);
        Some(asked)
    }

    /// Takes the reply to a question, from the session of 2025 that was asked.
    async fn reply(&self, parts: &Parts, message: &Message<'_>, reply: (&QuestionId, &Value)) -> Response {
        let caller = parts.extensions.get::<Arc<Caller>>().map(AsRef::as_ref);
        let Some(sessions) = self.sessions.as_ref().filter(|_| !session::is_modern(&parts.headers, None))
        else {
            return refuse(StatusCode::BAD_REQUEST, &Malformed::unasked());
        };
        match session::check(sessions, &parts.headers, caller, message.id.as_ref()).await {
            Ok(Some((session, _))) => streamed::take(sessions, &session, reply).await,
            Ok(None) => refuse(StatusCode::BAD_REQUEST, &Malformed::unasked()),
            Err(refused) => refused,
        }
    }

    /// Makes a 2025-era request cancellable while it runs; cancels what a notification names.
    fn cancellable(
        &self,
        message: &Message<'_>,
        caller: &Caller,
        session: Option<SessionId>,
    ) -> Option<Cancellable> {
        let key = |id| Key::new(caller.user.clone(), caller.client.clone(), session, id);
        match message.method.as_deref()? {
            "tools/call" | "resources/read" => Some(self.running.enter(key(message.id.as_ref()?))),
            "notifications/cancelled" => {
                self.running.cancel(&key(message.cancels.as_ref()?));
                None
            }
            _ => None,
        }
    }

    async fn begin(
        &self,
        sessions: &McpSessions,
        caller: &Caller,
        asked: &Bytes,
        answer: Response,
    ) -> Response {
        match session::open(sessions, caller, (asked, answer)).await {
            Ok((answer, Some(id))) => {
                let event = session::event(EventCode::SessionCreated, caller).subject(id.as_str());
                self.inner.audit.note(event.detail("kind", "mcp")).await;
                answer
            }
            Ok((answer, None)) | Err(answer) => answer,
        }
    }

    /// DELETE ends a session of a 2025-era client; later revisions have none to end.
    async fn delete(&self, request: Request<Body>) -> Response {
        if let Some(refused) = refused_head(request.headers()) {
            return refused;
        }
        let (parts, _) = request.into_parts();
        // The library looks at Host and Origin before it finds the method unknown.
        let looked_at = self.endpoint.service.answer(Request::from_parts(parts.clone(), Body::empty())).await;
        let allowed = looked_at.status() == StatusCode::METHOD_NOT_ALLOWED;
        match &self.sessions {
            Some(sessions) if allowed && !session::is_modern(&parts.headers, None) => {
                session::end(
                    sessions,
                    &parts.headers,
                    parts.extensions.get::<Arc<Caller>>().map(AsRef::as_ref),
                )
                .await
            }
            _ => explain(looked_at),
        }
    }

    /// The scope that the request with this body needs; `None` where being authenticated is enough, and for bodies
    /// that will be refused anyway.
    pub fn required_scope(&self, body: &[u8]) -> Option<Scope> {
        self.scope_of(&message::read(body).ok()?)
    }

    fn scope_of(&self, message: &Message<'_>) -> Option<Scope> {
        match message.method.as_deref()? {
            "tools/call" => message
                .name
                .as_deref()
                // One that is not offered needs none: it is unknown.
                .and_then(|tool| self.inner.tool(tool))
                .and_then(|tool| self.inner.policies.of(tool.name))
                .map(|policy| policy.scope),
            "resources/read" => Some(Scope::Read),
            _ => None,
        }
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
        let too_large = || {
            let malformed = Malformed::new(Malformed::INVALID_REQUEST, "the message is too large");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, &malformed)
        };
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > self.endpoint.body_bytes as u64) {
            return Err(too_large());
        }
        match Limited::new(body, self.endpoint.body_bytes).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(_) => {
                let malformed = Malformed::new(Malformed::INVALID_REQUEST, "the body could not be read");
                Err(refuse(StatusCode::BAD_REQUEST, &malformed))
            }
        }
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Malformed> {
    let some_twice = headers.len() > headers.keys_len();
    if some_twice && ONCE.iter().any(|name| headers.get_all(name).iter().nth(1).is_some()) {
        return Err(Malformed::new(Malformed::HEADER_MISMATCH, "a header that must come once came twice"));
    }
    Ok(())
}

/// `Accept: */*` names both kinds (RFC 9110, 12.5.1); the library looks for their names.
pub(crate) fn spell_out_accept(headers: &mut HeaderMap) {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.any(|value| value.split(',').any(|range| range.trim() == "*/*")) {
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(header::ACCEPT, both);
    }
}

/// What stands before the message: headers that come twice, and bodies in a coding that we do not undo.
pub(crate) fn refused_head(headers: &HeaderMap) -> Option<Response> {
    if let Err(malformed) = check_headers(headers) {
        return Some(refuse(StatusCode::BAD_REQUEST, &malformed));
    }
    let coded = headers.get_all(header::CONTENT_ENCODING).iter();
    let is_coded = coded.into_iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    is_coded.then(|| refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the message without Content-Encoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_comes_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append("mcp-method", HeaderValue::from_static("tools/list"));
        assert!(check_headers(&headers).is_ok());
        headers.append("Mcp-Method", HeaderValue::from_static("tools/list"));
        assert!(check_headers(&headers).is_err());
    }
}
