//! The entries of a playlist: read, add, remove all copies, replace, reorder (spotify.md 6.11). The old `/tracks`
//! paths do the same outside of development mode.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::caller::Caller;
use super::paging::Query;
use super::playlists::{may_look, parse, write};
use super::refusal::Refusal;
use super::shape;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::music;
use crate::spotify::sandbox::world::playlists::{Age, Entry, Playlist, Unwritable};

/// Most URIs in one write.
const MOST: usize = 100;

/// `GET .../items`: 403 for somebody else's playlist in development mode.
pub async fn list(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let old = is_old(&caller, &uri)?;
    let query = Query::of(&uri);
    let page = query.page(20, if old { 100 } else { 50 }, 100_000)?;
    let found = world.playlists.read(&id, |list| {
        may_look(&caller, list)?;
        if !shape::may_see(&caller, list) {
            return Err(Refusal::Forbidden);
        }
        let entries: Vec<_> = list.entries.iter().skip(page.offset).take(page.limit).cloned().collect();
        Ok((list.entries.len(), entries))
    });
    let (total, entries) = found.ok_or(Refusal::NotFound("Resource not found"))??;
    let rows = entries.iter().map(|entry| shape::entry(&world, &caller, entry, old)).collect();
    let path = format!("/playlists/{id}/{}", if old { "tracks" } else { "items" });
    Ok(axum::Json(page.wrap(&caller, &path, &query, total, rows)).into_response())
}

#[derive(Deserialize)]
struct Addition {
    uris: Option<Vec<String>>,
    position: Option<usize>,
}

/// `POST .../items`: adds up to 100, at the end or at a position. URIs in the query or the body.
pub async fn add(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Refusal> {
    is_old(&caller, &uri)?;
    let query = Query::of(&uri);
    let (uris, position) = match query.get("uris") {
        Some(list) => {
            let position = query.get("position").map(str::parse).transpose();
            let position = position.map_err(|_| Refusal::Bad("Invalid position"))?;
            (list.split(',').map(str::to_owned).collect(), position)
        }
        None => {
            let addition: Addition = parse(&body)?;
            (addition.uris.unwrap_or_default(), addition.position)
        }
    };
    if uris.is_empty() {
        return Err(Refusal::Bad("No uris provided"));
    }
    let entries = entries(&world, &caller, &uris)?;
    let snapshot = write(&world, &caller, &id, |list| {
        list.add(entries, position).map_err(refuse)?;
        Ok(list.snapshot())
    })?;
    Ok((StatusCode::CREATED, axum::Json(json!({ "snapshot_id": snapshot }))).into_response())
}

#[derive(Deserialize)]
struct Named {
    uri: String,
}

#[derive(Deserialize)]
struct Removal {
    #[serde(alias = "tracks")]
    items: Option<Vec<Named>>,
    snapshot_id: Option<String>,
}

/// A snapshot must be one of this playlist's states; what is done to a past one is done to the present.
fn age(list: &Playlist, snapshot: Option<&String>) -> Result<Age, Refusal> {
    let Some(snapshot) = snapshot else { return Ok(Age::Present) };
    list.age_of(snapshot).ok_or(Refusal::Bad("Invalid snapshot id"))
}

/// `DELETE .../items`: removes every copy of up to 100 URIs; positions are ignored. With a stale snapshot everything
/// named has to be there still.
pub async fn remove(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Refusal> {
    is_old(&caller, &uri)?;
    let removal: Removal = parse(&body)?;
    let snapshot = removal.snapshot_id;
    let uris: Vec<_> = removal.items.unwrap_or_default().into_iter().map(|named| named.uri).collect();
    if uris.is_empty() {
        return Err(Refusal::Bad("No uris provided"));
    }
    check(&uris)?;
    let snapshot = write(&world, &caller, &id, |list| {
        let is_there = |uri: &String| list.entries.iter().any(|entry| *entry.uri == **uri);
        if age(list, snapshot.as_ref())? == Age::Past && !uris.iter().all(is_there) {
            return Err(Refusal::Bad("Could not remove tracks, please check parameters."));
        }
        list.remove(&uris);
        Ok(list.snapshot())
    })?;
    Ok(axum::Json(json!({ "snapshot_id": snapshot })).into_response())
}

#[derive(Deserialize)]
struct Update {
    uris: Option<Vec<String>>,
    range_start: Option<usize>,
    insert_before: Option<usize>,
    range_length: Option<usize>,
    snapshot_id: Option<String>,
}

/// `PUT .../items`: replaces all (`uris`, an empty list clears) or moves a range.
pub async fn update(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, Refusal> {
    is_old(&caller, &uri)?;
    let update: Update = match Query::of(&uri).get("uris") {
        Some(list) => Update {
            uris: Some(list.split(',').filter(|uri| !uri.is_empty()).map(str::to_owned).collect()),
            range_start: None,
            insert_before: None,
            range_length: None,
            snapshot_id: None,
        },
        None => parse(&body)?,
    };
    let replacement = update.uris.map(|uris| entries(&world, &caller, &uris)).transpose()?;
    let snapshot = write(&world, &caller, &id, |list| {
        match (replacement, update.range_start, update.insert_before) {
            (Some(entries), None, None) => list.replace(entries),
            (None, Some(start), Some(before)) => {
                // The rows of a past state are not those that were meant.
                if age(list, update.snapshot_id.as_ref())? == Age::Past {
                    return Err(Refusal::Bad("The playlist has changed since this snapshot"));
                }
                list.reorder(start, update.range_length.unwrap_or(1), before).map_err(refuse)?;
            }
            _ => return Err(Refusal::Bad("Either uris or range_start and insert_before are needed")),
        }
        Ok(list.snapshot())
    })?;
    Ok(axum::Json(json!({ "snapshot_id": snapshot })).into_response())
}

/// Whether the old `/tracks` path was asked, which development mode refuses.
fn is_old(caller: &Caller, uri: &Uri) -> Result<bool, Refusal> {
    let old = uri.path().ends_with("/tracks");
    if old && caller.is_reduced() { Err(Refusal::Forbidden) } else { Ok(old) }
}

fn refuse(why: Unwritable) -> Refusal {
    Refusal::Bad(match why {
        Unwritable::OutOfBounds => "Index out of bounds.",
        Unwritable::Full => "Playlist size limit reached",
    })
}

fn entries(world: &World, caller: &Caller, uris: &[String]) -> Result<Vec<Entry>, Refusal> {
    check(uris)?;
    let added_at = world.now().millis();
    let entry = |uri: &String| Entry {
        uri: uri.as_str().into(),
        title: uri
            .strip_prefix("spotify:track:")
            .and_then(|id| world.titles.read(&id.to_owned(), Arc::clone)),
        added_at,
        added_by: caller.person.id.clone(),
    };
    Ok(uris.iter().map(entry).collect())
}

fn check(uris: &[String]) -> Result<(), Refusal> {
    if uris.len() > MOST {
        return Err(Refusal::Bad("You can add a maximum of 100 tracks per request."));
    }
    let good = |uri: &String| {
        let id = uri.strip_prefix("spotify:track:").or_else(|| uri.strip_prefix("spotify:episode:"));
        id.is_some_and(music::is_id) || uri.starts_with("spotify:local:") && uri.len() < 1000
    };
    uris.iter().all(good).then_some(()).ok_or(Refusal::Bad("Invalid track uri"))
}
