//! What the program is made of: packages, where each came from, and on what evidence they are known.
//!
//! Plain data. Never: reading a file, or judging.

use std::fmt;
use std::path::PathBuf;

use rustsec::Version;

/// Where a package came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The public registry, crates.io: the only one that RustSec's advisories speak of.
    CratesIo,
    /// Another registry; its address where the evidence tells it.
    Registry(String),
    /// A git repository; its address where the evidence tells it.
    Git(String),
    /// A folder: the program itself, a member of its workspace, or a path dependency.
    Path,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CratesIo => out.write_str("crates.io"),
            Self::Registry(address) => write!(out, "another registry{}", after_space(address)),
            Self::Git(address) => write!(out, "git{}", after_space(address)),
            Self::Path => out.write_str("a folder"),
        }
    }
}

fn after_space(address: &str) -> String {
    if address.is_empty() { String::new() } else { format!(" {address}") }
}

/// When a package is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Linked into the program.
    Runtime,
    /// Only while building: procedural macros and build scripts.
    Build,
    /// A lock file does not tell.
    Unknown,
}

/// A package in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// As the registry knows it.
    pub name: String,
    /// As the registry knows it.
    pub version: Version,
    /// Where it came from.
    pub origin: Origin,
    /// When it is used.
    pub used: Use,
    /// SHA-256 of the package as published, in hexadecimal; only a lock file has it.
    pub checksum: Option<String>,
    /// What it needs, as places in the list that it is in.
    pub needs: Vec<usize>,
    /// The program itself.
    pub root: bool,
    /// Where a lock file names it, counted from 1.
    pub line: Option<u32>,
}

impl Package {
    /// Name and version, as people write them.
    pub fn label(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// How the list of packages is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The program carries the list of what was linked into it (cargo-auditable, section `.dep-v0`): exact.
    Embedded,
    /// The program carries the lock file that it was built from: everything that was linked, and also what only other
    /// platforms, features and tests need.
    LockCopy,
    /// A lock file that was named. It may belong to any program.
    Lockfile(PathBuf),
}

impl fmt::Display for Evidence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => out.write_str("by its embedded list (exact)"),
            Self::LockCopy => out.write_str("by the lock file it was built from (a superset)"),
            Self::Lockfile(_) => out.write_str("by the lock file"),
        }
    }
}

/// The packages, and how they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Which evidence this is.
    pub evidence: Evidence,
    /// Sorted by name and version, none twice.
    pub packages: Vec<Package>,
}

impl Inventory {
    /// The packages that advisories can be looked up for.
    pub fn audited(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.origin == Origin::CratesIo)
    }

    /// The packages that no advisory speaks of, the program itself aside.
    pub fn skipped(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.origin != Origin::CratesIo && !self.is_own(package))
    }

    /// Whether it is the program itself. A lock file names no root: its only package without a source is taken for it, where
    /// no other one needs it.
    pub fn is_own(&self, package: &Package) -> bool {
        let sole = || self.packages.iter().filter(|other| other.origin == Origin::Path).count() == 1;
        let is_needed = || {
            let at = self.packages.iter().position(|other| other == package);
            self.packages.iter().any(|other| at.is_some_and(|at| other.needs.contains(&at)))
        };
        package.root
            || (package.origin == Origin::Path
                && !matches!(self.evidence, Evidence::Embedded)
                && sole()
                && !is_needed())
    }

    /// The totals and the evidence in one line.
    pub fn summary(&self) -> String {
        let (audited, skipped) = (self.audited().count(), self.skipped().count());
        let total = self.packages.len();
        let own = match total - audited - skipped {
            0 => "",
            _ => ", and the program itself",
        };
        format!("{total} packages {}: {audited} audited, {skipped} skipped{own}", self.evidence)
    }
}

/// Sorts packages by name and version, and moves what they need along.
pub(super) fn sorted(packages: Vec<Package>) -> Vec<Package> {
    let mut order: Vec<usize> = (0..packages.len()).collect();
    let key = |at: usize| (&packages[at].name, &packages[at].version, &packages[at].origin);
    order.sort_by(|&left, &right| key(left).cmp(&key(right)));
    let mut moved = vec![0; packages.len()];
    for (to, &from) in order.iter().enumerate() {
        moved[from] = to;
    }
    let place = |old: usize| {
        let package = packages[old].clone();
        let mut needs: Vec<usize> = package.needs.iter().map(|&need| moved[need]).collect();
        needs.sort_unstable();
        needs.dedup();
        Package { needs, ..package }
    };
    order.iter().map(|&old| place(old)).collect()
}
