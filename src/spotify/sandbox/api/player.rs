//! The player, read: what is playing, on what, what comes next. The currently-playing answer of a player that was
//! told nothing is prepared once per change, because load tests ask for nothing else.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::caller::Caller;
use super::refusal::Refusal;
use super::shape;
use crate::spotify::sandbox::world::people::{Playing, State as Listening};
use crate::spotify::sandbox::world::player::{Gadget, Play, gadget_id, gadgets};
use crate::spotify::sandbox::world::shards::{lock, read};
use crate::spotify::sandbox::world::{World, track_uri};

/// The position of a player that was told nothing starts anew after this long.
const LOOP_MILLIS: i64 = 120_000;
/// Most items that a queue shows.
const SHOWN: usize = 20;
/// The volume of a device at first.
const VOLUME: u8 = 40;

/// `GET /me/player/currently-playing`; 204 where nothing is playing.
pub async fn currently_playing(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    caller.needs(&["user-read-currently-playing"])?;
    let told = lock(&caller.person.player).as_mut().map(|player| player.seen(world.now()).clone());
    if let Some(play) = told {
        return Ok(answer(play.is_there().then(|| now_playing(&world, &caller, &play))));
    }
    let state = caller.person.state();
    if state.traits.playing == Playing::Nothing {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let prepared = &state.now_playing[usize::from(!caller.is_reduced())];
    let tail = prepared.get_or_init(|| {
        let mut value = now_playing(&world, &caller, &untold(&world, &caller, &state));
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| name != "timestamp" && name != "progress_ms");
        }
        value.to_string().strip_prefix('{').unwrap_or_default().to_owned()
    });
    let (timestamp, progress) = (state.since.millis(), progress(&world, &state));
    let body = format!("{{\"timestamp\":{timestamp},\"progress_ms\":{progress},{tail}");
    let mut reply = Response::new(Body::from(body));
    reply
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    Ok(reply)
}

/// `GET /me/player`; 204 where nothing is playing.
pub async fn playback(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    caller.needs(&["user-read-playback-state"])?;
    let play = seen(&world, &caller);
    let told = play.is_there().then(|| {
        let mut playback = now_playing(&world, &caller, &play);
        let active = devices_of(&caller, &play).into_iter().find(|device| device["is_active"] == true);
        playback["device"] = active.unwrap_or_default();
        playback["repeat_state"] = json!(play.repeat);
        playback["shuffle_state"] = json!(play.shuffle);
        playback["smart_shuffle"] = json!(false);
        playback
    });
    Ok(answer(told))
}

/// `GET /me/player/devices`.
pub async fn devices(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    caller.needs(&["user-read-playback-state"])?;
    let devices = devices_of(&caller, &seen(&world, &caller));
    Ok(axum::Json(json!({ "devices": devices })).into_response())
}

/// `GET /me/player/queue`.
pub async fn queue(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    caller.needs(&["user-read-currently-playing", "user-read-playback-state"])?;
    let play = seen(&world, &caller);
    let there = play.is_there();
    let current = if there { now_playing(&world, &caller, &play)["item"].take() } else { Value::Null };
    let upcoming = if there { play.upcoming(SHOWN) } else { Vec::new() };
    let queue: Vec<_> = upcoming.iter().map(|uri| shape::item(&world, &caller, uri, None)).collect();
    Ok(axum::Json(json!({ "currently_playing": current, "queue": queue })).into_response())
}

/// What is seen of the caller's player.
fn seen(world: &World, caller: &Caller) -> Play {
    let told = lock(&caller.person.player).as_mut().map(|player| player.seen(world.now()).clone());
    told.unwrap_or_else(|| untold(world, caller, &caller.person.state()))
}

/// What a player that was told nothing does: what the person's traits say, from their first playlist.
pub fn untold(world: &World, caller: &Caller, state: &Listening) -> Play {
    let traits = &state.traits;
    let devices = gadgets(traits);
    let context = read(&caller.person.playlists).first().cloned();
    let listed = context.as_ref().and_then(|id| {
        let uris = |list: &crate::spotify::sandbox::world::playlists::Playlist| {
            list.entries.iter().map(|entry| entry.uri.to_string()).collect::<Vec<_>>()
        };
        world.playlists.read(id, uris)
    });
    let current = match traits.playing {
        Playing::Episode => shape::episode_uri(&caller.person.marker, traits.song),
        _ => track_uri(&caller.person.marker, traits.song),
    };
    let others = listed.unwrap_or_default().into_iter().filter(|uri| *uri != current);
    Play {
        playing: traits.playing,
        items: std::iter::once(current.clone()).chain(others).collect(),
        current,
        context: context.map(|id| format!("spotify:playlist:{id}")),
        at: 0,
        queue: VecDeque::new(),
        paused: traits.paused,
        position: progress(world, state),
        since: world.now(),
        shuffle: false,
        repeat: "off".to_owned(),
        active: devices.iter().position(|device| device.active),
        volumes: vec![VOLUME; devices.len()],
    }
}

fn now_playing(world: &World, caller: &Caller, play: &Play) -> Value {
    let devices = gadgets(&caller.person.state().traits);
    let private = play.active.and_then(|at| devices.get(at)).is_some_and(|device| device.private_session);
    let (kind, item) = match play.playing {
        _ if private => ("unknown", Value::Null),
        Playing::Track => ("track", shape::item(world, caller, &play.current, None)),
        Playing::Episode => ("episode", shape::item(world, caller, &play.current, None)),
        Playing::Ad => ("ad", Value::Null),
        Playing::Unknown | Playing::Nothing => ("unknown", Value::Null),
    };
    let length = item["duration_ms"].as_i64().unwrap_or(LOOP_MILLIS);
    let idle = if play.paused { "pausing" } else { "resuming" };
    json!({
        "timestamp": play.since.millis(),
        "progress_ms": play.progress(world.now(), length),
        "actions": { "disallows": { idle: true } },
        "context": play.context.as_deref().and_then(|uri| context(caller, uri)),
        "currently_playing_type": kind,
        "is_playing": !play.paused,
        "item": item,
    })
}

/// What something plays from, by its URI.
pub fn context(caller: &Caller, uri: &str) -> Option<Value> {
    let (kind, id) = uri.strip_prefix("spotify:")?.split_once(':')?;
    Some(json!({
        "external_urls": { "spotify": format!("https://open.spotify.com/{kind}/{id}") },
        "href": format!("{}/{kind}s/{id}", caller.base),
        "type": kind,
        "uri": uri,
    }))
}

fn devices_of(caller: &Caller, play: &Play) -> Vec<Value> {
    let state = caller.person.state();
    let device = |(at, gadget): (usize, &Gadget)| {
        json!({
            "id": gadget.has_id.then(|| gadget_id(&caller.person.marker, at)),
            "is_active": play.active == Some(at),
            "is_private_session": gadget.private_session,
            "is_restricted": gadget.restricted,
            "name": state.traits.spell(&gadget.name),
            "supports_volume": gadget.has_volume,
            "type": gadget.kind,
            "volume_percent": gadget.has_volume.then(|| play.volumes.get(at).copied().unwrap_or(VOLUME)),
        })
    };
    gadgets(&state.traits).iter().enumerate().map(device).collect()
}

fn answer(told: Option<Value>) -> Response {
    told.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |told| axum::Json(told).into_response())
}

fn progress(world: &World, state: &Listening) -> i64 {
    if state.traits.paused {
        0
    } else {
        (world.now().millis() - state.since.millis()).rem_euclid(LOOP_MILLIS)
    }
}
