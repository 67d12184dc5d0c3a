//! A folder for what a check makes and tries: its owner's alone, gone with it, and swept up later where its run was killed.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Seen, Unseen};
use crate::ambient::Dice;
use crate::reading::io_cause;

/// What it is called before 128 random bits.
const PREFIX: &str = "spotify-mcp-probe-";
/// Whatever is tried in one is over after two minutes: where a file system has no locks, this old means forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

/// The folder, locked while the run lives; removed on drop.
pub struct Folder(pub PathBuf, File);

impl Folder {
    /// Makes one, and sweeps away what runs that were killed left behind.
    ///
    /// # Errors
    /// Where the folder for temporary files cannot be written to.
    pub fn fresh(dice: &Dice) -> Seen<Self> {
        let place = std::env::temp_dir();
        sweep(&place);
        let mut made = Self::make(&place, dice);
        // Another run may sweep it away before it is locked.
        for _ in 0..2 {
            if made.is_ok() {
                break;
            }
            made = Self::make(&place, dice);
        }
        made.map_err(|error| {
            let why = io_cause(&error);
            Unseen::because(format!("no folder can be made in {}: {why} (see TMPDIR)", place.display()))
        })
    }

    fn make(place: &Path, dice: &Dice) -> std::io::Result<Self> {
        let name: String = dice.name().iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = place.join(format!("{PREFIX}{name}"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let lock = File::open(&folder)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Errno::WOULDBLOCK.into()),
            _ => folder.symlink_metadata().map(|_| Self(folder, lock)),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
        let _unlocked = flock(&self.1, FlockOperation::Unlock);
    }
}

/// Removes what probes that were killed left there: this user's folders of their name that no run holds.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (Some(name), Ok(seen)) = (name.to_str(), entry.metadata()) else { continue };
        let own = seen.is_dir() && seen.uid() == rustix::process::geteuid().as_raw();
        if !own || !name.strip_prefix(PREFIX).is_some_and(is_hex) {
            continue;
        }
        let old = || seen.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FORGOTTEN);
        let Ok(lock) = File::open(entry.path()) else { continue };
        let is_left = match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => true,
            Err(Errno::WOULDBLOCK) => false,
            Err(_) => old(),
        };
        if is_left {
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
