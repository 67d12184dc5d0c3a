//! The SQLite file itself: created private, and watched for its removal under a running server.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::failure::{During as _, Failure};

/// The file that was opened. SQLite goes on with a file that was deleted or replaced, and everything it then
/// acknowledges is lost at the end of the process: so every change asks whether it is still the same.
#[derive(Clone)]
pub(super) struct DatabaseFile(Option<Arc<Opened>>);

struct Opened {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// As [`journal`] says, where somebody asked.
    journal: Option<&'static str>,
}

impl DatabaseFile {
    /// Creates the file readable by its owner only where it does not exist (SQLite would make it readable by all,
    /// and gives its `-wal` and `-shm` the same mode), and remembers which file it is.
    pub(super) fn create_private(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str().is_empty() || path.to_string_lossy().contains(":memory:") {
            return Ok(Self(None));
        }
        // Only where it is new: closing any handle of a file drops the locks that this process holds on it.
        match fs::OpenOptions::new().create_new(true).append(true).mode(0o600).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => created.map(drop).during("creating the database file")?,
        }
        Self::there(path)
    }

    /// The file that is there; none is made.
    pub(super) fn there(path: &Path) -> Result<Self, Failure> {
        Self::with(path, None)
    }

    /// The same, with what [`journal`] said of it.
    pub(super) fn with(path: &Path, journal: Option<&'static str>) -> Result<Self, Failure> {
        let found = fs::metadata(path).during("looking at the database file")?;
        let (device, inode) = (found.dev(), found.ino());
        Ok(Self(Some(Arc::new(Opened { path: path.to_owned(), device, inode, journal }))))
    }

    /// What [`journal`] said of it, where it was asked.
    pub(super) fn journal(&self) -> &'static str {
        self.0.as_ref().and_then(|opened| opened.journal).unwrap_or("unknown")
    }

    /// Fails where the path no longer leads to the file that was opened.
    pub(super) fn still_there(&self) -> Result<(), Failure> {
        let Some(opened) = &self.0 else { return Ok(()) };
        let found = fs::metadata(&opened.path).during("the database file is gone")?;
        if (found.dev(), found.ino()) == (opened.device, opened.inode) {
            Ok(())
        } else {
            Err(Failure::new("the database file was replaced while the server runs"))
        }
    }
}

/// How a database file says that it is written: `wal`, or `delete`; `empty`: it has no header. Its header (file format, section 1.3.3) is asked and
/// not SQLite, which says `delete` of a file that it reads as unchanging. Before the file is opened by SQLite: closing any
/// handle of it drops the locks that this process holds on it.
pub(super) fn journal(path: &Path) -> Result<&'static str, Failure> {
    use std::io::Read as _;
    let mut header = [0; 20];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok("empty"),
        read => {
            read.during("reading the header of the database file")?;
            Ok(if header[18..] == [2, 2] { "wal" } else { "delete" })
        }
    }
}
