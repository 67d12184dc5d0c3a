//! Single things of the catalogue, several at once (not in development mode), and what is inside of one
//! (spotify.md 1.3, 1.11).

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::paging::{Page, Query};
use super::refusal::Refusal;
use super::shape::{self, Shape, with};
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::music::{self, Kind};
use crate::spotify::sandbox::world::shelf::{self, BOOK_MARKETS};

/// Items of the first page in the answer about a whole thing.
const FIRST_PAGE: usize = 50;
const GROUPS: [&str; 4] = ["album", "single", "appears_on", "compilation"];

/// `GET /albums/{id}`, `/artists/{id}` and so on.
pub async fn single(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    if !music::is_id(&id) {
        return Err(Refusal::Bad("Invalid base62 id"));
    }
    let kind = kind_of(&uri).ok_or(Refusal::NotFound("Service not found"))?;
    let thing = thing(&world, &caller, kind, &id).ok_or(Refusal::NotFound("Resource not found"))?;
    Ok(axum::Json(thing).into_response())
}

/// `GET /albums?ids=` and so on: removed in development mode. What is unknown comes as null.
pub async fn several(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    if caller.is_reduced() {
        return Err(Refusal::Forbidden);
    }
    let kind = kind_of(&uri).ok_or(Refusal::NotFound("Service not found"))?;
    let query = Query::of(&uri);
    let ids: Vec<_> = query.get("ids").unwrap_or_default().split(',').collect();
    let most = if kind == Kind::Album { 20 } else { 50 };
    if ids.len() > most {
        return Err(Refusal::Bad("Too many ids requested"));
    }
    if !ids.iter().all(|id| music::is_id(id)) {
        return Err(Refusal::Bad("Invalid id"));
    }
    let things: Vec<_> = ids.iter().map(|id| thing(&world, &caller, kind, id)).collect();
    let answer: Map<_, _> = [(format!("{}s", kind.word()), json!(things))].into_iter().collect();
    Ok(axum::Json(answer).into_response())
}

/// `GET /albums/{id}/tracks`, `/artists/{id}/albums`, `/shows/{id}/episodes`, `/audiobooks/{id}/chapters`.
pub async fn inside(
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    if !music::is_id(&id) {
        return Err(Refusal::Bad("Invalid base62 id"));
    }
    let kind = kind_of(&uri).ok_or(Refusal::NotFound("Service not found"))?;
    let gone = Refusal::NotFound("Resource not found");
    let (marker, index) = shelf::find(kind, &id).filter(|_| is_offered(&caller, kind)).ok_or(gone)?;
    let query = Query::of(&uri);
    let (usual, most) = match kind {
        // Development mode takes no more than ten here (spotify.md 1.3).
        Kind::Artist if caller.is_reduced() => (5, 10),
        _ => (20, 50),
    };
    let page = query.page(usual, most, 100_000)?;
    let groups: Vec<_> =
        query.get("include_groups").map_or(GROUPS.to_vec(), |list| list.split(',').collect());
    if !groups.iter().all(|group| GROUPS.contains(group)) {
        return Err(Refusal::Bad("Invalid album type"));
    }
    let state = caller.person.state();
    let shape = shape_of(&caller, marker, &state.traits);
    let (total, items) = children(&shape, kind, index, (page, &groups));
    Ok(axum::Json(page.wrap(&caller, uri.path(), &query, total, items)).into_response())
}

/// What is inside of a thing: how much, and a page of it.
fn children(
    shape: &Shape<'_>,
    kind: Kind,
    index: usize,
    (page, groups): (Page, &[&str]),
) -> (usize, Vec<Value>) {
    let window = |all: Vec<usize>, show: &dyn Fn(usize) -> Value| {
        (all.len(), all.into_iter().skip(page.offset).take(page.limit).map(show).collect())
    };
    match kind {
        Kind::Album => window(shelf::songs(index), &|song| shape.listed_song(song)),
        Kind::Artist => window(shelf::albums(index, groups), &|album| shape.listed_album(album)),
        Kind::Show => window(shelf::episodes(index), &|episode| shape.listed_episode(episode)),
        Kind::Audiobook => window(shelf::chapters(index), &|chapter| shape.listed_chapter(chapter)),
        Kind::Track | Kind::Episode | Kind::Chapter | Kind::Playlist | Kind::Account => (0, Vec::new()),
    }
}

/// A thing by itself; `None` where there is none, or not in the person's country.
pub fn thing(world: &World, caller: &Caller, kind: Kind, id: &str) -> Option<Value> {
    if kind == Kind::Track {
        let known = music::locate(kind, id).is_some() || world.titles.read(&id.to_owned(), |_| ()).is_some();
        return known.then(|| shape::item(world, caller, &format!("spotify:track:{id}"), None));
    }
    let (marker, index) = shelf::find(kind, id).filter(|_| is_offered(caller, kind))?;
    let state = caller.person.state();
    let shape = shape_of(caller, marker, &state.traits);
    let within = |name: &str, thing: Value| {
        let page = Page { limit: FIRST_PAGE, offset: 0 };
        let (total, items) = children(&shape, kind, index, (page, &GROUPS));
        let path = format!("/{}s/{id}/{name}", kind.word());
        let list = page.wrap(caller, &path, &Query::of(&Uri::default()), total, items);
        with(thing, json!({ name: list }))
    };
    Some(match kind {
        Kind::Album => within("tracks", shape.whole_album(index)),
        Kind::Show => within("episodes", shape.show(index)),
        Kind::Audiobook => within("chapters", shape.audiobook(index)),
        Kind::Episode => shape.episode(index),
        Kind::Chapter => shape.chapter(index),
        other => shape.listed(other, index),
    })
}

/// Whether things of a kind are offered where the person lives.
pub fn is_offered(caller: &Caller, kind: Kind) -> bool {
    let book = matches!(kind, Kind::Audiobook | Kind::Chapter);
    !book || BOOK_MARKETS.contains(&caller.person.state().traits.country.as_str())
}

fn shape_of<'a>(
    caller: &'a Caller,
    marker: &'a str,
    traits: &'a crate::spotify::sandbox::world::people::Traits,
) -> Shape<'a> {
    Shape {
        marker,
        reduced: caller.is_reduced(),
        base: &caller.base,
        traits,
        positions: caller.sees_positions(),
    }
}

/// The kind that the first word of a path names.
fn kind_of(uri: &Uri) -> Option<Kind> {
    let word = uri.path().trim_start_matches('/').split('/').next()?;
    [Kind::Track, Kind::Album, Kind::Artist, Kind::Show, Kind::Episode, Kind::Audiobook, Kind::Chapter]
        .into_iter()
        .find(|kind| word.strip_suffix('s') == Some(kind.word()))
}
