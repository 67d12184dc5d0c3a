//! `/account/approvals`: what a person approved, and taking it back.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::domain::ClientId;
use crate::domain::event::EventCode;
use crate::domain::redirect::RedirectUri;
use crate::oauth::Visitor;
use crate::store::Approval;
use crate::web::{ApprovalRow, Done, Problem, Untrusted};

use super::Shared;
use super::account::{Posted, by, finish};
use super::reply::page;

/// `POST /account/approvals/withdraw`
pub(super) async fn withdraw(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(client) = form.get("client").and_then(ClientId::parse) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let app = &http.app;
    let event = by(EventCode::ConsentWithdrawn, &session, &visitor).client(&client);
    let gone = app.store.withdraw(&session.user, &client, app.now(), &[app.stamp(event)]).await;
    finish(&http, gone, Done::Withdrawn, &visitor).await
}

pub(super) fn row(approval: Approval) -> ApprovalRow {
    let mut hosts: Vec<_> = approval
        .redirect_uris
        .iter()
        .filter_map(|uri| RedirectUri::parse(uri).ok())
        .map(|uri| uri.host())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    ApprovalRow {
        client: approval.client,
        name: Untrusted::new(&approval.name),
        hosts: hosts.iter().map(|host| Untrusted::new(host)).collect(),
        scopes: approval.scopes,
        approved: approval.approved_at,
    }
}
