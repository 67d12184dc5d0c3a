//! Made-up facts of this area: a program of one package of which nothing bad is known, and for each rule one thing wrong.
//!
//! The self-test and the tests judge them. Never: what this program is really made of.

use std::time::Duration;

use rustsec::Version;

use super::{
    Advisory, Basis, Database, Dated, Evidence, Facts, Index, Inventory, Licences, NoList, Origin, Package,
    Released, Use,
};
use crate::check::Unseen;
use crate::check::self_test::{Case, NOW};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// An advisory's file, with more lines in its `[advisory]` section.
pub(super) fn file(id: &str, package: &str, more: &str) -> String {
    format!(
        "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{package}\"\ndate = \"2026-11-01\"\n{more}\n\
         [versions]\npatched = [\">= 1.2.3\"]\nunaffected = [\"< 1.0.0\"]\n```\n\n# A hole in {package}\n\nText.\n"
    )
}

/// The same, read.
pub(super) fn advisory(id: &str, package: &str, more: &str) -> Result<Advisory, String> {
    let read = Advisory::parse(&file(id, package, more), package, &format!("{id}.md"))?;
    read.ok_or_else(|| format!("{id} is not counted"))
}

pub(super) fn package(name: &str, version: [u64; 3]) -> Package {
    let [major, minor, patch] = version;
    Package {
        name: name.to_owned(),
        version: Version::new(major, minor, patch),
        origin: Origin::CratesIo,
        used: Use::Runtime,
        checksum: Some("00".repeat(32)),
        needs: Vec::new(),
        root: false,
        line: None,
    }
}

pub(super) fn from(name: &str, origin: Origin) -> Package {
    Package { origin, ..package(name, [1, 0, 0]) }
}

pub(super) fn own() -> Package {
    let version = env!("CARGO_PKG_VERSION").parse().unwrap_or(Version::new(0, 0, 0));
    let own = Package { version, ..package(env!("CARGO_PKG_NAME"), [0, 0, 0]) };
    Package { origin: Origin::Path, root: true, needs: vec![0], checksum: None, ..own }
}

pub(super) fn database(advisories: Vec<Advisory>) -> Database {
    Database {
        place: "/data/advisory-db".to_owned(),
        digest: format!("sha256:{}", "0".repeat(64)),
        commit: Some("0".repeat(40)),
        dated: dated(2),
        count: 700,
        withdrawn: 9,
        toolchain: 20,
        unreadable: (Vec::new(), 0),
        advisories,
    }
}

fn dated(days: u32) -> Option<Dated> {
    Some(Dated { at: NOW.minus(days * DAY), basis: Basis::Commit })
}

pub(super) fn index(version: [u64; 3], yanked: bool) -> Index {
    let [major, minor, patch] = version;
    let versions = [(Version::new(major, minor, patch), yanked)].into();
    Index { place: "/index".into(), packages: [("dep".to_owned(), versions)].into() }
}

fn licences(of_dep: &str) -> Result<Licences, Unseen> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let table = format!("dep\t1.2.3\t{of_dep}\n{name}\t{version}\tMIT\n");
    Licences::parse(&table, "allow = [\"MIT\"]").map_err(Unseen::because)
}

/// A program of one package, of which nothing bad is known.
pub(super) fn good() -> Result<Facts, String> {
    let packages = vec![package("dep", [1, 2, 3]), own()];
    Ok(Facts {
        offline: false,
        program: Ok("0a".repeat(32)),
        embedded: Ok(packages.clone()),
        lock_copy: Ok(packages.clone()),
        inventory: Ok(Inventory { evidence: Evidence::Embedded, packages }),
        database: Some(Ok(database(vec![advisory("RUSTSEC-2026-0001", "dep", "")?]))),
        kept: None,
        index: Some(Ok(index([1, 2, 3], false))),
        licences: licences("MIT"),
        cryptography: vec!["AES-256-GCM"],
        release: Some(Ok(vec![Released { name: "spotify-mcp".to_owned(), digest: "0a".repeat(32) }])),
    })
}

/// A case for every rule.
///
/// # Errors
/// Where the made-up advisory cannot be read, which a test rules out.
pub fn cases() -> Result<Vec<Case<Facts>>, String> {
    let good = good()?;
    let of = |first: Package| Facts {
        inventory: Ok(Inventory { evidence: Evidence::Embedded, packages: vec![first, own()] }),
        ..good.clone()
    };
    let behind = || of(package("dep", [1, 1, 0]));
    let elsewhere = from("forked", Origin::Git("https://git.example/forked".to_owned()));
    let unmaintained = advisory("RUSTSEC-2026-0002", "dep", "informational = \"unmaintained\"")?;
    let old = Database { dated: dated(31), ..database(Vec::new()) };
    let with = |database: Database, facts: Facts| Facts { database: Some(Ok(database)), ..facts };
    let ciphers =
        |cryptography: Vec<&'static str>| Facts { cryptography, ..of(package("aes-gcm", [0, 10, 3])) };
    let changed = [
        ("SMC1011", "a cipher is linked in that nobody lists", ciphers(Vec::new())),
        (
            "SMC7001",
            "the program has no list of its packages",
            Facts { embedded: Err(NoList::Absent), ..good.clone() },
        ),
        ("SMC7002", "a package has a known hole", behind()),
        ("SMC7003", "the advisory database is 31 days old", with(old, good.clone())),
        ("SMC7004", "nobody looks after a package", with(database(vec![unmaintained]), behind())),
        (
            "SMC7005",
            "a package's licence is not allowed",
            Facts { licences: licences("GPL-3.0-only"), ..good.clone() },
        ),
        ("SMC7006", "a package comes from a git repository", of(elsewhere)),
        (
            "SMC7007",
            "the program is not the released one",
            Facts { program: Ok("0b".repeat(32)), ..good.clone() },
        ),
    ];
    let sound = |id: &str| if id == "SMC1011" { ciphers(vec!["AES-256-GCM"]) } else { good.clone() };
    let case = |(id, mutation, changed)| Case { id, mutation, sound: sound(id), changed };
    Ok(changed.map(case).into())
}
