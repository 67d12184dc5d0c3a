//! Who has the data directory: servers and commands share it, a restore wants it alone. The kernel lets go of the lock
//! when a process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::failure::{During as _, Failure};

/// A hold on a data directory, given up when dropped.
#[derive(Debug)]
pub struct DataDirLock(File);

/// Why the data directory cannot be had.
#[derive(Debug)]
pub enum Held {
    /// Servers or commands use it, or a restore has it.
    InUse,
    /// The file system refuses.
    Failed(Failure),
}

impl DataDirLock {
    /// Uses the directory beside others.
    ///
    /// # Errors
    /// [`Held::InUse`] while a backup is restored there.
    pub fn share(data_dir: &Path) -> Result<Self, Held> {
        let file = open(data_dir)?;
        file.try_lock_shared().map_err(held)?;
        Ok(Self(file))
    }

    /// Has the directory alone.
    ///
    /// # Errors
    /// [`Held::InUse`] while a server or a command uses it.
    pub fn alone(data_dir: &Path) -> Result<Self, Held> {
        let file = open(data_dir)?;
        file.try_lock().map_err(held)?;
        Ok(Self(file))
    }
}

impl Drop for DataDirLock {
    fn drop(&mut self) {
        // Closing is not enough while a child process that is just being started still holds a copy. Where even this
        // fails, the end of the process gives it up.
        let _ended = self.0.unlock();
    }
}

fn open(data_dir: &Path) -> Result<File, Held> {
    let path = data_dir.join("data.lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).during("opening data.lock in the data directory").map_err(Held::Failed)
}

fn held(error: TryLockError) -> Held {
    match error {
        TryLockError::WouldBlock => Held::InUse,
        TryLockError::Error(error) => Held::Failed(Failure::caused("locking the data directory", error)),
    }
}
