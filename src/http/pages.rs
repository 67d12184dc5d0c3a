//! Pages that need no login.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{StatusCode, Uri, header};
use serde_json::json;

use crate::oauth::{Visitor, sessions};
use crate::web::{Problem, Untrusted, headers, landing as landing_page, security_txt as security_txt_body};

use super::reply::{failed_page, page};
use super::{Shared, layers};

/// `GET /`
pub(super) async fn landing(State(http): State<Shared>, Extension(visitor): Extension<Visitor>) -> Response {
    let user = match sessions::current(&http.app, &visitor).await {
        Ok(Some(session)) => http.app.store.user(&session.user).await,
        Ok(None) => Ok(None),
        Err(failure) => Err(failure),
    };
    match user {
        Ok(user) => {
            let name = user.map(|user| Untrusted::new(&user.display_name));
            {
                let config = &http.app.config;
                let undo_days = config.limits.undo_for.as_secs() / 86_400;
                landing_page(&http.site, name.as_ref(), (&config.server.offer, undo_days)).into_response()
            }
        }
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

/// `GET /.well-known/security.txt`
pub(super) async fn security_txt(State(http): State<Shared>) -> Response {
    match security_txt_body(&http.site, None, http.app.now()) {
        Some(body) => {
            let mut response = body.into_response();
            headers::mark(&mut response, headers::Class::Text);
            response
        }
        None => {
            (StatusCode::NOT_FOUND, "No contact is configured (server.security_contact).\n").into_response()
        }
    }
}

/// Everything else. Well-known paths answer JSON: clients probe many of them and must not take a page for a document.
pub(super) async fn not_found(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Response {
    if uri.path().contains("/.well-known/") {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "not_found"}))).into_response();
    }
    page(&http, Problem::NotFound, &visitor).into_response()
}

/// A route asked with a method that it does not have.
pub(super) async fn method_not_allowed(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Response {
    if layers::class_of(uri.path()) == headers::Class::Json {
        let said =
            json!({"error": "invalid_request", "error_description": "this method is not allowed here"});
        return (StatusCode::METHOD_NOT_ALLOWED, Json(said)).into_response();
    }
    page(&http, Problem::MethodNotAllowed, &visitor).into_response()
}

/// Whether a form post comes from our own pages, as far as the browser says: by `Origin`, and by `Sec-Fetch-Site`,
/// which no script can forge.
pub(super) fn same_origin(headers: &http::HeaderMap, issuer: &str) -> bool {
    let is = |name: &str, wanted: &str| {
        headers.get_all(name).iter().all(|value| value.as_bytes() == wanted.as_bytes())
    };
    is(header::ORIGIN.as_str(), issuer) && is("sec-fetch-site", "same-origin")
}
