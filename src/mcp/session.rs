//! `Mcp-Session-Id` of 2025-era clients around the library, which runs without sessions: issued in the answer to
//! `initialize`, checked where it comes back, ended by DELETE (2025-11-25, transports, "Session Management").
//!
//! Requests of 2026-07-28 have no session: they neither read nor write the header (mcp.md W15).

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::asking::offers_of;
use super::caller::Caller;
use super::message::{Malformed, Message};
use super::refusal::refuse;
use crate::app::{McpSessions, NoSession};
use crate::domain::SessionId;
use crate::domain::asking::Offers;
use crate::domain::event::{Event, EventCode};
use crate::domain::mcp_session::Owner;
use crate::spotify::text::clean;

pub(super) static HEADER: HeaderName = HeaderName::from_static("mcp-session-id");
static VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first revision without sessions; revisions are dates and compare as text.
const WITHOUT: &str = "2026-07-28";
/// Longest text of what a client says of itself that is kept, in characters.
const LONGEST: usize = 100;

/// Whether a request is of 2026-07-28 or later: by its header or by its message.
pub(crate) fn is_modern(headers: &HeaderMap, message: Option<&Message<'_>>) -> bool {
    let header = headers.get(&VERSION_HEADER).and_then(|value| value.to_str().ok());
    let meta = message.and_then(|message| message.version.as_deref());
    header.is_some_and(|version| version >= WITHOUT) || meta.is_some_and(|version| version >= WITHOUT)
}

/// The session that a 2025-era request names, and what its client can show; `None` where it names none.
///
/// # Errors
/// The answer: 404 for everything that is wrong with it, 503 where that cannot be told.
pub(super) async fn check(
    sessions: &McpSessions,
    headers: &HeaderMap,
    caller: Option<&Caller>,
    id: Option<&Value>,
) -> Result<Option<(SessionId, Offers)>, Response> {
    let Some(presented) = headers.get(&HEADER) else { return Ok(None) };
    let no_session = |why| no_session(why, id);
    let caller = caller.ok_or(NoSession::Unknown).map_err(no_session)?;
    // What is no text is no id of ours either, and is looked for like any other.
    let presented = presented.to_str().unwrap_or_default();
    sessions.check(presented, &owner(caller)).await.map(Some).map_err(no_session)
}

/// Opens a session where `initialize` was answered with a result, and adds its id to the answer.
pub(super) async fn open(
    sessions: &McpSessions,
    caller: &Caller,
    (asked, answer): (&Bytes, Response),
) -> Result<(Response, Option<SessionId>), Response> {
    let (mut parts, body) = answer.into_parts();
    let Ok(body) = body.collect().await else {
        return Err(no_session(NoSession::Unknown, None));
    };
    let body = body.to_bytes();
    let agreed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    if !parts.status.is_success() || agreed.get("result").is_none() {
        return Ok((Response::from_parts(parts, Body::from(body)), None));
    }
    let metadata = metadata(asked, &agreed["result"]);
    match sessions.open(&owner(caller), metadata).await {
        Ok((id, token)) => {
            if let Ok(mut value) = HeaderValue::try_from(token.expose()) {
                value.set_sensitive(true);
                parts.headers.insert(&HEADER, value);
            }
            Ok((Response::from_parts(parts, Body::from(body)), Some(id)))
        }
        Err(failure) => Err(no_session(NoSession::Unavailable(failure), agreed.get("id"))),
    }
}

/// Ends the session that a DELETE names: 204, or the refusal of [`check`].
pub(super) async fn end(sessions: &McpSessions, headers: &HeaderMap, caller: Option<&Caller>) -> Response {
    let Some(presented) = headers.get(&HEADER) else {
        let missing = Malformed::new(Malformed::INVALID_REQUEST, "name the session to end in Mcp-Session-Id");
        return refuse(StatusCode::BAD_REQUEST, &missing);
    };
    let Some(caller) = caller else { return no_session(NoSession::Unknown, None) };
    let event = event(EventCode::SessionRevoked, caller).because("ended_by_client");
    let presented = presented.to_str().unwrap_or_default();
    match sessions.end(presented, &owner(caller), event).await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(why) => no_session(why, None),
    }
}

/// What the trail says of a session.
pub(super) fn event(code: EventCode, caller: &Caller) -> Event {
    let event = Event::new(code).by(&caller.user).client(&caller.client);
    event.from(caller.address).request(&caller.request_id)
}

pub(super) fn owner(caller: &Caller) -> Owner {
    Owner { user: caller.user.clone(), client: caller.client.clone(), grant: caller.grant.clone() }
}

pub(super) fn no_session(why: NoSession, id: Option<&Value>) -> Response {
    let (status, malformed) = match why {
        NoSession::Unknown => (
            StatusCode::NOT_FOUND,
            Malformed::new(Malformed::INVALID_REQUEST, "there is no such session: initialize again"),
        ),
        NoSession::Unavailable(failure) => {
            tracing::error!(cause = failure.chain(), "a session cannot be checked");
            let message = "sessions cannot be checked at the moment: try again";
            (StatusCode::SERVICE_UNAVAILABLE, Malformed::new(Malformed::INTERNAL, message))
        }
    };
    refuse(status, &malformed.to(id.cloned()))
}

/// What a client says of itself, cleaned and cut, what it can show, and the revision that was agreed on.
pub(crate) fn metadata(asked: &Bytes, result: &Value) -> String {
    let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
    let text = |value: &Value| clean(value.as_str().unwrap_or_default(), LONGEST);
    let client = &asked["params"]["clientInfo"];
    let asks = Option::deserialize(&asked["params"]["capabilities"]["elicitation"]).unwrap_or_default();
    json!({
        "client": text(&client["name"]),
        "version": text(&client["version"]),
        "protocol": text(&result["protocolVersion"]),
        "asks": offers_of(asks.as_ref()),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::message;

    #[test]
    fn the_era_is_told_by_header_or_message() {
        let headers = |version: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(&VERSION_HEADER, version.parse().unwrap());
            headers
        };
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let message = message::read(body).unwrap();
        assert!(is_modern(&headers("2026-07-28"), None));
        assert!(is_modern(&HeaderMap::new(), Some(&message)));
        assert!(!is_modern(&headers("2025-11-25"), None));
        assert!(!is_modern(&HeaderMap::new(), None));
    }

    #[test]
    fn what_is_kept_of_a_client_is_short_and_clean() {
        let long = "x".repeat(500);
        let asked = json!({"params": {"clientInfo": {"name": format!("a\u{202e}b{long}"), "version": 7}}});
        let kept = metadata(&Bytes::from(asked.to_string()), &json!({"protocolVersion": "2025-11-25"}));
        assert!(kept.contains(r#""asks":{"form":false,"page":false}"#), "{kept}");
        assert!(kept.len() < 300 && !kept.contains('\u{202e}') && kept.contains("2025-11-25"), "{kept}");
    }
}
