//! The library: what a person saved and follows (spotify.md 6.13). Changes go through `/me/library`; outside of
//! development mode the older endpoints of each type are there too.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, Uri};
use serde_json::json;

use super::caller::Caller;
use super::catalog::thing;
use super::following;
use super::paging::Query;
use super::refusal::Refusal;
use crate::ambient::Timestamp;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::music::{self, Kind};
use crate::spotify::sandbox::world::people::Liked;
use crate::spotify::sandbox::world::shards::{read, write};

/// Most URIs of one call to `/me/library`.
const MOST: usize = 40;
/// Most ids of one call to an older endpoint.
const MOST_OLD: usize = 50;
/// What the URIs of playlists begin with.
const PLAYLIST: &str = "spotify:playlist:";
/// `GET /me/albums`, `/me/shows`, `/me/episodes` and `/me/audiobooks`.
pub async fn saved(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(types): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let kind = kind_of(&types)?;
    caller.needs(&["user-library-read"])?;
    let query = Query::of(&uri);
    let page = query.page(20, 50, 100_000)?;
    let saved = of_kind(&caller, kind);
    let row = |liked: &Liked| {
        let id = liked.uri.rsplit(':').next().unwrap_or_default();
        json!({
            "added_at": Timestamp::from_millis(liked.added_at).rfc3339(),
            kind.word(): thing(&world, &caller, kind, id),
        })
    };
    let rows = saved.iter().skip(page.offset).take(page.limit).map(row).collect();
    Ok(axum::Json(page.wrap(&caller, uri.path(), &query, saved.len(), rows)).into_response())
}

/// `GET /me/following?type=artist`: by cursor.
pub async fn following(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    caller.needs(&["user-follow-read"])?;
    let query = Query::of(&uri);
    if query.get("type") != Some("artist") {
        return Err(Refusal::Bad("Invalid type"));
    }
    let limit = query.page(20, 50, 0)?.limit;
    let all: Vec<_> = of_kind(&caller, Kind::Artist)
        .iter()
        .map(|liked| liked.uri.rsplit(':').next().unwrap_or_default().to_owned())
        .collect();
    let start = match query.get("after") {
        Some(after) => all.iter().position(|id| id == after).map_or(all.len(), |at| at + 1),
        None => 0,
    };
    let shown: Vec<_> = all.iter().skip(start).take(limit).collect();
    let more = start + shown.len() < all.len();
    let last = shown.last().filter(|_| more);
    let items: Vec<_> = shown.iter().map(|id| thing(&world, &caller, Kind::Artist, id)).collect();
    let href = format!("{}/me/following?type=artist&limit={limit}", caller.base);
    let next = last.map(|after| format!("{href}&after={after}"));
    let artists = json!({
        "cursors": { "after": last }, "href": href, "items": items, "limit": limit, "next": next,
        "total": all.len(),
    });
    Ok(axum::Json(json!({ "artists": artists })).into_response())
}

/// `PUT` and `DELETE /me/library`: up to 40 URIs. In the older regimes an app's rules may refuse it, as has been seen.
pub async fn change(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
) -> Result<Response, Refusal> {
    let (uris, kept) = (uris(&caller, &Query::of(&uri))?, method == Method::PUT);
    for (kind, _) in &uris {
        caller.needs(&[to_change(kind)])?;
    }
    // All or nothing: what is not there refuses the whole call.
    for id in uris.iter().filter_map(|(_, uri)| uri.strip_prefix(PLAYLIST)) {
        following::may_keep(&world, &caller, id, kept)?;
    }
    for (_, uri) in &uris {
        keep(&world, &caller, uri, kept);
    }
    Ok(StatusCode::OK.into_response())
}

/// `GET /me/library/contains`: one truth for each, in their order.
pub async fn contains(Extension(caller): Extension<Caller>, uri: Uri) -> Result<Response, Refusal> {
    let uris = uris(&caller, &Query::of(&uri))?;
    for (kind, _) in &uris {
        caller.needs(&[to_look(kind)])?;
    }
    let answer: Vec<_> = uris.iter().map(|(_, uri)| is_kept(&caller, uri)).collect();
    Ok(axum::Json(answer).into_response())
}

fn uris(caller: &Caller, query: &Query) -> Result<Vec<(String, String)>, Refusal> {
    if !caller.is_reduced() && caller.rules.no_library {
        return Err(Refusal::Bad("Bad request"));
    }
    let list = query.get("uris").filter(|list| !list.is_empty()).ok_or(Refusal::Bad("Missing uris"))?;
    let uris: Vec<_> = list.split(',').collect();
    if uris.len() > MOST {
        return Err(Refusal::Bad("Too many uris requested"));
    }
    let known = |uri: &&str| {
        let (kind, id) = uri.strip_prefix("spotify:")?.split_once(':')?;
        const KINDS: [&str; 8] =
            ["track", "album", "episode", "show", "audiobook", "playlist", "artist", "user"];
        let good = KINDS.contains(&kind) && (kind == "user" || music::is_id(id));
        good.then(|| (kind.to_owned(), (*uri).to_owned()))
    };
    let uris = uris.iter().map(|uri| known(uri).ok_or(Refusal::Bad("Invalid uri")));
    let uris = uris.collect::<Result<Vec<_>, _>>()?;
    if caller.rules.no_artists_in_library && uris.iter().any(|(kind, _)| kind == "artist") {
        return Err(Refusal::Bad("Unsupported uri type"));
    }
    Ok(uris)
}

/// `PUT` and `DELETE /me/<type>s?ids=`: gone in development mode.
pub async fn change_type(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(types): Path<String>,
    method: Method,
    uri: Uri,
) -> Result<Response, Refusal> {
    let kind = old_kind(&caller, &types)?;
    caller.needs(&["user-library-modify"])?;
    for id in ids(&Query::of(&uri))? {
        keep(&world, &caller, &format!("spotify:{}:{id}", kind.word()), method == Method::PUT);
    }
    Ok(StatusCode::OK.into_response())
}

/// The same for tracks, whose list has a handler of its own.
pub async fn change_tracks(
    world: State<Arc<World>>,
    caller: Extension<Caller>,
    method: Method,
    uri: Uri,
) -> Result<Response, Refusal> {
    change_type(world, caller, Path("tracks".to_owned()), method, uri).await
}

/// The same for tracks.
pub async fn contains_tracks(caller: Extension<Caller>, uri: Uri) -> Result<Response, Refusal> {
    contains_type(caller, Path("tracks".to_owned()), uri).await
}

/// `GET /me/<type>s/contains?ids=`: gone in development mode.
pub async fn contains_type(
    Extension(caller): Extension<Caller>,
    Path(types): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let kind = old_kind(&caller, &types)?;
    caller.needs(&["user-library-read"])?;
    let kept = |id: &String| is_kept(&caller, &format!("spotify:{}:{id}", kind.word()));
    Ok(axum::Json(ids(&Query::of(&uri))?.iter().map(kept).collect::<Vec<_>>()).into_response())
}

/// `PUT` and `DELETE /me/following?type=&ids=`: gone in development mode.
pub async fn follow(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
) -> Result<Response, Refusal> {
    let query = Query::of(&uri);
    let kind = followed_kind(&caller, &query)?;
    caller.needs(&["user-follow-modify"])?;
    for id in ids(&query)? {
        keep(&world, &caller, &format!("spotify:{kind}:{id}"), method == Method::PUT);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /me/following/contains?type=&ids=`: gone in development mode.
pub async fn follows(Extension(caller): Extension<Caller>, uri: Uri) -> Result<Response, Refusal> {
    let query = Query::of(&uri);
    let kind = followed_kind(&caller, &query)?;
    caller.needs(&["user-follow-read"])?;
    let kept = |id: &String| is_kept(&caller, &format!("spotify:{kind}:{id}"));
    Ok(axum::Json(ids(&query)?.iter().map(kept).collect::<Vec<_>>()).into_response())
}

fn kind_of(types: &str) -> Result<Kind, Refusal> {
    if ["chapters", "apps"].contains(&types) {
        return Err(Refusal::Gone);
    }
    [Kind::Track, Kind::Album, Kind::Show, Kind::Episode, Kind::Audiobook]
        .into_iter()
        .find(|kind| types.strip_suffix('s') == Some(kind.word()))
        .ok_or(Refusal::NotFound("Service not found"))
}

fn old_kind(caller: &Caller, types: &str) -> Result<Kind, Refusal> {
    let kind = kind_of(types)?;
    if caller.is_reduced() { Err(Refusal::Forbidden) } else { Ok(kind) }
}

fn followed_kind<'a>(caller: &Caller, query: &'a Query) -> Result<&'a str, Refusal> {
    if caller.is_reduced() {
        return Err(Refusal::Forbidden);
    }
    query.get("type").filter(|kind| ["artist", "user"].contains(kind)).ok_or(Refusal::Bad("Invalid type"))
}

fn ids(query: &Query) -> Result<Vec<String>, Refusal> {
    let list = query.get("ids").filter(|list| !list.is_empty()).ok_or(Refusal::Bad("Missing ids"))?;
    let ids: Vec<_> = list.split(',').map(str::to_owned).collect();
    if ids.len() > MOST_OLD {
        return Err(Refusal::Bad("Too many ids requested"));
    }
    Ok(ids)
}

/// What looking needs, by the kind of what is looked at (spotify.md 1.11).
fn to_look(kind: &str) -> &'static str {
    match kind {
        "artist" | "user" => "user-follow-read",
        "playlist" => "playlist-read-private",
        _ => "user-library-read",
    }
}

/// What a change needs, by the kind of what is changed (spotify.md 1.11).
fn to_change(kind: &str) -> &'static str {
    match kind {
        "artist" | "user" => "user-follow-modify",
        "playlist" => "playlist-modify-public",
        _ => "user-library-modify",
    }
}

fn of_kind(caller: &Caller, kind: Kind) -> Vec<Liked> {
    let start = format!("spotify:{}:", kind.word());
    let all = read(if kind == Kind::Track { &caller.person.liked } else { &caller.person.saved }).clone();
    all.into_iter().filter(|liked| liked.uri.starts_with(&start)).collect()
}

fn is_kept(caller: &Caller, uri: &str) -> bool {
    if let Some(id) = uri.strip_prefix(PLAYLIST) {
        return following::follows(caller, id);
    }
    let among = if uri.starts_with("spotify:track:") { &caller.person.liked } else { &caller.person.saved };
    read(among).iter().any(|liked| liked.uri == uri)
}

/// Puts something into the library, at the top, or takes it out. Playlists are followed, or no longer.
fn keep(world: &World, caller: &Caller, uri: &str, kept: bool) {
    if caller.unapplied {
        return;
    }
    if let Some(id) = uri.strip_prefix(PLAYLIST) {
        following::keep(world, caller, id, kept);
    } else {
        let tracks = uri.starts_with("spotify:track:");
        let mut list = write(if tracks { &caller.person.liked } else { &caller.person.saved });
        match (kept, list.iter().position(|other| other.uri == uri)) {
            (true, None) => {
                list.insert(0, Liked { uri: uri.to_owned(), added_at: world.now().millis() });
            }
            (false, Some(at)) => drop(list.remove(at)),
            _ => {}
        }
    }
    world.saver.changed();
}
