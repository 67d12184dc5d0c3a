//! Who may read metrics, and where: `/metrics` on the server's own address behind a token, and a listener of its own.
//!
//! Without a token the route is not there. The listener serves metrics alone, over plain HTTP; on loopback it answers
//! whoever asks by an address or as `localhost`, so that no name rebound to it reads along.

use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::crypto::token::TokenHash;
use crate::oauth::Visitor;
use crate::telemetry::exposition;
use crate::web::headers::{self, Class};

use super::layers::{authority, refused};
use super::serve::Listening;
use super::{Shared, exposed, limited, visitor};

/// Where metrics are, on either address.
pub(super) const PATH: &str = "/metrics";

/// Monitors are few, and each asks over one connection.
const CONNECTIONS: u32 = 64;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route(PATH, get(on_own_address))
}

/// `GET /metrics` on the server's own address.
async fn on_own_address(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if http.app.config.telemetry.metrics_token.is_none() {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "not_found"}))).into_response();
    }
    answer(&http, &visitor, &headers).await
}

/// The metrics, or why not; a wrong token counts as any credential that may have been guessed.
async fn answer(http: &Shared, visitor: &Visitor, headers: &HeaderMap) -> Response {
    match presented(headers, http.app.config.telemetry.metrics_token.as_ref().map(|token| token.expose())) {
        Presented::Right => {}
        Presented::Nothing => return challenged(),
        Presented::Wrong => {
            return match limited::attempt_failed(http, visitor, "metrics_token", None).await {
                Some(limited) => limited.for_oauth(),
                None => challenged(),
            };
        }
    }
    let kind = HeaderValue::from_static(exposition::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, kind)], exposed::text(http).await).into_response()
}

fn challenged() -> Response {
    let challenge = HeaderValue::from_static("Bearer realm=\"metrics\"");
    let said = Json(json!({"error": "unauthorized"}));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], said).into_response()
}

/// What came for a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presented {
    Right,
    Nothing,
    Wrong,
}

/// Compares in constant time, by hash. Where nothing is wanted, anything is right.
fn presented(headers: &HeaderMap, wanted: Option<&str>) -> Presented {
    let Some(wanted) = wanted else { return Presented::Right };
    let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return if headers.contains_key(header::AUTHORIZATION) {
            Presented::Wrong
        } else {
            Presented::Nothing
        };
    };
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    match token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, token)) if TokenHash::of(token.trim()) == TokenHash::of(wanted) => Presented::Right,
        _ => Presented::Wrong,
    }
}

impl Listening {
    /// Serves metrics alone until `stop`.
    pub async fn serve_metrics(self, http: Shared, stop: CancellationToken) {
        let front = MetricsFront { http, address: self.address().ip() };
        self.serve_with(front, CONNECTIONS, stop, None).await;
    }
}

/// What a listener of its own answers.
#[derive(Clone)]
struct MetricsFront {
    http: Shared,
    /// Where it listens.
    address: IpAddr,
}

impl Service<http::Request<Body>> for MetricsFront {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let mut response = this.answer(request).await;
            headers::fill(response.headers_mut(), Class::Json);
            Ok(response)
        })
    }
}

impl MetricsFront {
    async fn answer(&self, request: Request) -> Response {
        if let Some(refused) = refused(&request, Class::Json) {
            return refused;
        }
        if self.address.is_loopback() && !authority(&request).is_some_and(is_local) {
            let said = "403: ask for the address itself, or localhost.\n";
            return (StatusCode::FORBIDDEN, said).into_response();
        }
        if request.uri().path() != PATH {
            return (StatusCode::NOT_FOUND, "404: metrics are at /metrics.\n").into_response();
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allowed = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
            return (StatusCode::METHOD_NOT_ALLOWED, allowed, "405: ask with GET.\n").into_response();
        }
        let visitor = visitor::identify(&self.http, &request);
        answer(&self.http, &visitor, request.headers()).await
    }
}

/// Whether a `Host` is an address or `localhost`: no name that somebody else's DNS could lead here.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_opens() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            presented(&headers, Some("0123456789abcdef"))
        };
        assert_eq!(of(&["Bearer 0123456789abcdef"]), Presented::Right);
        assert_eq!(of(&["bEARER  0123456789abcdef"]), Presented::Right);
        assert_eq!(of(&[]), Presented::Nothing);
        for wrong in ["Bearer 0123456789abcde", "Bearer", "0123456789abcdef", "Basic 0123456789abcdef", ""] {
            assert_eq!(of(&[wrong]), Presented::Wrong, "{wrong}");
        }
        assert_eq!(of(&["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"]), Presented::Wrong);
        assert_eq!(presented(&HeaderMap::new(), None), Presented::Right);
    }

    #[test]
    fn only_addresses_and_localhost_are_local() {
        for host in ["127.0.0.1:9464", "127.0.0.1", "[::1]:1", "localhost", "LOCALHOST:80"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80", "[evil]:1"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
