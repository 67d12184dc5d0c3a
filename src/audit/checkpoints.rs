//! The signed checkpoints of a trail: `checkpoints.ndjson` beside its segments, mode 0600, only ever appended to.
//!
//! A line counts from its newline on. Never: a checkpoint of what is not yet durable.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::note::{Checkpoint, Note};
use super::segment::{OpenError, disk, end_of, private, repair};

/// The file's name.
pub const CHECKPOINTS: &str = "checkpoints.ndjson";
/// A line is shorter than this, in bytes.
const LONGEST: u64 = 16 << 10;

/// A signed checkpoint: so many records with this root there were, and whoever holds the key says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// When it was signed, in RFC 3339.
    pub at: String,
    /// The chain's key epoch.
    pub epoch: u32,
    /// The signed note (c2sp.org/signed-note) of a checkpoint (c2sp.org/tlog-checkpoint).
    pub note: String,
    /// How many records.
    pub size: u64,
}

impl Signed {
    /// The line in the file, without its newline.
    pub fn line(&self) -> String {
        // Texts and numbers cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the note says, whoever signed it.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        let checkpoint = Checkpoint::parse(Note::parse(&self.note).ok()?.text())?;
        (checkpoint.size == self.size).then_some(checkpoint)
    }
}

/// The newest checkpoint of a chain, with what it takes to keep it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The checkpoint.
    pub signed: Signed,
    /// The chain.
    pub chain_uid: String,
    /// The key that signed it, in its text form.
    pub key: String,
}

/// The open file.
pub(super) struct Checkpoints {
    path: PathBuf,
    file: File,
    len: u64,
    overhang: bool,
}

impl Checkpoints {
    /// Opens the file of a trail that is locked, cuts off a torn line, and reads the last one.
    pub(super) fn open(dir: &Path) -> Result<(Self, Option<Signed>), OpenError> {
        let path = dir.join(CHECKPOINTS);
        let mut file =
            private().create(true).read(true).append(true).open(&path).map_err(disk("open", &path))?;
        let (_, len) = repair(&mut file).map_err(disk("repair", &path))?;
        let lines = end_of(&path, LONGEST).map_err(disk("read", &path))?;
        let last = lines.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        let last = last.map(|line| {
            let signed: Option<Signed> = serde_json::from_slice(line).ok();
            signed.filter(|signed| signed.checkpoint().is_some())
        });
        if last == Some(None) {
            return Err(OpenError::Damaged(path));
        }
        Ok((Self { path, file, len, overhang: false }, last.flatten()))
    }

    /// Appends one and forces it to the disk. After an error, what was written of it is taken back.
    pub(super) fn append(&mut self, signed: &Signed) -> io::Result<()> {
        if self.overhang {
            self.file.set_len(self.len)?;
            self.overhang = false;
        }
        let line = signed.line() + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.len += line.len() as u64,
            Err(_) => {
                self.overhang = self.file.set_len(self.len).is_err();
            }
        }
        written
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
