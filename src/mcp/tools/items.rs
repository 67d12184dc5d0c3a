//! Tracks and playlists as tools answer them: short, cleaned, bounded, each with its link (spotify.md 5, 1.9).

use schemars::JsonSchema;
use serde::Serialize;

use crate::spotify::Foreign;
use crate::spotify::models::{Named, Playlist, Track};
use crate::spotify::uri::SpotifyUri;

/// Longest name or title shown.
const NAME: usize = 200;
/// Longest description shown.
const DESCRIPTION: usize = 300;
/// Most artists named of one track.
const ARTISTS: usize = 20;

/// A track or an episode.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct TrackItem {
    /// spotify:track:..., spotify:episode:... or spotify:local:...
    pub(crate) uri: String,
    /// Title.
    pub(crate) name: String,
    /// Artists in the order of the credit; the show for an episode.
    pub(crate) artists: Vec<String>,
    /// Album title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) album: Option<String>,
    /// Length in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    /// International Standard Recording Code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) isrc: Option<String>,
    /// The page at open.spotify.com.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// When it was added or saved (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) added_at: Option<String>,
}

impl TrackItem {
    /// `None` where upstream gave neither URI nor id.
    pub(crate) fn from(track: &Track) -> Option<Self> {
        let uri = match (&track.uri, &track.id) {
            (Some(uri), _) => uri.clone(),
            (None, Some(id)) => format!("spotify:track:{id}"),
            (None, None) => return None,
        };
        let mut artists: Vec<_> = track.artists.iter().take(ARTISTS).filter_map(name_of).collect();
        if artists.is_empty() {
            artists.extend(track.show.as_ref().and_then(name_of));
        }
        Some(Self {
            url: page(&uri),
            uri,
            name: shown(track.name.as_ref(), NAME).unwrap_or_else(|| "(untitled)".to_owned()),
            artists,
            album: track.album.as_ref().and_then(name_of),
            duration_ms: track.duration_ms,
            isrc: track.external_ids.as_ref().and_then(|ids| ids.isrc.clone()),
            added_at: None,
        })
    }

    /// `Title - Artist, Artist (Album) [uri]`
    pub(crate) fn line(&self) -> String {
        let mut line = self.name.clone();
        if !self.artists.is_empty() {
            line.push_str(" - ");
            line.push_str(&self.artists.join(", "));
        }
        if let Some(album) = &self.album {
            line.push_str(&format!(" ({album})"));
        }
        line.push_str(&format!(" [{}]", self.uri));
        line
    }
}

/// A playlist without its tracks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct PlaylistItem {
    /// Id, to be given as playlist_id.
    pub(crate) id: String,
    /// spotify:playlist:...
    pub(crate) uri: String,
    /// Title.
    pub(crate) name: String,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The owner's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Shown on the owner's profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<bool>,
    /// Open to others' changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collaborative: Option<bool>,
    /// How many tracks it has; absent where Spotify does not let this account read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_tracks: Option<u64>,
    /// Whether its tracks can be read with this account.
    pub(crate) contents: Contents,
    /// The page at open.spotify.com.
    pub(crate) url: String,
}

/// Whether a playlist's tracks can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contents {
    /// They can.
    Readable,
    /// Spotify withholds them (somebody else's playlist).
    Forbidden,
}

impl PlaylistItem {
    /// `None` where upstream gave no id.
    pub(crate) fn from(playlist: &Playlist) -> Option<Self> {
        let id = playlist.id.clone()?;
        let total_tracks = playlist.total();
        Some(Self {
            uri: format!("spotify:playlist:{id}"),
            url: format!("https://open.spotify.com/playlist/{id}"),
            id,
            name: shown(playlist.name.as_ref(), NAME).unwrap_or_else(|| "(untitled)".to_owned()),
            description: shown(playlist.description.as_ref(), DESCRIPTION),
            owner: playlist.owner.as_ref().and_then(|owner| shown(owner.display_name.as_ref(), NAME)),
            public: playlist.public,
            collaborative: playlist.collaborative,
            total_tracks,
            contents: if total_tracks.is_some() { Contents::Readable } else { Contents::Forbidden },
        })
    }

    /// `Title by Owner, 12 tracks [id]`
    pub(crate) fn line(&self) -> String {
        let owner = self.owner.as_ref().map(|owner| format!(" by {owner}")).unwrap_or_default();
        let size = match self.total_tracks {
            Some(total) => format!("{total} tracks"),
            None => "tracks not readable with this account".to_owned(),
        };
        format!("{}{owner}, {size} [{}]", self.name, self.id)
    }
}

/// The page of a URI at open.spotify.com. Built here, never taken from an answer.
fn page(uri: &str) -> Option<String> {
    match SpotifyUri::parse(uri)? {
        SpotifyUri::Item(kind, id) => {
            Some(format!("https://open.spotify.com/{}/{}", kind.name(), id.as_str()))
        }
        SpotifyUri::User(_) | SpotifyUri::Local(_) => None,
    }
}

fn name_of(named: &Named) -> Option<String> {
    shown(named.name.as_ref(), NAME)
}

fn shown(text: Option<&Foreign>, most: usize) -> Option<String> {
    text.map(|text| text.clean(most)).filter(|text| !text.is_empty())
}

/// A numbered list of lines, the first one numbered `offset + 1`.
pub(crate) fn numbered(lines: impl Iterator<Item = String>, offset: u32) -> String {
    (1_u64..).zip(lines).map(|(n, line)| format!("\n{}. {line}", u64::from(offset) + n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(json: &str) -> Option<TrackItem> {
        TrackItem::from(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn strangers_text_is_cleaned_and_links_are_built_here() {
        let item = track(
            r#"{"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC","name":"a\u202eb\nc","artists":[{"name":"X"},{}],
                "external_urls":{"spotify":"https://evil.example/"},"external_ids":{"isrc":"GB1"}}"#,
        )
        .unwrap();
        assert_eq!(item.name, "ab c");
        assert_eq!(item.url.as_deref(), Some("https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC"));
        assert_eq!(item.line(), "ab c - X [spotify:track:4uLU6hMCjMI75M1A2tKUQC]");
        assert!(track(r#"{"name":"no identity"}"#).is_none());
    }

    #[test]
    fn a_playlist_that_cannot_be_read_is_not_called_empty() {
        let foreign: Playlist = serde_json::from_str(r#"{"id":"p","name":"N"}"#).unwrap();
        let item = PlaylistItem::from(&foreign).unwrap();
        assert_eq!((item.contents, item.total_tracks), (Contents::Forbidden, None));
        assert!(item.line().contains("not readable"));
    }
}
