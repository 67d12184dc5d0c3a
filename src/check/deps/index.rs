//! A copy of the registry's index: which versions were taken back (yanked), and whether there are newer ones.
//!
//! Two forms: a checkout of the index's repository, and the cache that cargo keeps in its home
//! (`registry/index/*/.cache`). In both a package's file holds one JSON object a version.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustsec::Version;
use serde::Deserialize;

use crate::reading::{self, io_cause};

/// Largest file of one package, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The versions of the packages that the index knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Where it is.
    pub place: PathBuf,
    /// By name: each version, and whether it was taken back.
    pub packages: BTreeMap<String, BTreeMap<Version, bool>>,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    vers: Version,
    #[serde(default)]
    yanked: bool,
}

impl Index {
    /// Whether a version was taken back; `None`: the index does not have it.
    pub fn yanked(&self, name: &str, version: &Version) -> Option<bool> {
        self.packages.get(name)?.get(version).copied()
    }

    /// The newest version of a package that is newer than this one and neither taken back nor a preview.
    pub fn newer(&self, name: &str, version: &Version) -> Option<&Version> {
        let sound =
            |(newer, yanked): &(&Version, &bool)| !**yanked && newer.pre.is_empty() && *newer > version;
        self.packages.get(name)?.iter().rev().find(sound).map(|(newer, _)| newer)
    }
}

/// Reads what the index has of these packages.
///
/// # Errors
/// Where the folder is no index, or a file of it cannot be read.
pub(super) fn read(folder: &Path, names: &BTreeSet<&str>) -> Result<Index, String> {
    let mut packages = BTreeMap::new();
    for name in names {
        let Some(bytes) = file(&folder.join(path(name)))? else { continue };
        // The cache writes zeros between its header, the version numbers and the objects.
        let objects = bytes.split(|byte| matches!(byte, 0 | b'\n')).filter(|piece| piece.starts_with(b"{"));
        let lines = objects.filter_map(|object| serde_json::from_slice::<Line>(object).ok());
        let versions = lines.filter(|line| line.name == *name).map(|line| (line.vers, line.yanked));
        packages.insert((*name).to_owned(), versions.collect());
    }
    if packages.is_empty() {
        return Err(format!(
            "{} has none of the packages: it is no copy of the registry's index",
            folder.display()
        ));
    }
    Ok(Index { place: folder.to_owned(), packages })
}

fn file(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match reading::bytes(path, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {}", path.display(), io_cause(&error))),
    }
}

/// Where a package's file lies: `1/a`, `2/ab`, `3/a/abc`, `ab/cd/abcd` (RFC 2789).
fn path(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.len() {
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", name.get(..2).unwrap_or_default(), name.get(2..4).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder::tests::Scratch;
    use super::*;

    const LINES: [&str; 4] = [
        r#"{"name":"smallvec","vers":"1.0.0","deps":[],"cksum":"00","yanked":true}"#,
        r#"{"name":"smallvec","vers":"1.1.0","yanked":false}"#,
        r#"{"name":"smallvec","vers":"1.2.0","yanked":true}"#,
        r#"{"name":"smallvec","vers":"2.0.0-alpha.1","yanked":false}"#,
    ];

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn a_checkout_and_cargos_cache_tell_the_same() {
        let checkout = Scratch::new("checkout");
        checkout.write("sm/al/smallvec", LINES.join("\n"));
        let cache = Scratch::new("cache");
        let mut bytes = b"\x03\x02\x00\x00\x00etag: \"x\"\0".to_vec();
        for line in LINES {
            bytes.extend_from_slice(b"1.0.0\0");
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(0);
        }
        cache.write("sm/al/smallvec", bytes);
        for folder in [checkout, cache] {
            let index = read(&folder.0, &BTreeSet::from(["smallvec", "absent"])).unwrap();
            let yanked = |text| index.yanked("smallvec", &version(text));
            assert_eq!([yanked("1.0.0"), yanked("1.1.0"), yanked("9.0.0")], [Some(true), Some(false), None]);
            assert_eq!(index.yanked("absent", &version("1.0.0")), None);
            assert_eq!(index.newer("smallvec", &version("1.0.0")), Some(&version("1.1.0")));
            assert_eq!(index.newer("smallvec", &version("1.1.0")), None);
        }
    }

    #[test]
    fn packages_lie_where_the_registry_says() {
        for (name, expected) in [("a", "1/a"), ("ab", "2/ab"), ("AbC", "3/a/abc"), ("serde", "se/rd/serde")] {
            assert_eq!(path(name), expected);
        }
        let empty = Scratch::new("no-index");
        assert!(read(&empty.0, &BTreeSet::from(["serde"])).unwrap_err().contains("no copy"));
    }
}
