//! A folder of this user's alone in memory, for what must not touch a disk: tmpfs that cannot be swapped out. It goes
//! with the process, and what a killed one left goes with the next.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, statfs};
use zeroize::Zeroizing;

use crate::ambient::Dice;
use crate::cli::output::io_cause;
use crate::config::sealed::LARGEST;

const TMPFS: i128 = 0x0102_1994;
const RAMFS: i128 = 0x8584_58f6;
const NAME: &str = "spotify-mcp-edit-";

/// A private folder; removed with everything in it when dropped.
pub struct Room {
    path: PathBuf,
    /// Locked as long as its process lives.
    _folder: File,
}

/// Why there is none.
#[derive(Debug)]
pub enum NoRoom {
    /// No file system here is in memory only; the words say what was found.
    NotInMemory(String),
    /// It cannot be made.
    Io(io::Error),
}

impl Room {
    /// Makes one in memory, or, where that was allowed, on a disk.
    pub fn make(disk_allowed: bool, dice: &Dice) -> Result<Self, NoRoom> {
        let (parent, why) = match places().into_iter().map(|place| judge(&place)).reduce(Result::or) {
            Some(Ok(place)) => (Some(place), String::new()),
            Some(Err(why)) => (None, why),
            None => (None, "there is neither /dev/shm nor XDG_RUNTIME_DIR".to_owned()),
        };
        let parent = match parent {
            Some(parent) => parent,
            None if disk_allowed => std::env::temp_dir(),
            None => return Err(NoRoom::NotInMemory(why)),
        };
        sweep(&parent);
        for _attempt in 0..10 {
            let name: String = dice.bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
            let path = parent.join(format!("{NAME}{name}"));
            DirBuilder::new().mode(0o700).create(&path).map_err(NoRoom::Io)?;
            let folder = File::open(&path).and_then(|folder| folder.lock().map(|()| folder));
            // Until it was locked, another command may have taken it for one that was left behind.
            match folder {
                Ok(folder) if is_at(&folder, &path) => return Ok(Self { path, _folder: folder }),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(NoRoom::Io(error)),
            }
        }
        Err(NoRoom::Io(io::ErrorKind::ResourceBusy.into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a text there, for its owner alone.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&path)?.write_all(text.as_bytes())?;
        Ok(path)
    }
}

/// What stands in a file there now: at most 1 MiB of text, and no link out of the folder.
pub fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // In one piece, so that growing leaves no copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST + 1));
    file.take(limit).read_to_string(&mut text)?;
    if text.len() > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

impl Drop for Room {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.path);
    }
}

fn is_at(folder: &File, path: &Path) -> bool {
    path.metadata().is_ok_and(|there| folder.metadata().is_ok_and(|own| own.ino() == there.ino()))
}

fn places() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    runtime.into_iter().chain([PathBuf::from("/dev/shm")]).filter(|path| path.is_dir()).collect()
}

/// Whether what is written there stays in memory.
fn judge(place: &Path) -> Result<PathBuf, String> {
    let shown = place.display();
    match statfs(place).map(|found| i128::from(found.f_type)) {
        Ok(RAMFS) => Ok(place.to_owned()),
        Ok(TMPFS) if is_swapless(place) => Ok(place.to_owned()),
        Ok(TMPFS) => Err(format!("{shown} may be swapped out to a disk")),
        Ok(_) => Err(format!("{shown} is on a disk")),
        Err(error) => Err(format!("{shown}: {}", io_cause(&io::Error::from(error)))),
    }
}

/// Whether the system has no swap, or keeps this file system out of it (`noswap`, Linux 6.4).
fn is_swapless(place: &Path) -> bool {
    let text =
        |path: &str| std::fs::read_to_string(path).unwrap_or_else(|_| "unreadable\nunreadable".to_owned());
    // The first line is the title.
    let no_swap = text("/proc/swaps").lines().skip(1).all(|line| line.trim().is_empty());
    no_swap || is_mounted_noswap(&text("/proc/self/mountinfo"), place)
}

/// Looks the mount up: `id parent device root PLACE options ... - type source SUPER-OPTIONS`; the longest place counts.
fn is_mounted_noswap(mounts: &str, place: &Path) -> bool {
    let mount = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let at = mount.split(' ').nth(4)?.to_owned();
        let options = file_system.split(' ').nth(2)?.split(',').any(|option| option == "noswap");
        place.starts_with(&at).then_some((at.len(), options))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).is_some_and(|(_, noswap)| noswap)
}

/// Removes the folders of processes that were killed: theirs are not locked any more.
fn sweep(parent: &Path) {
    let own = rustix::process::getuid().as_raw();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(NAME)
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == own);
        if is_ours && File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mount_of_the_place_itself_counts() {
        let mounts = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 25 0:26 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,noswap,inode64\n\
            31 25 0:27 / /run rw - tmpfs tmpfs rw,size=5k\n";
        assert!(is_mounted_noswap(mounts, Path::new("/dev/shm")));
        assert!(is_mounted_noswap(mounts, Path::new("/dev/shm/deep/in")));
        assert!(!is_mounted_noswap(mounts, Path::new("/run/user/0")));
        assert!(!is_mounted_noswap(mounts, Path::new("/tmp")));
        assert!(!is_mounted_noswap("unreadable", Path::new("/dev/shm")));
    }

    #[test]
    fn a_room_is_private_and_goes_with_its_owner() {
        let room = Room::make(true, &Dice::system()).unwrap();
        let path = room.write("x.json", "{}").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(room.path()), mode(&path)), (0o700, 0o600));
        let there = room.path().to_owned();
        sweep(there.parent().unwrap());
        assert!(there.exists(), "the folder of a living process stays");
        std::os::unix::fs::symlink("/etc/passwd", room.path().join("link")).unwrap();
        assert!(read(&room.path().join("link")).is_err());
        drop(room);
        assert!(!there.exists());
        DirBuilder::new().mode(0o700).create(&there).unwrap();
        sweep(there.parent().unwrap());
        assert!(!there.exists(), "one that was left behind goes");
    }
}
