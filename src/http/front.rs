//! What surrounds every route: one service around the router, in place of layers, because a router clones all that
//! lies beneath each of its layers for every request.
//!
//! Calls of the protocol do not pass through the router at all: it would box and move each of them several times.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::{Service, ServiceExt as _};

use crate::domain::probing::shows_injection;
use crate::telemetry::metrics::Figure;
use crate::web::headers::{self, Class};

use super::layers::{authority, class_of, refused, unknown_host};
use super::measured::{Route, is_malformed};
use super::{Http, Shared, closed, health, login, protocol, reply, visitor};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// So many headers at most are added to an answer here.
const MOST_OF_OURS: usize = 12;

/// The server's answer to every request. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    http: Shared,
    routes: Router,
}

impl Front {
    pub(super) const fn new(http: Shared, routes: Router) -> Self {
        Self { http, routes }
    }

    /// Follows the lockdown.
    pub(super) fn lockdown(&self) -> watch::Receiver<bool> {
        self.http.app.revocation.lockdown()
    }
}

impl Service<http::Request<Body>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As a router: always.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { http, routes } = self.clone();
        Box::pin(async move { Ok(surround(&http, routes, request).await) })
    }
}

/// In this order: the visitor, the bounds on headers, the Host check, the route with an answer where it panics, security
/// headers (on refusals too).
async fn surround(http: &Http, routes: Router, mut request: Request) -> Response {
    let visitor = visitor::identify(http, &request);
    let id = visitor.request.clone();
    let began = Instant::now();
    let path = request.uri().path();
    let (class, probe) = (class_of(path), health::is_probe(path));
    let route = Route::of(path, login::callback_path(&http.app.config));
    look_for_injection(&request, class);
    // Outside the Host check: probes ask by address.
    let refused = refused(&request, class);
    let disordered = refused.is_some();
    let closed = match refused {
        None => closed::answer(http, path, (class, &visitor)).await,
        refused => refused,
    };
    let mut response = if let Some(closed) = closed {
        closed
    } else if probe || authority(&request).is_some_and(|host| http.serves_host(host)) {
        let call = protocol::resource_at(path).filter(|_| *request.method() == Method::POST);
        let answer = async move {
            match call {
                Some(resource) => protocol::serve(http, resource, visitor, request).await,
                None => {
                    request.extensions_mut().insert(visitor);
                    routes.oneshot(request).await.unwrap_or_else(|never| match never {})
                }
            }
        };
        let answered = AssertUnwindSafe(answer).catch_unwind().await;
        answered.unwrap_or_else(|_payload| reply::panicked(http, &id))
    } else {
        unknown_host()
    };
    route.answered(response.status(), began.elapsed());
    match response.status() {
        status if disordered || is_malformed(status, class) => Figure::MalformedRequest.count(),
        StatusCode::BAD_REQUEST if class == Class::Page => Figure::ValidationError.count(),
        _ => {}
    }
    let class = headers::class_of(&response, class);
    let headers = response.headers_mut();
    headers.reserve(MOST_OF_OURS);
    headers::fill(headers, class);
    headers::fill_hsts(headers, http.site.https());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(&REQUEST_ID, value);
    }
    response
}

/// Counted whatever is answered; the protocol's calls have no target but their endpoint.
fn look_for_injection(request: &Request, class: Class) {
    let shows = || request.uri().path_and_query().is_some_and(|target| shows_injection(target.as_str()));
    if class != Class::Protocol && shows() {
        Figure::InjectionAttempt.count();
    }
}
