//! The sessions of 2025-era MCP clients at `/account`: shown to their owner, and the end of each.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::domain::UserId;
use crate::domain::event::EventCode;
use crate::failure::Failure;
use crate::oauth::Visitor;
use crate::web::{Done, McpSessionRow, Problem, Untrusted};

use super::account::{Posted, by, finish};
use super::reply::page;
use super::{Http, Shared};

/// A person's sessions, most recently used first.
pub(super) async fn rows(http: &Http, user: &UserId) -> Result<Vec<McpSessionRow>, Failure> {
    let sessions = http.app.store.mcp_sessions(user, http.app.now()).await?;
    let row = |session: crate::store::OpenMcpSession| McpSessionRow {
        id: session.id,
        client: Untrusted::new(&session.client),
        since: session.created_at,
        last_used: session.last_active,
    };
    Ok(sessions.into_iter().map(row).collect())
}

/// `POST /account/mcp-sessions/end`
pub(super) async fn end(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(id) = form.get("session").and_then(|id| id.parse().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let event = by(EventCode::SessionRevoked, &session, &visitor).because("ended_by_user");
    let ended = http.app.mcp_sessions.end_by_id(&session.user, &id, event).await;
    finish(&http, ended, Done::McpSessionEnded, &visitor).await
}
