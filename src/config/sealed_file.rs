//! Sealed files on disk: read with their modes looked at, locked while they change, replaced whole or not at all.
//!
//! A new text is written beside the old one, synced, read back and proven before it takes the name; the previous
//! ciphertext stays as `FILE.bak`. Never: a plain value on disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::file::read_text;
use super::problem::Wrong;
use super::sealed::LARGEST;

/// Why a file cannot be read or replaced.
#[derive(Debug)]
pub enum Trouble {
    /// It cannot be read at all, or is no text.
    Unreadable(Wrong),
    /// Others than its owner may write it: its mode.
    Writable(u32),
    /// Somebody else is changing it.
    Locked,
    /// It is not what it was when it was read.
    Changed,
    /// The name is taken.
    Exists,
    /// What was written does not read back as it should; the file that was there stays.
    NotProven(String),
    /// The disk refuses.
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists,
            _ => Self::Io(error),
        }
    }
}

/// Reads a file of at most 1 MiB that nobody but its owner may write.
///
/// # Errors
/// [`Trouble::Unreadable`], [`Trouble::Writable`].
pub fn read(path: &Path) -> Result<String, Trouble> {
    let text = read_text(path, LARGEST).map_err(Trouble::Unreadable)?;
    match path.metadata()?.mode() & 0o7777 {
        mode if mode & 0o022 != 0 => Err(Trouble::Writable(mode)),
        _ => Ok(text),
    }
}

/// The right to change one file, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock `FILE.lock` without waiting. The kernel lets go of it when a process dies.
    ///
    /// # Errors
    /// [`Trouble::Locked`] where another process has it.
    pub fn take(of: &Path) -> Result<Self, Trouble> {
        let path = beside(of, ".lock");
        for _attempt in 0..10 {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Trouble::Locked),
                Err(TryLockError::Error(error)) => return Err(Trouble::Io(error)),
            }
            // Another holder may have removed the name between opening and locking.
            if path.metadata().is_ok_and(|there| file.metadata().is_ok_and(|own| own.ino() == there.ino())) {
                return Ok(Self { path, _file: file });
            }
        }
        Err(Trouble::Locked)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _stays = std::fs::remove_file(&self.path);
    }
}

/// Proves a text that was read back: says what is wrong with it.
pub type Proof<'a> = dyn Fn(&str) -> Result<(), String> + 'a;

/// Writes a new file with mode 0600, proven before it has the name, and never over another.
///
/// # Errors
/// [`Trouble::Exists`], [`Trouble::NotProven`], [`Trouble::Io`].
pub fn create(path: &Path, text: &str, proof: &Proof<'_>) -> Result<(), Trouble> {
    let temporary = Temporary::write(path, text, proof)?;
    // A link, unlike a rename, fails where the name is taken.
    std::fs::hard_link(&temporary.0, path)?;
    drop(temporary);
    sync_folder(path)
}

/// Puts `text` in the place of a file whose text is still `before`, with its mode and owner; the lock is the caller's.
///
/// # Errors
/// [`Trouble::Changed`], [`Trouble::NotProven`], [`Trouble::Io`]; in each case the file is as it was.
pub fn replace(_lock: &Lock, path: &Path, change: Change<'_>, proof: &Proof<'_>) -> Result<(), Trouble> {
    let temporary = Temporary::write(path, change.after, proof)?;
    let there = path.metadata()?;
    let new = File::open(&temporary.0)?;
    if (there.uid(), there.gid()) != (new.metadata()?.uid(), new.metadata()?.gid()) {
        std::os::unix::fs::fchown(&new, Some(there.uid()), Some(there.gid()))?;
    }
    new.set_permissions(std::fs::Permissions::from_mode(there.mode() & 0o755))?;
    new.sync_all()?;
    if read(path)? != change.before {
        return Err(Trouble::Changed);
    }
    if change.keep {
        keep_previous(path)?;
    }
    std::fs::rename(&temporary.0, path)?;
    sync_folder(path)
}

/// What a file's text was, and is to be.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// As it was read.
    pub before: &'a str,
    /// As it is to be.
    pub after: &'a str,
    /// Whether the previous text stays as `FILE.bak`.
    pub keep: bool,
}

/// Where the previous ciphertext stays.
pub fn backup_path(path: &Path) -> PathBuf {
    beside(path, ".bak")
}

fn keep_previous(path: &Path) -> Result<(), Trouble> {
    let link = beside(path, &format!(".{}.bak", std::process::id()));
    let _left_by_a_kill = std::fs::remove_file(&link);
    std::fs::hard_link(path, &link)?;
    std::fs::rename(&link, backup_path(path))?;
    // Where both names are one file already, rename leaves the first.
    let _gone = std::fs::remove_file(&link);
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> Result<(), Trouble> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(folder)?.sync_all()?)
}

/// A text under a name of its own, removed again when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn write(path: &Path, text: &str, proof: &Proof<'_>) -> Result<Self, Trouble> {
        let name = beside(path, &format!(".{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?;
        let temporary = Self(name);
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let back = read_text(&temporary.0, LARGEST).map_err(|wrong| Trouble::NotProven(wrong.why))?;
        if back != text {
            return Err(Trouble::NotProven("other bytes came back than were written".to_owned()));
        }
        proof(&back).map_err(Trouble::NotProven)?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let name: u64 = u64::from_be_bytes(crate::ambient::Dice::system().bytes());
        let path = std::env::temp_dir().join(format!("spotify-mcp-sealed-file-{name:x}"));
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_previous_text_and_leaves_nothing_else() {
        let folder = folder();
        let path = folder.join("c.json");
        create(&path, "one", &|_| Ok(())).unwrap();
        assert!(matches!(create(&path, "two", &|_| Ok(())), Err(Trouble::Exists)));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let change = |before, after| Change { before, after, keep: true };
        let lock = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(Trouble::Locked)));
        let wrong = replace(&lock, &path, change("one", "two"), &|_| Err("no".into()));
        assert!(matches!(wrong, Err(Trouble::NotProven(_))));
        assert!(matches!(replace(&lock, &path, change("zero", "two"), &|_| Ok(())), Err(Trouble::Changed)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        replace(&lock, &path, change("one", "two"), &|_| Ok(())).unwrap();
        replace(&lock, &path, change("two", "three"), &|_| Ok(())).unwrap();
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(std::fs::read_to_string(backup_path(&path)).unwrap(), "two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(names(&folder), ["c.json", "c.json.bak"]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(read(&path), Err(Trouble::Writable(0o620))));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
