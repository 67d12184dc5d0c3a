//! Anything of the catalogue as tools answer it: one shape for every kind, cleaned and bounded as in `items`.

use schemars::JsonSchema;
use serde::Serialize;

use super::items::{NAME, described, is_isrc, name_of, page, shown};
use crate::spotify::things::Thing;
use crate::spotify::uri::{Base62, Kind, SpotifyUri};

/// Most people named of one thing.
const MOST_NAMED: usize = 20;

/// Something of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ThingItem {
    /// spotify:TYPE:ID
    pub(crate) uri: String,
    /// track, album, artist, playlist, show, episode, audiobook or chapter.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// Title or name.
    pub(crate) name: String,
    /// Artists; of an episode its show, of an audiobook its authors, of a playlist its owner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) artists: Vec<String>,
    /// Album of a track; audiobook of a chapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) album: Option<String>,
    /// album, single or compilation.
    #[serde(skip_serializing_if = "Option::is_none")]
    album_type: Option<&'static str>,
    /// Year, month or day.
    #[serde(skip_serializing_if = "Option::is_none")]
    release_date: Option<String>,
    /// Length in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// How many tracks, episodes or chapters are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// International Standard Recording Code.
    #[serde(skip_serializing_if = "Option::is_none")]
    isrc: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The page at open.spotify.com.
    pub(crate) url: String,
    /// Of an episode or chapter: where the person stopped, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_position_ms: Option<u64>,
    /// Of an episode or chapter: whether the person has heard all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fully_played: Option<bool>,
    /// When it was saved (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    added_at: Option<String>,
}

impl ThingItem {
    /// `None` where upstream named nothing of this kind.
    pub(crate) fn of(kind: Kind, thing: &Thing) -> Option<Self> {
        let id = match thing.uri.as_deref().and_then(SpotifyUri::parse) {
            Some(SpotifyUri::Item(found, id)) if found == kind => id,
            _ => Base62::parse(thing.id.as_deref()?)?,
        };
        let resume = thing.resume_point.filter(|_| matches!(kind, Kind::Episode | Kind::Chapter));
        Some(Self {
            resume_position_ms: resume.and_then(|point| point.resume_position_ms),
            fully_played: resume.and_then(|point| point.fully_played),
            kind: kind.name(),
            name: shown(thing.name.as_ref(), NAME).unwrap_or_else(|| "(untitled)".to_owned()),
            artists: people(thing),
            album: thing.album.as_ref().or(thing.audiobook.as_ref()).and_then(name_of),
            album_type: thing.album_type.as_deref().and_then(album_type),
            release_date: thing.release_date.clone().filter(|date| is_date(date)),
            duration_ms: thing.duration_ms,
            total: thing.total(),
            isrc: thing.external_ids.as_ref().and_then(|ids| ids.isrc.clone()).filter(|code| is_isrc(code)),
            description: described(thing.description.as_ref()),
            url: page(kind, &id),
            uri: SpotifyUri::Item(kind, id).to_string(),
            added_at: None,
        })
    }

    /// The same with the time at which it was saved.
    pub(crate) fn saved_at(self, added_at: Option<String>) -> Self {
        Self { added_at, ..self }
    }

    /// `album: Title - Artist (Album), 2019 [uri]`
    pub(crate) fn line(&self) -> String {
        let by =
            if self.artists.is_empty() { String::new() } else { format!(" - {}", self.artists.join(", ")) };
        let album = self.album.as_ref().map(|album| format!(" ({album})")).unwrap_or_default();
        let date = self.release_date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
        let heard = match (self.fully_played, self.resume_position_ms) {
            (Some(true), _) => ", heard".to_owned(),
            (_, Some(at)) if at > 0 => format!(", heard up to {}:{:02}", at / 60_000, at / 1_000 % 60),
            _ => String::new(),
        };
        // A single is an album to Spotify, and none to a person.
        let kind = self.album_type.filter(|_| self.kind == Kind::Album.name()).unwrap_or(self.kind);
        format!("{kind}: {}{by}{album}{date}{heard} [{}]", self.name, self.uri)
    }
}

fn people(thing: &Thing) -> Vec<String> {
    let credited: Vec<_> =
        thing.artists.iter().chain(&thing.authors).take(MOST_NAMED).filter_map(name_of).collect();
    if !credited.is_empty() {
        return credited;
    }
    let show = thing.show.as_ref().and_then(name_of);
    let owner = || thing.owner.as_ref().and_then(|owner| shown(owner.display_name.as_ref(), NAME));
    show.or_else(owner).or_else(|| shown(thing.publisher.as_ref(), NAME)).into_iter().collect()
}

fn album_type(word: &str) -> Option<&'static str> {
    ["album", "single", "compilation"].into_iter().find(|known| known.eq_ignore_ascii_case(word))
}

/// `2019`, `2019-05` or `2019-05-31`.
fn is_date(text: &str) -> bool {
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = text.split('-').collect();
    match parts.as_slice() {
        [year] => digits(year, 4),
        [year, month] => digits(year, 4) && digits(month, 2),
        [year, month, day] => digits(year, 4) && digits(month, 2) && digits(day, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, json: &str) -> Option<ThingItem> {
        ThingItem::of(kind, &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_thing_is_told_with_who_made_it_and_links_are_built_here() {
        let json = r#"{"uri":"spotify:episode:4uLU6hMCjMI75M1A2tKUQC","name":"E\u202e","show":{"name":"S"},
            "release_date":"2026-01-31","external_urls":{"spotify":"https://evil.example/"}}"#;
        let episode = item(Kind::Episode, json).unwrap();
        assert_eq!(episode.url, "https://open.spotify.com/episode/4uLU6hMCjMI75M1A2tKUQC");
        assert_eq!(episode.line(), "episode: E - S, 2026-01-31 [spotify:episode:4uLU6hMCjMI75M1A2tKUQC]");
        let book =
            r#"{"id":"4uLU6hMCjMI75M1A2tKUQC","name":"B","authors":[{"name":"A"}],"total_chapters":3}"#;
        let book = item(Kind::Audiobook, book).unwrap();
        assert_eq!((book.artists, book.total), (vec!["A".to_owned()], Some(3)));
    }

    #[test]
    fn how_far_somebody_is_is_told_of_what_is_heard_and_only_where_it_is_known() {
        let episode = |point: &str| {
            let json = format!(r#"{{"id":"4uLU6hMCjMI75M1A2tKUQC","name":"E","resume_point":{point}}}"#);
            item(Kind::Episode, &json).unwrap()
        };
        let half = episode(r#"{"fully_played":false,"resume_position_ms":61000}"#);
        assert_eq!((half.resume_position_ms, half.fully_played), (Some(61_000), Some(false)));
        assert!(half.line().contains(", heard up to 1:01 ["), "{}", half.line());
        assert!(episode(r#"{"fully_played":true,"resume_position_ms":0}"#).line().contains(", heard ["));
        for unknown in ["null", "{}", "7", r#"{"fully_played":null}"#] {
            let unknown = episode(unknown);
            assert_eq!((unknown.resume_position_ms, unknown.fully_played), (None, None));
        }
        let album = r#"{"id":"4uLU6hMCjMI75M1A2tKUQC","resume_point":{"fully_played":true}}"#;
        assert_eq!(item(Kind::Album, album).unwrap().fully_played, None);
    }

    #[test]
    fn what_names_nothing_is_dropped_and_odd_words_are_left_out() {
        assert!(item(Kind::Album, r#"{"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}"#).is_none());
        assert!(item(Kind::Album, r#"{"id":"../.."}"#).is_none());
        let odd = r#"{"id":"4uLU6hMCjMI75M1A2tKUQC","album_type":"obey-me","release_date":"2019-5-1"}"#;
        let odd = item(Kind::Album, odd).unwrap();
        assert_eq!((odd.album_type, odd.release_date), (None, None));
        assert!(is_date("2019") && is_date("2019-05") && !is_date("19") && !is_date("ignore-all"));
    }
}
