//! The files of the trail: `audit-<n>.ndjson`, mode 0600, only ever appended to, one writer at a time.
//!
//! A line counts from its newline on. What stands after the last newline was torn by a crash before anybody was
//! told that it is durable, so it is cut off at the next start.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

use super::checkpoints::Checkpoints;
use super::resume::{self, Tail};

/// Size in bytes at which the trail goes on in a new segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// How much of the trail's end is read at a start, to recognise outbox rows that come again.
const TAIL_BYTES: u64 = 8 << 20;

/// Why the trail cannot be opened. Each names what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// One chain has one writer.
    #[error("another process writes the audit trail in {0}: stop it, or give this one its own audit.dir")]
    InUse(PathBuf),
    /// The last complete record is not one of ours: somebody edited it, or the disk damaged it.
    #[error("the last record of {0} cannot be read: move the file away for inspection, then start again")]
    Damaged(PathBuf),
    /// Records that were signed are not there, or not as they were signed.
    #[error(
        "the audit trail in {0} is not what was signed: records were taken away or changed. 'audit verify' says where; \
         keep the folder as evidence, move it away, and start again with a new trail"
    )]
    Changed(PathBuf),
    /// The file system refused.
    #[error("cannot {doing} {path}: {source}; check the folder's owner, mode and free space (audit.dir)")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse(_) => "AUDIT_IN_USE",
            Self::Damaged(_) => "AUDIT_DAMAGED",
            Self::Changed(_) => "AUDIT_CHANGED",
            Self::Disk { .. } => "AUDIT_DISK",
        }
    }
}

/// The open segment at the trail's end.
pub(super) struct Trail {
    dir: PathBuf,
    number: u32,
    file: File,
    len: u64,
    /// Whether the segment has had its last line.
    closed: bool,
    /// Whether bytes may stand after `len` that must go before anything is appended.
    overhang: bool,
    _lock: Lock,
}

/// The exclusive lock of a trail. Given up by name: closing the file is not enough while a child process that is just
/// being started still holds a copy of it.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where even this fails, the end of the process gives it up.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Trail {
    /// Locks the trail, repairs its end and reads it.
    pub(super) fn open(dir: &Path) -> Result<(Self, Checkpoints, Tail), OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(disk("make", dir))?;
        let lock = lock(dir)?;
        let numbers = segments(dir).map_err(disk("list", dir))?;
        let number = numbers.last().copied().unwrap_or(1);
        let path = segment_path(dir, number);
        let mut file = open_segment(&path).map_err(disk("open", &path))?;
        let (torn, len) = repair(&mut file).map_err(disk("repair", &path))?;
        let (checkpoints, signed) = Checkpoints::open(dir)?;
        sync_folder(dir).map_err(disk("sync", dir))?;

        let mut tail = resume::read(dir, &numbers, signed)?;
        let mut left = TAIL_BYTES;
        for number in numbers.iter().rev() {
            let path = segment_path(dir, *number);
            let (lines, bytes) = lines_at_end(&path, left).map_err(disk("read", &path))?;
            left = left.saturating_sub(bytes);
            tail.recent.extend(resume::ids(lines).map_err(disk("read", &path))?);
            if left == 0 {
                break;
            }
        }
        tail.recent.reverse();
        tail.torn = torn;
        let trail = Self {
            dir: dir.to_owned(),
            number,
            file,
            len,
            closed: tail.is_closed,
            overhang: false,
            _lock: lock,
        };
        Ok((trail, checkpoints, tail))
    }

    /// Length of the current segment, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Number of the current segment.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether the current segment takes no more lines.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// What was appended last ends the current segment.
    pub(super) fn set_closed(&mut self) {
        self.closed = true;
    }

    /// Appends whole lines. After an error, what was written of them is taken back.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.trim()?;
        if let Err(error) = self.file.write_all(lines) {
            self.rewind(self.len);
            return Err(error);
        }
        self.len += lines.len() as u64;
        Ok(())
    }

    /// Forces what was appended to the disk, and looks whether it is where readers find it: what goes into a file that
    /// was moved away or deleted is not on record.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        in_place(&self.file, &segment_path(&self.dir, self.number))
    }

    /// Takes back what stands after `len`: at once if the disk lets us, else before the next append.
    pub(super) fn rewind(&mut self, len: u64) {
        self.len = len;
        self.overhang = true;
        if let Err(error) = self.trim() {
            tracing::error!(%error, "cannot shorten the audit segment yet");
        }
    }

    /// Goes on in a new, empty segment.
    pub(super) fn begin_next(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        let file = open_segment(&segment_path(&self.dir, number))?;
        if file.metadata()?.len() != 0 {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the next segment is not empty"));
        }
        sync_folder(&self.dir)?;
        (self.number, self.file, self.len) = (number, file, 0);
        (self.closed, self.overhang) = (false, false);
        Ok(())
    }

    fn trim(&mut self) -> io::Result<()> {
        if self.overhang {
            self.file.set_len(self.len)?;
            self.overhang = false;
        }
        Ok(())
    }
}

/// Whether an open file is still the one of this name.
pub(super) fn in_place(file: &File, path: &Path) -> io::Result<()> {
    let (open, named) = (file.metadata()?, path.symlink_metadata());
    let is_same = |named: &Metadata| (named.dev(), named.ino()) == (open.dev(), open.ino());
    if named.as_ref().is_ok_and(is_same) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the open file of the trail is not in its folder any more"))
}

fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join("audit.lock");
    let file = private().create(true).write(true).open(&path).map_err(disk("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(dir.to_owned())),
        Err(error) => Err(disk("lock", &path)(error.into())),
    }
}

/// Whether a process has the trail in this folder open.
pub fn is_in_use(dir: &Path) -> bool {
    let Ok(file) = private().write(true).open(dir.join("audit.lock")) else { return false };
    let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    taken.map(|()| Lock(file)).is_err()
}

/// The numbers of the segments, ascending.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in dir.read_dir()? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".ndjson"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("audit-{number}.ndjson"))
}

fn open_segment(path: &Path) -> io::Result<File> {
    let file = private().create(true).read(true).append(true).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The name that this trail's writer goes by, start after start; minted at the first. The trail must be locked:
/// whoever finds the name in use elsewhere then knows that it was a predecessor's.
pub(super) fn writer_name(dir: &Path, fresh: [u8; 16]) -> Result<String, OpenError> {
    let path = dir.join("node");
    match std::fs::read_to_string(&path) {
        Ok(name) if name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) => return Ok(name),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk("read", &path)(error)),
        // Empty or torn: the first start was cut short, and nothing goes by that name.
        _ => {}
    }
    let name: String = fresh.iter().map(|byte| format!("{byte:02x}")).collect();
    let write = || {
        let mut file = private().create(true).truncate(true).write(true).open(&path)?;
        file.write_all(name.as_bytes())?;
        file.sync_all()
    };
    write().map_err(disk("write", &path))?;
    Ok(name)
}

/// Nobody else reads the trail, and a symbolic link in its place is refused.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Cuts off what stands after the last newline. Gives what was cut and the length that remains.
pub(super) fn repair(file: &mut File) -> io::Result<(u64, u64)> {
    let before = file.metadata()?.len();
    let mut end = before;
    let mut block = [0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or_default()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < before {
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok((before - end, end))
}

/// The last whole lines of a segment, at most `limit` bytes of them.
pub(super) fn end_of(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = private().read(true).open(path)?;
    let len = file.metadata()?.len();
    let start = len.saturating_sub(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(len - start).unwrap_or_default());
    file.seek(SeekFrom::Start(start))?;
    file.take(limit).read_to_end(&mut bytes)?;
    if start > 0 {
        let partial = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..partial);
    }
    Ok(bytes)
}

/// The same to be read piece by piece, and how many bytes: what a start reads whole, the allocator would keep for as
/// long as the server is idle.
fn lines_at_end(path: &Path, limit: u64) -> io::Result<(impl BufRead, u64)> {
    let mut file = private().read(true).open(path)?;
    let len = file.metadata()?.len();
    let start = len.saturating_sub(limit);
    file.seek(SeekFrom::Start(start))?;
    let mut lines = BufReader::with_capacity(64 << 10, file.take(limit));
    if start > 0 {
        lines.skip_until(b'\n')?;
    }
    Ok((lines, len - start))
}

/// Makes a new file's name durable.
pub(super) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Disk { doing, path, source }
}
