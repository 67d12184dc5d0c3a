//! What is closed for a while: everything, while servers are locked down or where this one was not given the master key in
//! use; what issues anything, while an emergency is dealt with. Never for good: each answer is 503 and says so.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use crate::app::Closed;
use crate::failure::Failure;
use crate::mcp;
use crate::oauth::Visitor;
use crate::web::headers::Class;
use crate::web::{Problem, routes};

use super::{Http, health, login, metrics, reply};

/// What a server without the key says; it names none.
const KEYLESS: &str = "this server waits for its operator to give it the key in use; nothing is lost, do not connect again: try later";

/// What a frozen server says.
const FROZEN: &str =
    "the operator deals with an emergency, and nothing is issued until it is over: try again in some minutes";

/// What a server says that is locked down.
const LOCKED: &str = "this server is locked down by its operator: nothing is answered until that is over";

/// Why a request is not served at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Locked,
    Keyless,
    Frozen,
}

impl Why {
    const fn said(self) -> &'static str {
        match self {
            Self::Locked => LOCKED,
            Self::Keyless => KEYLESS,
            Self::Frozen => FROZEN,
        }
    }

    const fn problem(self) -> Problem {
        match self {
            Self::Locked => Problem::LockedDown,
            Self::Keyless => Problem::WithoutKey,
            Self::Frozen => Problem::Frozen,
        }
    }
}

/// The answer to a request that cannot be served at present; `None` where it can.
pub(super) async fn answer(http: &Http, path: &str, (class, visitor): (Class, &Visitor)) -> Option<Response> {
    if health::is_probe(path) || path.starts_with(routes::ASSETS) {
        return None;
    }
    let closed = match closed(http, path).await {
        Ok(closed) => closed,
        // Nothing is issued on a guess.
        Err(failure) if class == Class::Json => return Some(reply::failed_json(&failure, visitor)),
        Err(failure) => return Some(reply::failed_page(http, &failure, visitor)),
    };
    let why = if closed.locked {
        Why::Locked
    } else if path == metrics::PATH || path.contains("/.well-known/") {
        return None;
    } else if http.app.keys.is_keyless() {
        Why::Keyless
    } else if closed.frozen && issues(http, path) {
        Why::Frozen
    } else {
        return None;
    };
    let response = match class {
        Class::Protocol => mcp::refusal(StatusCode::SERVICE_UNAVAILABLE, why.said()),
        Class::Json => {
            let body = json!({ "error": "temporarily_unavailable", "error_description": why.said() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
        _ => reply::page(http, why.problem(), visitor).into_response(),
    };
    Some(reply::soon(response))
}

/// What is closed at present. Where that cannot be known, it is as it last was for what issues nothing: such a request
/// finds for itself that nothing can be read.
async fn closed(http: &Http, path: &str) -> Result<Closed, Failure> {
    let revocation = &http.app.revocation;
    if !http.heeds_freeze {
        return Ok(Closed::default());
    }
    if revocation.memory_is_good() {
        return Ok(revocation.last_closed());
    }
    match Box::pin(revocation.ask_closed(&http.app.store)).await {
        Err(_) if !issues(http, path) => Ok(revocation.last_closed()),
        asked => asked,
    }
}

/// Whether something may be issued there: a code, a token, a key, a client, a login or its session.
fn issues(http: &Http, path: &str) -> bool {
    matches!(path, routes::AUTHORIZE | routes::LOGIN | routes::API_KEYS | "/token" | "/register")
        || path == login::callback_path(&http.app.config)
}
