//! Anything in the catalogue in one shape: tracks, albums, artists, playlists, shows, episodes, audiobooks, chapters. As
//! in `models`, everything is optional and strangers' text stays marked.

use serde::Deserialize;

use super::models::{ExternalIds, Named, Owner, Total};
use super::page::{Page, RawPage};
use super::uri::Kind;
use super::{Foreign, lenient};

/// A thing of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Thing {
    /// Id in base 62.
    #[serde(deserialize_with = "lenient::word")]
    pub id: Option<String>,
    /// `spotify:<type>:<id>`
    #[serde(deserialize_with = "lenient::word")]
    pub uri: Option<String>,
    /// Title or name.
    #[serde(deserialize_with = "lenient::foreign")]
    pub name: Option<Foreign>,
    /// Description, of shows, episodes, audiobooks, chapters and playlists.
    #[serde(deserialize_with = "lenient::foreign")]
    pub description: Option<Foreign>,
    /// Artists, of tracks and albums.
    #[serde(deserialize_with = "lenient::list")]
    pub artists: Vec<Named>,
    /// Authors, of audiobooks.
    #[serde(deserialize_with = "lenient::list")]
    pub authors: Vec<Named>,
    /// Whose it is, of playlists.
    #[serde(deserialize_with = "lenient::object")]
    pub owner: Option<Owner>,
    /// The publisher, of shows; gone in development mode.
    #[serde(deserialize_with = "lenient::foreign")]
    pub publisher: Option<Foreign>,
    /// The album, of tracks.
    #[serde(deserialize_with = "lenient::object")]
    pub album: Option<Named>,
    /// The show, of episodes.
    #[serde(deserialize_with = "lenient::object")]
    pub show: Option<Named>,
    /// The audiobook, of chapters.
    #[serde(deserialize_with = "lenient::object")]
    pub audiobook: Option<Named>,
    /// `album`, `single`, `compilation`, of albums.
    #[serde(deserialize_with = "lenient::word")]
    pub album_type: Option<String>,
    /// Year, month or day, of albums, episodes and chapters.
    #[serde(deserialize_with = "lenient::word")]
    pub release_date: Option<String>,
    /// Length in milliseconds.
    #[serde(deserialize_with = "lenient::number")]
    pub duration_ms: Option<u64>,
    /// How many tracks, of albums.
    #[serde(deserialize_with = "lenient::number")]
    pub total_tracks: Option<u64>,
    /// How many episodes, of shows.
    #[serde(deserialize_with = "lenient::number")]
    pub total_episodes: Option<u64>,
    /// How many chapters, of audiobooks.
    #[serde(deserialize_with = "lenient::number")]
    pub total_chapters: Option<u64>,
    /// How many items, of playlists, where they are readable.
    #[serde(deserialize_with = "lenient::object")]
    pub items: Option<Total>,
    /// The same by its older name.
    #[serde(deserialize_with = "lenient::object")]
    pub tracks: Option<Total>,
    /// How far the person is, of episodes and chapters, where they allowed that to be seen.
    #[serde(deserialize_with = "lenient::object")]
    pub resume_point: Option<ResumePoint>,
    /// Identities in other catalogues, of tracks.
    #[serde(deserialize_with = "lenient::object")]
    pub external_ids: Option<ExternalIds>,
}

/// How far a person is in an episode or a chapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResumePoint {
    /// Whether they have heard all of it.
    #[serde(deserialize_with = "lenient::truth")]
    pub fully_played: Option<bool>,
    /// Where they stopped, in milliseconds.
    #[serde(deserialize_with = "lenient::number")]
    pub resume_position_ms: Option<u64>,
}

impl Thing {
    /// How many things are inside of it, where that is told.
    pub fn total(&self) -> Option<u64> {
        let list = |part: &Option<Total>| part.as_ref().and_then(|part| part.total);
        self.total_tracks
            .or(self.total_episodes)
            .or(self.total_chapters)
            .or_else(|| list(&self.items))
            .or_else(|| list(&self.tracks))
    }
}

/// A row of a list of saved things: the thing by the name of its type, or, as audiobooks have come, by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// RFC 3339.
    #[serde(deserialize_with = "lenient::word")]
    pub added_at: Option<String>,
    #[serde(deserialize_with = "lenient::word")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::word")]
    uri: Option<String>,
    #[serde(deserialize_with = "lenient::foreign")]
    name: Option<Foreign>,
    #[serde(deserialize_with = "lenient::list")]
    authors: Vec<Named>,
    #[serde(deserialize_with = "lenient::object")]
    album: Option<Thing>,
    #[serde(deserialize_with = "lenient::object")]
    show: Option<Thing>,
    #[serde(deserialize_with = "lenient::object")]
    episode: Option<Thing>,
    #[serde(deserialize_with = "lenient::object")]
    audiobook: Option<Thing>,
}

impl Saved {
    /// The thing of this kind; `None` where Spotify no longer has it.
    pub fn thing(&self, kind: Kind) -> Option<Thing> {
        let within = match kind {
            Kind::Album => &self.album,
            Kind::Show => &self.show,
            Kind::Episode => &self.episode,
            Kind::Audiobook => &self.audiobook,
            _ => &None,
        };
        let itself = || Thing {
            id: self.id.clone(),
            uri: self.uri.clone(),
            name: self.name.clone(),
            authors: self.authors.clone(),
            ..Thing::default()
        };
        within.clone().or_else(|| self.id.is_some().then(itself))
    }
}

macro_rules! by_kind {
    ($(#[$doc:meta])* $name:ident: $part:ty, $read:literal; $($kind:ident $field:ident),+) => {
        $(#[$doc])*
        #[derive(Default, Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $(#[serde(deserialize_with = $read)] $field: $part,)+
        }

        impl $name {
            /// What came for one kind.
            pub(super) fn take(&mut self, kind: Kind) -> $part {
                match kind {
                    $(Kind::$kind => std::mem::take(&mut self.$field),)+
                    _ => Default::default(),
                }
            }
        }
    };
}

by_kind! {
    /// `GET /search`, a page for each type that was asked for.
    Found: Option<RawPage<Thing>>, "lenient::object";
    Track tracks, Album albums, Artist artists, Playlist playlists, Show shows, Episode episodes,
    Audiobook audiobooks
}

by_kind! {
    /// `GET /<type>s?ids=`: in the order of the ids, null where there is none.
    Several: Vec<Option<Thing>>, "lenient::rows";
    Track tracks, Album albums, Artist artists, Show shows, Episode episodes, Audiobook audiobooks, Chapter chapters
}

/// What a search found of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits {
    /// Which kind.
    pub kind: Kind,
    /// The best first.
    pub page: Page<Thing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_odd_values_cost_only_themselves() {
        let json = r#"{"albums":{"items":[null,{"id":"a","total_tracks":"9","artists":[{"name":"X"},7],
            "album_type":{},"release_date":1999}],"total":2},"artists":null,"shows":[],"extra":1}"#;
        let mut found: Found = serde_json::from_str(json).unwrap();
        let albums = found.take(Kind::Album).unwrap().asked(0, 10);
        let album = &albums.items[0];
        assert_eq!((albums.items.len(), album.total(), album.artists.len()), (1, Some(9), 1));
        assert_eq!((album.album_type.as_deref(), album.release_date.as_deref()), (None, Some("1999")));
        assert!(found.take(Kind::Artist).is_none() && found.take(Kind::Chapter).is_none());
        let row = r#"{"added_at":"2026-01-01T00:00:00Z","audiobook":{"id":"b"}}"#;
        let row: Saved = serde_json::from_str(row).unwrap();
        assert_eq!(row.thing(Kind::Audiobook).unwrap().id.as_deref(), Some("b"));
        assert_eq!(row.thing(Kind::Album), None);
        let bare: Saved = serde_json::from_str(r#"{"id":"b","name":"N"}"#).unwrap();
        assert_eq!(bare.thing(Kind::Audiobook).unwrap().id.as_deref(), Some("b"));
        let mut several: Several = serde_json::from_str(r#"{"tracks":[{"id":"t"},null]}"#).unwrap();
        let tracks = several.take(Kind::Track);
        assert_eq!(tracks.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    }
}
