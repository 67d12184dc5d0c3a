//! Playlists as a whole: list, create, look at, rename.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::caller::Caller;
use super::paging::{Page, Query};
use super::refusal::Refusal;
use super::shape;
use crate::spotify::sandbox::world::playlists::Playlist;
use crate::spotify::sandbox::world::shards::read;
use crate::spotify::sandbox::world::{World, music};

/// Largest cover in base 64.
const COVER: usize = 256 * 1024;
/// Entries in the answer about a whole playlist.
const FIRST_PAGE: usize = 100;

/// `GET /me/playlists`. Without the scope for private playlists the list is silently shorter (spotify.md 1.10).
pub async fn mine(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let query = Query::of(&uri);
    let page = query.page(20, 50, 100_000)?;
    let private = caller.scopes.has("playlist-read-private");
    let collaborative = caller.scopes.has("playlist-read-collaborative");
    let ids = read(&caller.person.playlists).clone();
    let visible = |list: &Playlist| {
        let seen = list.public || private && !list.collaborative || collaborative && list.collaborative;
        seen.then(|| shape::playlist(&world, &caller, list))
    };
    let shown: Vec<_> = ids.iter().filter_map(|id| world.playlists.read(id, visible).flatten()).collect();
    let total = shown.len();
    let items = shown.into_iter().skip(page.offset).take(page.limit).collect();
    let path = "/me/playlists";
    Ok(axum::Json(page.wrap(&caller, path, &query, total, items)).into_response())
}

/// What a playlist may be created or changed with.
#[derive(Deserialize)]
pub struct Details {
    name: Option<String>,
    description: Option<String>,
    public: Option<bool>,
    collaborative: Option<bool>,
}

impl Details {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let details: Self = parse(body)?;
        let blank = details.description.as_deref() == Some("");
        if blank { Err(Refusal::Bad("Attribute description cannot be empty")) } else { Ok(details) }
    }
}

/// `POST /me/playlists`: 201 with the new, empty playlist. Public unless told otherwise, as at Spotify.
pub async fn create(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let details = Details::parse(&body)?;
    let public = details.public.unwrap_or(true);
    may_modify(&caller, public)?;
    let name = details.name.filter(|name| !name.trim().is_empty());
    let playlist = Playlist {
        id: world.fresh_id(&caller.person.marker),
        owner: caller.person.id.clone(),
        name: name.ok_or(Refusal::Bad("Missing required field: name"))?,
        description: details.description.unwrap_or_default(),
        public,
        collaborative: details.collaborative.unwrap_or(false),
        revision: 1,
        cover: 0,
        entries: Vec::new(),
    };
    if playlist.public && playlist.collaborative {
        return Err(Refusal::Bad("Collaborative playlists can only be private"));
    }
    let value = whole(&world, &caller, &playlist, &Query::of(&Uri::default()));
    if !world.keep_playlist(&caller.person, playlist) {
        return Err(Refusal::Bad("Playlist limit reached"));
    }
    Ok((StatusCode::CREATED, axum::Json(value)).into_response())
}

/// `POST /users/{id}/playlists`: the old way, gone in development mode.
pub async fn create_for(
    state: State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    if caller.is_reduced() || *user != *caller.person.id {
        return Err(Refusal::Forbidden);
    }
    create(state, Extension(caller), body).await
}

/// `GET /playlists/{id}`: with the first entries, where the caller may see them.
pub async fn look(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let value = world.playlists.read(&id, |list| {
        may_look(&caller, list)?;
        Ok(whole(&world, &caller, list, &Query::of(&uri)))
    });
    Ok(axum::Json(value.ok_or(Refusal::NotFound("Resource not found"))??).into_response())
}

/// `PUT /playlists/{id}`: name, description, visibility. 200 with an empty body.
pub async fn change(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let details = Details::parse(&body)?;
    write(&world, &caller, &id, |list| {
        if list.owner != caller.person.id {
            return Err(Refusal::Forbidden);
        }
        let (public, open) = (details.public, details.collaborative);
        if public.unwrap_or(list.public) && open.unwrap_or(list.collaborative) {
            return Err(Refusal::Bad("Collaborative playlists can only be private"));
        }
        list.name = details.name.unwrap_or_else(|| list.name.clone());
        list.description = details.description.unwrap_or_else(|| list.description.clone());
        list.public = details.public.unwrap_or(list.public);
        list.collaborative = details.collaborative.unwrap_or(list.collaborative);
        list.revision += 1;
        Ok(())
    })?;
    Ok(StatusCode::OK.into_response())
}

/// Changes a playlist for a caller who may: theirs or collaborative, with the scope for its visibility.
pub fn write<R>(
    world: &World,
    caller: &Caller,
    id: &str,
    change: impl FnOnce(&mut Playlist) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let done = world.playlists.update(&id.to_owned(), |list| {
        if !list.belongs_to(&caller.person.id) {
            return Err(Refusal::Forbidden);
        }
        may_modify(caller, list.public)?;
        if caller.unapplied { change(&mut list.clone()) } else { change(list) }
    });
    world.saver.changed();
    done.unwrap_or(Err(Refusal::NotFound("Resource not found")))
}

/// Whether the caller may know of a playlist at all.
pub fn may_look(caller: &Caller, list: &Playlist) -> Result<(), Refusal> {
    if list.public {
        return Ok(());
    }
    if !list.belongs_to(&caller.person.id) {
        return Err(Refusal::NotFound("Resource not found"));
    }
    caller.needs(&["playlist-read-private"])
}

/// Parses a JSON body.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Bad("Error parsing JSON."))
}

/// `PUT /playlists/{id}/images`: a JPEG in base 64; 202 with an empty body.
pub async fn set_cover(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    caller.needs(&["ugc-image-upload"])?;
    if body.len() > COVER {
        return Err(Refusal::TooLarge);
    }
    let picture = STANDARD.decode(&body).map_err(|_| Refusal::Bad("Image could not be processed"))?;
    if !picture.starts_with(&[0xff, 0xd8, 0xff]) {
        return Err(Refusal::Bad("Image could not be processed"));
    }
    write(&world, &caller, &id, |list| {
        list.cover = music::number(&[&String::from_utf8_lossy(&body)]).max(1);
        Ok(())
    })?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn may_modify(caller: &Caller, public: bool) -> Result<(), Refusal> {
    caller.needs(&[if public { "playlist-modify-public" } else { "playlist-modify-private" }])
}

fn whole(world: &World, caller: &Caller, list: &Playlist, query: &Query) -> serde_json::Value {
    let mut value = shape::playlist(world, caller, list);
    value["followers"] = json!({ "href": null, "total": 0 });
    let page = Page { limit: FIRST_PAGE, offset: 0 };
    let rows = |old| {
        list.entries.iter().take(FIRST_PAGE).map(|entry| shape::entry(world, caller, entry, old)).collect()
    };
    let total = list.entries.len();
    if shape::may_see(caller, list) {
        let path = format!("/playlists/{}/items", list.id);
        value["items"] = page.wrap(caller, &path, query, total, rows(false));
    }
    if !caller.is_reduced() {
        let path = format!("/playlists/{}/tracks", list.id);
        value["tracks"] = page.wrap(caller, &path, query, total, rows(true));
    }
    value
}
