//! `/account/export`: a person takes with them all that is held of them; the same as the operator's `users export`.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::app::export::{Trail, export_of};
use crate::domain::event::EventCode;
use crate::oauth::Visitor;
use crate::web::Problem;

use super::Shared;
use super::account::{Posted, by};
use super::reply::{failed_page, page};

/// So much of the trail is read, in bytes, the newest: a few seconds.
const MOST: u64 = 2 << 30;

/// `POST /account/export`
pub(super) async fn export(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, .. }: Posted,
) -> Response {
    let app = &http.app;
    let trail = Trail { dir: app.audit.dir().to_owned(), ring: Some(app.keys.clone()), bytes: MOST };
    let exported = export_of(&app.store, &session.user, app.now(), trail).await;
    let document = match exported {
        Ok(Some(document)) => document,
        Ok(None) => return page(&http, Problem::NotFound, &visitor).into_response(),
        Err(failure) => return failed_page(&http, &failure, &visitor),
    };
    // Recorded first: what is given out without a record was never given out.
    let event = by(EventCode::UserDataExported, &session, &visitor).subject(session.user.as_str());
    if let Err(failure) = app.store.record(&[app.stamp(event)]).await {
        return failed_page(&http, &failure, &visitor);
    }
    let mut response = format!("{document:#}\n").into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let name = HeaderValue::from_static("attachment; filename=\"spotify-mcp-data.json\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    response
}
