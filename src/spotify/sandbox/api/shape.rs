//! The JSON of things: full, or reduced as development mode gives it (spotify.md 1.4).

use serde_json::{Value, json};

use super::caller::Caller;
use crate::ambient::Timestamp;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::music::{self, Kind};
use crate::spotify::sandbox::world::people::Traits;
use crate::spotify::sandbox::world::playlists::{Entry, Playlist};
use crate::spotify::sandbox::world::shelf;

/// Where everything is offered.
pub const MARKETS: [&str; 6] = ["DE", "FR", "GB", "IT", "SE", "US"];

/// Whose edition, in which form, spelled how.
pub struct Shape<'a> {
    /// The marker of the edition.
    pub marker: &'a str,
    /// Whether development mode's fields are left out.
    pub reduced: bool,
    /// Where `href`s point.
    pub base: &'a str,
    /// How names are spelled.
    pub traits: &'a Traits,
    /// Whether the caller may see how far the person is.
    pub positions: bool,
}

impl Shape<'_> {
    /// What every thing has: its id, and where it is.
    pub fn links(&self, kind: Kind, id: &str) -> Value {
        let word = kind.word();
        json!({
            "external_urls": { "spotify": format!("https://open.spotify.com/{word}/{id}") },
            "href": format!("{}/{word}s/{id}", self.base),
            "id": id,
            "type": word,
            "uri": format!("spotify:{word}:{id}"),
        })
    }

    /// An artist as it stands inside other things.
    pub fn artist(&self, index: usize) -> Value {
        let id = music::id(Kind::Artist, self.marker, index);
        let name = music::RECORDS[index % music::RECORDS.len()].artist;
        with(self.links(Kind::Artist, &id), json!({ "name": name }))
    }

    /// An album as it stands inside other things: a record, or a single.
    pub fn album(&self, index: usize) -> Value {
        let id = music::id(Kind::Album, self.marker, index);
        let artist = shelf::artist_of(index);
        let single = shelf::single(index).is_some();
        let album = json!({
            "album_type": if single { "single" } else { "album" },
            "artists": [self.artist(artist)],
            "images": images(&id),
            "name": shelf::title(index),
            "release_date": music::RECORDS[artist % music::RECORDS.len()].year.to_string(),
            "release_date_precision": "year",
            "total_tracks": shelf::songs(index).len(),
        });
        let full = json!({ "available_markets": MARKETS });
        self.extended(with(self.links(Kind::Album, &id), album), full)
    }

    /// A song of the catalogue.
    pub fn song(&self, index: usize) -> Value {
        let (record, place) = music::song(index);
        self.track(&music::id(Kind::Track, self.marker, index), record.songs[place], index)
    }

    /// A song by its id and title; artist, album and length are those of `index`.
    pub fn track(&self, id: &str, title: &str, index: usize) -> Value {
        let number = music::number(&["track", id]);
        let track = json!({
            "album": self.album(index / music::SONGS),
            "artists": [self.artist(index / music::SONGS)],
            "disc_number": 1,
            "duration_ms": shelf::song_millis(id),
            "explicit": false,
            "external_ids": { "isrc": isrc(index) },
            "is_local": false,
            "is_playable": true,
            "name": self.traits.spell(title),
            "preview_url": null,
            "track_number": index % music::SONGS + 1,
        });
        let full = json!({ "available_markets": MARKETS, "popularity": number % 100 });
        self.extended(with(self.links(Kind::Track, id), track), full)
    }

    /// With these fields, unless development mode leaves them out.
    pub fn extended(&self, value: Value, full: Value) -> Value {
        if self.reduced { value } else { with(value, full) }
    }
}

/// The public face of a person, as owner or adder.
pub fn user(base: &str, id: &str, name: Option<&str>) -> Value {
    let mut user = json!({
        "external_urls": { "spotify": format!("https://open.spotify.com/user/{id}") },
        "href": format!("{base}/users/{id}"),
        "id": id,
        "type": "user",
        "uri": format!("spotify:user:{id}"),
    });
    if let Some(name) = name {
        user["display_name"] = json!(name);
    }
    user
}

/// A playlist without its entries; `items` says how many there are, where the caller may know.
pub fn playlist(world: &World, caller: &Caller, list: &Playlist) -> Value {
    let owner = world.person(&list.owner).map(|owner| owner.state().traits.clone()).unwrap_or_default();
    let id = &list.id;
    let href = format!("{}/playlists/{id}", caller.base);
    let mut value = json!({
        "collaborative": list.collaborative,
        "description": escaped(&owner.describe(&list.description)),
        "external_urls": { "spotify": format!("https://open.spotify.com/playlist/{id}") },
        "href": href,
        "id": id,
        "images": cover(list),
        "name": owner.spell(&list.name),
        "owner": user(&caller.base, &list.owner, Some(&owner.spell(&owner.display_name))),
        "primary_color": null,
        "public": list.public,
        "snapshot_id": list.snapshot(),
        "type": "playlist",
        "uri": format!("spotify:playlist:{id}"),
    });
    let total = list.entries.len();
    if may_see(caller, list) {
        value["items"] = json!({ "href": format!("{href}/items"), "total": total });
    }
    if !caller.is_reduced() {
        value["tracks"] = json!({ "href": format!("{href}/tracks"), "total": total });
    }
    value
}

/// A description as Spotify gives it: in the entities of HTML. Names come as they are.
fn escaped(text: &str) -> String {
    // The ampersand first, or it would be escaped in what stands for the others.
    const ENTITIES: [(char, &str); 6] =
        [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;"), ('/', "&#x2F;")];
    ENTITIES.iter().fold(text.to_owned(), |text, (letter, entity)| text.replace(*letter, entity))
}

/// Whether the caller may see the entries of a playlist (spotify.md 1.3, "Playlist contents").
pub fn may_see(caller: &Caller, list: &Playlist) -> bool {
    !caller.is_reduced() || list.belongs_to(&caller.person.id)
}

/// One row of a playlist; `old` is the spelling of the old `/tracks` paths.
pub fn entry(world: &World, caller: &Caller, entry: &Entry, old: bool) -> Value {
    // What Spotify no longer has stands as null in its place.
    let item = match entry.uri.is_empty() {
        true => Value::Null,
        false => item(world, caller, &entry.uri, entry.title.as_deref()),
    };
    let mut row = json!({
        "added_at": Timestamp::from_secs(entry.added_at.div_euclid(1000)).rfc3339().replace(".000Z", "Z"),
        "added_by": user(&caller.base, &entry.added_by, None),
        "is_local": entry.uri.starts_with("spotify:local:"),
        "primary_color": null,
    });
    if old || !caller.is_reduced() {
        row["track"] = item.clone();
    }
    if !old {
        row["item"] = item;
    }
    row
}

/// The thing behind a URI: a song or an episode of the catalogue, a song that a search made up, a local file, or
/// a song nobody knows under a name made from its id.
pub fn item(world: &World, caller: &Caller, uri: &str, title: Option<&str>) -> Value {
    let state = caller.person.state();
    let shape = |marker| Shape {
        marker,
        reduced: caller.is_reduced(),
        base: &caller.base,
        traits: &state.traits,
        positions: caller.sees_positions(),
    };
    if let Some(rest) = uri.strip_prefix("spotify:local:") {
        return local(uri, rest);
    }
    if let Some(id) = uri.strip_prefix("spotify:episode:") {
        let (marker, index) = music::locate(Kind::Episode, id).unwrap_or((&caller.person.marker, 0));
        return shape(marker).episode(index);
    }
    let id = uri.rsplit(':').next().unwrap_or_default();
    if let Some((marker, index)) = music::locate(Kind::Track, id) {
        return shape(marker).song(index);
    }
    let known = title.map(str::to_owned).or_else(|| world.titles.read(&id.to_owned(), |t| t.to_string()));
    let title = known.unwrap_or_else(|| format!("Track {}", id.get(..6).unwrap_or(id)));
    shape(&caller.person.marker).track(id, &title, music::pick(&[id], music::CATALOGUE))
}

/// The URI of an episode in somebody's edition.
pub fn episode_uri(marker: &str, index: usize) -> String {
    format!("spotify:episode:{}", music::id(Kind::Episode, marker, index))
}

fn local(uri: &str, rest: &str) -> Value {
    let name = rest.split(':').nth(2).unwrap_or_default().replace('+', " ");
    json!({
        "album": { "name": "", "artists": [], "images": [], "id": null, "uri": null, "type": "album" },
        "artists": [{ "name": rest.split(':').next().unwrap_or_default().replace('+', " "), "id": null }],
        "duration_ms": shelf::LOCAL_MILLIS, "explicit": false, "external_ids": {}, "external_urls": {}, "href": null,
        "id": null, "is_local": true, "name": name, "type": "track", "uri": uri,
    })
}

/// The cover that somebody set, or the one that comes with the playlist.
fn cover(list: &Playlist) -> Value {
    if list.cover == 0 { images(&list.id) } else { images(&format!("{}-{:016x}", list.id, list.cover)) }
}

/// The cover of a thing.
pub fn images(id: &str) -> Value {
    json!([{ "url": format!("https://covers.invalid/{id}.jpg"), "height": 300, "width": 300 }])
}

/// The ISRC of a song.
pub fn isrc(index: usize) -> String {
    format!("ZZSBX26{index:05}")
}

/// One object with the fields of another.
pub fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}
