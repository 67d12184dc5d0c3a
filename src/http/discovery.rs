//! Discovery documents. Paths that would need another issuer or resource are clean 404s: a document found at a
//! path must name that very issuer or resource.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::domain::resource::Resource;
use crate::oauth::metadata;

use super::{Http, Shared, pages};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(authorization_server))
        .route("/.well-known/oauth-protected-resource", get(mcp))
        .route("/.well-known/oauth-protected-resource/mcp", get(mcp))
        .route("/.well-known/oauth-protected-resource/claude-mcp", get(claude_mcp))
        // Within CORS: a client in a browser must be able to read a no, too.
        .route("/.well-known/{*rest}", get(pages::not_found))
        .route("/mcp/.well-known/{*rest}", get(pages::not_found))
        .route("/claude-mcp/.well-known/{*rest}", get(pages::not_found))
}

async fn authorization_server(State(http): State<Shared>) -> Json<Value> {
    let config = &http.app.config;
    let clients = (config.auth.registration, config.auth.documents.mode);
    Json(metadata::authorization_server(&http.app.issuer(), clients, config.server.offer.scopes()))
}

async fn mcp(State(http): State<Shared>) -> Json<Value> {
    resource(&http, Resource::Mcp)
}

async fn claude_mcp(State(http): State<Shared>) -> Json<Value> {
    resource(&http, Resource::ClaudeMcp)
}

fn resource(http: &Http, resource: Resource) -> Json<Value> {
    Json(metadata::protected_resource(&http.app.issuer(), resource, http.app.config.server.offer.scopes()))
}
