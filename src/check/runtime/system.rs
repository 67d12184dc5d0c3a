//! Where Linux tells about a process: files below one folder, `/` or one that a test (or a collected copy) made to look
//! like it. Every read is bounded. Never: writing, or following where a file's content points.

use std::path::{Path, PathBuf};

use crate::check::finding::{Seen, Unseen};
use crate::domain::event::clean;
use crate::reading::{self, io_cause};

/// No file that is read here is longer, in bytes.
pub const LARGEST: u64 = 4 << 20;
/// No folder that is listed here has more entries that count.
pub const MOST_ENTRIES: usize = 65_536;

/// The folder below which `proc`, `sys` and `run` stand.
#[derive(Clone, Debug)]
pub struct Root {
    folder: PathBuf,
}

impl Root {
    /// This system.
    pub fn system() -> Self {
        Self::at(Path::new("/"))
    }

    /// Another folder.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Whether it is this system, which can be asked more than its files say.
    pub fn is_system(&self) -> bool {
        self.folder == Path::new("/")
    }

    /// Where a path such as `/proc/swaps` stands.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    /// The text of a file; what is no UTF-8 in it is replaced.
    ///
    /// # Errors
    /// Where it cannot be read, or is larger than [`LARGEST`].
    pub fn text(&self, path: &str) -> Seen<String> {
        let bytes =
            reading::bytes(&self.path(path), LARGEST).map_err(|error| unseen(path, &reason(&error)))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same; `None` where there is no such file.
    ///
    /// # Errors
    /// As [`Root::text`], the absence aside.
    pub fn text_if_there(&self, path: &str) -> Seen<Option<String>> {
        match self.path(path).symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => self.text(path).map(Some),
        }
    }

    /// Where a link of `/proc` leads, as it says it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn link(&self, path: &str) -> Seen<String> {
        let target = std::fs::read_link(self.path(path)).map_err(|error| unseen(path, &reason(&error)))?;
        Ok(clean(&target.to_string_lossy()))
    }

    /// The targets of the links of a folder; those that are gone meanwhile are left out.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn links(&self, path: &str) -> Seen<Vec<String>> {
        let entries = std::fs::read_dir(self.path(path)).map_err(|error| unseen(path, &reason(&error)))?;
        let targets =
            entries.flatten().take(MOST_ENTRIES).filter_map(|entry| std::fs::read_link(entry.path()).ok());
        Ok(targets.map(|target| target.to_string_lossy().into_owned()).collect())
    }

    /// Whether a path is there, as far as this user can see.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }
}

/// What could not be seen, and why, in words of ours.
pub fn unseen(path: &str, why: &str) -> Unseen {
    Unseen { why: clean(&format!("{path} cannot be read: {why}")) }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "this user may not (run the check as root, or inside the container)".to_owned()
        }
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => io_cause(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_not_there_is_unseen_and_says_why() {
        let folder = std::env::temp_dir().join(format!("spotify-mcp-root-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("proc")).unwrap();
        std::fs::write(folder.join("proc/large"), vec![b'x'; 4 * 1024 * 1024 + 1]).unwrap();
        std::fs::write(folder.join("proc/odd"), b"a\xffb").unwrap();
        let root = Root::at(&folder);
        assert!(!root.is_system() && Root::system().is_system());
        assert_eq!(root.text("/proc/odd").unwrap(), "a\u{fffd}b");
        assert!(root.text("/proc/large").unwrap_err().why.contains("larger than 4 MiB"));
        assert!(root.text("/proc/none").unwrap_err().why.contains("not there"));
        assert_eq!(root.text_if_there("/proc/none"), Ok(None));
        assert!(root.links("/proc/none").is_err() && root.link("/proc/odd").is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
