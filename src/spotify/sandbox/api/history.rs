//! What a person plays most and played last (spotify.md 1.11): nothing of it follows what the player does.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use serde_json::{Value, json};

use super::caller::Caller;
use super::catalog::thing;
use super::paging::Query;
use super::player;
use super::refusal::Refusal;
use super::shape;
use crate::ambient::Timestamp;
use crate::spotify::sandbox::world::music::{self, Kind};
use crate::spotify::sandbox::world::{World, track_uri};

/// How many items are played most, and were played last.
const REMEMBERED: usize = 50;
/// How far apart the last ones were played.
const EACH: Duration = Duration::from_secs(240);

/// `GET /me/top/tracks` and `/me/top/artists`: always the same for the same person and range.
pub async fn top(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    Path(what): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    caller.needs(&["user-top-read"])?;
    let query = Query::of(&uri);
    let range = query.get("time_range").unwrap_or("medium_term");
    if !["short_term", "medium_term", "long_term"].contains(&range) {
        return Err(Refusal::Bad("Invalid time range"));
    }
    let page = query.page(20, 50, 100_000)?;
    let marker = &caller.person.marker;
    let (kind, all) = match what.as_str() {
        "tracks" => (Kind::Track, music::CATALOGUE),
        "artists" => (Kind::Artist, music::RECORDS.len()),
        _ => return Err(Refusal::NotFound("Service not found")),
    };
    let first = music::pick(&[&caller.person.id, range, &what], all);
    let total = all.min(REMEMBERED);
    let item = |place: usize| {
        let id = music::id(kind, marker, (first + place * 7) % all);
        thing(&world, &caller, kind, &id)
    };
    let items = (0..total).skip(page.offset).take(page.limit).filter_map(item).collect();
    Ok(axum::Json(page.wrap(&caller, uri.path(), &query, total, items)).into_response())
}

/// `GET /me/player/recently-played`: the newest first, by cursor; songs only.
pub async fn recently_played(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    caller.needs(&["user-read-recently-played"])?;
    let query = Query::of(&uri);
    let limit = query.page(20, 50, 0)?.limit;
    let moment = |name: &str| {
        let read = |text: &str| text.parse::<i64>().map_err(|_| Refusal::Bad("Invalid cursor"));
        query.get(name).map(read).transpose()
    };
    let (before, after) = (moment("before")?, moment("after")?);
    if before.is_some() && after.is_some() {
        return Err(Refusal::Bad("Both before and after given"));
    }
    let played = (1..=REMEMBERED).map(|n| {
        let at = caller.person.born.minus(EACH * u32::try_from(n).unwrap_or(1)).millis();
        (at, (caller.person.state().traits.song + n * 5) % music::CATALOGUE)
    });
    let wanted = |at: i64| before.is_none_or(|before| at < before) && after.is_none_or(|after| at > after);
    let mut shown: Vec<_> = played.filter(|(at, _)| wanted(*at)).collect();
    let more = shown.len() > limit;
    if after.is_some() {
        // The ones that came next, not the newest.
        shown.drain(..shown.len().saturating_sub(limit));
    }
    shown.truncate(limit);
    let row = |(at, song): &(i64, usize)| {
        let uri = track_uri(&caller.person.marker, *song);
        let album = music::id(Kind::Album, &caller.person.marker, song / music::SONGS);
        json!({
            "context": player::context(&caller, &format!("spotify:album:{album}")),
            "played_at": Timestamp::from_millis(*at).rfc3339(),
            "track": shape::item(&world, &caller, &uri, None),
        })
    };
    let items: Vec<Value> = shown.iter().map(row).collect();
    let (first, last) = (shown.first().map(|(at, _)| *at), shown.last().map(|(at, _)| *at));
    let href = format!("{}/me/player/recently-played?limit={limit}", caller.base);
    let text = |at: Option<i64>| at.map(|at| at.to_string());
    let cursors = first.map(|_| json!({ "after": text(first), "before": text(last) }));
    let next = last.filter(|_| more).map(|at| format!("{href}&before={at}"));
    Ok(axum::Json(json!({
        "cursors": cursors, "href": href, "items": items, "limit": limit, "next": next,
    }))
    .into_response())
}
