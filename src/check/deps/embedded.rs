//! The list of packages that cargo-auditable puts into a program (section `.dep-v0`), and the lock file that this
//! program always carries.
//!
//! Reads the running program's own file, bounded. Never a guess: a program without the list has none.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustsec::Version;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::package::{Origin, Package, Use, sorted};
use crate::reading::io_cause;

/// Largest program that is read, in bytes.
const PROGRAM: u64 = 1024 * 1024 * 1024;

/// Largest list after unpacking, in bytes.
const LIST: usize = 8 * 1024 * 1024;

/// Most packages.
const PACKAGES: usize = 20_000;

/// The lock file that this program was built from.
pub(super) const LOCK_COPY: &str = include_str!("../../../Cargo.lock");

/// Why a program's list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoList {
    /// It was built without.
    #[error("it was not built with cargo-auditable")]
    Absent,
    /// There is one, and it is not as it should be.
    #[error("its embedded list is damaged: {0}")]
    Damaged(String),
}

/// What `cargo auditable` writes (its published schema, revisions 0, 1 and 8).
#[derive(Deserialize)]
struct Listed {
    packages: Vec<ListedPackage>,
}

#[derive(Deserialize)]
struct ListedPackage {
    name: String,
    version: Version,
    source: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    dependencies: Vec<usize>,
    #[serde(default)]
    root: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Build,
    #[default]
    Runtime,
}

/// A program's file, as far as it was looked at.
pub(super) struct Program {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// What it is made of.
    pub list: Result<Vec<Package>, NoList>,
}

/// Reads the program that runs: what the kernel has open, also where its file has been replaced since.
pub(super) fn this_program() -> Result<Program, String> {
    let open = Path::new("/proc/self/exe");
    if open.exists() {
        return program(open);
    }
    let path =
        std::env::current_exe().map_err(|error| format!("it cannot be found: {}", io_cause(&error)))?;
    program(&path)
}

/// Reads a program's file, once.
fn program(path: &Path) -> Result<Program, String> {
    let unreadable = |error: std::io::Error| format!("it cannot be read: {}", io_cause(&error));
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len().min(PROGRAM);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(PROGRAM + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > PROGRAM {
        return Err("it is larger than a gibibyte".to_owned());
    }
    let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let list = match auditable_info::json_from_slice(&bytes, LIST) {
        Ok(json) => parse(&json),
        Err(auditable_info::Error::NoAuditData) => Err(NoList::Absent),
        Err(error) => Err(NoList::Damaged(error.to_string())),
    };
    Ok(Program { digest, list })
}

fn parse(json: &str) -> Result<Vec<Package>, NoList> {
    let damaged = |why: &str| NoList::Damaged(why.to_owned());
    let listed: Listed = serde_json::from_str(json).map_err(|error| NoList::Damaged(error.to_string()))?;
    let count = listed.packages.len();
    if count > PACKAGES {
        return Err(damaged("it has too many packages"));
    }
    if listed.packages.iter().filter(|package| package.root).count() != 1 {
        return Err(damaged("it does not have one root"));
    }
    if listed.packages.iter().flat_map(|package| &package.dependencies).any(|&place| place >= count) {
        return Err(damaged("a package needs one that is not in it"));
    }
    Ok(sorted(listed.packages.into_iter().map(package).collect()))
}

fn package(listed: ListedPackage) -> Package {
    let origin = match listed.source.as_str() {
        "crates.io" => Origin::CratesIo,
        "git" => Origin::Git(String::new()),
        "local" => Origin::Path,
        _ => Origin::Registry(String::new()),
    };
    let used = match listed.kind {
        Kind::Build => Use::Build,
        Kind::Runtime => Use::Runtime,
    };
    Package {
        name: listed.name,
        version: listed.version,
        origin,
        used,
        checksum: None,
        needs: listed.dependencies,
        root: listed.root,
        line: None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::super::folder::tests::Scratch;
    use super::*;

    #[test]
    fn a_list_keeps_names_versions_origins_and_what_needs_what() {
        let json = r#"{"format":1,"packages":[
            {"name":"zed","version":"1.0.0","source":"git"},
            {"name":"mine","version":"0.1.0","source":"local","dependencies":[0,2,3],"root":true},
            {"name":"cc","version":"1.2.3","source":"crates.io","kind":"build"},
            {"name":"inner","version":"2.0.0-rc.1","source":"registry"}]}"#;
        let packages = parse(json).unwrap();
        let labels: Vec<_> = packages.iter().map(Package::label).collect();
        assert_eq!(labels, ["cc 1.2.3", "inner 2.0.0-rc.1", "mine 0.1.0", "zed 1.0.0"]);
        assert_eq!((packages[0].used, &packages[0].origin), (Use::Build, &Origin::CratesIo));
        assert_eq!(packages[1].origin, Origin::Registry(String::new()));
        assert_eq!((packages[2].root, packages[2].needs.as_slice()), (true, [0, 1, 3].as_slice()));
        assert_eq!(packages[3].origin, Origin::Git(String::new()));
    }

    #[test]
    fn a_damaged_list_is_none() {
        let root = r#"{"name":"a","version":"1.0.0","source":"local","root":true,"dependencies":[7]}"#;
        for json in [
            "{".to_owned(),
            r#"{"packages":[]}"#.to_owned(),
            format!(r#"{{"packages":[{root}]}}"#),
            r#"{"packages":[{"name":"a","version":"one","source":"local","root":true}]}"#.to_owned(),
            r#"{"packages":[{"name":"a","version":"1.0.0","source":"local"}]}"#.to_owned(),
        ] {
            assert!(matches!(parse(&json), Err(NoList::Damaged(_))), "{json}");
        }
    }

    /// A 64-bit ELF file without code: a list of packages where cargo-auditable puts it.
    fn elf(list: &[u8]) -> Vec<u8> {
        const NAMES: &[u8] = b"\0.dep-v0\0.shstrtab\0";
        let names_at = 64 + list.len() as u64;
        let sections_at = names_at + NAMES.len() as u64;
        let section = |name: u32, kind: u32, at: u64, size: u64| {
            let words = [0, 0, at, size, 0, 1, 0].map(u64::to_le_bytes).concat();
            [&name.to_le_bytes()[..], &kind.to_le_bytes(), &words].concat()
        };
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
        file.extend([0, 0, sections_at].map(u64::to_le_bytes).concat());
        file.extend([0, 0].map(u16::to_le_bytes).concat());
        file.extend([64, 0, 0, 64, 3, 2].map(u16::to_le_bytes).concat());
        file.extend_from_slice(list);
        file.extend_from_slice(NAMES);
        file.extend(section(0, 0, 0, 0));
        file.extend(section(1, 1, 64, list.len() as u64));
        file.extend(section(9, 3, names_at, NAMES.len() as u64));
        file
    }

    fn packed(json: &str) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(json.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn the_list_is_found_in_a_program_and_cannot_grow_without_end() {
        let folder = Scratch::new("program");
        let list = |section: &[u8]| program(&folder.write("program", elf(section))).unwrap().list;
        let json = r#"{"packages":[{"name":"mine","version":"0.1.0","source":"local","root":true}]}"#;
        assert_eq!(list(&packed(json)).unwrap()[0].label(), "mine 0.1.0");
        assert!(matches!(list(b"not packed"), Err(NoList::Damaged(_))));
        assert!(matches!(list(&packed(&" ".repeat(LIST + 1))), Err(NoList::Damaged(_))));
        let mut without = elf(b"x");
        let name = without.windows(7).position(|bytes| bytes == b".dep-v0").unwrap();
        without[name + 1] = b'x';
        assert_eq!(program(&folder.write("program", without)).unwrap().list, Err(NoList::Absent));
    }

    #[test]
    fn what_is_no_program_has_no_list() {
        let folder = Scratch::new("no-program");
        let script = folder.write("script", "#!/bin/sh\n");
        let read = program(&script).unwrap();
        assert!(matches!(read.list, Err(NoList::Damaged(_))));
        assert_eq!(read.digest, "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf");
        assert!(program(&folder.0.join("nowhere")).is_err());
    }
}
