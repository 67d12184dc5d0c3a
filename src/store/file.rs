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
        let found = fs::metadata(path).during("looking at the database file")?;
        Ok(Self(Some(Arc::new(Opened { path: path.to_owned(), device: found.dev(), inode: found.ino() }))))
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
