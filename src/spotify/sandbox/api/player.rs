//! The player, read: what is playing, on what. The currently-playing answer is prepared once per change, because
//! load tests ask for nothing else.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::caller::Caller;
use super::refusal::Refusal;
use super::shape::Shape;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::people::{Playing, State as Listening};
use crate::spotify::sandbox::world::shards::read;

/// Playback positions start anew after this long.
const LOOP_MILLIS: i64 = 120_000;

/// `GET /me/player/currently-playing`; 204 where nothing is playing.
pub async fn currently_playing(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    caller.needs(&["user-read-currently-playing"])?;
    let state = caller.person.state();
    if state.traits.playing == Playing::Nothing {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let prepared = &state.now_playing[usize::from(!caller.is_reduced())];
    let tail = prepared.get_or_init(|| {
        let text = now_playing(&caller, &state).to_string();
        text.strip_prefix('{').unwrap_or_default().to_owned()
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
    let state = caller.person.state();
    if state.traits.playing == Playing::Nothing {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut playback = now_playing(&caller, &state);
    playback["timestamp"] = json!(state.since.millis());
    playback["progress_ms"] = json!(progress(&world, &state));
    playback["device"] = device(&caller, &state);
    playback["repeat_state"] = json!("off");
    playback["shuffle_state"] = json!(false);
    playback["smart_shuffle"] = json!(false);
    Ok(axum::Json(playback).into_response())
}

/// `GET /me/player/devices`.
pub async fn devices(Extension(caller): Extension<Caller>) -> Result<Response, Refusal> {
    caller.needs(&["user-read-playback-state"])?;
    let state = caller.person.state();
    let devices = if state.traits.device { vec![device(&caller, &state)] } else { Vec::new() };
    Ok(axum::Json(json!({ "devices": devices })).into_response())
}

fn now_playing(caller: &Caller, state: &Listening) -> Value {
    let shape = Shape {
        marker: &caller.person.marker,
        reduced: caller.is_reduced(),
        base: &caller.base,
        traits: &state.traits,
    };
    let (kind, item) = match state.traits.playing {
        Playing::Track => ("track", shape.song(state.traits.song)),
        Playing::Episode => ("episode", shape.episode(state.traits.song)),
        Playing::Ad => ("ad", Value::Null),
        Playing::Unknown | Playing::Nothing => ("unknown", Value::Null),
    };
    let context = read(&caller.person.playlists).first().map(|id| {
        json!({
            "external_urls": { "spotify": format!("https://open.spotify.com/playlist/{id}") },
            "href": format!("{}/playlists/{id}", caller.base),
            "type": "playlist",
            "uri": format!("spotify:playlist:{id}"),
        })
    });
    let idle = if state.traits.paused { "pausing" } else { "resuming" };
    json!({
        "actions": { "disallows": { idle: true } },
        "context": context,
        "currently_playing_type": kind,
        "is_playing": !state.traits.paused,
        "item": item,
    })
}

fn device(caller: &Caller, state: &Listening) -> Value {
    json!({
        "id": format!("{}speaker", caller.person.marker),
        "is_active": true,
        "is_private_session": false,
        "is_restricted": false,
        "name": state.traits.spell(&format!("{}'s speaker", state.traits.display_name)),
        "supports_volume": true,
        "type": "Speaker",
        "volume_percent": 40,
    })
}

fn progress(world: &World, state: &Listening) -> i64 {
    if state.traits.paused {
        0
    } else {
        (world.now().millis() - state.since.millis()).rem_euclid(LOOP_MILLIS)
    }
}
