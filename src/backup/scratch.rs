//! A private folder for plain copies while they are looked at: emptied before, emptied after, one user at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::{During as _, Failure};

/// The folder, removed with everything in it when dropped. What a killed process left goes at the next use.
pub struct Scratch {
    folder: PathBuf,
    lock: File,
}

impl Scratch {
    /// Makes the folder in a data directory.
    ///
    /// # Errors
    /// Where another command works on a backup there, or the disk refuses.
    pub fn take(data_dir: &Path) -> Result<Self, Failure> {
        let folder = data_dir.join("backup-scratch");
        let lock = data_dir.join("backup-scratch.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock);
        let lock = lock.during("making a private folder in the data directory")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new("another command works on a backup of this data directory"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Failure::caused("making a private folder in the data directory", error));
            }
        }
        if folder.symlink_metadata().is_ok() {
            fs::remove_dir_all(&folder).during("emptying the private folder backup-scratch")?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .during("making a private folder in the data directory")?;
        Ok(Self { folder, lock })
    }

    /// A name in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _next_time = fs::remove_dir_all(&self.folder);
        let _ended = self.lock.unlock();
    }
}
