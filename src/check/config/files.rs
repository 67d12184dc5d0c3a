//! The files that a server of this configuration reads and writes, as the file system shows them: kind, mode, owner,
//! access control list, links, and the folders above. Never: their contents, or following a link without saying so.

use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::acl::{self, Granted};
use super::places;
use super::way::{self, Above, Link, Lost};
use crate::check::Seen;
use crate::config::Loaded;
use crate::reading::io_cause;

/// What a file is for, which decides who may read and write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A secret alone, or the private key of TLS.
    Secret,
    /// The master key beside the data, which nobody but its owner may read.
    MasterKey,
    /// A configuration or dotenv file that says a secret in the clear.
    ConfigurationWithSecrets,
    /// One that says none, or a certificate.
    Configuration,
    /// The database, its logs, the trail's files, the operational log.
    Data,
    /// One that is not written to any more: a segment of the trail, a log, a backup.
    Older,
    /// The data directory, the trail's folder or that of backups.
    Folder,
    /// A program that the configuration has run, or a file that one is told to run.
    Program,
}

impl Role {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret file",
            Self::MasterKey => "master key",
            Self::ConfigurationWithSecrets => "configuration with secrets",
            Self::Configuration => "configuration",
            Self::Data => "data file",
            Self::Older => "older data file",
            Self::Folder => "folder",
            Self::Program => "program",
        }
    }

    /// The bits of a mode that it must not have. A group may read secrets (volumes of Kubernetes are so), never write.
    pub const fn forbidden(self) -> u32 {
        match self {
            Self::MasterKey => 0o077,
            Self::Secret | Self::ConfigurationWithSecrets => 0o037,
            Self::Data | Self::Older => 0o037,
            Self::Folder => 0o027,
            Self::Configuration | Self::Program => 0o022,
        }
    }
}

/// A file as it was found.
#[derive(Clone, Debug)]
pub struct FileSeen {
    /// What it is for.
    pub role: Role,
    /// Where.
    pub path: PathBuf,
    /// What was found there.
    pub found: Found,
}

/// What was found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Something that cannot be looked at: why.
    Unseen(String),
    /// Something.
    There(There),
}

/// What there is, links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct There {
    /// Permission bits, with set-id and sticky.
    pub mode: u32,
    /// Whose.
    pub uid: u32,
    /// Whom its access control list names beside its owner and group.
    pub acl: Seen<Vec<Granted>>,
    /// Where it leads, where it is a symbolic link out of its own folder.
    pub leads_to: Option<PathBuf>,
    /// Every folder on the way to it, from the nearest up: who may write there may put something in its place.
    pub above: Vec<Above>,
    /// Every symbolic link on the way.
    pub links: Vec<Link>,
    /// Its own folder may be written by everybody, who cannot remove what is not theirs (`/tmp`).
    pub in_shared_folder: bool,
}

/// Looks at every file that the configuration leads to.
pub fn look(loaded: &Loaded) -> Vec<FileSeen> {
    let mut files: Vec<FileSeen> = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for (role, path, unseen) in places::all(loaded) {
        if known.insert(path.clone()) {
            let found = unseen.map_or_else(|| found(&path), Found::Unseen);
            files.push(FileSeen { role, path, found });
        }
    }
    files
}

/// What there is at a path.
pub fn found(path: &Path) -> Found {
    let way = match way::go(path) {
        Ok(way) => way,
        Err(Lost::Nothing) => return Found::Nothing,
        Err(Lost::Unseen(why)) => return Found::Unseen(why),
    };
    let is_away = way.is_link && !way.real.starts_with(&way.home);
    let shared = way.above.iter().any(|folder| folder.path == way.home && folder.mode & 0o1002 == 0o1002);
    Found::There(There {
        mode: way.end.permissions().mode() & 0o7777,
        uid: way.end.uid(),
        acl: acl::of(&way.real),
        leads_to: is_away.then_some(way.real),
        above: way.above,
        links: way.links,
        in_shared_folder: shared,
    })
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Words that crashes, editors, people and packers put behind a file's name when they leave a copy of it, without digits.
const LEFT_BEHIND: [&str; 26] = [
    "swp", "swo", "orig", "original", "rej", "old", "older", "save", "saved", "new", "bak", "back", "backup",
    "copy", "prev", "previous", "before", "tmp", "temp", "dpkg", "rpmsave", "rpmorig", "rpmnew", "part",
    "snapshot", "archive",
];
/// The same of archives, whose names are words of their own.
const PACKED: [&str; 8] = ["gz", "tgz", "bz2", "xz", "zst", "zip", "7z", "tar"];

/// What lies beside files with secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residue {
    /// Memory of processes, and copies.
    pub found: Vec<PathBuf>,
    /// Folders that cannot be listed, not all of them; why.
    pub unseen: Vec<(PathBuf, String)>,
}

/// Most names of a folder that are looked at.
const MOST_NAMES: usize = 10_000;

/// Memory of processes, and copies of files with secrets, in the folders of these files. The previous text of a sealed
/// file is ciphertext and no such copy.
pub fn residue(files: &[FileSeen], sealed: Option<&Path>) -> Residue {
    let mut folders: Vec<PathBuf> = files
        .iter()
        .map(|file| if file.role == Role::Folder { file.path.clone() } else { folder_of(&file.path) })
        .collect();
    folders.sort();
    folders.dedup();
    let names: Vec<String> = files
        .iter()
        .filter(|file| matches!(file.role, Role::Secret | Role::MasterKey | Role::ConfigurationWithSecrets))
        .filter(|file| Some(file.path.as_path()) != sealed)
        .filter_map(|file| file.path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    for folder in folders {
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                unseen.push((folder, io_cause(&error)));
                continue;
            }
        };
        let mut entries: Vec<_> = entries.take(MOST_NAMES + 1).collect();
        if entries.len() > MOST_NAMES {
            entries.truncate(MOST_NAMES);
            unseen.push((folder.clone(), format!("it holds more than {MOST_NAMES} names")));
        }
        if let Some(Err(error)) = entries.iter().find(|entry| entry.is_err()) {
            unseen.push((folder, io_cause(error)));
        }
        for entry in entries.into_iter().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What the configuration names itself is no copy of another.
            let is_named =
                files.iter().any(|file| file.path.file_name() == Some(entry.file_name().as_os_str()));
            if is_core(&name) || (!is_named && names.iter().any(|of| is_copy(&name, of))) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Residue { found, unseen }
}

/// `core`, `core.1234`, `spotify-mcp.core`, `vgcore.1234`.
fn is_core(name: &str) -> bool {
    let rest = name.strip_prefix("vg").unwrap_or(name);
    let numbered =
        rest.strip_prefix("core.").is_some_and(|end| end.bytes().all(|byte| byte.is_ascii_digit()));
    name == "core" || numbered || name.ends_with(".core") || name.starts_with("core.spotify-mcp")
}

/// `key.bak`, `key~`, `#key#`, `key-old2`, `key copy`, `key.1`, `key.2026-11-22`, `key.gz`, `.key.swp`.
fn is_copy(name: &str, of: &str) -> bool {
    let is_autosaved = name.strip_prefix('#').and_then(|name| name.strip_suffix('#')) == Some(of);
    let end = name.trim_start_matches('.').strip_prefix(of.trim_start_matches('.'));
    let Some(end) = end.filter(|end| !end.is_empty()) else { return is_autosaved };
    if !end.starts_with(|c: char| !c.is_alphanumeric()) {
        return false;
    }
    let lower = end.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let is_left = |word: &&str| {
        PACKED.contains(word) || LEFT_BEHIND.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
    };
    end.ends_with('~') || words.iter().any(is_left) || words.first().is_some_and(|word| is_number(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_known_by_its_name() {
        for core in ["core", "core.123", "vgcore.9", "spotify-mcp.core"] {
            assert!(is_core(core), "{core}");
        }
        for other in ["core.rs", "score", "cores", "core.d"] {
            assert!(!is_core(other), "{other}");
        }
        for copy in [
            "master.key~",
            ".master.key.swp",
            "master.key.bak",
            "master.key.123.new",
            "#master.key#",
            "master.key.backup",
            "master.key.1",
            "master.key.bak2",
            "master.key copy",
            "master.key - Copy (2)",
            "master.key-old",
            "master.key_old",
            "master.key.gz",
            "master.key.2026-11-22",
            "master.key-20261122T1015",
            "master.key.2026-11-22.tar.xz",
            "master.key.OLD",
        ] {
            assert!(is_copy(copy, "master.key"), "{copy}");
        }
        for other in [
            "master.key",
            "other.key~",
            "master.key.next",
            "master.keys",
            "master.key.pub",
            "master.key2",
            "master.kdf.json",
        ] {
            assert!(!is_copy(other, "master.key"), "{other}");
        }
        assert!(is_copy(".env.bak", ".env"));
    }
}
