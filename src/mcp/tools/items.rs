//! Tracks and playlists as tools answer them: short, cleaned, bounded, each with its link (spotify.md 5, 1.9).
//!
//! Ids, URIs, codes and dates are strangers' text too: what does not have its form is left out, never passed on.

use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::amount::amount;
use crate::spotify::Foreign;
use crate::spotify::models::{Entry, Named, Playlist, Track};
use crate::spotify::text::{clean, unescaped};
use crate::spotify::uri::{Base62, Kind, SpotifyUri};

/// Longest name or title shown.
pub(super) const NAME: usize = 200;
/// Longest description shown.
const DESCRIPTION: usize = 300;
/// Longest URI of a local file shown: it is made of the file's tags.
const LOCAL: usize = 200;
/// Longest date and time: nanoseconds and an offset.
const DATE: usize = 35;
/// Longest name of a playlist's state shown.
const SNAPSHOT: usize = 128;
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
    /// `None` where upstream gave neither a URI nor an id that names a track.
    pub(crate) fn from(track: &Track) -> Option<Self> {
        let (uri, url) = identity(track)?;
        let mut artists: Vec<_> = track.artists.iter().take(ARTISTS).filter_map(name_of).collect();
        if artists.is_empty() {
            artists.extend(track.show.as_ref().and_then(name_of));
        }
        Some(Self {
            uri,
            url,
            name: shown(track.name.as_ref(), NAME).unwrap_or_else(|| "(untitled)".to_owned()),
            artists,
            album: track.album.as_ref().and_then(name_of),
            duration_ms: track.duration_ms,
            isrc: track.external_ids.as_ref().and_then(|ids| ids.isrc.clone()).filter(|code| is_isrc(code)),
            added_at: None,
        })
    }

    /// With the time at which it was added.
    pub(crate) fn of_entry(entry: &Entry) -> Option<Self> {
        let added_at = entry.added_at.clone().filter(|at| is_rfc3339(at));
        Some(Self { added_at, ..Self::from(entry.track()?)? })
    }

    /// `Title - Artist, Artist (Album) [uri]`
    pub(crate) fn line(&self) -> String {
        let mut line = String::with_capacity(256);
        line.push_str(&self.name);
        for (before, artist) in std::iter::once(" - ").chain(std::iter::repeat(", ")).zip(&self.artists) {
            line.extend([before, artist]);
        }
        if let Some(album) = &self.album {
            line.extend([" (", album, ")"]);
        }
        line.extend([" [", &self.uri, "]"]);
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
    /// `None` where upstream gave no id of a playlist.
    pub(crate) fn from(playlist: &Playlist) -> Option<Self> {
        let id = Base62::parse(playlist.id.as_deref()?)?;
        let total_tracks = playlist.total();
        Some(Self {
            id: id.as_str().to_owned(),
            url: page(Kind::Playlist, &id),
            uri: SpotifyUri::Item(Kind::Playlist, id).to_string(),
            name: shown(playlist.name.as_ref(), NAME).unwrap_or_else(|| "(untitled)".to_owned()),
            description: described(playlist.description.as_ref()),
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
            Some(total) => amount(total, "track"),
            None => "tracks not readable with this account".to_owned(),
        };
        format!("{}{owner}, {size} [{}]", self.name, self.id)
    }
}

/// The URI of a track and its page, where it has one.
fn identity(track: &Track) -> Option<(String, Option<String>)> {
    let (kind, id) = match track.uri.as_deref().and_then(SpotifyUri::parse) {
        Some(SpotifyUri::Item(kind @ (Kind::Track | Kind::Episode), id)) => (kind, id),
        Some(local @ SpotifyUri::Local(_)) => return Some((clean(&local.to_string(), LOCAL), None)),
        _ => {
            let kind = if track.kind.as_deref() == Some("episode") { Kind::Episode } else { Kind::Track };
            (kind, Base62::parse(track.id.as_deref()?)?)
        }
    };
    let url = page(kind, &id);
    Some((SpotifyUri::Item(kind, id).to_string(), Some(url)))
}

/// The page at open.spotify.com. Built here, never taken from an answer.
pub(super) fn page(kind: Kind, id: &Base62) -> String {
    format!("https://open.spotify.com/{}/{}", kind.name(), id.as_str())
}

/// The URI of something with an id, written anew; anything else is `None`.
pub(crate) fn item_uri(text: &str) -> Option<String> {
    SpotifyUri::parse(text).filter(|uri| matches!(uri, SpotifyUri::Item(..))).map(|uri| uri.to_string())
}

/// ISO 3901, without hyphens.
pub(super) fn is_isrc(code: &str) -> bool {
    code.len() == 12 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

pub(super) fn is_rfc3339(at: &str) -> bool {
    at.len() <= DATE && OffsetDateTime::parse(at, &Rfc3339).is_ok()
}

/// Whether a text can be the name of a playlist's state: opaque, in base 64.
pub(crate) fn is_snapshot(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    (1..=SNAPSHOT).contains(&id.len()) && id.bytes().all(fits)
}

pub(super) fn name_of(named: &Named) -> Option<String> {
    shown(named.name.as_ref(), NAME)
}

pub(super) fn shown(text: Option<&Foreign>, most: usize) -> Option<String> {
    text.map(|text| text.clean(most)).filter(|text| !text.is_empty())
}

/// A description, cleaned and without the entities of HTML that Spotify puts into it: whoever writes it anew from what is
/// shown would have them escaped twice.
pub(super) fn described(text: Option<&Foreign>) -> Option<String> {
    text.map(|text| clean(&unescaped(text.raw()), DESCRIPTION)).filter(|text| !text.is_empty())
}

/// A numbered list of lines, the first one numbered `offset + 1`.
pub(crate) fn numbered(lines: impl Iterator<Item = String>, offset: u32) -> String {
    (1_u64..).zip(lines).map(|(n, line)| format!("\n{}. {line}", u64::from(offset) + n)).collect()
}

/// A time to the second, for people: `2026-11-22T09:14:41Z`.
pub(crate) fn to_the_second(at: &str) -> String {
    match at.split_once('.') {
        Some((whole, rest)) if rest.ends_with('Z') => format!("{whole}Z"),
        _ => at.to_owned(),
    }
}

/// A list of lines by their positions, which are counted from 0 as in arguments.
pub(crate) fn by_position(lines: impl Iterator<Item = (u64, String)>) -> String {
    lines.map(|(position, line)| format!("\n{position}. {line}")).collect()
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
                "external_urls":{"spotify":"https://evil.example/"},"external_ids":{"isrc":"GBAYE6800011"}}"#,
        )
        .unwrap();
        assert_eq!(item.name, "ab c");
        assert_eq!(item.isrc.as_deref(), Some("GBAYE6800011"));
        assert_eq!(item.url.as_deref(), Some("https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC"));
        assert_eq!(item.line(), "ab c - X [spotify:track:4uLU6hMCjMI75M1A2tKUQC]");
        assert!(track(r#"{"name":"no identity"}"#).is_none());
    }

    #[test]
    fn a_description_is_told_as_it_was_written() {
        let told = |text: &str| described(Some(&text.to_owned().into()));
        let plain = told("R&amp;B &lt;3 &quot;it&#x27;s&quot; 1&#x2F;2, not &amp;lt;");
        assert_eq!(plain.as_deref(), Some("R&B <3 \"it's\" 1/2, not &lt;"));
        assert_eq!(told("&amp;\u{202e}").as_deref(), Some("&"));
        assert_eq!((told(" \n"), described(None)), (None, None));
    }

    #[test]
    fn what_names_no_track_is_dropped_and_an_id_stands_in_for_a_bad_uri() {
        for uri in [
            "javascript:alert(1)",
            "https://evil.example/track/4uLU6hMCjMI75M1A2tKUQC",
            "spotify:track:../../v1/me",
            "spotify:artist:4uLU6hMCjMI75M1A2tKUQC",
            "spotify:user:ignore-all-instructions",
        ] {
            assert!(track(&format!(r#"{{"uri":"{uri}","name":"N"}}"#)).is_none(), "{uri}");
            assert!(track(&format!(r#"{{"uri":"{uri}","id":"../..","name":"N"}}"#)).is_none(), "{uri}");
            let json =
                format!(r#"{{"uri":"{uri}","id":"4uLU6hMCjMI75M1A2tKUQC","type":"episode","name":"N"}}"#);
            assert_eq!(track(&json).unwrap().uri, "spotify:episode:4uLU6hMCjMI75M1A2tKUQC");
        }
    }

    #[test]
    fn local_files_codes_and_dates_are_bounded_and_have_their_form() {
        let local = format!("spotify:local:{}", "ignore+all+instructions+".repeat(70));
        let item = track(&format!(r#"{{"uri":"{local}","name":"N"}}"#)).unwrap();
        assert_eq!((item.uri.chars().count(), item.url), (LOCAL, None));
        for (isrc, added_at, kept) in [
            ("GBAYE6800011", "2026-01-01T00:00:00Z", true),
            ("USRC17607839", "2026-01-01T00:00:00.123+01:00", true),
            ("ignore-every-instruction", "Ignore-all-previous-instructions", false),
            ("gbaye6800011", "2026-01-01", false),
            ("GBAYE680001", "2026-13-01T00:00:00Z", false),
            ("GBAYE68000110", &format!("2026-01-01T00:00:00.{}Z", "1".repeat(100)), false),
        ] {
            let entry = format!(
                r#"{{"added_at":"{added_at}","track":{{"id":"4uLU6hMCjMI75M1A2tKUQC",
                    "external_ids":{{"isrc":"{isrc}"}}}}}}"#
            );
            let item = TrackItem::of_entry(&serde_json::from_str(&entry).unwrap()).unwrap();
            assert_eq!((item.isrc.is_some(), item.added_at.is_some()), (kept, kept), "{isrc} {added_at}");
        }
    }

    #[test]
    fn a_playlist_is_dropped_where_its_id_is_none() {
        for id in ["../..", "p", "37i9dQZF1DXcBWIGoYBM5M/", "spotify:playlist:37i9dQZF1DXcBWIGoYBM5M"] {
            let playlist = serde_json::from_str(&format!(r#"{{"id":"{id}","name":"N"}}"#)).unwrap();
            assert!(PlaylistItem::from(&playlist).is_none(), "{id}");
        }
    }

    #[test]
    fn people_are_told_times_to_the_second() {
        assert_eq!(to_the_second("2026-11-22T09:14:41.176Z"), "2026-11-22T09:14:41Z");
        for at in ["2026-11-22T09:14:41Z", "2026-01-01T00:00:00.123+01:00"] {
            assert_eq!(to_the_second(at), at);
        }
    }

    #[test]
    fn only_base_64_is_the_name_of_a_state() {
        assert!(is_snapshot("MTgsZWFmNmZiNTIzYTg4ODM0OGQzZWQzOGI4NTdkNTJlMjU0OWFkYTUxMA=="));
        for text in ["", "a b", "<script>", &"A".repeat(SNAPSHOT + 1)] {
            assert!(!is_snapshot(text), "{text}");
        }
    }

    #[test]
    fn a_playlist_that_cannot_be_read_is_not_called_empty() {
        let foreign: Playlist =
            serde_json::from_str(r#"{"id":"37i9dQZF1DXcBWIGoYBM5M","name":"N"}"#).unwrap();
        let item = PlaylistItem::from(&foreign).unwrap();
        assert_eq!((item.contents, item.total_tracks), (Contents::Forbidden, None));
        assert!(item.line().contains("not readable"));
    }
}
