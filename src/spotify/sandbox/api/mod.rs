//! The simulated Web API under `/v1`: what is built so far, the rest answers 403 (removed) or 404 (unknown).

mod caller;
mod catalog;
mod commands;
mod following;
mod history;
mod items;
mod library;
mod me;
mod paging;
mod player;
mod playlists;
mod refusal;
mod search;
mod shape;
mod works;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use axum::{Extension, Router, middleware};
use http::Uri;

use self::caller::Caller;
use self::refusal::Refusal;
use super::world::World;

/// Largest request body; a cover of 256 KB is the largest that a client has reason to send.
const MOST_BODY: usize = 512 * 1024;

/// All of the Web API on one screen.
pub fn router(world: &Arc<World>) -> Router<Arc<World>> {
    let items = get(items::list).post(items::add).put(items::update).delete(items::remove);
    Router::new()
        .route("/me", get(me::profile))
        .route("/me/playlists", get(playlists::mine).post(playlists::create))
        .route("/me/player", get(player::playback).put(commands::transfer))
        .route("/me/player/currently-playing", get(player::currently_playing))
        .route("/me/player/devices", get(player::devices))
        .route("/me/player/queue", get(player::queue).post(commands::enqueue))
        .route("/me/player/play", put(commands::play))
        .route("/me/player/pause", put(commands::pause))
        .route("/me/player/{command}", post(commands::skip).put(commands::set))
        .route("/search", get(search::search))
        .route("/users/{id}/playlists", post(playlists::create_for))
        .route("/playlists/{id}", get(playlists::look).put(playlists::change))
        .route("/playlists/{id}/images", put(playlists::set_cover))
        .route("/playlists/{id}/followers", put(following::follow_old).delete(following::unfollow_old))
        .route("/playlists/{id}/followers/contains", get(following::contains_old))
        .route("/playlists/{id}/items", items.clone())
        .route("/playlists/{id}/tracks", items)
        .merge(catalogue())
        .merge(library())
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(world.clone(), caller::admit))
}

/// Single things, several at once, and what is inside of them.
fn catalogue() -> Router<Arc<World>> {
    let mut routes = Router::new();
    for kind in ["tracks", "albums", "artists", "shows", "episodes", "audiobooks", "chapters"] {
        routes = routes
            .route(&format!("/{kind}"), get(catalog::several))
            .route(&format!("/{kind}/{{id}}"), get(catalog::single));
    }
    routes
        .route("/albums/{id}/tracks", get(catalog::inside))
        .route("/artists/{id}/albums", get(catalog::inside))
        .route("/shows/{id}/episodes", get(catalog::inside))
        .route("/audiobooks/{id}/chapters", get(catalog::inside))
}

/// What a person saved, follows, plays most and played last; by the new endpoint and by those from before.
fn library() -> Router<Arc<World>> {
    Router::new()
        .route("/me/tracks", get(me::liked).put(library::change_tracks).delete(library::change_tracks))
        .route("/me/tracks/contains", get(library::contains_tracks))
        .route("/me/{types}", get(library::saved).put(library::change_type).delete(library::change_type))
        .route("/me/{types}/contains", get(library::contains_type))
        .route("/me/following", get(library::following).put(library::follow).delete(library::follow))
        .route("/me/following/contains", get(library::follows))
        .route("/me/library", put(library::change).delete(library::change))
        .route("/me/library/contains", get(library::contains))
        .route("/me/top/{what}", get(history::top))
        .route("/me/player/recently-played", get(history::recently_played))
}

/// What development mode lost in February 2026 (spotify.md 1.3): 403, `/recommendations`: 404.
async fn unknown(Extension(caller): Extension<Caller>, uri: Uri) -> Refusal {
    const REMOVED: [&str; 12] = [
        "/users/",
        "/markets",
        "/browse/",
        "/albums",
        "/artists",
        "/audiobooks",
        "/chapters",
        "/episodes",
        "/shows",
        "/tracks",
        "/me/following",
        "/audio-features",
    ];
    let removed = REMOVED.iter().any(|start| uri.path().starts_with(start));
    if removed && caller.is_reduced() { Refusal::Forbidden } else { Refusal::NotFound("Service not found") }
}
