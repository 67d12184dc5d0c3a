//! The player, commanded (spotify.md 6.10): Premium people only, on a device that takes commands. Confirmed at once,
//! as the app's rules say, and seen a little later.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};
use serde::Deserialize;

use super::caller::Caller;
use super::paging::Query;
use super::player::untold;
use super::playlists::parse;
use super::refusal::Refusal;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::app::Confirmation;
use crate::spotify::sandbox::world::music::{self, Kind};
use crate::spotify::sandbox::world::player::{Impossible, Play, Player, gadget_id, gadgets};
use crate::spotify::sandbox::world::shards::lock;
use crate::spotify::sandbox::world::shelf;

/// Larger bodies of a command to play fail (seen around 226 URIs).
const MOST_BODY: usize = 9_000;

type Hand = State<Arc<World>>;
type Who = Extension<Caller>;

#[derive(Default, Deserialize)]
struct Start {
    context_uri: Option<String>,
    uris: Option<Vec<String>>,
    offset: Option<Offset>,
    position_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Offset {
    position: Option<usize>,
    uri: Option<String>,
}

/// `PUT /me/player/play`: something, or what was paused.
pub async fn play(State(world): Hand, who: Who, uri: Uri, body: Bytes) -> Result<Response, Refusal> {
    if body.len() > MOST_BODY {
        return Err(Refusal::Server);
    }
    let start: Start = if body.is_empty() { Start::default() } else { parse(&body)? };
    command(&world, &who, Some(&Query::of(&uri)), |play| {
        let position = start.position_ms.unwrap_or(0).max(0);
        let items = match (&start.uris, &start.context_uri) {
            (Some(_), Some(_)) => return Err(Refusal::Bad("Both context_uri and uris given")),
            (Some(uris), None) if uris.is_empty() || !uris.iter().all(|uri| is_playable(uri)) => {
                return Err(Refusal::Bad("Invalid track uri"));
            }
            (Some(uris), None) => uris.clone(),
            (None, Some(context)) => inside(&world, context)?,
            (None, None) => return resume(play, start.position_ms, &world),
        };
        let at = match &start.offset {
            Some(_) if start.context_uri.as_deref().is_some_and(|uri| uri.starts_with("spotify:artist:")) => {
                return Err(Refusal::Bad("Can't have offset for context type: ARTIST"));
            }
            Some(Offset { position: Some(at), .. }) if *at < items.len() => *at,
            Some(Offset { uri: Some(uri), .. }) => {
                items.iter().position(|item| item == uri).ok_or(Refusal::NotFound("Resource not found"))?
            }
            Some(_) => return Err(Refusal::Bad("Invalid offset")),
            None => 0,
        };
        play.start(items, start.context_uri.clone(), at);
        play.run(false, position, world.now());
        Ok(())
    })
}

fn resume(play: &mut Play, position: Option<i64>, world: &World) -> Result<(), Refusal> {
    play.may_skip().map_err(Refusal::Player)?;
    if !play.paused && position.is_none() {
        return Err(Refusal::Player(Impossible::Restriction));
    }
    play.run(false, position.unwrap_or(play.position), world.now());
    Ok(())
}

/// The items of a context, in order.
fn inside(world: &World, context: &str) -> Result<Vec<String>, Refusal> {
    let gone = || Refusal::NotFound("Resource not found");
    let (kind, id) = context
        .strip_prefix("spotify:")
        .and_then(|rest| rest.split_once(':'))
        .filter(|(_, id)| music::is_id(id))
        .ok_or(Refusal::Bad("Invalid context uri"))?;
    let of = |kind: Kind, marker: &str, all: Vec<usize>| -> Vec<String> {
        let uri = |at| format!("spotify:{}:{}", kind.word(), music::id(kind, marker, at));
        all.into_iter().map(uri).collect()
    };
    let found =
        match kind {
            "playlist" => world.playlists.read(&id.to_owned(), |list| {
                list.entries.iter().map(|entry| entry.uri.to_string()).collect::<Vec<_>>()
            }),
            "album" => shelf::find(Kind::Album, id)
                .map(|(marker, album)| of(Kind::Track, marker, shelf::songs(album))),
            "artist" => shelf::find(Kind::Artist, id)
                .map(|(marker, artist)| of(Kind::Track, marker, shelf::songs(artist))),
            "show" => shelf::find(Kind::Show, id)
                .map(|(marker, show)| of(Kind::Episode, marker, shelf::episodes(show))),
            _ => return Err(Refusal::Bad("Invalid context uri")),
        };
    found.filter(|items| !items.is_empty()).ok_or_else(gone)
}

/// `PUT /me/player/pause`.
pub async fn pause(State(world): Hand, who: Who, uri: Uri) -> Result<Response, Refusal> {
    command(&world, &who, Some(&Query::of(&uri)), |play| {
        if play.paused {
            return Err(Refusal::Player(Impossible::Restriction));
        }
        play.may_skip().map_err(Refusal::Player)?;
        let gone = world.now().millis() - play.since.millis();
        (play.paused, play.position, play.since) = (true, play.position + gone, world.now());
        Ok(())
    })
}

/// `POST /me/player/next` and `POST /me/player/previous`.
pub async fn skip(
    State(world): Hand,
    who: Who,
    Path(way): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    command(&world, &who, Some(&Query::of(&uri)), |play| {
        let done = match way.as_str() {
            "next" => play.next(world.now()),
            "previous" => play.previous(world.now()),
            _ => return Err(Refusal::NotFound("Service not found")),
        };
        done.map_err(Refusal::Player)
    })
}

/// `PUT /me/player/seek`, `volume`, `shuffle` and `repeat`.
pub async fn set(
    State(world): Hand,
    who: Who,
    Path(setting): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let query = Query::of(&uri);
    let loud =
        |at: usize| gadgets(&who.person.state().traits).get(at).is_some_and(|device| device.has_volume);
    command(&world, &who, Some(&query), |play| {
        match setting.as_str() {
            "seek" => {
                let position: i64 = number(&query, "position_ms")?;
                play.may_skip().map_err(Refusal::Player)?;
                play.run(play.paused, position.max(0), world.now());
            }
            "volume" => {
                let percent: u8 = number(&query, "volume_percent")?;
                let percent = Some(percent).filter(|percent| *percent <= 100);
                let percent = percent.ok_or(Refusal::Bad("Invalid volume_percent"))?;
                let at = play.active.filter(|at| loud(*at)).ok_or(Refusal::Player(Impossible::NoVolume))?;
                play.volumes[at] = percent;
            }
            "shuffle" => {
                let state = query.get("state").and_then(|state| state.parse().ok());
                play.shuffle = state.ok_or(Refusal::Bad("Invalid state"))?;
            }
            "repeat" => {
                let state = query.get("state").filter(|state| ["off", "track", "context"].contains(state));
                state.ok_or(Refusal::Bad("Invalid state"))?.clone_into(&mut play.repeat);
            }
            _ => return Err(Refusal::NotFound("Service not found")),
        }
        Ok(())
    })
}

fn number<T: std::str::FromStr>(query: &Query, name: &str) -> Result<T, Refusal> {
    query.get(name).and_then(|text| text.parse().ok()).ok_or(Refusal::Bad("Missing or invalid parameter"))
}

/// `POST /me/player/queue`.
pub async fn enqueue(State(world): Hand, who: Who, uri: Uri) -> Result<Response, Refusal> {
    let query = Query::of(&uri);
    let item = query.get("uri").filter(|uri| is_playable(uri)).ok_or(Refusal::Bad("Invalid track uri"))?;
    command(&world, &who, Some(&query), |play| {
        play.queue.push_back(item.to_owned());
        Ok(())
    })
}

#[derive(Deserialize)]
struct Transfer {
    device_ids: Vec<String>,
    play: Option<bool>,
}

/// `PUT /me/player`: to another device.
pub async fn transfer(State(world): Hand, who: Who, body: Bytes) -> Result<Response, Refusal> {
    let transfer: Transfer = parse(&body)?;
    let [device] = transfer.device_ids.as_slice() else {
        return Err(Refusal::Bad("device_ids must hold exactly one device"));
    };
    command(&world, &who, None, |play| {
        play.active = Some(place(&who, device)?);
        if transfer.play == Some(true) && play.paused {
            play.run(false, play.position, world.now());
        }
        Ok(())
    })
}

/// Does a command with the newest state of the player, on the device that the query names or the active one.
fn command(
    world: &World,
    caller: &Caller,
    query: Option<&Query>,
    act: impl FnOnce(&mut Play) -> Result<(), Refusal>,
) -> Result<Response, Refusal> {
    caller.needs(&["user-modify-playback-state"])?;
    let state = caller.person.state();
    if !state.traits.premium {
        return Err(Refusal::Premium);
    }
    let now = world.now();
    let mut player = lock(&caller.person.player);
    let mut play = match player.as_mut() {
        Some(player) => player.newest(now),
        None => untold(world, caller, &state),
    };
    let before = play.clone();
    if let Some(query) = query {
        if let Some(device) = query.get("device_id") {
            play.active = Some(place(caller, device)?);
        }
        let at = play.active.ok_or(Refusal::Player(Impossible::NoActiveDevice))?;
        if gadgets(&state.traits).get(at).is_none_or(|device| device.restricted) {
            return Err(Refusal::Player(Impossible::RestrictedDevice));
        }
    }
    act(&mut play)?;
    let delay = Duration::from_millis(state.traits.effect_millis);
    player.get_or_insert_with(|| Player::new(before)).becomes(play, now, delay);
    drop(player);
    world.saver.changed();
    Ok(confirm(world, caller))
}

fn place(caller: &Caller, device: &str) -> Result<usize, Refusal> {
    let devices = gadgets(&caller.person.state().traits);
    let named = |at: &usize| devices[*at].has_id && gadget_id(&caller.person.marker, *at) == device;
    let at = (0..devices.len()).find(named).ok_or(Refusal::Player(Impossible::DeviceNotFound))?;
    if devices[at].restricted { Err(Refusal::Player(Impossible::RestrictedDevice)) } else { Ok(at) }
}

/// As Spotify does it: with nothing, or with noise.
fn confirm(world: &World, caller: &Caller) -> Response {
    let noise = || Body::from(world.opaque("").chars().take(48).collect::<String>());
    match caller.rules.confirmation {
        Confirmation::NoContent => StatusCode::NO_CONTENT.into_response(),
        Confirmation::Junk => (StatusCode::OK, noise()).into_response(),
        Confirmation::Accepted => (StatusCode::ACCEPTED, noise()).into_response(),
    }
}

fn is_playable(uri: &str) -> bool {
    let id = uri.strip_prefix("spotify:track:").or_else(|| uri.strip_prefix("spotify:episode:"));
    id.is_some_and(music::is_id)
}
