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

/// Puts a playlist into the caller's library: one of their own that they left comes back, others' must be visible.
pub fn follow(world: &World, caller: &Caller, id: &str) -> Result<(), Refusal> {
    let public = world.playlists.read(&id.to_owned(), |list| {
        if list.owner != caller.person.id {
            may_look(caller, list)?;
        }
        Ok(list.public)
    });
    may_modify(caller, public.ok_or(Refusal::NotFound("Resource not found"))??)?;
    if !caller.unapplied {
        let mut held = write(&caller.person.playlists);
        if !held.iter().any(|known| known == id) {
            held.insert(0, id.to_owned());
        }
    }
    world.saver.changed();
    Ok(())
}

/// Takes a playlist out of the caller's library; it stays where others have it.
pub fn unfollow(world: &World, caller: &Caller, id: &str) -> Result<(), Refusal> {
    let public = world.playlists.read(&id.to_owned(), |list| list.public);
    may_modify(caller, public.ok_or(Refusal::NotFound("Resource not found"))?)?;
    if !caller.unapplied {
        write(&caller.person.playlists).retain(|known| known != id);
    }
    world.saver.changed();
    Ok(())
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
    removed(&caller)?;
    follow(&world, &caller, &id)?;
    Ok(StatusCode::OK.into_response())
}

/// `DELETE /playlists/{id}/followers`.
pub async fn unfollow_old(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    removed(&caller)?;
    unfollow(&world, &caller, &id)?;
    Ok(StatusCode::OK.into_response())
}

/// `GET /playlists/{id}/followers/contains`: for the caller alone.
pub async fn contains_old(
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    removed(&caller)?;
    Ok(axum::Json(json!([follows(&caller, &id)])).into_response())
}

fn removed(caller: &Caller) -> Result<(), Refusal> {
    if caller.is_reduced() { Err(Refusal::Forbidden) } else { Ok(()) }
}

fn may_modify(caller: &Caller, public: bool) -> Result<(), Refusal> {
    caller.needs(&[if public { "playlist-modify-public" } else { "playlist-modify-private" }])
}
