//! The signed checkpoints of a trail: `checkpoints.ndjson` beside its segments, mode 0600, only ever appended to.
//!
//! A line counts from its newline on. What is of segments that are gone goes too, by a shorter file in its place. Never: a
//! checkpoint of what is not yet durable.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::note::{Checkpoint, Note};
use super::segment::{OpenError, disk, end_of, in_place, private, repair, sync_folder};

/// The file's name.
pub const CHECKPOINTS: &str = "checkpoints.ndjson";
/// What is to stand in its place, until it does.
const NEXT: &str = "checkpoints.ndjson.next";
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

/// The file without its first lines, to stand in its place.
#[derive(Debug)]
pub(super) struct Shortened {
    path: PathBuf,
    /// So far, in bytes, the file as it is was copied.
    copied: u64,
}

/// Writes the checkpoints of at least `size` records beside the file; nothing where there are no others. Sizes only rise:
/// what goes stands before what stays. The writer may append meanwhile, and [`Checkpoints::replace`] takes that over.
pub(super) fn shortened(dir: &Path, size: u64) -> io::Result<Option<Shortened>> {
    let mut file = BufReader::new(private().read(true).open(dir.join(CHECKPOINTS))?);
    let (mut from, mut line) = (0, Vec::new());
    loop {
        line.clear();
        file.read_until(b'\n', &mut line)?;
        let signed = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<Signed>(line).ok());
        match signed {
            Some(signed) if signed.size < size => from += line.len() as u64,
            // The end, or what should not stand there: nothing goes on such a word.
            None => return Ok(None),
            Some(_) => break,
        }
    }
    if from == 0 {
        return Ok(None);
    }
    let path = dir.join(NEXT);
    let mut next = private().create(true).truncate(true).write(true).open(&path)?;
    let mut file = file.into_inner();
    let whole = whole_lines(&mut file)?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut file.take(whole.saturating_sub(from)), &mut next)?;
    next.sync_all()?;
    Ok(Some(Shortened { path, copied: whole }))
}

/// Up to its last newline, in bytes.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut end = vec![0; usize::try_from(len.min(LONGEST)).unwrap_or_default()];
    file.seek(SeekFrom::Start(len - end.len() as u64))?;
    file.read_exact(&mut end)?;
    let torn = end.iter().rev().position(|byte| *byte == b'\n').unwrap_or(end.len());
    Ok(len - torn as u64)
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
        let written = written.and_then(|()| in_place(&self.file, &self.path));
        match written {
            Ok(()) => self.len += line.len() as u64,
            Err(_) => {
                self.overhang = self.file.set_len(self.len).is_err();
            }
        }
        written
    }

    /// Puts the shorter file in the place of this one, with what was appended since it was copied.
    pub(super) fn replace(&mut self, shortened: &Shortened) -> io::Result<()> {
        let since = self.len.checked_sub(shortened.copied);
        let since =
            since.ok_or_else(|| io::Error::other("the file of checkpoints is not what was copied"))?;
        let mut file = private().read(true).append(true).open(&shortened.path)?;
        let mut old = private().read(true).open(&self.path)?;
        in_place(&self.file, &self.path)?;
        old.seek(SeekFrom::Start(shortened.copied))?;
        if io::copy(&mut old.take(since), &mut file)? != since {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.sync_all()?;
        std::fs::rename(&shortened.path, &self.path)?;
        (self.len, self.file, self.overhang) = (file.metadata()?.len(), file, false);
        sync_folder(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
