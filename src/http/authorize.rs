//! `/authorize` as HTTP.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method};

use crate::failure::Failure;
use crate::oauth::authorize::{self, Asked, ConsentView, Unproven};
use crate::oauth::{Params, Visitor};
use crate::web::{Consent, Problem, Untrusted, consent};

use super::limited::no_departure;
use super::pages::same_origin;
use super::reply::{failed_page, page, redirect, set_cookies};
use super::{Http, Shared};

/// `GET /authorize`
pub(super) async fn ask(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let navigates = method == Method::GET && navigates(&headers);
    let asked = authorize::ask(&http.app, &params, navigates, &visitor).await;
    answer(&http, asked, &visitor).await
}

/// `POST /authorize`
pub(super) async fn decide(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !same_origin(&headers, &http.app.issuer()) {
        return page(&http, Problem::FormExpired, &visitor).into_response();
    }
    let asked = authorize::decide(&http.app, &Params::parse(&body), &visitor).await;
    answer(&http, asked, &visitor).await
}

/// Whether the browser goes to this page for its person (Fetch Metadata): no prefetch, no frame, no script. A browser
/// that says nothing is believed.
fn navigates(headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| {
        headers.get(name).is_none_or(|value| value.as_bytes() == wanted.as_bytes())
    };
    is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
        && !headers.contains_key("sec-purpose")
        && !headers.contains_key("purpose")
}

async fn answer(http: &Http, asked: Result<Asked, Failure>, visitor: &Visitor) -> Response {
    match asked {
        Ok(Asked::Consent(view)) => show(http, &view, visitor).await,
        Ok(Asked::ToSpotify(departure)) => redirect(&departure.url, &departure.cookies),
        Ok(Asked::Back(url)) => redirect(&url, &[]),
        Ok(Asked::Local(Unproven::NoDeparture(why))) => no_departure(http, why, visitor).await,
        Ok(Asked::Local(why)) => page(http, problem_of(why), visitor).into_response(),
        Err(failure) => failed_page(http, &failure, visitor),
    }
}

async fn show(http: &Http, view: &ConsentView, visitor: &Visitor) -> Response {
    let logged_in_as = match &view.session {
        Some(session) => match http.app.store.user(&session.user).await {
            Ok(user) => user.map(|user| Untrusted::new(&user.display_name)),
            Err(failure) => return failed_page(http, &failure, visitor),
        },
        None => None,
    };
    let shown = Consent {
        client_name: Untrusted::new(&view.client_name),
        by_operator: http.app.clients.configured(&view.request.client).is_some(),
        client_id: &view.request.client,
        redirect_uri: &view.request.redirect_uri,
        scopes: view.request.scopes,
        offer: &http.app.config.server.offer,
        logged_in_as,
        ticket: &view.ticket,
        csrf: &view.csrf,
    };
    let mut response = consent(&http.site, &shown).into_response();
    set_cookies(response.headers_mut(), view.set_cookie.as_slice());
    response
}

const fn problem_of(why: Unproven) -> Problem {
    match why {
        Unproven::InvalidRequest => Problem::InvalidRequest,
        Unproven::UnknownClient => Problem::UnknownClient,
        Unproven::DocumentRefused => Problem::DocumentRefused,
        Unproven::DocumentUnavailable => Problem::DocumentUnavailable,
        Unproven::TooManyDocuments => Problem::RateLimited,
        Unproven::BusyWithDocuments => Problem::Unavailable,
        Unproven::ClientNotAllowed => Problem::ClientNotAllowed,
        Unproven::RedirectMismatch => Problem::RedirectMismatch,
        Unproven::FormExpired => Problem::FormExpired,
        Unproven::NoDeparture(_) => Problem::SpotifyMisconfigured,
    }
}
