//! Refusals of the HTTP front as JSON-RPC errors, the library's among them: a client of 2026 that finds no such error
//! in a refusal takes us for an old server (mcp.md 1.1).
//!
//! Never text that a caller sent, except the id of their request.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::message::Malformed;

/// A refusal before a message was read, for whoever stands before the protocol; `message` is for people.
pub fn refusal(status: StatusCode, message: &'static str) -> Response {
    let code = if status.is_server_error() { Malformed::INTERNAL } else { Malformed::INVALID_REQUEST };
    refuse(status, &Malformed::new(code, message))
}

pub(super) fn refuse(status: StatusCode, malformed: &Malformed) -> Response {
    let mut response = Response::new(Body::from(malformed.body()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The library refuses some requests with plain text: the same as JSON-RPC, its other headers kept.
pub(super) fn explain(response: Response) -> Response {
    let plain = response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json");
    let message = match response.status() {
        status if !plain || !(status.is_client_error() || status.is_server_error()) => return response,
        StatusCode::BAD_REQUEST => "a header is not valid, or names a version that is not supported",
        StatusCode::FORBIDDEN => "this Host or Origin is not allowed",
        StatusCode::METHOD_NOT_ALLOWED => "send messages with POST; there is no stream to GET",
        StatusCode::NOT_ACCEPTABLE => "Accept must name application/json and text/event-stream",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "Content-Type must be application/json, and the message of a known shape"
        }
        status if status.is_server_error() => "internal error",
        _ => "the request is not valid",
    };
    let mut explained = refusal(response.status(), message);
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            explained.headers_mut().append(name, value.clone());
        }
    }
    explained
}
