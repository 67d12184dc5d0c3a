//! Names of things where more than one kind will do: what can be played as a whole, what can be looked up, what has
//! something inside of it, what a library takes.

use std::fmt;
use std::str::FromStr;

use super::ids::NotASpotifyName;
use super::uri::{Base62, Kind, SpotifyUri};

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident, $needed:literal, $bare:expr, $($kind:ident)|+;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Kind, Base62);

        impl $name {
            /// What kind of thing it is.
            pub const fn kind(&self) -> Kind {
                self.0
            }

            /// The 22 characters.
            pub fn id(&self) -> &str {
                self.1.as_str()
            }

            /// The id.
            pub const fn base62(&self) -> &Base62 {
                &self.1
            }
        }

        impl FromStr for $name {
            type Err = NotASpotifyName;

            /// From a URI or a link.
            fn from_str(text: &str) -> Result<Self, NotASpotifyName> {
                const BARE: Option<Kind> = $bare;
                if let (Some(kind), Some(id)) = (BARE, Base62::parse(text.trim())) {
                    return Ok(Self(kind, id));
                }
                match SpotifyUri::parse(text) {
                    Some(SpotifyUri::Item(kind @ ($(Kind::$kind)|+), id)) => Ok(Self(kind, id)),
                    Some(other) => {
                        Err(NotASpotifyName::OtherKind { expected: $needed, found: other.kind_name() })
                    }
                    None => Err(NotASpotifyName::NoUri($needed)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "spotify:{}:{}", self.0.name(), self.1.as_str())
            }
        }
    )*};
}

named! {
    /// What can be played as a whole. A bare id does not tell which.
    ContextUri, "album, artist, playlist, show or audiobook", None, Album | Artist | Playlist | Show | Audiobook;
    /// What has an endpoint of its own in the catalogue. A bare id means a track.
    ThingUri, "track, album, artist, show, episode, audiobook or chapter", Some(Kind::Track),
        Track | Album | Artist | Show | Episode | Audiobook | Chapter;
    /// What has something inside of it that the catalogue lists. A bare id does not tell which.
    ParentUri, "album, artist, show or audiobook", None, Album | Artist | Show | Audiobook;
    /// What can be saved, or followed. A bare id means a track.
    LibraryUri, "track, album, artist, show, episode or audiobook", Some(Kind::Track),
        Track | Album | Artist | Show | Episode | Audiobook;
}

impl ParentUri {
    /// What is inside of it.
    pub const fn of(&self) -> Kind {
        match self.0 {
            Kind::Artist => Kind::Album,
            Kind::Show => Kind::Episode,
            Kind::Audiobook => Kind::Chapter,
            _ => Kind::Track,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "37i9dQZF1DXcBWIGoYBM5M";

    #[test]
    fn each_takes_its_own_kinds_and_says_what_it_needs() {
        let uri = |kind: &str| format!("spotify:{kind}:{ID}");
        assert_eq!(uri("album").parse::<ContextUri>().unwrap().to_string(), uri("album"));
        assert_eq!(ID.parse::<ThingUri>().unwrap().to_string(), uri("track"));
        assert_eq!(ID.parse::<LibraryUri>().unwrap().kind(), Kind::Track);
        let link = format!("https://open.spotify.com/intl-de/show/{ID}?si=1");
        let show: ParentUri = link.parse().unwrap();
        assert_eq!((show.kind(), show.of(), show.id()), (Kind::Show, Kind::Episode, ID));
        for refused in [ID.to_owned(), uri("track"), "spotify:user:x".to_owned()] {
            assert!(refused.parse::<ContextUri>().is_err() && refused.parse::<ParentUri>().is_err());
        }
        let refused = uri("playlist").parse::<LibraryUri>().unwrap_err().to_string();
        assert!(refused.starts_with("that is a Spotify playlist, and a track, album"), "{refused}");
    }
}
