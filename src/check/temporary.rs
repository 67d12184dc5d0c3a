//! A folder for what a check makes and tries: its owner's alone, gone with it, and swept up later where its run was killed.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Seen, Unseen};
use crate::ambient::Dice;
use crate::reading::io_cause;

/// What it is called before 128 random bits.
const PREFIX: &str = "spotify-mcp-probe-";
/// Whatever is tried in one is over after two minutes.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

/// The folder; removed on drop.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes one, and sweeps away what runs that were killed left behind.
    ///
    /// # Errors
    /// Where the folder for temporary files cannot be written to.
    pub fn fresh(dice: &Dice) -> Seen<Self> {
        let name: String = dice.name().iter().map(|byte| format!("{byte:02x}")).collect();
        let place = std::env::temp_dir();
        sweep(&place);
        let folder = place.join(format!("{PREFIX}{name}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => Ok(Self(folder)),
            Err(error) => Err(Unseen::because(format!(
                "no folder can be made in {}: {} (see TMPDIR)",
                place.display(),
                io_cause(&error)
            ))),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes what probes that were killed left there: this user's folders of their name, an hour old.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (Some(name), Ok(seen)) = (name.to_str(), entry.metadata()) else { continue };
        let old = seen.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > FORGOTTEN);
        let own = seen.is_dir() && seen.uid() == rustix::process::geteuid().as_raw();
        if own && old && name.strip_prefix(PREFIX).is_some_and(is_hex) {
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
