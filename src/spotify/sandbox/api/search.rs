//! `GET /search`: always the same answer to the same question, and some answer to every question. Quotes and
//! apostrophes are plain text. What matches in the catalogue comes first, then songs made up for the question.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::catalog::is_offered;
use super::paging::{Page, Query};
use super::refusal::Refusal;
use super::shape::{self, Shape};
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::music::{self, Kind, RECORDS};
use crate::spotify::sandbox::world::shards::read;
use crate::spotify::sandbox::world::shelf;

const TYPES: [&str; 7] = ["album", "artist", "playlist", "track", "show", "episode", "audiobook"];
const LONGEST_QUERY: usize = 250;
/// How many catalogue songs fill up an answer.
const FILL: usize = 30;

/// `GET /search`.
pub async fn search(
    State(world): State<Arc<World>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let query = Query::of(&uri);
    let text =
        query.get("q").map(str::trim).filter(|q| !q.is_empty()).ok_or(Refusal::Bad("No search query"))?;
    if text.chars().count() > LONGEST_QUERY {
        return Err(Refusal::Bad("Query exceeds maximum length of 250 characters"));
    }
    let types: Vec<_> = query.get("type").ok_or(Refusal::Bad("Missing parameter type"))?.split(',').collect();
    if !types.iter().all(|kind| TYPES.contains(kind)) {
        return Err(Refusal::Bad("Bad search type field"));
    }
    let market =
        query.get("market").is_none_or(|m| m.len() == 2 && m.bytes().all(|b| b.is_ascii_uppercase()));
    if !market {
        return Err(Refusal::Bad("Invalid market code"));
    }
    let (usual, most) = if caller.is_reduced() { (5, 10) } else { (20, 50) };
    let page = query.page(usual, most, 1000)?;
    let mut answer = Map::new();
    for kind in types {
        let (total, items) = find(&world, &caller, kind, text, page);
        answer.insert(format!("{kind}s"), page.wrap(&caller, "/search", &query, total, items));
    }
    Ok(axum::Json(Value::Object(answer)).into_response())
}

fn find(world: &World, caller: &Caller, kind: &str, text: &str, page: Page) -> (usize, Vec<Value>) {
    let state = caller.person.state();
    let shape = Shape {
        marker: &caller.person.marker,
        reduced: caller.is_reduced(),
        base: &caller.base,
        traits: &state.traits,
        positions: caller.sees_positions(),
    };
    let wanted = Wanted::of(text);
    let window = |all: Vec<Hit>, show: &dyn Fn(&Hit) -> Value| {
        (all.len(), all.iter().skip(page.offset).take(page.limit).map(show).collect())
    };
    match kind {
        "track" => window(tracks(world, caller, &wanted), &|hit| match hit {
            Hit::Song(index) => shape.song(*index),
            Hit::MadeUp(id, title) => shape.track(id, title, music::pick(&[id], music::CATALOGUE)),
        }),
        "artist" => window(records(&wanted, |record| record.artist), &|hit| match hit {
            Hit::Song(index) => shape.whole_artist(*index),
            Hit::MadeUp(..) => Value::Null,
        }),
        "album" => window(records(&wanted, |record| record.album), &|hit| match hit {
            Hit::Song(index) => shape.album(*index),
            Hit::MadeUp(..) => Value::Null,
        }),
        "playlist" => playlists(world, caller, &wanted, page),
        "show" => shelved(caller, &shape, Kind::Show, (&wanted, page)),
        "episode" => shelved(caller, &shape, Kind::Episode, (&wanted, page)),
        "audiobook" => shelved(caller, &shape, Kind::Audiobook, (&wanted, page)),
        _ => (0, Vec::new()),
    }
}

/// Podcasts, episodes and audiobooks: what matches first, then the others.
fn shelved(
    caller: &Caller,
    shape: &Shape<'_>,
    kind: Kind,
    (wanted, page): (&Wanted, Page),
) -> (usize, Vec<Value>) {
    let all = if is_offered(caller, kind) { shelf::count(kind) } else { 0 };
    let mut things: Vec<_> = (0..all).map(|index| shape.listed(kind, index)).collect();
    things.sort_by_key(|thing| {
        let name = words(thing["name"].as_str().unwrap_or_default());
        std::cmp::Reverse(wanted.words.iter().filter(|word| name.contains(word)).count())
    });
    (all, things.into_iter().skip(page.offset).take(page.limit).collect())
}

/// The caller's own playlists: what matches first. Others' are not shown to strangers.
fn playlists(world: &World, caller: &Caller, wanted: &Wanted, page: Page) -> (usize, Vec<Value>) {
    let ids = read(&caller.person.playlists).clone();
    let shown = |id: &String| world.playlists.read(id, |list| shape::playlist(world, caller, list));
    let mut lists: Vec<_> = ids.iter().filter_map(shown).collect();
    lists.sort_by_key(|list| {
        let name = words(list["name"].as_str().unwrap_or_default());
        std::cmp::Reverse(wanted.words.iter().filter(|word| name.contains(word)).count())
    });
    (lists.len(), lists.into_iter().skip(page.offset).take(page.limit).collect())
}

/// Something found: a song (or record) of the catalogue by its index, or one made up for the question.
enum Hit {
    Song(usize),
    MadeUp(String, String),
}

/// A question without its field filters.
struct Wanted {
    title: String,
    words: Vec<String>,
    isrc: Option<String>,
}

impl Wanted {
    fn of(text: &str) -> Self {
        let bare = |word: &str| -> String {
            ["track:", "artist:", "album:", "genre:", "year:"]
                .iter()
                .find_map(|field| word.strip_prefix(field))
                .unwrap_or(word)
                .to_owned()
        };
        let isrc = text.split_whitespace().find_map(|word| word.strip_prefix("isrc:")).map(str::to_uppercase);
        let kept: Vec<_> = text.split_whitespace().map(bare).collect();
        let title = kept.join(" ");
        Self { words: words(&title), title, isrc }
    }
}

/// The words of a text: lower case, without apostrophes and other signs.
fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !['\'', '’', '"'].contains(c))
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

fn tracks(world: &World, caller: &Caller, wanted: &Wanted) -> Vec<Hit> {
    let all = 0..music::CATALOGUE;
    if let Some(isrc) = &wanted.isrc {
        return all.filter(|index| shape::isrc(*index) == *isrc).map(Hit::Song).collect();
    }
    let mut scored: Vec<_> = all
        .filter_map(|index| {
            let (record, place) = music::song(index);
            let text = words(&format!("{} {} {}", record.songs[place], record.artist, record.album));
            let score = wanted.words.iter().filter(|word| text.contains(word)).count();
            let exact = words(record.songs[place]) == wanted.words;
            (score > 0 && (exact || score == wanted.words.len())).then_some((exact, score, index))
        })
        .collect();
    scored.sort_by_key(|(exact, score, index)| (!exact, usize::MAX - score, *index));
    let mut hits: Vec<_> = scored.iter().map(|(_, _, index)| Hit::Song(*index)).collect();
    for suffix in ["", " (Live)", " (Acoustic)"] {
        if hits.is_empty() || !suffix.is_empty() {
            let title = format!("{}{suffix}", wanted.title);
            let id = music::id_of(&caller.person.marker, &["made up", &title]);
            world.titles.insert(id.clone(), title.as_str().into(), |_| true);
            hits.push(Hit::MadeUp(id, title));
        }
    }
    let start = music::pick(&[&wanted.title], music::CATALOGUE);
    let fill = (0..FILL).map(|step| (start + step * 7) % music::CATALOGUE);
    let fill: Vec<_> = fill.filter(|index| !scored.iter().any(|(_, _, found)| found == index)).collect();
    hits.extend(fill.into_iter().map(Hit::Song));
    hits
}

fn records(wanted: &Wanted, name: impl Fn(&music::Record) -> &'static str) -> Vec<Hit> {
    let matching = RECORDS.iter().enumerate().filter(|(_, record)| {
        let text = words(&format!("{} {}", name(record), record.songs.join(" ")));
        wanted.words.iter().any(|word| text.contains(word))
    });
    let mut found: Vec<_> = matching.map(|(index, _)| index).collect();
    let more =
        (0..RECORDS.len()).map(|step| (music::pick(&[&wanted.title], RECORDS.len()) + step) % RECORDS.len());
    let more: Vec<_> = more.filter(|index| !found.contains(index)).collect();
    found.extend(more);
    found.into_iter().map(Hit::Song).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apostrophes_and_quotes_are_plain_text() {
        assert_eq!(words("Don't \"Stop\""), ["dont", "stop"]);
        assert_eq!(Wanted::of("track:Don't artist:x").title, "Don't x");
        assert_eq!(Wanted::of("isrc:zzsbx2600001").isrc.as_deref(), Some("ZZSBX2600001"));
    }
}
