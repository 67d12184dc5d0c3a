//! The files of an advisory database, from wherever they are read: which of them are advisories, and what else is
//! known about the whole.
//!
//! Everything is bounded and stays in memory. Never: a path that leaves the database, a link, a file twice.

use std::collections::BTreeMap;

use crate::ambient::Timestamp;

/// Most files and folders.
pub(super) const ENTRIES: usize = 100_000;

/// Largest advisory, in bytes.
pub(super) const ADVISORY: u64 = 1024 * 1024;

/// Most bytes of all files together.
pub(super) const ALL: u64 = 128 * 1024 * 1024;

/// Why a database cannot be used. Its words hold at most a path in it, cleaned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

impl Unusable {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The advisories' files and what is known about them together.
#[derive(Default)]
pub(super) struct Collected {
    /// Their bytes by package and name of the file.
    pub advisories: BTreeMap<(String, String), Vec<u8>>,
    /// How many files are about the toolchain (`rust/`), which are not looked at.
    pub toolchain: usize,
    /// The commit, where the source names it.
    pub commit: Option<String>,
    /// When that commit was made, where the source proves it.
    pub committed: Option<Timestamp>,
    entries: usize,
    bytes: u64,
}

/// What a path in a database is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `crates/PACKAGE/FILE`.
    Advisory(String, String),
    /// `rust/...`.
    Toolchain,
    /// Anything else: read over.
    Other,
}

impl Collected {
    /// Counts an entry of so many bytes.
    pub(super) fn count(&mut self, bytes: u64) -> Result<(), Unusable> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.entries > ENTRIES || self.bytes > ALL {
            return Err(Unusable::because(format!(
                "it has more than {ENTRIES} entries or more than {} MiB",
                ALL / 1024 / 1024
            )));
        }
        Ok(())
    }

    /// Keeps an advisory's file.
    pub(super) fn keep(&mut self, package: String, file: String, bytes: Vec<u8>) -> Result<(), Unusable> {
        let at = (package, file);
        if self.advisories.contains_key(&at) {
            return Err(Unusable::because(format!("it has {}/{} twice", clean(&at.0), clean(&at.1))));
        }
        self.advisories.insert(at, bytes);
        Ok(())
    }

    /// A database has advisories.
    pub(super) fn checked(self) -> Result<Self, Unusable> {
        if self.advisories.is_empty() {
            return Err(Unusable::because("it has no advisories (crates/PACKAGE/RUSTSEC-....md)"));
        }
        Ok(self)
    }
}

/// What lies at a path: as in the database's own repository, or one folder deeper, as archives of repositories are.
pub(super) fn place(path: &str) -> Result<Place, Unusable> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<_> = path.split('/').collect();
    let escapes = |part: &&str| matches!(*part, "" | "." | "..") || part.contains(['\\', '\0']);
    if path != "." && !path.is_empty() && parts.iter().any(escapes) {
        return Err(Unusable::because(format!("it has a path that leads out of it: {}", clean(path))));
    }
    let inside = match parts.first() {
        Some(&("crates" | "rust")) => parts.as_slice(),
        _ => parts.get(1..).unwrap_or_default(),
    };
    Ok(match inside {
        ["crates", package, file] if !file.starts_with('.') => {
            Place::Advisory((*package).to_owned(), (*file).to_owned())
        }
        ["rust", _, file] if !file.starts_with('.') => Place::Toolchain,
        _ => Place::Other,
    })
}

/// A path as reports may show it.
pub(super) fn clean(path: &str) -> String {
    path.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '?' }).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advisories_are_found_at_the_top_and_one_folder_deeper() {
        let advisory = || Ok(Place::Advisory("dep".to_owned(), "RUSTSEC-2026-0001.md".to_owned()));
        assert_eq!(place("crates/dep/RUSTSEC-2026-0001.md"), advisory());
        assert_eq!(place("./crates/dep/RUSTSEC-2026-0001.md"), advisory());
        assert_eq!(place("advisory-db-0123/crates/dep/RUSTSEC-2026-0001.md"), advisory());
        assert_eq!(place("rust/std/CVE-1.md"), Ok(Place::Toolchain));
        for other in
            ["README.md", "a/b/crates/dep/x.md", "crates", "crates/dep/", "crates/dep/.x", ".", "./", ""]
        {
            assert_eq!(place(other), Ok(Place::Other), "{other}");
        }
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in
            ["../crates/a/b", "/crates/a/b", "crates/../../etc/x", "crates//b", "crates\\a\\b", "a/./b"]
        {
            assert!(place(path).is_err(), "{path}");
        }
    }

    #[test]
    fn there_is_no_end_of_entries_or_bytes() {
        let mut collected = Collected::default();
        assert!(collected.count(ALL).is_ok());
        assert!(collected.count(1).is_err());
        let mut collected = Collected::default();
        assert!((0..ENTRIES).all(|_| collected.count(0).is_ok()));
        assert!(collected.count(0).is_err());
        let mut collected = Collected::default();
        collected.keep("a".to_owned(), "b".to_owned(), Vec::new()).unwrap();
        assert!(collected.keep("a".to_owned(), "b".to_owned(), Vec::new()).is_err());
        assert!(Collected::default().checked().is_err());
    }
}
