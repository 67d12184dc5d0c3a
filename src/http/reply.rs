//! Replies: what callers are told, and what the log is told instead.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::audit::is_unwritten;
use crate::domain::ids::RequestId;
use crate::failure::Failure;
use crate::oauth::{OAuthError, Reply, Visitor};
use crate::store::is_unavailable;
use crate::telemetry::metrics::Figure;
use crate::web::{Page, Problem, problem};

use super::Http;

/// A problem page.
pub(super) fn page(http: &Http, why: Problem, visitor: &Visitor) -> Page {
    problem(&http.site, why, &visitor.request)
}

/// An unexpected failure on a page: the log gets the chain, the person a request id, and a word if it will pass.
pub(super) fn failed_page(http: &Http, failure: &Failure, visitor: &Visitor) -> Response {
    log(failure, &visitor.request);
    if passes(failure) {
        return soon(page(http, Problem::Unavailable, visitor).into_response());
    }
    page(http, Problem::Internal, visitor).into_response()
}

/// A refusal or failure for a program.
pub(super) fn oauth_error(reply: Reply<OAuthError>, visitor: &Visitor) -> Response {
    match reply {
        Reply::Refused(error) => {
            count(&error);
            let body = json!({"error": error.code, "error_description": error.description});
            let mut response = (error.status, Json(body)).into_response();
            if error.basic_challenge {
                let challenge = HeaderValue::from_static("Basic realm=\"spotify-mcp\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            if let Some(wait) = error.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            }
            response
        }
        Reply::Failed(failure) => failed_json(&failure, visitor),
    }
}

/// An unexpected failure for a program.
pub(super) fn failed_json(failure: &Failure, visitor: &Visitor) -> Response {
    log(failure, &visitor.request);
    if passes(failure) {
        let body = json!({
            "error": "temporarily_unavailable",
            "error_description": format!("nothing can be done at the moment; try again ({})", visitor.request),
        });
        return soon((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response());
    }
    let body = json!({
        "error": "server_error",
        "error_description": format!("internal error; tell the operator {}", visitor.request),
    });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

/// Whether a failure is one of the time being: the database or the trail's disk does not do its part.
fn passes(failure: &Failure) -> bool {
    is_unavailable(failure) || is_unwritten(failure)
}

/// What is wrong with a request by the measure of its endpoint; what may be a guess was counted as one before.
fn count(error: &OAuthError) {
    match (error.code, error.status) {
        _ if error.attempt.is_some() => {}
        ("invalid_grant", _) => Figure::InvalidToken.count(),
        (_, StatusCode::BAD_REQUEST) => Figure::ValidationError.count(),
        _ => {}
    }
}

/// A client may come again after some seconds.
pub(super) fn soon(mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

fn log(failure: &Failure, request: &RequestId) {
    tracing::error!(request = request.as_str(), cause = failure.chain(), "a request failed");
}

/// A see-other redirect with cookies. `url` is ours or was proven before.
pub(super) fn redirect(url: &str, cookies: &[String]) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    crate::web::headers::mark(&mut response, crate::web::headers::Class::Redirect);
    match HeaderValue::try_from(url) {
        Ok(location) => response.headers_mut().insert(header::LOCATION, location),
        // Redirect URIs and our own URLs are visible ASCII; fail closed were one not to be.
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    set_cookies(response.headers_mut(), cookies);
    response
}

/// Adds `Set-Cookie` headers.
pub(super) fn set_cookies(headers: &mut HeaderMap, cookies: &[String]) {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::try_from(cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// Answers a request whose handler panicked. The payload may quote data and goes nowhere.
pub(super) fn panicked(http: &Http, request: &RequestId) -> Response {
    tracing::error!(request = request.as_str(), "a handler panicked");
    problem(&http.site, Problem::Internal, request).into_response()
}
