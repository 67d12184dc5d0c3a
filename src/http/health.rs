//! Health: alive, and ready. No detail for strangers; the log knows why.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;

use super::{Http, Shared};

/// How long the database may take to answer a probe.
const DATABASE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/livez", get(alive)).route("/readyz", get(ready)).route("/health", get(ready))
}

/// Whether this path is one of the probes'.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/health")
}

async fn alive() -> Response {
    said(true)
}

async fn ready(State(http): State<Shared>) -> Response {
    said(is_ready(&http).await)
}

async fn is_ready(http: &Http) -> bool {
    if http.is_draining() {
        return false;
    }
    if !http.app.audit.is_writable() {
        tracing::warn!("not ready: the audit trail cannot be written");
        return false;
    }
    if http.app.revocation.last_closed().locked {
        tracing::warn!("not ready: locked down");
        return false;
    }
    if http.app.keys.is_keyless() {
        tracing::warn!("not ready: this server was not given the master key in use");
        return false;
    }
    match tokio::time::timeout(DATABASE, http.app.store.epoch()).await {
        Ok(Ok(_)) => true,
        _ => {
            tracing::warn!("not ready: the database does not answer");
            false
        }
    }
}

fn said(good: bool) -> Response {
    let (status, word) =
        if good { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    (status, Json(json!({"status": word}))).into_response()
}
