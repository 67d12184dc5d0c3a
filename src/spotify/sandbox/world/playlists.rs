//! Playlists: entries in order, and a snapshot id that changes with each write.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::music;

/// Most entries in a playlist, and most playlists of a person (spotify.md 1.8).
pub const MOST: usize = 11_000;

/// One playlist.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Playlist {
    /// Its id; begins with the owner's marker.
    pub id: String,
    /// The owner's user id.
    pub owner: Arc<str>,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Whether it is on the owner's profile.
    pub public: bool,
    /// Whether others may edit it.
    pub collaborative: bool,
    /// How many writes it has seen.
    pub revision: u64,
    /// Of the cover that somebody set; 0: none.
    #[serde(default)]
    pub cover: u64,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// One entry of a playlist.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The URI.
    pub uri: Arc<str>,
    /// The title, where it cannot be found in the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// When it was added, milliseconds.
    pub added_at: i64,
    /// By whom.
    pub added_by: Arc<str>,
}

/// Why a write cannot be done; each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// A position outside of the playlist.
    #[error("Index out of bounds.")]
    OutOfBounds,
    /// More entries than a playlist takes.
    #[error("Playlist size limit reached")]
    Full,
}

/// How a snapshot stands to its playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It names what is there.
    Present,
    /// It names what was there before.
    Past,
}

impl Playlist {
    /// The opaque name of this state.
    pub fn snapshot(&self) -> String {
        self.snapshot_of(self.revision)
    }

    fn snapshot_of(&self, revision: u64) -> String {
        let revision = revision.to_string();
        STANDARD.encode(format!("{revision},{:016x}", music::number(&[&self.id, &revision])))
    }

    /// Which state of this playlist a snapshot names; `None`: none of its states.
    pub fn age_of(&self, snapshot: &str) -> Option<Age> {
        let text = String::from_utf8(STANDARD.decode(snapshot).ok()?).ok()?;
        let revision: u64 = text.split_once(',')?.0.parse().ok()?;
        if revision > self.revision || self.snapshot_of(revision) != snapshot {
            return None;
        }
        Some(if revision == self.revision { Age::Present } else { Age::Past })
    }

    /// Whether this person may see the entries and change them.
    pub fn belongs_to(&self, user: &str) -> bool {
        &*self.owner == user || self.collaborative
    }

    /// Inserts entries, at the end where no position is given.
    pub fn add(&mut self, entries: Vec<Entry>, position: Option<usize>) -> Result<(), Unwritable> {
        let at = position.unwrap_or(self.entries.len());
        if at > self.entries.len() {
            return Err(Unwritable::OutOfBounds);
        }
        if self.entries.len() + entries.len() > MOST {
            return Err(Unwritable::Full);
        }
        self.entries.splice(at..at, entries);
        self.revision += 1;
        Ok(())
    }

    /// Removes every copy of these URIs.
    pub fn remove(&mut self, uris: &[String]) {
        self.entries.retain(|entry| !uris.iter().any(|uri| **uri == *entry.uri));
        self.revision += 1;
    }

    /// Puts these entries in place of all.
    pub fn replace(&mut self, entries: Vec<Entry>) {
        self.entries = entries;
        self.revision += 1;
    }

    /// Moves `length` entries from `start` to before the entry that is now at `before`.
    pub fn reorder(&mut self, start: usize, length: usize, before: usize) -> Result<(), Unwritable> {
        let end = start.checked_add(length).filter(|end| *end <= self.entries.len());
        let end =
            end.filter(|_| length > 0 && before <= self.entries.len()).ok_or(Unwritable::OutOfBounds)?;
        let moved: Vec<_> = self.entries.drain(start..end).collect();
        let at = if before >= end { before - length } else { before.min(start) };
        self.entries.splice(at..at, moved);
        self.revision += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(uris: &str) -> Playlist {
        let mut playlist = Playlist {
            id: "adaZ1".to_owned(),
            owner: "ada".into(),
            name: String::new(),
            description: String::new(),
            public: false,
            collaborative: false,
            revision: 0,
            cover: 0,
            entries: Vec::new(),
        };
        playlist.add(entries(uris), None).unwrap();
        playlist
    }

    fn entries(uris: &str) -> Vec<Entry> {
        let entry = |uri: char| Entry {
            uri: uri.to_string().into(),
            title: None,
            added_at: 0,
            added_by: "ada".into(),
        };
        uris.chars().map(entry).collect()
    }

    fn order(playlist: &Playlist) -> String {
        playlist.entries.iter().map(|entry| &*entry.uri).collect()
    }

    #[test]
    fn every_write_changes_the_snapshot() {
        let mut playlist = playlist("abc");
        let first = playlist.snapshot();
        playlist.add(entries("x"), Some(1)).unwrap();
        assert_eq!(order(&playlist), "axbc");
        assert_ne!(first, playlist.snapshot());
        assert_eq!(playlist.age_of(&first), Some(Age::Past));
        assert_eq!(playlist.age_of(&playlist.snapshot()), Some(Age::Present));
        assert_eq!(playlist.age_of("bm9uc2Vuc2U="), None);
        assert_eq!(playlist.add(entries("y"), Some(5)), Err(Unwritable::OutOfBounds));
    }

    #[test]
    fn removal_takes_all_copies() {
        let mut playlist = playlist("abab");
        playlist.remove(&["a".to_owned()]);
        assert_eq!(order(&playlist), "bb");
    }

    #[test]
    fn reordering_moves_a_range_both_ways() {
        for (start, length, before, after) in
            [(0, 2, 4, "cdab"), (2, 2, 0, "cdab"), (1, 1, 1, "abcd"), (1, 2, 2, "abcd"), (0, 1, 2, "bacd")]
        {
            let mut playlist = playlist("abcd");
            playlist.reorder(start, length, before).unwrap();
            assert_eq!(order(&playlist), after, "{start} {length} {before}");
        }
        assert_eq!(playlist("ab").reorder(1, 2, 0), Err(Unwritable::OutOfBounds));
    }
}
