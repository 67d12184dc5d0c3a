//! `/token`, `/register` and `/revoke` as HTTP.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};

use crate::crypto::SecretString;
use crate::oauth::token::Basic;
use crate::oauth::{
    OAuthError, Params, Reply, Visitor, register as registration, revoke as revocation, token as tokens,
};

use super::Shared;
use super::reply::oauth_error;

/// `POST /token`
pub(super) async fn token(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = not_of_type(&headers, "application/x-www-form-urlencoded", &visitor) {
        return refused;
    }
    match tokens::token(&http.app, &Params::parse(&body), basic(&headers), &visitor).await {
        Ok(answer) => Json(answer).into_response(),
        Err(reply) => oauth_error(reply, &visitor),
    }
}

/// `POST /register`
pub(super) async fn register(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = not_of_type(&headers, "application/json", &visitor) {
        return refused;
    }
    match registration::register(&http.app, &body, &visitor).await {
        Ok(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
        Err(reply) => oauth_error(reply, &visitor),
    }
}

/// `POST /revoke`
pub(super) async fn revoke(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = not_of_type(&headers, "application/x-www-form-urlencoded", &visitor) {
        return refused;
    }
    match revocation::revoke(&http.app, &Params::parse(&body), basic(&headers), &visitor).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reply) => oauth_error(reply, &visitor),
    }
}

/// One media type, exactly; parameters such as a charset may follow.
fn not_of_type(headers: &HeaderMap, wanted: &str, visitor: &Visitor) -> Option<Response> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = sent.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(wanted) && !sent.contains(',') {
        return None;
    }
    let error = OAuthError::bad("invalid_request", format!("the content type must be {wanted}"));
    Some(oauth_error(Reply::Refused(error), visitor))
}

/// Client credentials by HTTP Basic (RFC 6749 section 2.3.1: both parts are form-encoded first).
fn basic(headers: &HeaderMap) -> Basic {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(())?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(drop)?;
    let pair = String::from_utf8(decoded).map_err(drop)?;
    let (id, secret) = pair.split_once(':').ok_or(())?;
    Ok(Some((form_decoded(id), SecretString::new(form_decoded(secret)))))
}

fn form_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
