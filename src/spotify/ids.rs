//! Ids of one kind each, read from an id, a URI or a link: a playlist cannot be passed where a track belongs.

use std::fmt;
use std::str::FromStr;

use super::uri::{Base62, Kind, SpotifyUri};

/// Why a text names no Spotify thing of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASpotifyName {
    /// No id, URI or link at all.
    #[error(
        "not a Spotify {0}: give its id (22 letters and digits), its URI (spotify:{0}:...) or its link \
         (https://open.spotify.com/{0}/...); look up first what you know by its name alone"
    )]
    Unreadable(&'static str),
    /// Neither a URI nor a link, where an id alone would not tell what kind of thing is meant.
    #[error(
        "not a Spotify {0}: give its URI (spotify:<type>:<id>) or its link (https://open.spotify.com/<type>/<id>)"
    )]
    NoUri(&'static str),
    /// A thing of another kind.
    #[error("that is a Spotify {found}, and {} {expected} is needed", article(expected))]
    OtherKind {
        /// What is needed.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
}

const fn article(noun: &str) -> &'static str {
    match noun.as_bytes() {
        [b'a' | b'e' | b'i' | b'o' | b'u', ..] => "an",
        _ => "a",
    }
}

/// The id of a thing of one kind, from an id, a URI or a link.
fn id_of(kind: Kind, text: &str) -> Result<Base62, NotASpotifyName> {
    if let Some(id) = Base62::parse(text.trim()) {
        return Ok(id);
    }
    match SpotifyUri::parse(text) {
        Some(SpotifyUri::Item(found, id)) if found == kind => Ok(id),
        Some(other) => Err(NotASpotifyName::OtherKind { expected: kind.name(), found: other.kind_name() }),
        None => Err(NotASpotifyName::Unreadable(kind.name())),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $kind:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Base62);

        impl $name {
            /// The 22 characters.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The `spotify:` URI.
            pub fn uri(&self) -> String {
                format!("spotify:{}:{}", $kind.name(), self.as_str())
            }

            /// The page at open.spotify.com.
            pub fn link(&self) -> String {
                format!("https://open.spotify.com/{}/{}", $kind.name(), self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = NotASpotifyName;

            /// From an id, a URI or a link.
            fn from_str(text: &str) -> Result<Self, NotASpotifyName> {
                id_of($kind, text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A track.
    TrackId, Kind::Track;
    /// A playlist.
    PlaylistId, Kind::Playlist;
    /// An episode of a podcast.
    EpisodeId, Kind::Episode;
    /// An artist.
    ArtistId, Kind::Artist;
}

/// What can stand in a playlist: a track or an episode. A bare id means a track.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemUri {
    /// A track.
    Track(TrackId),
    /// An episode.
    Episode(EpisodeId),
}

impl FromStr for ItemUri {
    type Err = NotASpotifyName;

    fn from_str(text: &str) -> Result<Self, NotASpotifyName> {
        match SpotifyUri::parse(text) {
            Some(SpotifyUri::Item(Kind::Episode, id)) => Ok(Self::Episode(EpisodeId(id))),
            _ => text.parse().map(Self::Track).map_err(|why| match why {
                NotASpotifyName::OtherKind { found, .. } => {
                    NotASpotifyName::OtherKind { expected: "track or episode", found }
                }
                other => other,
            }),
        }
    }
}

impl fmt::Display for ItemUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Track(id) => out.write_str(&id.uri()),
            Self::Episode(id) => out.write_str(&id.uri()),
        }
    }
}

/// A country by ISO 3166-1 alpha-2, upper case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Market(String);

/// The text is no country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("market must be a country code of two letters, such as DE")]
pub struct NotAMarket;

impl Market {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Market {
    type Err = NotAMarket;

    fn from_str(text: &str) -> Result<Self, NotAMarket> {
        let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if fits { Ok(Self(text.to_ascii_uppercase())) } else { Err(NotAMarket) }
    }
}

/// An International Standard Recording Code (ISO 3901): 12 letters and digits, upper case, without hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Isrc(String);

/// The text is no such code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ISRC has 12 letters and digits without hyphens, such as GBAYE6800011")]
pub struct NotAnIsrc;

impl Isrc {
    /// The 12 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Isrc {
    type Err = NotAnIsrc;

    fn from_str(text: &str) -> Result<Self, NotAnIsrc> {
        let fits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(text.to_ascii_uppercase())) } else { Err(NotAnIsrc) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "37i9dQZF1DXcBWIGoYBM5M";

    #[test]
    fn a_playlist_holds_tracks_and_episodes() {
        assert_eq!(ID.parse::<ItemUri>().unwrap().to_string(), format!("spotify:track:{ID}"));
        let episode = format!("https://open.spotify.com/episode/{ID}").parse::<ItemUri>().unwrap();
        assert_eq!(episode.to_string(), format!("spotify:episode:{ID}"));
        let artist = format!("spotify:artist:{ID}");
        let said = artist.parse::<ItemUri>().unwrap_err().to_string();
        assert_eq!(said, "that is a Spotify artist, and a track or episode is needed");
        let said = artist.parse::<EpisodeId>().unwrap_err().to_string();
        assert_eq!(said, "that is a Spotify artist, and an episode is needed");
        assert_eq!("de".parse::<Market>().unwrap().as_str(), "DE");
        assert!("D".parse::<Market>().is_err());
        assert_eq!("gbaye6800011".parse::<Isrc>().unwrap().as_str(), "GBAYE6800011");
        assert!("GBAYE680001".parse::<Isrc>().is_err() && "GBAYE680001;".parse::<Isrc>().is_err());
    }
}
