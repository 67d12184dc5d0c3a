//! The advisory database that packages are held against: where it is, how old, and which of its advisories could
//! concern them.
//!
//! Reads an archive or a folder; fetching is `fetch.rs`'s. Never: passing over an advisory that cannot be read.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::advisory::Advisory;
use super::collected::{Collected, Unusable, clean};
use super::{archive, folder};
use crate::ambient::Timestamp;
use crate::check::finding::counted;
use crate::reading::{self, io_cause};

/// Under which names it is looked for in the data directory, in this order.
pub const KEPT_AS: [&str; 3] = ["advisory-db.tar.gz", "advisory-db.tar.xz", "advisory-db"];

/// Most unreadable advisories that are named.
const NAMED: usize = 20;

/// What tells how old a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The commit that its archive was made of by git.
    Commit,
    /// Its newest advisories: it can be a few days younger than those, and not older. One that stands far from the others
    /// was put there by hand, and tells nothing.
    NewestAdvisory,
}

/// How old it is, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The instant.
    pub at: Timestamp,
    /// By what.
    pub basis: Basis,
}

impl fmt::Display for Dated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.rfc3339();
        let day = day.split('T').next().unwrap_or_default();
        match self.basis {
            Basis::Commit => write!(out, "committed {day}"),
            Basis::NewestAdvisory => write!(out, "newest advisory {day}"),
        }
    }
}

/// A database, as far as it concerns the packages.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// Where it was read.
    pub place: String,
    /// `sha256:` of the archive; `sha256-of-advisories:` of a folder.
    pub digest: String,
    /// The commit of RustSec's repository, where the database names it.
    pub commit: Option<String>,
    /// How old it is.
    pub dated: Option<Dated>,
    /// How many advisories it has, those that were taken back included.
    pub count: usize,
    /// How many of them were taken back.
    pub withdrawn: usize,
    /// How many files are about the toolchain and standard library, which are not looked at.
    pub toolchain: usize,
    /// Advisories that cannot be read: path and why, the first few; and how many there are.
    pub unreadable: (Vec<String>, usize),
    /// Those about a package of the list, in any version, sorted by id.
    pub advisories: Vec<Advisory>,
}

impl Database {
    /// What it is, in one line.
    pub fn summary(&self) -> String {
        let dated = self.dated.map(|dated| format!(", {dated}")).unwrap_or_default();
        let commit = self.commit.as_deref().and_then(|id| id.get(..12));
        let commit = commit.map(|id| format!(", commit {id}")).unwrap_or_default();
        format!("{}{dated}{commit}", counted(self.count, "advisory", "advisories"))
    }
}

/// Reads the database at a path: an archive or a folder.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn open(path: &Path, names: &BTreeSet<&str>) -> Result<Database, Unusable> {
    let unreadable = |error: io::Error| Unusable::because(format!("it cannot be read: {}", io_cause(&error)));
    let place = path.display().to_string();
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        let (collected, digest) = folder::read(path)?;
        return Ok(sift(&collected, (place, format!("sha256-of-advisories:{digest}")), names));
    }
    of_archive(reading::bytes(path, archive::PACKED).map_err(unreadable)?, place, names)
}

/// Reads a database's archive.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn of_archive(
    bytes: Vec<u8>,
    place: String,
    names: &BTreeSet<&str>,
) -> Result<Database, Unusable> {
    if bytes.len() as u64 > archive::PACKED {
        return Err(Unusable::because(format!("it is larger than {} MiB", archive::PACKED / 1024 / 1024)));
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let collected = archive::read(bytes)?;
    Ok(sift(&collected, (place, format!("sha256:{digest}")), names))
}

/// The database that is kept in the data directory, where one is.
pub(super) fn kept(data_dir: &Path) -> Option<PathBuf> {
    KEPT_AS.iter().map(|name| data_dir.join(name)).find(|path| path.exists())
}

/// Reads every advisory, and keeps those about these packages.
fn sift(collected: &Collected, (place, digest): (String, String), names: &BTreeSet<&str>) -> Database {
    let (mut count, mut withdrawn, mut days) = (0, 0, Vec::new());
    let (mut unreadable, mut failed) = (Vec::new(), 0);
    let mut advisories = Vec::new();
    for ((package, file), bytes) in &collected.advisories {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
        match text.and_then(|text| Advisory::parse(text, package, file)) {
            Ok(None) => {}
            Ok(Some(advisory)) => {
                count += 1;
                withdrawn += usize::from(advisory.withdrawn);
                days.extend(Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", advisory.date)));
                if names.contains(package.as_str()) {
                    advisories.push(advisory);
                }
            }
            Err(why) => {
                failed += 1;
                if unreadable.len() < NAMED {
                    unreadable.push(format!("{}/{}: {why}", clean(package), clean(file)));
                }
            }
        }
    }
    advisories.sort_by(|left: &Advisory, right| left.id.cmp(&right.id));
    let by_commit = collected.committed.map(|at| Dated { at, basis: Basis::Commit });
    let by_newest = newest(days);
    let dated = by_commit.or(by_newest.map(|at| Dated { at, basis: Basis::NewestAdvisory }));
    Database {
        place,
        digest,
        commit: collected.commit.clone(),
        dated,
        count,
        withdrawn,
        toolchain: collected.toolchain,
        unreadable: (unreadable, failed),
        advisories,
    }
}

/// Among so many advisories a day is one of a database that was kept up where it has this company before it.
const MANY: usize = 100;
/// How many advisories, itself among them.
const COMPANY: usize = 5;
/// Within how many days: RustSec has not been that quiet since it had so many.
const QUIET: Duration = Duration::from_secs(45 * 86_400);

/// The newest day that tells the age of the whole.
fn newest(mut days: Vec<Timestamp>) -> Option<Timestamp> {
    days.sort_unstable_by_key(|day| std::cmp::Reverse(day.secs()));
    let kept_up = |window: &&[Timestamp]| match window {
        [first, .., last] => first.since(*last) <= QUIET,
        _ => false,
    };
    let usual = days.windows(COMPANY).find(kept_up).and_then(|window| window.first().copied());
    usual.filter(|_| days.len() >= MANY).or(days.first().copied())
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::super::archive::tests::{gzip, tar};
    use super::super::cases::file;
    use super::super::folder::tests::Scratch;
    use super::*;

    fn names() -> BTreeSet<&'static str> {
        BTreeSet::from(["dep", "other"])
    }

    #[test]
    fn a_folder_and_its_archive_give_the_same_advisories() {
        let folder = Scratch::new("same");
        let (one, two) = (
            file("RUSTSEC-2026-0001", "dep", ""),
            file("RUSTSEC-2026-0002", "gone", "withdrawn = \"2026-11-02\""),
        );
        folder.write("crates/dep/RUSTSEC-2026-0001.md", &one);
        folder.write("crates/gone/RUSTSEC-2026-0002.md", &two);
        folder.write("crates/bad/RUSTSEC-2026-0003.md", "not an advisory");
        let read = open(&folder.0, &names()).unwrap();
        let entries: [(EntryType, &str, &[u8]); 3] = [
            (EntryType::Regular, "crates/dep/RUSTSEC-2026-0001.md", one.as_bytes()),
            (EntryType::Regular, "crates/gone/RUSTSEC-2026-0002.md", two.as_bytes()),
            (EntryType::Regular, "crates/bad/RUSTSEC-2026-0003.md", b"not an advisory"),
        ];
        let packed = folder.write("advisory-db.tar.gz", gzip(&tar(&entries)));
        let archived = open(&packed, &names()).unwrap();
        assert_eq!(archived.advisories, read.advisories);
        for database in [read, archived] {
            assert_eq!((database.count, database.withdrawn, database.unreadable.1), (2, 1, 1));
            assert_eq!(database.unreadable.0, ["bad/RUSTSEC-2026-0003.md: its text is not as it should be"]);
            assert_eq!(database.advisories.len(), 1);
            let dated = database.dated.unwrap();
            assert_eq!(
                (dated.basis, dated.to_string().as_str()),
                (Basis::NewestAdvisory, "newest advisory 2026-11-01")
            );
            assert!(database.digest.starts_with("sha256"));
        }
        assert_eq!(kept(&folder.0), Some(packed));
    }

    #[test]
    fn a_new_file_does_not_make_an_old_database_young() {
        let day = |number: i64| Timestamp::from_secs(1_600_000_000 + number * 86_400);
        let old: Vec<Timestamp> = (0..300).map(|number| day(number * 3)).collect();
        assert_eq!(newest(old.clone()), Some(day(897)));
        for added in [&[1_500][..], &[1_500, 1_501], &[1_400, 1_500, 1_501, 1_502]] {
            let with = old.iter().copied().chain(added.iter().map(|number| day(*number))).collect();
            assert_eq!(newest(with), Some(day(897)), "{added:?}");
        }
        // Of a handful nothing can be told but the newest.
        assert_eq!(newest(vec![day(1), day(900)]), Some(day(900)));
        assert_eq!(newest(Vec::new()), None);
    }

    #[test]
    fn what_is_no_database_says_why() {
        let folder = Scratch::new("none");
        assert_eq!(kept(&folder.0), None);
        assert!(open(&folder.0.join("nowhere"), &names()).is_err());
        let text = folder.write("db", "text");
        assert!(open(&text, &names()).unwrap_err().to_string().contains("neither tar.gz nor tar.xz"));
    }
}
