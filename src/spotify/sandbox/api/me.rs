//! `GET /me`: who the token belongs to, with more fields outside of development mode (spotify.md 1.4).

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use serde_json::json;

use super::caller::Caller;
use super::paging::Query;
use super::refusal::Refusal;
use super::shape::{self, with};
use crate::ambient::Timestamp;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::shards::read;

/// `GET /me`.
pub async fn profile(Extension(caller): Extension<Caller>) -> Response {
    let state = caller.person.state();
    let traits = &state.traits;
    let name = traits.spell(&traits.display_name);
    let mut me = with(
        shape::user(&caller.base, &caller.person.id, Some(&name)),
        json!({ "account_id": caller.person.account_id, "images": [] }),
    );
    if !caller.is_reduced() {
        me = with(
            me,
            json!({
                "explicit_content": { "filter_enabled": false, "filter_locked": false },
                "followers": { "href": null, "total": 0 },
            }),
        );
        if caller.scopes.has("user-read-private") {
            me["country"] = json!(traits.country);
            me["product"] = json!(if traits.premium { "premium" } else { "free" });
        }
        if caller.scopes.has("user-read-email") {
            me["email"] = json!(format!("{}@people.invalid", caller.person.id));
        }
    }
    axum::Json(me).into_response()
}

/// `GET /me/tracks`: liked songs, newest first.
pub async fn liked(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    caller.needs(&["user-library-read"])?;
    let query = Query::of(&uri);
    let page = query.page(20, 50, 100_000)?;
    let liked = read(&caller.person.liked).clone();
    let rows = liked.iter().skip(page.offset).take(page.limit).map(|liked| {
        json!({
            "added_at": Timestamp::from_millis(liked.added_at).rfc3339(),
            "track": shape::item(&world, &caller, &liked.uri, None),
        })
    });
    let rows = rows.collect();
    Ok(axum::Json(page.wrap(&caller, "/me/tracks", &query, liked.len(), rows)).into_response())
}
