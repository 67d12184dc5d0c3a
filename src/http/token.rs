//! `/token`, `/register`, `/revoke` and `/introspect` as HTTP.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::oauth::{
    OAuthError, Reply, Visitor, introspect as introspection, register as registration, revoke as revocation,
    token as tokens,
};

use super::posted::{PostedForm, PostedJson};
use super::reply::oauth_error;
use super::{Http, Shared, limited};

/// `POST /token`
pub(super) async fn token(
    State(http): State<Shared>,
    PostedForm { form, basic, visitor }: PostedForm,
) -> Response {
    match tokens::token(&http.app, &form, basic, &visitor).await {
        Ok(answer) => Json(answer).into_response(),
        Err(reply) => refused(&http, reply, &visitor).await,
    }
}

/// `POST /register`
pub(super) async fn register(
    State(http): State<Shared>,
    PostedJson { body, visitor }: PostedJson,
) -> Response {
    if let Some(limited) = limited::registration(&http, &visitor).await {
        return limited.for_oauth();
    }
    match registration::register(&http.app, &body, &visitor).await {
        Ok(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
        Err(reply) => oauth_error(reply, &visitor),
    }
}

/// `POST /revoke`
pub(super) async fn revoke(
    State(http): State<Shared>,
    PostedForm { form, basic, visitor }: PostedForm,
) -> Response {
    match revocation::revoke(&http.app, &form, basic, &visitor).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(reply) => refused(&http, reply, &visitor).await,
    }
}

/// `POST /introspect`
pub(super) async fn introspect(
    State(http): State<Shared>,
    PostedForm { form, basic, visitor }: PostedForm,
) -> Response {
    match introspection::introspect(&http.app, &form, basic, &visitor).await {
        Ok(answer) => Json(answer).into_response(),
        Err(reply) => refused(&http, reply, &visitor).await,
    }
}

/// A refusal; one of a credential that may have been guessed counts against its address.
async fn refused(http: &Http, reply: Reply<OAuthError>, visitor: &Visitor) -> Response {
    if let Reply::Refused(OAuthError { attempt: Some(attempt), .. }) = &reply
        && let Some(limited) =
            limited::attempt_failed(http, visitor, attempt.because, attempt.client.as_ref()).await
    {
        return limited.for_oauth();
    }
    oauth_error(reply, visitor)
}
