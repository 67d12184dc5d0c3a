//! Where the new master key comes from: a file that was named, or the one beside the key that lies with the data.

use std::path::{Path, PathBuf};

use crate::ambient::Dice;
use crate::cli::administer::Desk;
use crate::cli::output::{Refused, io_cause};
use crate::cli::serve_start;
use crate::config::master_key::{KeyPlace, generate, key_file, write_new};
use crate::crypto::keys::RootKey;
use crate::failure::Failure;

/// A place for the new key.
#[derive(Clone, Debug)]
pub(super) enum NewPlace {
    /// The operator named it, and gives it to servers.
    Named(PathBuf),
    /// `master.key.next`, to take the name of `master.key` at the end.
    Beside {
        /// `<data_dir>/master.key`.
        key: PathBuf,
        /// `<data_dir>/master.key.next`.
        next: PathBuf,
    },
}

impl NewPlace {
    /// By the flag, else by where the present key lies; `None` where only the flag could say.
    pub(super) fn of(flag: Option<&Path>, present: &KeyPlace) -> Option<Self> {
        match (flag, present) {
            (Some(path), _) => Some(Self::Named(path.to_owned())),
            (None, KeyPlace::BesideData(key) | KeyPlace::Made(key)) => {
                Some(Self::Beside { key: key.clone(), next: key.with_extension("key.next") })
            }
            (None, _) => None,
        }
    }

    /// The file of the new key.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Beside { next, .. } => next,
        }
    }

    /// The key that lies there already.
    pub(super) fn existing(&self) -> Result<Option<RootKey>, Refused> {
        match self.path().symlink_metadata() {
            Ok(_) => {
                key_file(self.path(), true).map(RootKey::new).map(Some).map_err(serve_start::key_refused)
            }
            Err(_) => Ok(None),
        }
    }

    /// The key that lies there, made and synced where there is none.
    pub(super) fn existing_or_made(&self, dice: &Dice) -> Result<RootKey, Refused> {
        if self.path().symlink_metadata().is_err() {
            write_new(self.path(), &generate(dice)).map_err(|error| unwritable(self.path(), error))?;
        }
        match self.existing()? {
            Some(root) => Ok(root),
            None => Err(unwritable(self.path(), std::io::ErrorKind::NotFound.into())),
        }
    }

    /// Gives the new key the name by which servers find it. The one before stays under its id: backups need it.
    pub(super) fn take_the_name(&self, desk: &Desk, old: &str) -> Result<Option<PathBuf>, Refused> {
        let Self::Beside { key, next } = self else { return Ok(None) };
        if next.symlink_metadata().is_err() {
            return Ok(None);
        }
        let kept = key.with_extension(format!("key.retired-{old}"));
        let renamed = match std::fs::hard_link(key, &kept) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            _ => std::fs::rename(next, key),
        };
        let synced = renamed.and_then(|()| std::fs::File::open(&desk.config.storage.data_dir)?.sync_all());
        synced.map_err(|error| unwritable(key, error))?;
        Ok(Some(kept))
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Refused {
    let text = format!("{} cannot be written: {}", path.display(), io_cause(&error));
    let next = "name a file in a folder that exists and that this user may write, and run it again";
    Refused::incomplete("FILE_UNWRITABLE", text, next).caused_by(&Failure::from(error))
}
