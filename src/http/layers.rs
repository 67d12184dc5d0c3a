//! The layers of the router: bounds on headers, known hosts, one public origin, security headers, CORS.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderName, Method, StatusCode, header};
use tower_http::cors::{Any, CorsLayer};

use crate::web::headers::{self, Class};

use super::Shared;

/// Most header fields of a request, and their size together (product.md 7).
const MOST_HEADERS: usize = 100;
const MOST_HEADER_BYTES: usize = 16 * 1024;

/// Refuses requests with more headers than any client of ours sends.
pub(super) async fn bounded_headers(request: Request, next: Next) -> Response {
    let fields = request.headers();
    let bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if fields.len() > MOST_HEADERS || bytes > MOST_HEADER_BYTES {
        return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response();
    }
    next.run(request).await
}

/// Refuses requests for hosts that are not ours: a name rebound to our address must not reach us.
pub(super) async fn known_host(State(http): State<Shared>, request: Request, next: Next) -> Response {
    match authority(&request) {
        Some(host) if http.is_public_host(&host) || http.is_loopback_alias(&host) => next.run(request).await,
        _ => {
            let said = "403: this host name is not served here. Use the server's public URL, and have proxies pass on \
                the Host header.\n";
            (StatusCode::FORBIDDEN, said).into_response()
        }
    }
}

/// Sends a browser that came by another loopback name to the public URL: cookies belong to one name.
pub(super) async fn to_public_origin(State(http): State<Shared>, request: Request, next: Next) -> Response {
    let by_alias = authority(&request).is_some_and(|host| !http.is_public_host(&host));
    if by_alias && request.method() == Method::GET {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return Redirect::temporary(&format!("{}{path}", http.app.issuer())).into_response();
    }
    next.run(request).await
}

/// Fills in the headers of the route's class where the handler did not set its own.
pub(super) async fn security_headers(State(http): State<Shared>, request: Request, next: Next) -> Response {
    let class = class_of(request.uri().path());
    let mut response = next.run(request).await;
    headers::fill(response.headers_mut(), class);
    headers::fill_hsts(response.headers_mut(), http.site.https());
    response
}

/// The class of a path.
pub(super) fn class_of(path: &str) -> Class {
    match path {
        "/mcp" | "/mcp/" | "/claude-mcp" | "/claude-mcp/" => Class::Protocol,
        "/token" | "/register" | "/revoke" | "/auth/status" | "/health" | "/livez" | "/readyz" => Class::Json,
        path if path.starts_with("/.well-known/") => Class::Json,
        _ => Class::Page,
    }
}

/// Any origin, without credentials: tokens travel in headers that only their holder has. Inside the Origin check of
/// the protocol, outside its authentication, so that preflights are answered.
pub(super) fn cors() -> CorsLayer {
    const fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            name("mcp-protocol-version"),
            name("mcp-method"),
            name("mcp-name"),
            name("mcp-session-id"),
            name("last-event-id"),
        ])
        .expose_headers([
            header::WWW_AUTHENTICATE,
            header::RETRY_AFTER,
            name("mcp-session-id"),
            name("x-request-id"),
        ])
        .max_age(std::time::Duration::from_secs(3600))
}

/// The host that a request is for: HTTP/2's authority, else the one `Host` header.
fn authority(request: &Request<Body>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_ascii_lowercase());
    }
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    let host = hosts.next()?.to_str().ok()?.to_ascii_lowercase();
    hosts.next().is_none().then_some(host)
}

impl super::Http {
    fn is_public_host(&self, host: &str) -> bool {
        let url = &self.app.config.server.public_url;
        let name = url.host_str().unwrap_or_default();
        let default_port = if url.scheme() == "https" { 443 } else { 80 };
        match url.port() {
            Some(port) => host == format!("{name}:{port}"),
            None => host == name || host == format!("{name}:{default_port}"),
        }
    }

    /// `localhost`, `127.0.0.1` and `[::1]` with our port, where the listener is loopback.
    fn is_loopback_alias(&self, host: &str) -> bool {
        let server = &self.app.config.server;
        let port = server.port;
        server.host.is_loopback()
            && ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host == format!("{name}:{port}"))
    }
}
