//! Playlists in somebody's library: for `/me/library`, and by the followers' endpoints that development mode lost.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use super::caller::Caller;
use super::playlists::may_look;
use super::refusal::Refusal;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::shards::{read, write};

/// Whether the caller may keep a playlist, or let it go, as far as the playlist goes: it must be there, and to keep
/// somebody else's it must be visible. Says whether it is public.
pub fn may_keep(world: &World, caller: &Caller, id: &str, kept: bool) -> Result<bool, Refusal> {
    let public = world.playlists.read(&id.to_owned(), |list| {
        if kept && list.owner != caller.person.id {
            may_look(caller, list)?;
        }
        Ok(list.public)
    });
    public.unwrap_or(Err(Refusal::NotFound("Resource not found")))
}

/// Puts a playlist into the caller's library, where one of their own that they left comes back, or takes it out; it
/// stays where others have it.
pub fn keep(world: &World, caller: &Caller, id: &str, kept: bool) {
    if caller.unapplied {
        return;
    }
    let mut held = write(&caller.person.playlists);
    match (kept, held.iter().position(|known| known == id)) {
        (true, None) => held.insert(0, id.to_owned()),
        (false, Some(at)) => drop(held.remove(at)),
        _ => {}
    }
    drop(held);
    world.saver.changed();
}

/// Whether a playlist is in the caller's library.
pub fn follows(caller: &Caller, id: &str) -> bool {
    read(&caller.person.playlists).iter().any(|known| known == id)
}

/// `PUT /playlists/{id}/followers`.
pub async fn follow_old(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    change(&world, &caller, &id, true)
}

/// `DELETE /playlists/{id}/followers`.
pub async fn unfollow_old(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    change(&world, &caller, &id, false)
}

/// `GET /playlists/{id}/followers/contains`: for the caller alone.
pub async fn contains_old(
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    removed(&caller)?;
    Ok(axum::Json(json!([follows(&caller, &id)])).into_response())
}

fn change(world: &World, caller: &Caller, id: &str, kept: bool) -> Result<Response, Refusal> {
    removed(caller)?;
    let public = may_keep(world, caller, id, kept)?;
    caller.needs(&[if public { "playlist-modify-public" } else { "playlist-modify-private" }])?;
    keep(world, caller, id, kept);
    Ok(StatusCode::OK.into_response())
}

fn removed(caller: &Caller) -> Result<(), Refusal> {
    if caller.is_reduced() { Err(Refusal::Forbidden) } else { Ok(()) }
}
