//! The three regimes in which Spotify serves an app, and the limits that differ (spotify.md 1.2, 1.3).

mod bucket;
mod gate;
mod ledger;
mod pace;

use std::fmt;
use std::str::FromStr;

pub use bucket::Bucket;
pub use gate::{Charge, Held, QuotaGate, QuotaState};
pub use ledger::{BELIEVED, HourOfCalls, Lesson, Size, Used};
pub use pace::Pace;

use super::uri::Kind;

/// Under which regime Spotify serves the app. `development` for every client id made since 2026-02-11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuotaMode {
    /// Five allow-listed listeners, reduced endpoints and fields.
    #[default]
    Development,
    /// A client id from before 2026-02-11: five listeners, old endpoints still served.
    DevelopmentLegacy,
    /// Extended quota, for organizations.
    Extended,
}

impl QuotaMode {
    /// The configuration's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::DevelopmentLegacy => "development_legacy",
            Self::Extended => "extended",
        }
    }

    /// Most results of one search page.
    pub const fn search_page(self) -> u32 {
        match self {
            Self::Development => 10,
            Self::DevelopmentLegacy | Self::Extended => 50,
        }
    }

    /// Most children of one page: of an artist fewer in development mode (spotify.md 1.3).
    pub const fn children_page(self, parent: Kind) -> u32 {
        match (self, parent) {
            (Self::Development, Kind::Artist) => 10,
            _ => PAGE,
        }
    }

    /// Whether several things can be looked up in one request.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::Extended)
    }

    /// People who can use the app at once; `None` is without limit.
    pub const fn seats(self) -> Option<u32> {
        match self {
            Self::Development | Self::DevelopmentLegacy => Some(5),
            Self::Extended => None,
        }
    }
}

impl FromStr for QuotaMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        [Self::Development, Self::DevelopmentLegacy, Self::Extended]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(UnknownMode)
    }
}

impl fmt::Display for QuotaMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The text names no regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected development, development_legacy or extended")]
pub struct UnknownMode;

/// Largest page of playlists, playlist items and saved tracks.
pub const PAGE: u32 = 50;
/// Most items in one write to a playlist.
pub const WRITE: usize = 100;
/// Most ids in one look-up of several things: albums take no more.
pub const BATCH: usize = 20;
/// Highest offset of a search.
pub const SEARCH_OFFSET: u32 = 1_000;
/// Highest offset of other lists.
pub const LIST_OFFSET: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for mode in [QuotaMode::Development, QuotaMode::DevelopmentLegacy, QuotaMode::Extended] {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert_eq!("dev".parse::<QuotaMode>(), Err(UnknownMode));
    }
}
