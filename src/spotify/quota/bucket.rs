//! Which calls count together against a daily quota. Spotify publishes neither the buckets nor their sizes; these are
//! the ones that were seen to run out apart from each other (spotify.md 1.6).

/// Calls that count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// Playlists and what is in them.
    Playlists,
    /// Searches.
    Search,
    /// Albums of artists.
    ArtistAlbums,
    /// Everything else.
    Other,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Playlists, Self::Search, Self::ArtistAlbums, Self::Other];

    /// The word in the database, in answers and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Playlists => "playlists",
            Self::Search => "search",
            Self::ArtistAlbums => "artist_albums",
            Self::Other => "other",
        }
    }

    /// How many of these calls a person of several who share a developer account may make in a day while nobody knows how
    /// many Spotify takes: somewhat fewer than were seen to use up a quota (spotify.md 1.6), and enough for what a person
    /// asks for in a day.
    pub const fn careful(self) -> u64 {
        match self {
            Self::Playlists => 1_000,
            Self::Search => 200,
            Self::ArtistAlbums => 50,
            Self::Other => 2_000,
        }
    }

    /// The bucket of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.name() == name)
    }

    /// Of a call, by its path below the base address.
    pub(in crate::spotify) fn of(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("playlists"), ..) | (Some("me"), Some("playlists"), _) => Self::Playlists,
            (Some("users"), _, Some("playlists")) => Self::Playlists,
            (Some("search"), ..) => Self::Search,
            (Some("artists"), _, Some("albums")) => Self::ArtistAlbums,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_into_buckets_and_names_round_trip() {
        let cases = [
            ("/playlists/x/items", Bucket::Playlists),
            ("/me/playlists", Bucket::Playlists),
            ("/users/u/playlists", Bucket::Playlists),
            ("/search", Bucket::Search),
            ("/artists/x/albums", Bucket::ArtistAlbums),
            ("/artists/x", Bucket::Other),
            ("/me/player", Bucket::Other),
            ("", Bucket::Other),
        ];
        for (path, bucket) in cases {
            assert_eq!(Bucket::of(path), bucket, "{path}");
        }
        for bucket in Bucket::ALL {
            assert_eq!(Bucket::named(bucket.name()), Some(bucket));
        }
        assert_eq!(Bucket::named("music"), None);
    }
}
