//! What stands before every route, in pieces: good heads in bounds, known hosts, one public origin.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::config::ServerConfig;
use crate::telemetry::metrics::Figure;
use crate::web::headers::{self, Class};

use super::{Shared, heads};

/// Most header fields of a request, and their size together (product.md 7).
const MOST_HEADERS: usize = 100;
const MOST_HEADER_BYTES: usize = 16 * 1024;

/// Longest path and query: authorization requests carry a client's state.
const MOST_TARGET_BYTES: usize = 16 * 1024;

/// What is refused whatever the route and whoever asks.
pub(super) fn refused(request: &Request, class: Class) -> Option<Response> {
    if let Some(fault) = heads::fault(request) {
        if fault.smuggles() {
            Figure::InjectionAttempt.count();
        }
        return Some(fault.answer());
    }
    if !has_bounded_headers(request.headers()) {
        return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response());
    }
    if target_bytes(request) > MOST_TARGET_BYTES {
        return Some(StatusCode::URI_TOO_LONG.into_response());
    }
    // Nothing here unpacks: a small body stays a small body. What programs post is judged in `posted`.
    let said = "415: content codings are not accepted here.\n";
    let coded = class == Class::Page && is_coded(request.headers());
    coded.then(|| (StatusCode::UNSUPPORTED_MEDIA_TYPE, said).into_response())
}

/// More headers than any client of ours sends are refused.
pub(crate) fn has_bounded_headers(fields: &HeaderMap) -> bool {
    let bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    fields.len() <= MOST_HEADERS && bytes <= MOST_HEADER_BYTES
}

fn target_bytes(request: &Request) -> usize {
    request.uri().path_and_query().map_or(0, |target| target.as_str().len())
}

fn is_coded(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity")
}

/// A name rebound to our address must not reach us.
pub(super) fn unknown_host() -> Response {
    let said = "403: this host name is not served here. Use the server's public URL, and have proxies pass on the Host \
        header.\n";
    (StatusCode::FORBIDDEN, said).into_response()
}

/// Sends a browser that came by another loopback name to the public URL: cookies belong to one name.
pub(super) async fn to_public_origin(State(http): State<Shared>, request: Request, next: Next) -> Response {
    let by_alias = authority(&request).is_some_and(|host| !http.hosts.is_public(host));
    if by_alias && request.method() == Method::GET {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut response = Redirect::temporary(&format!("{}{path}", http.app.issuer())).into_response();
        // A popup that comes by the other name must keep its opener as well.
        headers::mark(&mut response, Class::Redirect);
        return response;
    }
    next.run(request).await
}

/// The class of a path.
pub(crate) fn class_of(path: &str) -> Class {
    match path {
        "/mcp" | "/mcp/" | "/claude-mcp" | "/claude-mcp/" => Class::Protocol,
        "/token" | "/register" | "/revoke" | "/introspect" | "/auth/status" | "/health" | "/livez"
        | "/readyz" | "/metrics" => Class::Json,
        path if path.contains("/.well-known/") => Class::Json,
        _ => Class::Page,
    }
}

/// The host that a request is for: HTTP/2's authority, else the one `Host` header.
pub(super) fn authority(request: &Request) -> Option<&str> {
    authority_of(request.uri(), request.headers())
}

/// The same from a request's parts.
pub(crate) fn authority_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// The values of `Host` that are ours, written out once.
pub(super) struct Hosts {
    public: Vec<String>,
    /// `localhost`, `127.0.0.1` and `[::1]` with our port, where the listener is loopback.
    aliases: Vec<String>,
}

impl Hosts {
    pub(super) fn of(server: &ServerConfig) -> Self {
        let url = &server.public_url;
        let name = url.host_str().unwrap_or_default();
        let default_port = if url.scheme() == "https" { 443 } else { 80 };
        let public = match url.port() {
            Some(port) => vec![format!("{name}:{port}")],
            None => vec![name.to_owned(), format!("{name}:{default_port}")],
        };
        let aliases = match server.host.is_loopback() {
            true => ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{}", server.port)).into(),
            false => Vec::new(),
        };
        Self { public, aliases }
    }

    fn is_public(&self, host: &str) -> bool {
        self.public.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }
}

impl super::Http {
    pub(super) fn serves_host(&self, host: &str) -> bool {
        self.hosts.is_public(host) || self.hosts.aliases.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }
}
