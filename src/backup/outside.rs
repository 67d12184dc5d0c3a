//! What is known outside of every database about who was deleted, and whether a restore may believe it.

use std::path::Path;

use super::sealed_things::own_keys_for;
use super::tombstones::{Trust, marks, read};
use crate::crypto::keys::{RootKey, SealingKey};
use crate::domain::KeyPurpose;
use crate::failure::Failure;
use crate::store::{PurposeKeyRow, Store, Survivors, Tombstone};

/// Why the deletions outside cannot be believed, or are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// There is no file, and the present database cannot be asked.
    Missing,
    /// The file is from a version that did not authenticate it.
    Plain,
    /// The key that it names is in no database at hand.
    KeyUnknown(String),
    /// It is not what was written: what differs first.
    Damaged(String),
    /// The backup knows deletions that the file does not: its end is gone, or an older file was put in its place.
    CutOff(usize),
}

impl Doubt {
    /// In words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Missing => {
                "there is no tombstones.ndjson, and no database that knows who was deleted since the backup".to_owned()
            }
            Self::Plain => {
                "tombstones.ndjson is from a version that did not authenticate it, and names deletions that no other \
                 source confirms"
                    .to_owned()
            }
            Self::KeyUnknown(id) => {
                format!("tombstones.ndjson cannot be checked: its key {id} is in no database at hand")
            }
            Self::Damaged(what) => format!("tombstones.ndjson is not as it was written: {what}"),
            Self::CutOff(count) => format!(
                "tombstones.ndjson lacks {count} deletions that the backup knows: it was cut off, or replaced by an older one"
            ),
        }
    }
}

/// The deletions outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// What the file says, as far as it can be read.
    pub stones: Vec<Tombstone>,
    /// Why that cannot be believed.
    pub doubt: Option<Doubt>,
}

/// What a database knows that helps to judge the file.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The server's own keys.
    pub(super) keys: Vec<PurposeKeyRow>,
    /// Its deletions.
    pub(super) stones: Vec<Tombstone>,
}

impl Known {
    pub(super) async fn of(store: &Store) -> Result<Self, Failure> {
        Ok(Self { keys: store.purpose_keys().await?, stones: store.tombstones().await? })
    }
}

/// Reads the file of a data directory beside a backup and, where it can be read, the database that is replaced.
///
/// # Errors
/// Where the disk refuses.
pub(super) fn look(
    data_dir: &Path,
    roots: &[RootKey],
    (backup, present): (&Known, Option<&Survivors>),
) -> Result<Outside, Failure> {
    let purpose = KeyPurpose::Tombstones.name();
    let of_backup = own_keys_for(purpose, &backup.keys, roots);
    let mut keys = of_backup.clone();
    keys.extend(present.iter().flat_map(|present| own_keys_for(purpose, present.own_keys(), roots)));
    let found = read(data_dir, &keys)?;
    let confirmed = present.map(|present| marks(present.tombstones()));
    let adds = found
        .stones
        .iter()
        .any(|stone| confirmed.as_ref().is_none_or(|confirmed| !confirmed.contains(stone.mark.as_str())));
    let doubt = match found.trust {
        Trust::Absent => present.is_none().then_some(Doubt::Missing),
        Trust::Damaged(what) => Some(Doubt::Damaged(what)),
        // Where it says nothing new, nothing depends on it.
        Trust::Plain => adds.then_some(Doubt::Plain),
        Trust::KeyUnknown(id) => adds.then_some(Doubt::KeyUnknown(id)),
        Trust::Authentic(_) => {
            let is_of_the_backup = |key: &SealingKey| found.key == Some(key.id().to_string());
            let there = marks(&found.stones);
            let lacks = backup.stones.iter().filter(|stone| !there.contains(stone.mark.as_str())).count();
            // Where the present database can be asked, it knows them all.
            let is_short = lacks > 0
                && present.is_none()
                && (found.key.is_none() || of_backup.iter().any(is_of_the_backup));
            is_short.then_some(Doubt::CutOff(lacks))
        }
    };
    Ok(Outside { stones: found.stones, doubt })
}
