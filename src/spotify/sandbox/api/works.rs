//! The JSON of what is in the catalogue beside songs: albums, artists, podcasts, audiobooks; whole, or as they stand in
//! lists.

use serde_json::{Value, json};

use super::shape::{MARKETS, Shape, images, with};
use crate::spotify::sandbox::world::music::{self, Kind, RECORDS, SONGS};
use crate::spotify::sandbox::world::shelf::{BOOKS, CHAPTERS, EPISODE_MILLIS, EPISODES, SHOWS};

const ABOUT: &str = "Half an hour about music that does not exist.";
const BLURB: &str = "A book that nobody wrote, read by nobody.";

impl Shape<'_> {
    /// An artist by themselves.
    pub fn whole_artist(&self, index: usize) -> Value {
        let artist = with(self.artist(index), json!({ "genres": [], "images": [] }));
        let followers = json!({ "href": null, "total": SONGS * 1000 });
        self.extended(artist, json!({ "followers": followers, "popularity": 50 }))
    }

    /// What an album has when it stands by itself, beside its tracks.
    pub fn whole_album(&self, index: usize) -> Value {
        let upc = format!("{:013}", 4_000_000_000_000 + index);
        let more = json!({
            "copyrights": [{ "text": "Nobody", "type": "P" }],
            "external_ids": { "upc": upc },
            "genres": [],
        });
        let full = json!({ "label": "Sandbox Records", "popularity": 40 });
        self.extended(with(self.album(index), more), full)
    }

    /// An album as it stands among those of its artist.
    pub fn listed_album(&self, index: usize) -> Value {
        let group = if index < RECORDS.len() { "album" } else { "single" };
        self.extended(self.album(index), json!({ "album_group": group }))
    }

    /// A song as it stands on an album.
    pub fn listed_song(&self, index: usize) -> Value {
        let mut song = self.song(index);
        if let Value::Object(fields) = &mut song {
            fields.retain(|name, _| !["album", "external_ids", "popularity"].contains(&name.as_str()));
        }
        song
    }

    /// A podcast.
    pub fn show(&self, index: usize) -> Value {
        let id = music::id(Kind::Show, self.marker, index);
        let show = json!({
            "copyrights": [],
            "description": ABOUT,
            "explicit": false,
            "html_description": ABOUT,
            "images": images(&id),
            "is_externally_hosted": false,
            "languages": ["en"],
            "media_type": "audio",
            "name": self.traits.spell(SHOWS[index % SHOWS.len()]),
            "total_episodes": EPISODES,
        });
        let full = json!({ "available_markets": MARKETS, "publisher": "Sandbox Radio" });
        self.extended(with(self.links(Kind::Show, &id), show), full)
    }

    /// An episode as it stands in the list of its podcast.
    pub fn listed_episode(&self, index: usize) -> Value {
        let id = music::id(Kind::Episode, self.marker, index);
        let episode = json!({
            "audio_preview_url": null,
            "description": ABOUT,
            "duration_ms": EPISODE_MILLIS,
            "explicit": false,
            "html_description": ABOUT,
            "images": images(&id),
            "is_externally_hosted": false,
            "is_playable": true,
            "language": "en",
            "languages": ["en"],
            "name": self.traits.spell(&format!("Episode {}", index % EPISODES + 1)),
            "release_date": "2026-01-31",
            "release_date_precision": "day",
        });
        self.resumed(with(self.links(Kind::Episode, &id), episode), index)
    }

    /// How far the person is, where the caller may know: at the beginning, within, or through.
    fn resumed(&self, thing: Value, index: usize) -> Value {
        let point = json!({ "fully_played": index % 3 == 2, "resume_position_ms": 61_000 * u32::from(index % 3 == 1) });
        if self.positions { with(thing, json!({ "resume_point": point })) } else { thing }
    }

    /// An episode by itself.
    pub fn episode(&self, index: usize) -> Value {
        with(self.listed_episode(index), json!({ "show": self.show(index / EPISODES % SHOWS.len()) }))
    }

    /// An audiobook.
    pub fn audiobook(&self, index: usize) -> Value {
        let id = music::id(Kind::Audiobook, self.marker, index);
        let (title, author) = BOOKS[index % BOOKS.len()];
        let book = json!({
            "authors": [{ "name": author }],
            "copyrights": [],
            "description": BLURB,
            "edition": "Unabridged",
            "explicit": false,
            "html_description": BLURB,
            "images": images(&id),
            "languages": ["en"],
            "media_type": "audio",
            "name": self.traits.spell(title),
            "narrators": [{ "name": "Nobody" }],
            "total_chapters": CHAPTERS,
        });
        let full = json!({ "available_markets": MARKETS, "publisher": "Sandbox Books" });
        self.extended(with(self.links(Kind::Audiobook, &id), book), full)
    }

    /// A chapter as it stands in its audiobook.
    pub fn listed_chapter(&self, index: usize) -> Value {
        let id = music::id(Kind::Chapter, self.marker, index);
        let number = index % CHAPTERS;
        let chapter = json!({
            "audio_preview_url": null,
            "chapter_number": number,
            "description": BLURB,
            "duration_ms": 1_200_000,
            "explicit": false,
            "html_description": BLURB,
            "images": images(&id),
            "is_playable": true,
            "languages": ["en"],
            "name": self.traits.spell(&format!("Chapter {}", number + 1)),
            "release_date": "2025",
            "release_date_precision": "year",
            // So says Spotify's description of a chapter.
            "type": "episode",
        });
        let full = json!({ "available_markets": MARKETS });
        self.extended(with(self.links(Kind::Chapter, &id), chapter), full)
    }

    /// A chapter by itself.
    pub fn chapter(&self, index: usize) -> Value {
        with(self.listed_chapter(index), json!({ "audiobook": self.audiobook(index / CHAPTERS) }))
    }

    /// A thing of the catalogue as it stands in lists of its kind.
    pub fn listed(&self, kind: Kind, index: usize) -> Value {
        match kind {
            Kind::Album => self.album(index),
            Kind::Artist => self.whole_artist(index),
            Kind::Show => self.show(index),
            Kind::Episode => self.listed_episode(index),
            Kind::Audiobook => self.audiobook(index),
            Kind::Chapter => self.listed_chapter(index),
            Kind::Track | Kind::Playlist | Kind::Account => self.song(index),
        }
    }
}
