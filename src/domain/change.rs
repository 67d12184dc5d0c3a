//! What is kept of a change that a tool made, so that it can be listed, explained and undone.
//!
//! Everything in here is sealed before it is stored. Never: what the change was not about.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lists::Difference;

/// Longest [`PreImage`] that is kept, in bytes, packed: a playlist of 11,000 rows fits.
pub const LARGEST: usize = 640 * 1024;
/// The longest before it is packed.
pub const LARGEST_UNPACKED: usize = 16 * 1024 * 1024;
/// Most changes that are kept of one person.
pub const MOST: i64 = 100;
/// Most bytes of all changes of one person.
pub const MOST_BYTES: i64 = 4 * 1024 * 1024;

/// Changes of one playlist's details within so long of each other are one.
pub const TOGETHER: Duration = Duration::from_secs(120);

/// Tools whose changes take something away: what they took is known to nobody else.
const TAKING: [&str; 5] = [
    "deduplicate_playlist",
    "remove_from_library",
    "remove_tracks_from_playlist",
    "undo_change",
    "unfollow_playlist",
];

/// A change that is kept, as far as it matters for which ones go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// By which tool.
    pub tool: String,
    /// Whether it was undone.
    pub is_undone: bool,
    /// Whether somebody is undoing it, or did not come to the end of that.
    pub is_being_undone: bool,
    /// Whether it did not come to its end as a whole: rows that should have stayed may be away.
    pub is_half_done: bool,
    /// How large it is.
    pub bytes: i64,
}

/// Which of a person's changes, the newest first, are beyond what is kept: of those that were undone the oldest go first,
/// then of those that took nothing away, of the others, of those that are half done, and last of those whose undoing is:
/// of these two nobody but the journal knows the rows that are away. The newest always stays.
pub fn too_many(kept: &[Kept]) -> Vec<usize> {
    let mut count = i64::try_from(kept.len()).unwrap_or(i64::MAX);
    let mut bytes: i64 = kept.iter().map(|change| change.bytes).sum();
    let worth = |at: &usize| match &kept[*at] {
        Kept { is_undone: true, .. } => 0,
        Kept { is_being_undone: true, .. } => 4,
        Kept { tool, .. } if !TAKING.contains(&tool.as_str()) => 1,
        Kept { is_half_done: true, .. } => 3,
        _ => 2,
    };
    let mut order: Vec<usize> = (1..kept.len()).rev().collect();
    order.sort_by_key(worth);
    let is_beyond = |at: &usize| {
        let is_beyond = count > MOST || bytes > MOST_BYTES;
        (count, bytes) = (count - 1, bytes - kept[*at].bytes);
        is_beyond
    };
    order.into_iter().take_while(is_beyond).collect()
}

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

    /// Whether more of it may have been done than is certain.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Begun | Self::Ambiguous)
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
    /// What else is known of it, for undoing it.
    #[serde(default)]
    pub known: Known,
}

/// What is known of a change of rows beside what there was before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// When it was begun.
    pub since: Option<Moment>,
    /// When it was completed.
    pub until: Option<Moment>,
    /// How many rows were certainly put in.
    pub added: Option<u32>,
    /// The print of all rows as it left them ([`super::lists::print`]).
    pub left: Option<String>,
    /// The change that it undoes.
    pub undoes: Option<String>,
    /// How many rows are away that should be there, where it was broken off.
    #[serde(default)]
    pub missing: Option<u32>,
}

impl Summary {
    /// Whether it left a list half written.
    pub fn is_half_written(&self) -> bool {
        match (self.progress, self.known.missing) {
            (Progress::Begun, _) => true,
            (progress, Some(missing)) => missing > 0 && !progress.is_whole(),
            // From before that was written down.
            (progress, None) => progress == Progress::Partial,
        }
    }
}

/// A time by Spotify's clock, in seconds since 1970, as narrowly as it is known: no earlier than the one, no later than the
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Not before this second.
    pub earliest: i64,
    /// Not after this second.
    pub latest: i64,
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

impl Details {
    /// These, and of what they leave open the others.
    pub fn or(self, others: Self) -> Self {
        Self {
            name: self.name.or(others.name),
            description: self.description.or(others.description),
            public: self.public.or(others.public),
            collaborative: self.collaborative.or(others.collaborative),
        }
    }
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
        /// How many rows there were before.
        #[serde(default)]
        total: Option<u32>,
        /// Which of them were there before, and how often; `None` where the list was not looked at.
        #[serde(default)]
        there: Option<BTreeMap<String, u32>>,
    },
    /// A range was moved: the arguments of the move.
    Moved {
        /// Where it began.
        start: u32,
        /// How many.
        length: u32,
        /// Before which row it went.
        before: u32,
        /// What was moved, in order.
        #[serde(default)]
        rows: Vec<String>,
        /// What stood before it, the nearest first; not all of it.
        #[serde(default)]
        neighbours: Vec<String>,
    },
    /// All rows were put in order by an undo.
    Restored {
        /// Every row before, in order.
        before: Vec<String>,
        /// What it made of them.
        #[serde(default)]
        difference: Option<Difference>,
    },
    /// Name, description or visibility changed.
    Details {
        /// What was there, of what was changed.
        before: Details,
        /// What was set.
        set: Details,
    },
    /// The playlist was made; nobody knows as what.
    Made,
    /// The playlist was made so.
    Created {
        /// What it said of itself.
        set: Details,
    },
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
    fn what_took_something_away_is_forgotten_last_and_the_newest_never() {
        let of = |tool: &str, bytes| Kept {
            tool: tool.to_owned(),
            is_undone: false,
            is_being_undone: false,
            is_half_done: false,
            bytes,
        };
        let (adds, takes) =
            (|bytes| of("add_tracks_to_playlist", bytes), |bytes| of("unfollow_playlist", bytes));
        assert!(too_many(&[adds(1), takes(2), adds(3)]).is_empty());
        assert_eq!(too_many(&[adds(MOST_BYTES - 1), takes(1), adds(1)]), [2]);
        assert_eq!(too_many(&[adds(MOST_BYTES - 1), adds(1), takes(1)]), [1]);
        assert_eq!(too_many(&[adds(MOST_BYTES + 1), takes(1)]), [1]);
        assert!(too_many(&[adds(MOST_BYTES + 1)]).is_empty());
        let mut many = vec![adds(1); 102];
        assert_eq!(too_many(&many), [101, 100]);
        (many[101], many[100]) = (takes(1), takes(1));
        assert_eq!(too_many(&many), [99, 98]);
        many[5].is_undone = true;
        assert_eq!(too_many(&many), [5, 99]);
        assert_eq!(too_many(&vec![takes(1); 101]), [100]);
        // What is half done, or half undone, goes when nothing else is left.
        let mut many = vec![takes(1); 103];
        (many[102].is_half_done, many[101].is_being_undone) = (true, true);
        assert_eq!(too_many(&many), [100, 99, 98]);
        many.iter_mut().for_each(|change| change.is_being_undone = true);
        many[102].is_being_undone = false;
        assert_eq!(too_many(&many), [102, 101, 100]);
    }
}
