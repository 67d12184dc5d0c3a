//! An advisory database in a folder: a checkout of RustSec's repository, or what an archive of it holds.
//!
//! Reads regular files alone. Links inside the folder are refused: what they lead to is not in the database.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::collected::{ADVISORY, Collected, Place, Unusable, clean, place};
use crate::reading::{self, io_cause};

/// Largest file of git's that is read, in bytes (`packed-refs` of a repository with very many branches).
const REFERENCES: u64 = 4 * 1024 * 1024;

/// Reads a folder; also SHA-256 over all its advisories: each one's path, a zero, its length in eight bytes, its text.
pub(super) fn read(folder: &Path) -> Result<(Collected, String), Unusable> {
    let mut collected = Collected::default();
    collected.commit = commit(folder);
    for collection in ["crates", "rust"] {
        if fs::symlink_metadata(folder.join(collection)).is_ok_and(|about| !about.is_dir()) {
            return Err(Unusable::because(format!("it has a link or a device: {collection}")));
        }
        for package in entries(&folder.join(collection))? {
            let path = format!("{collection}/{}", name(&package)?);
            if !regular(&package, &path, &mut collected)?.is_dir() {
                continue;
            }
            for file in entries(&package.path())? {
                let path = format!("{path}/{}", name(&file)?);
                take(&file, &path, &mut collected)?;
            }
        }
    }
    let collected = collected.checked()?;
    let mut digest = Sha256::new();
    for ((package, file), bytes) in &collected.advisories {
        digest.update(format!("crates/{package}/{file}\0"));
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((collected, digest))
}

fn take(file: &DirEntry, path: &str, collected: &mut Collected) -> Result<(), Unusable> {
    let about = regular(file, path, collected)?;
    match place(path)? {
        Place::Advisory(package, name) if about.is_file() => {
            if about.len() > ADVISORY {
                return Err(Unusable::because(format!(
                    "{} is larger than {} KiB",
                    clean(path),
                    ADVISORY / 1024
                )));
            }
            let bytes = reading::bytes(&file.path(), ADVISORY).map_err(|error| unreadable(path, &error))?;
            collected.keep(package, name, bytes)
        }
        Place::Toolchain => {
            collected.toolchain += 1;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What a folder holds; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, Unusable> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&folder.to_string_lossy(), &error)),
    };
    let most = super::collected::ENTRIES + 1;
    listed.take(most).collect::<Result<_, _>>().map_err(|error| unreadable(&folder.to_string_lossy(), &error))
}

/// Its kind and size, itself and not what it links to; counted.
fn regular(entry: &DirEntry, path: &str, collected: &mut Collected) -> Result<fs::Metadata, Unusable> {
    let about = fs::symlink_metadata(entry.path()).map_err(|error| unreadable(path, &error))?;
    collected.count(if about.is_file() { about.len() } else { 0 })?;
    if !about.is_file() && !about.is_dir() {
        return Err(Unusable::because(format!("it has a link or a device: {}", clean(path))));
    }
    Ok(about)
}

fn name(entry: &DirEntry) -> Result<String, Unusable> {
    entry.file_name().into_string().map_err(|_| Unusable::because("it has a name that is not UTF-8"))
}

fn unreadable(path: &str, error: &io::Error) -> Unusable {
    Unusable::because(format!("{} cannot be read: {}", clean(path), io_cause(error)))
}

/// The commit that a checkout is of, where its own notes tell. Files changed since are not noticed by it.
fn commit(folder: &Path) -> Option<String> {
    let git = folder.join(".git");
    let head = text(&git.join("HEAD"))?;
    let head = head.trim();
    let Some(reference) = head.strip_prefix("ref: ") else { return object(head) };
    let plain = reference.starts_with("refs/") && !reference.contains("..");
    if !plain {
        return None;
    }
    if let Some(loose) = text(&git.join(reference)) {
        return object(loose.trim());
    }
    let packed = text(&git.join("packed-refs"))?;
    let line = packed.lines().filter_map(|line| line.split_once(' ')).find(|(_, name)| *name == reference)?;
    object(line.0)
}

fn object(id: &str) -> Option<String> {
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && matches!(id.len(), 40 | 64)).then(|| id.to_owned())
}

fn text(path: &Path) -> Option<String> {
    reading::text(path, REFERENCES).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder that goes when the test does.
    pub(in crate::check::deps) struct Scratch(pub PathBuf);

    impl Scratch {
        pub(in crate::check::deps) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("deps-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// Writes a file, its folders too.
        pub(in crate::check::deps) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn why(folder: &Path) -> String {
        read(folder).err().unwrap().to_string()
    }

    #[test]
    fn a_folder_gives_its_advisories_and_a_digest_that_any_change_moves() {
        let folder = Scratch::new("good");
        folder.write("crates/a/RUSTSEC-2026-0001.md", "one");
        folder.write("crates/a/.DS_Store", "x");
        folder.write("rust/std/CVE-1.md", "x");
        folder.write("README.md", "x");
        let (collected, digest) = read(&folder.0).unwrap();
        assert_eq!((collected.advisories.len(), collected.toolchain, collected.commit), (1, 1, None));
        folder.write("README.md", "y");
        assert_eq!(read(&folder.0).unwrap().1, digest);
        folder.write("crates/a/RUSTSEC-2026-0001.md", "two");
        assert_ne!(read(&folder.0).unwrap().1, digest);
    }

    #[test]
    fn a_checkout_names_its_commit() {
        let id = "0123456789012345678901234567890123456789";
        let folder = Scratch::new("commit");
        folder.write("crates/a/RUSTSEC-2026-0001.md", "one");
        let seen = || read(&folder.0).unwrap().0.commit;
        folder.write(".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(seen(), None);
        folder.write(".git/packed-refs", format!("# pack-refs\n{id} refs/heads/main\n"));
        assert_eq!(seen().as_deref(), Some(id));
        folder.write(".git/refs/heads/main", id.replace('0', "a"));
        assert_eq!(seen(), Some(id.replace('0', "a")));
        folder.write(".git/HEAD", "ref: refs/../../../etc/passwd\n");
        assert_eq!(seen(), None);
        folder.write(".git/HEAD", id);
        assert_eq!(seen().as_deref(), Some(id));
    }

    #[test]
    fn links_large_files_and_folders_without_advisories_are_refused() {
        let empty = Scratch::new("empty");
        assert!(why(&empty.0).contains("no advisories"));
        assert!(why(&empty.0.join("nowhere")).contains("no advisories"));

        let linked = Scratch::new("linked");
        let outside = linked.write("outside.md", "x");
        linked.write("crates/a/RUSTSEC-2026-0001.md", "one");
        std::os::unix::fs::symlink(&outside, linked.0.join("crates/a/RUSTSEC-2026-0002.md")).unwrap();
        assert!(why(&linked.0).contains("link or a device: crates/a/RUSTSEC-2026-0002.md"));

        let folders = Scratch::new("folders");
        folders.write("elsewhere/RUSTSEC-2026-0001.md", "one");
        fs::create_dir(folders.0.join("crates")).unwrap();
        std::os::unix::fs::symlink(folders.0.join("elsewhere"), folders.0.join("crates/a")).unwrap();
        assert!(why(&folders.0).contains("link or a device: crates/a"));

        let large = Scratch::new("large");
        large.write("crates/a/RUSTSEC-2026-0001.md", vec![b'x'; usize::try_from(ADVISORY).unwrap() + 1]);
        assert!(why(&large.0).contains("larger than"));
    }
}
