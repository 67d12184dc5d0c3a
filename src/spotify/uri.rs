//! Names of Spotify's things: ids, `spotify:` URIs and open.spotify.com links, turned into types at the edge.
//!
//! A parsed id is safe in a path: 22 letters and digits. User ids are anything and get encoded.

use std::fmt;

pub use super::ids::{
    ArtistId, EpisodeId, Isrc, ItemUri, Market, NotAMarket, NotASpotifyName, NotAnIsrc, PlaylistId, TrackId,
};
pub use super::named::{ContextUri, LibraryUri, ParentUri, ThingUri};

/// What kind of thing an id in base 62 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A track.
    Track,
    /// An album.
    Album,
    /// An artist.
    Artist,
    /// A playlist.
    Playlist,
    /// A podcast.
    Show,
    /// An episode of a podcast.
    Episode,
    /// An audiobook.
    Audiobook,
    /// A chapter of an audiobook.
    Chapter,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Track,
        Self::Album,
        Self::Artist,
        Self::Playlist,
        Self::Show,
        Self::Episode,
        Self::Audiobook,
        Self::Chapter,
    ];

    /// The word in URIs and paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Album => "album",
            Self::Artist => "artist",
            Self::Playlist => "playlist",
            Self::Show => "show",
            Self::Episode => "episode",
            Self::Audiobook => "audiobook",
            Self::Chapter => "chapter",
        }
    }

    /// The word in paths of lists.
    pub fn plural(self) -> String {
        format!("{}s", self.name())
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Anything that a URI or a link can name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SpotifyUri {
    /// A thing with an id in base 62.
    Item(Kind, Base62),
    /// A person: any text, visible or not, that is not empty and has at most 256 bytes; decoded.
    User(String),
    /// A file of the listener's own, as Spotify wrote it after `spotify:local:`.
    Local(String),
}

/// An id: 22 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Base62(String);

impl Base62 {
    /// Accepts exactly 22 ASCII letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 22 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SpotifyUri {
    /// Reads a URI or a link, not a bare id (which does not tell its kind).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 2048 {
            return None;
        }
        match text.strip_prefix("spotify:") {
            Some(rest) => Self::from_uri(rest),
            None => Self::from_link(text),
        }
    }

    fn from_uri(rest: &str) -> Option<Self> {
        if let Some(file) = rest.strip_prefix("local:") {
            return file.bytes().all(|byte| byte.is_ascii_graphic()).then(|| Self::Local(file.to_owned()));
        }
        Self::from_parts(&rest.split(':').collect::<Vec<_>>())
    }

    fn from_link(text: &str) -> Option<Self> {
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let path = bare.strip_prefix("open.spotify.com/")?;
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let mut parts: Vec<_> = path.split('/').collect();
        if parts.first().is_some_and(|first| first.starts_with("intl-") || *first == "embed") {
            parts.remove(0);
        }
        Self::from_parts(&parts)
    }

    fn from_parts(parts: &[&str]) -> Option<Self> {
        match parts {
            // Playlists used to be named below their owner.
            ["user", _, "playlist", id] => Some(Self::Item(Kind::Playlist, Base62::parse(id)?)),
            ["user", name] => {
                let name = decode(name)?;
                (1..=256).contains(&name.len()).then_some(Self::User(name))
            }
            [kind, id] => Some(Self::Item(Kind::named(kind)?, Base62::parse(id)?)),
            _ => None,
        }
    }

    pub(super) const fn kind_name(&self) -> &'static str {
        match self {
            Self::Item(kind, _) => kind.name(),
            Self::User(_) => "user",
            Self::Local(_) => "local file",
        }
    }
}

impl fmt::Display for SpotifyUri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(kind, id) => ["spotify:", kind.name(), ":", id.as_str()]
                .into_iter()
                .try_for_each(|part| out.write_str(part)),
            Self::User(name) => {
                let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
                write!(out, "spotify:user:{}", name.replace('+', "%20"))
            }
            Self::Local(file) => write!(out, "spotify:local:{file}"),
        }
    }
}

/// Percent-decodes; `None` where that is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (*first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = std::str::from_utf8(&tail[..2]).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            (byte, _) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "37i9dQZF1DXcBWIGoYBM5M";

    #[test]
    fn an_id_a_uri_and_a_link_name_the_same_playlist() {
        for text in [
            ID.to_owned(),
            format!(" spotify:playlist:{ID} "),
            format!("spotify:user:some.one:playlist:{ID}"),
            format!("https://open.spotify.com/playlist/{ID}"),
            format!("https://open.spotify.com/intl-de/playlist/{ID}?si=0123#x"),
            format!("open.spotify.com/embed/playlist/{ID}/"),
        ] {
            assert_eq!(text.parse::<PlaylistId>().unwrap().as_str(), ID, "{text}");
        }
    }

    #[test]
    fn other_kinds_and_other_hosts_are_refused_with_what_is_needed() {
        let refused = format!("spotify:album:{ID}").parse::<PlaylistId>().unwrap_err();
        assert_eq!(refused.to_string(), "that is a Spotify album, and a playlist is needed");
        for text in [
            "",
            "playlist",
            &ID[1..],
            "spotify:playlist:../../me",
            &format!("https://evil.example/playlist/{ID}"),
            &format!("https://open.spotify.com.evil.example/playlist/{ID}"),
            &format!("https://open.spotify.com/playlist/{ID}/../x"),
        ] {
            assert_eq!(text.parse::<PlaylistId>(), Err(NotASpotifyName::Unreadable("playlist")), "{text}");
        }
    }

    #[test]
    fn people_and_local_files_are_read_leniently() {
        assert_eq!(SpotifyUri::parse("spotify:user:31"), Some(SpotifyUri::User("31".into())));
        let named = SpotifyUri::parse("https://open.spotify.com/user/j%C3%B6rg%20x?si=1").unwrap();
        assert_eq!(named, SpotifyUri::User("jörg x".into()));
        assert_eq!(named.to_string(), "spotify:user:j%C3%B6rg%20x");
        let local = "spotify:local:Artist:Album:Title+%281%29:215";
        assert_eq!(SpotifyUri::parse(local).unwrap().to_string(), local);
        assert!(matches!(local.parse::<ItemUri>(), Err(NotASpotifyName::OtherKind { .. })));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(id in "[0-9A-Za-z]{22}", name in "\\PC{1,40}", at in 0_usize..8) {
            let item = SpotifyUri::Item(Kind::ALL[at], Base62::parse(&id).unwrap());
            prop_assert_eq!(SpotifyUri::parse(&item.to_string()), Some(item));
            let user = SpotifyUri::User(name);
            prop_assert_eq!(SpotifyUri::parse(&user.to_string()), Some(user));
        }

        #[test]
        fn no_text_panics_and_every_id_is_safe_in_a_path(text: String) {
            for text in [text.clone(), format!("spotify:{text}"), format!("https://open.spotify.com/{text}")] {
                let _ = SpotifyUri::parse(&text);
                if let Ok(id) = text.parse::<PlaylistId>() {
                    prop_assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
                }
            }
        }
    }
}
