//! What the Web API answers, in the fields that we use. Everything is optional, because fields have vanished before.
//!
//! Words of open sets (types, device kinds) stay text. Names are [`Foreign`]: clean them before they are shown.

use serde::Deserialize;

pub use super::page::Page;
use super::page::RawPage;
use super::{Foreign, lenient};

macro_rules! model {
    ($(#[$doc:meta])* $name:ident { $($(#[$field:meta])* $field_name:ident: $type:ty = $read:literal $(as $other:literal)?,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field])* #[serde($(rename = $other,)? deserialize_with = $read)] pub $field_name: $type,)*
        }
    };
}

model! {
    /// The person a token speaks for (`GET /me`).
    Me {
        /// The user id; Spotify says not to link accounts by it.
        id: Option<String> = "lenient::word",
        /// Immutable account id, since May 2026; link accounts by this.
        account_id: Option<String> = "lenient::word",
        /// The name that others see.
        display_name: Option<Foreign> = "lenient::foreign",
        /// `spotify:user:...`
        uri: Option<String> = "lenient::word",
        /// `premium`, `free`, ...; absent in development mode.
        product: Option<String> = "lenient::word",
    }
}

model! {
    /// Identities in other catalogues.
    ExternalIds {
        /// International Standard Recording Code.
        isrc: Option<String> = "lenient::word",
    }
}

model! {
    /// A track, or an episode where one stands in a track's place.
    Track {
        /// Id in base 62; absent for local files.
        id: Option<String> = "lenient::word",
        /// `spotify:track:...`, `spotify:episode:...`, `spotify:local:...`
        uri: Option<String> = "lenient::word",
        /// `track` or `episode`.
        kind: Option<String> = "lenient::word" as "type",
        /// Title.
        name: Option<Foreign> = "lenient::foreign",
        /// Artists, in the order of the credit.
        artists: Vec<Named> = "lenient::list",
        /// The album, for tracks.
        album: Option<Named> = "lenient::object",
        /// The show, for episodes.
        show: Option<Named> = "lenient::object",
        /// Length in milliseconds.
        duration_ms: Option<u64> = "lenient::number",
        /// Identities in other catalogues.
        external_ids: Option<ExternalIds> = "lenient::object",
    }
}

model! {
    /// An artist, album or show as it is named within another item.
    Named {
        /// Name or title.
        name: Option<Foreign> = "lenient::foreign",
    }
}

model! {
    /// What plays (`GET /me/player`, `GET /me/player/currently-playing`).
    Playback {
        /// Playing rather than paused.
        is_playing: Option<bool> = "lenient::truth",
        /// Position in milliseconds.
        progress_ms: Option<u64> = "lenient::number",
        /// `track`, `episode`, `ad` or `unknown`.
        currently_playing_type: Option<String> = "lenient::word",
        /// What plays; `None` for ads, private sessions and unknown things.
        item: Option<Track> = "lenient::object",
        /// What it plays from: playlist, album, artist, show.
        context: Option<Context> = "lenient::object",
        /// Where it plays.
        device: Option<Device> = "lenient::object",
        /// Shuffled.
        shuffle_state: Option<bool> = "lenient::truth",
        /// `off`, `track` or `context`.
        repeat_state: Option<String> = "lenient::word",
    }
}

model! {
    /// What a track is played from.
    Context {
        /// `playlist`, `album`, ...
        kind: Option<String> = "lenient::word" as "type",
        /// `spotify:<type>:<id>`
        uri: Option<String> = "lenient::word",
    }
}

model! {
    /// Something that plays.
    Device {
        /// Id for commands; some devices have none.
        id: Option<String> = "lenient::word",
        /// The name its owner gave it.
        name: Option<Foreign> = "lenient::foreign",
        /// `Computer`, `Smartphone`, `Speaker`, ...
        kind: Option<String> = "lenient::word" as "type",
        /// The one that plays or would play.
        is_active: Option<bool> = "lenient::truth",
        /// Takes no commands from the Web API.
        is_restricted: Option<bool> = "lenient::truth",
        /// In a private session.
        is_private_session: Option<bool> = "lenient::truth",
        /// Volume in percent.
        volume_percent: Option<u64> = "lenient::number",
        /// Whether the volume can be set.
        supports_volume: Option<bool> = "lenient::truth",
    }
}

model! {
    /// The devices of an account (`GET /me/player/devices`).
    Devices {
        /// In no order that means anything.
        devices: Vec<Device> = "lenient::list",
    }
}

model! {
    /// What plays and what comes next (`GET /me/player/queue`).
    Queue {
        /// What plays.
        currently_playing: Option<Track> = "lenient::object",
        /// What comes next: first what the person queued, then what the context brings.
        queue: Vec<Track> = "lenient::list",
    }
}

model! {
    /// A playlist without its items.
    Playlist {
        /// Id in base 62.
        id: Option<String> = "lenient::word",
        /// `spotify:playlist:...`
        uri: Option<String> = "lenient::word",
        /// Title.
        name: Option<Foreign> = "lenient::foreign",
        /// Description, possibly with HTML entities.
        description: Option<Foreign> = "lenient::foreign",
        /// Whose it is.
        owner: Option<Owner> = "lenient::object",
        /// Shown on the owner's profile.
        public: Option<bool> = "lenient::truth",
        /// Open to others' changes.
        collaborative: Option<bool> = "lenient::truth",
        /// Names this very state; changes with each write.
        snapshot_id: Option<String> = "lenient::word",
        /// The items, since February 2026 only where the person may read them. See [`Playlist::total`].
        items: Option<Total> = "lenient::object",
        /// The same under its name before February 2026.
        tracks: Option<Total> = "lenient::object",
    }
}

impl Playlist {
    /// How many items there are; `None` means that they are not readable, which is not the same as empty.
    pub fn total(&self) -> Option<u64> {
        let total = |part: &Option<Total>| part.as_ref().and_then(|part| part.total);
        total(&self.items).or_else(|| total(&self.tracks))
    }
}

model! {
    /// How many items a list has.
    Total {
        /// The count.
        total: Option<u64> = "lenient::number",
    }
}

model! {
    /// Whose a playlist is.
    Owner {
        /// User id.
        id: Option<String> = "lenient::word",
        /// The name that others see.
        display_name: Option<Foreign> = "lenient::foreign",
    }
}

model! {
    /// A row of a playlist or of the saved tracks.
    Entry {
        /// RFC 3339; absent in very old playlists.
        added_at: Option<String> = "lenient::word",
        /// Who added it, in playlists.
        added_by: Option<Owner> = "lenient::object",
        /// The track or episode, by its name since February 2026. See [`Entry::track`].
        item: Option<Track> = "lenient::object",
        /// The same by its older name, which saved tracks still use.
        track: Option<Track> = "lenient::object",
    }
}

impl Entry {
    /// The track or episode; `None` where Spotify no longer has it.
    pub const fn track(&self) -> Option<&Track> {
        match &self.item {
            Some(item) => Some(item),
            None => self.track.as_ref(),
        }
    }
}

model! {
    /// Something that was played (`GET /me/player/recently-played`).
    Played {
        /// RFC 3339.
        played_at: Option<String> = "lenient::word",
        /// What.
        track: Option<Track> = "lenient::object",
    }
}

model! {
    /// The state of a playlist after a write.
    Snapshot {
        /// Names the new state; `None` where Spotify confirmed without saying it.
        snapshot_id: Option<String> = "lenient::word",
    }
}

/// `GET /search`, one page per type asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawSearch {
    #[serde(deserialize_with = "lenient::object")]
    pub(crate) tracks: Option<RawPage<Track>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_february_2026_are_read_also_together() {
        let old: Entry = serde_json::from_str(r#"{"track":{"id":"a"}}"#).unwrap();
        let both: Entry = serde_json::from_str(r#"{"track":{"id":"a"},"item":{"id":"b"}}"#).unwrap();
        let gone: Entry = serde_json::from_str(r#"{"item":null,"track":true}"#).unwrap();
        assert_eq!(old.track().unwrap().id.as_deref(), Some("a"));
        assert_eq!(both.track().unwrap().id.as_deref(), Some("b"));
        assert_eq!(gone.track(), None);
        let list: Playlist = serde_json::from_str(r#"{"tracks":{"total":3},"items":{"total":4}}"#).unwrap();
        assert_eq!(list.total(), Some(4));
        assert_eq!(serde_json::from_str::<Playlist>(r#"{"id":"x"}"#).unwrap().total(), None);
    }

    #[test]
    fn unknown_words_and_fields_do_no_harm() {
        let json = r#"{"type":"hologram","artists":[{"name":"A"},null],"restrictions":{"reason":"x"},"duration_ms":"9"}"#;
        let track: Track = serde_json::from_str(json).unwrap();
        assert_eq!(
            (track.kind.as_deref(), track.artists.len(), track.duration_ms),
            (Some("hologram"), 1, Some(9))
        );
    }
}
