//! What is closed for a while: everything, where this server was not given the master key in use; what issues anything,
//! while an emergency is dealt with. Never for good: each answer is 503 and says so.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

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

/// Why a request is not served at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Keyless,
    Frozen,
}

/// The answer to a request that cannot be served at present; `None` where it can.
pub(super) async fn answer(http: &Http, path: &str, (class, visitor): (Class, &Visitor)) -> Option<Response> {
    let told = health::is_probe(path) || path == metrics::PATH;
    if told || path.starts_with(routes::ASSETS) || path.contains("/.well-known/") {
        return None;
    }
    let why = if http.app.keys.is_keyless() {
        Why::Keyless
    } else if http.heeds_freeze && issues(http, path) {
        match Box::pin(http.app.revocation.is_frozen(&http.app.store)).await {
            Ok(false) => return None,
            Ok(true) => Why::Frozen,
            // Whoever is asked next finds the same, and says it in its own words.
            Err(_) => return None,
        }
    } else {
        return None;
    };
    let response = match (class, why) {
        (Class::Protocol, Why::Keyless) => mcp::refusal(StatusCode::SERVICE_UNAVAILABLE, KEYLESS),
        (Class::Protocol, Why::Frozen) => mcp::refusal(StatusCode::SERVICE_UNAVAILABLE, FROZEN),
        (Class::Json, why) => {
            let said = if why == Why::Keyless { KEYLESS } else { FROZEN };
            let body = json!({ "error": "temporarily_unavailable", "error_description": said });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
        (_, Why::Keyless) => reply::page(http, Problem::WithoutKey, visitor).into_response(),
        (_, Why::Frozen) => reply::page(http, Problem::Frozen, visitor).into_response(),
    };
    Some(reply::soon(response))
}

/// Whether something may be issued there: a code, a token, a key, a client, a login or its session.
fn issues(http: &Http, path: &str) -> bool {
    matches!(path, routes::AUTHORIZE | routes::LOGIN | routes::API_KEYS | "/token" | "/register")
        || path == login::callback_path(&http.app.config)
}
