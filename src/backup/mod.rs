//! Sealed copies of the database: made while a server runs, verified as a whole, restored so that a kill at any
//! instant leaves the old database or the new one.
//!
//! The format is described in docs/backups.md. Memory is bounded by one chunk, whatever the size. Never: a plain copy
//! outside a private folder, the network, deciding what a restored database may still do (that is the store's).

mod container;
mod header;
mod lock;
mod make;
mod mirror;
mod outside;
mod restore;
mod scratch;
mod sealed_things;
mod tombstones;
mod verify;

use std::fmt;
use std::path::PathBuf;

use crate::failure::Failure;

pub use container::{Opened, Unopened};
pub use header::{Configuration, Dump, FORMAT, Header, Part};
pub use lock::{DataDirLock, Held};
pub use make::{Material, Source, make};
pub use mirror::{Mirror, SetAside};
pub use outside::{Doubt, Outside};
pub use restore::{Loaded, Prepared, Restoring, Staged, kept_name, put_in_place, stage};
pub use scratch::Scratch;
pub use sealed_things::{SealedThings, Tally, open_all, open_most};
pub use verify::{Copied, Verified, verify};

/// Why a backup cannot be used. None of these says anything about its content.
#[derive(Debug)]
pub enum Damage {
    /// It cannot be read, or what is needed beside it cannot be written.
    Io(Failure),
    /// It is no backup of ours.
    Format,
    /// It was written by a newer version: its format, or the schema of the database in it.
    Newer(String),
    /// It needs another key.
    WrongKey {
        /// The id of the master key that opens it.
        needed: String,
        /// The id of the key that was given.
        given: String,
    },
    /// The file is shorter than what was sealed: bytes expected and found.
    CutOff(u64, u64),
    /// It is not what was sealed: what differs.
    Changed(&'static str),
    /// It opens, and the database in it, or the dump beside it, is not whole.
    Broken(String),
    /// The dump that it vouches for is not there.
    DumpMissing(PathBuf),
}

impl Damage {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "BACKUP_IO",
            Self::Format => "BACKUP_FORMAT",
            Self::Newer(_) => "BACKUP_NEWER",
            Self::WrongKey { .. } => "BACKUP_WRONG_KEY",
            Self::CutOff(..) => "BACKUP_CUT_OFF",
            Self::Changed(_) => "BACKUP_CHANGED",
            Self::Broken(_) => "BACKUP_BROKEN",
            Self::DumpMissing(_) => "BACKUP_DUMP_MISSING",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(failure) => write!(out, "{failure}"),
            Self::Format => write!(out, "it is no backup of this program"),
            Self::Newer(what) => write!(out, "it is newer than this program: {what}"),
            Self::WrongKey { needed, given } => {
                write!(out, "it opens with master key {needed}, and the key given is {given}")
            }
            Self::CutOff(expected, found) => write!(out, "it is cut off: {found} of {expected} bytes"),
            Self::Changed(what) => write!(out, "it was changed after it was made: {what}"),
            Self::Broken(what) => write!(out, "it opens, and what is in it is not whole: {what}"),
            Self::DumpMissing(path) => write!(out, "the dump {} is not there", path.display()),
        }
    }
}

impl From<Failure> for Damage {
    fn from(failure: Failure) -> Self {
        Self::Io(failure)
    }
}
