//! What is kept of a change that a tool made, so that it can be listed, explained and undone.
//!
//! Everything in here is sealed before it is stored. Never: what the change was not about.

use serde::{Deserialize, Serialize};

/// Longest JSON of a [`PreImage`] that is kept, in bytes: a playlist of 11,000 rows fits.
pub const LARGEST: usize = 640 * 1024;
/// Most changes that are kept of one person.
pub const MOST: i64 = 100;
/// Most bytes of all changes of one person.
pub const MOST_BYTES: i64 = 4 * 1024 * 1024;

/// How far a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// It was begun, and its end was never written down.
    Begun,
    /// It was seen in place.
    Verified,
    /// Spotify confirmed it.
    Accepted,
    /// Only a part of it was done.
    Partial,
    /// Whether it was done is not known.
    Ambiguous,
}

impl Progress {
    /// Whether all of it was done, as far as anybody knows.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Verified | Self::Accepted)
    }
}

/// What a change was, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The playlist's id; empty where it is about the library.
    pub playlist: String,
    /// Its name, as strangers wrote it.
    pub name: String,
    /// What was done, in our words.
    pub done: String,
    /// How far it came.
    pub progress: Progress,
    /// The name of the playlist's state before.
    pub before: Option<String>,
    /// The name of its state after.
    pub after: Option<String>,
}

/// What a playlist says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Title.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Shown on the owner's profile.
    pub public: Option<bool>,
    /// Open to others' changes.
    pub collaborative: Option<bool>,
}

/// What there was before, in the form that undoing needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreImage {
    /// Rows were taken out.
    Removed {
        /// Every row, in order; an empty text names nothing.
        before: Vec<String>,
        /// The positions that went, ascending.
        gone: Vec<u32>,
    },
    /// Rows were put in.
    Added {
        /// From this position on.
        at: u32,
        /// In order.
        rows: Vec<String>,
    },
    /// A range was moved: the arguments of the move.
    Moved {
        /// Where it began.
        start: u32,
        /// How many.
        length: u32,
        /// Before which row it went.
        before: u32,
    },
    /// All rows were put in order by an undo.
    Restored {
        /// Every row before, in order.
        before: Vec<String>,
    },
    /// Name, description or visibility changed.
    Details {
        /// What was there, of what was changed.
        before: Details,
        /// What was set.
        set: Details,
    },
    /// The playlist was made.
    Made,
    /// The playlist came into the library.
    Followed,
    /// The playlist left the library.
    Unfollowed,
    /// Things came into the library.
    Saved {
        /// Those that were not there before.
        uris: Vec<String>,
    },
    /// Things left the library.
    Unsaved {
        /// Those that were there before.
        uris: Vec<String>,
    },
}

/// The move that undoes a move of `length` rows from `start` to before `before`: start and before.
pub const fn moved_back(start: u32, length: u32, before: u32) -> (u32, u32) {
    if before > start { (before - length, start) } else { (before, start + length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(rows: &[u32], (start, length, before): (u32, u32, u32)) -> Vec<u32> {
        let (start, length, before) = (start as usize, length as usize, before as usize);
        let (mut rows, range) = (rows.to_vec(), start..start + length);
        let part: Vec<_> = rows.drain(range).collect();
        let at = if before > start { before - length } else { before };
        rows.splice(at..at, part);
        rows
    }

    #[test]
    fn moving_back_restores_every_order() {
        let rows: Vec<u32> = (0..8).collect();
        for start in 0..8 {
            for length in 1..=8 - start {
                for before in (0..=start).chain(start + length..=8) {
                    let there = moved(&rows, (start, length, before));
                    let (from, to) = moved_back(start, length, before);
                    assert_eq!(moved(&there, (from, length, to)), rows, "{start} {length} {before}");
                }
            }
        }
    }

    #[test]
    fn the_largest_playlist_fits() {
        let before = vec!["spotify:episode:4uLU6hMCjMI75M1A2tKUQC".to_owned(); 11_000];
        let json = serde_json::to_vec(&PreImage::Removed { before, gone: (0..11_000).collect() }).unwrap();
        assert!(json.len() <= LARGEST, "{}", json.len());
    }
}
