//! Lock files (`Cargo.lock`, versions 1 to 4), bounded.
//!
//! Never a dropped package: one whose source nobody knows is an error, not an omission.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr as _;

use rustsec::Lockfile;
use rustsec::package::SourceKind;

use super::package::{Origin, Package, Use, sorted};
use crate::reading::{self, io_cause};

/// Largest lock file, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads a lock file.
///
/// # Errors
/// Why it cannot be used, in words that hold nothing of its text but names of its packages.
pub(super) fn read(path: &Path) -> Result<Vec<Package>, String> {
    let text = reading::text(path, LARGEST)
        .map_err(|error| format!("{} cannot be read: {}", path.display(), io_cause(&error)))?;
    parse(&text).map_err(|why| format!("{} is no lock file that can be read: {why}", path.display()))
}

/// The packages of a lock file's text.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Package>, String> {
    let lock = Lockfile::from_str(text).map_err(|error| first_line(&error.to_string()))?;
    if lock.packages.is_empty() {
        return Err("it has no package".to_owned());
    }
    let places: HashMap<_, _> = lock
        .packages
        .iter()
        .enumerate()
        .map(|(at, package)| ((&package.name, &package.version), at))
        .collect();
    let lines = lines(text);
    let packages = lock.packages.iter().map(|package| Package {
        name: package.name.as_str().to_owned(),
        version: package.version.clone(),
        origin: package.source.as_ref().map_or(Origin::Path, origin),
        used: Use::Unknown,
        checksum: package.checksum.as_ref().map(ToString::to_string),
        needs: (package.dependencies.iter())
            .filter_map(|need| places.get(&(&need.name, &need.version)).copied())
            .collect(),
        root: false,
        line: lines.get(&(package.name.to_string(), package.version.to_string())).copied(),
    });
    Ok(sorted(packages.collect()))
}

/// Where each package is named, by name and version.
fn lines(text: &str) -> HashMap<(String, String), u32> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim().trim_matches('"').to_owned());
    let (mut found, mut named) = (HashMap::new(), None);
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(name) = value(line, "name = ") {
            named = Some((name, number));
        } else if let Some(version) = value(line, "version = ")
            && let Some((name, number)) = named.take()
        {
            found.insert((name, version), number);
        }
    }
    found
}

fn origin(source: &rustsec::SourceId) -> Origin {
    let address = || without_secrets(source.url());
    match source.kind() {
        _ if source.is_default_registry() => Origin::CratesIo,
        SourceKind::Git(_) => Origin::Git(address()),
        SourceKind::Path | SourceKind::Directory => Origin::Path,
        _ => Origin::Registry(address()),
    }
}

/// An address without the name and password that somebody may have written into it.
fn without_secrets(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_control()).take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "b"
version = "2.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "e3148f5046208a5d56bcfc03053e3ca6334e51da8dfb19b6cdc8b306fae3283e"

[[package]]
name = "mine"
version = "0.1.0"
dependencies = ["b", "from-git", "inner"]

[[package]]
name = "from-git"
version = "0.3.0"
source = "git+https://me:secret@git.example/from-git?branch=main#0123456789012345678901234567890123456789"

[[package]]
name = "inner"
version = "1.0.0"
source = "registry+https://registry.example/index"

[[package]]
name = "sparse"
version = "1.0.0"
source = "sparse+https://index.crates.io/"
"#;

    #[test]
    fn every_package_is_there_with_its_origin() {
        let packages = parse(LOCK).unwrap();
        let seen: Vec<_> =
            packages.iter().map(|package| (package.label(), package.origin.to_string())).collect();
        let expected = [
            ("b 2.0.0", "crates.io"),
            ("from-git 0.3.0", "git https://git.example/from-git"),
            ("inner 1.0.0", "another registry https://registry.example/index"),
            ("mine 0.1.0", "a folder"),
            ("sparse 1.0.0", "crates.io"),
        ];
        assert_eq!(seen, expected.map(|(label, origin)| (label.to_owned(), origin.to_owned())));
        assert_eq!(packages[3].needs, [0, 1, 2]);
        assert_eq!(
            packages.iter().map(|package| package.line.unwrap()).collect::<Vec<_>>(),
            [5, 16, 21, 11, 26]
        );
        assert!(packages[0].checksum.as_deref().unwrap().starts_with("e3148f50"));
    }

    #[test]
    fn what_is_no_lock_file_says_so() {
        for text in ["", "version = 4\n", "{}", "[[package]]\nname = \"a\"\n", "version = 99\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let folder = std::env::temp_dir();
        assert!(read(&folder).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn our_own_lock_file_can_be_read() {
        let packages = parse(super::super::embedded::LOCK_COPY).unwrap();
        assert!(packages.len() > 200);
        assert_eq!(packages.iter().filter(|package| package.origin == Origin::Path).count(), 1);
        assert!(packages.iter().all(|package| package.origin == Origin::Path || package.checksum.is_some()));
    }
}
