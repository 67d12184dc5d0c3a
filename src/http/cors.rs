//! Which answers scripts of other origins may read: those for programs, without credentials. Tokens travel in headers
//! that only their holder has, so any origin may ask.
//!
//! The protocol's answers are marked by hand and only for a browser (who alone sends `Origin`): every call of every
//! other client would pay for the headers, and for a layer more.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{Any, CorsLayer};

/// What a script may read of an answer beside its body.
const EXPOSED: &str = "www-authenticate,retry-after,accept-signature,ratelimit,ratelimit-policy,\
     x-ratelimit-limit,x-ratelimit-remaining,x-ratelimit-reset,mcp-session-id,x-request-id";

/// Marks every answer, and answers preflights. Inside the Origin check of the protocol, outside its authentication.
pub(super) fn layer() -> CorsLayer {
    const fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }
    let exposed: Vec<_> = EXPOSED.split(',').map(HeaderName::from_static).collect();
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            name("content-digest"),
            name("signature"),
            name("signature-input"),
            name("mcp-protocol-version"),
            name("mcp-method"),
            name("mcp-name"),
            name("mcp-session-id"),
            name("last-event-id"),
        ])
        .expose_headers(exposed)
        .max_age(std::time::Duration::from_secs(3600))
}

/// Marks one answer as [`layer`] does.
pub(super) fn mark(answer: &mut HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}
