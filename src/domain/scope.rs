//! Our OAuth scopes, their order, and what each asks of Spotify.

use std::fmt;

/// One scope of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See playlists, library and what plays.
    Read,
    /// Change playlists and library.
    Write,
    /// Control playback.
    Player,
}

impl Scope {
    /// All scopes in the order in which they are printed.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Player];

    /// The OAuth scope token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Player => "player",
        }
    }

    /// The Spotify scopes behind it (never `user-read-email` or `user-read-private`: spotify.com no longer fills them).
    pub const fn spotify(self) -> &'static [&'static str] {
        match self {
            Self::Read => &[
                "playlist-read-private",
                "playlist-read-collaborative",
                "user-library-read",
                "user-read-playback-state",
                "user-read-currently-playing",
                "user-read-recently-played",
                "user-top-read",
                "user-follow-read",
            ],
            Self::Write => &[
                "playlist-modify-public",
                "playlist-modify-private",
                "user-library-modify",
                "user-follow-modify",
                "ugc-image-upload",
            ],
            Self::Player => &["user-modify-playback-state"],
        }
    }

    /// What is asked of Spotify beside, and not missed where it was never granted: a permission that was given earlier
    /// does not grow.
    pub const fn wished(self) -> &'static [&'static str] {
        match self {
            Self::Read => &["user-read-playback-position"],
            Self::Write | Self::Player => &[],
        }
    }

    /// All that is asked of Spotify.
    pub fn asked(self) -> impl Iterator<Item = &'static str> {
        self.spotify().iter().chain(self.wished()).copied()
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Player => 4,
        }
    }
}

/// A set of scopes; printed space-separated (RFC 6749 section 3.3).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u8);

impl ScopeSet {
    /// `read write player`.
    pub const ALL: Self = Self(7);
    /// No scope.
    pub const EMPTY: Self = Self(0);

    /// Narrows a space-separated list to the scopes we know. `None`, an empty text or a list without one that we
    /// know (clients that ask for `openid email`) means all three.
    pub fn requested(text: Option<&str>) -> Self {
        let known = Self::known(text.unwrap_or_default());
        if known == Self::EMPTY { Self::ALL } else { known }
    }

    /// Only the scopes named in the text that we know.
    pub fn known(text: &str) -> Self {
        text.split_ascii_whitespace()
            .filter_map(|name| Scope::ALL.into_iter().find(|scope| scope.name() == name))
            .fold(Self::EMPTY, Self::with)
    }

    /// This set and `scope`.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// What either set holds.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every scope of `other` is in this set.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a call that needs `scope` is allowed. Being allowed to write implies being allowed to read.
    pub const fn allows(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.0 & (Scope::Read.bit() | Scope::Write.bit()) != 0,
            Scope::Write | Scope::Player => self.0 & scope.bit() != 0,
        }
    }

    /// The scopes, in printing order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        scopes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        out.write_str(&names.join(" "))
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ScopeSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_scopes_are_narrowed_away_and_nothing_means_all() {
        assert_eq!(ScopeSet::requested(None), ScopeSet::ALL);
        assert_eq!(ScopeSet::requested(Some("openid email offline_access")), ScopeSet::ALL);
        assert_eq!(ScopeSet::requested(Some("player offline_access read")).to_string(), "read player");
        assert_eq!(ScopeSet::known("nothing"), ScopeSet::EMPTY);
    }

    #[test]
    fn write_implies_read_and_nothing_implies_player() {
        assert!(ScopeSet::known("write").allows(Scope::Read));
        assert!(!ScopeSet::known("read write").allows(Scope::Player));
        assert!(!ScopeSet::known("player").allows(Scope::Read));
        assert!(!ScopeSet::known("read").allows(Scope::Write));
    }

    proptest! {
        #[test]
        fn no_text_gives_more_than_it_names(words in prop::collection::vec("read|write|player|Read|openid|[a-z:]{1,9}", 0..9)) {
            let text = words.join(" ");
            let known = ScopeSet::known(&text);
            for scope in Scope::ALL {
                prop_assert_eq!(known.covers(ScopeSet::EMPTY.with(scope)), words.iter().any(|word| word == scope.name()));
            }
            prop_assert_eq!(ScopeSet::known(&known.to_string()), known);
            prop_assert!(ScopeSet::ALL.covers(ScopeSet::requested(Some(&text))));
            prop_assert!(known.covers(known.intersect(ScopeSet::known("read write"))));
        }
    }
}
