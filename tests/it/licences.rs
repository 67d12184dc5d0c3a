//! `policies/licences.tsv` is what the packages themselves say: held against `cargo metadata`.
//!
//! After a change of Cargo.lock: `UPDATE_LICENCES=1 cargo test --test it -- licences` writes it anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

type Table = BTreeMap<(String, String), String>;

#[test]
fn the_table_of_licences_is_what_the_packages_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/licences.tsv");
    if std::env::var_os("UPDATE_LICENCES").is_some() {
        write(&path, &metadata(&[]));
    }
    let table = table(&path);
    // Packages of other platforms are not downloaded here; the lock file's whole list is held by a unit test.
    let host = host();
    let here = metadata(&["--offline", "--filter-platform", &host]);
    assert!(here.len() > 100, "cargo metadata tells of {} packages", here.len());
    for (package, licence) in &here {
        assert_eq!(
            table.get(package),
            Some(licence),
            "{package:?}: policies/licences.tsv must be written anew"
        );
    }
}

/// Name, version and licence of every package, a slash of old written as the OR that it means.
fn metadata(arguments: &[&str]) -> Table {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let told: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = told["packages"].as_array().unwrap().iter().map(|package| {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let licence: Vec<_> = text("license").split('/').map(|part| part.trim().to_owned()).collect();
        ((text("name"), text("version")), licence.join(" OR "))
    });
    packages.collect()
}

fn host() -> String {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let told = String::from_utf8(rustc.stdout).unwrap();
    told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn table(path: &Path) -> Table {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let [name, version, licence] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        ((name.to_owned(), version.to_owned()), licence.to_owned())
    });
    rows.collect()
}

fn write(path: &Path, table: &Table) {
    let head =
        "# Generated from the packages' manifests: name, version, licence. tests/it/licences.rs says how.\n";
    let rows = table.iter().map(|((name, version), licence)| format!("{name}\t{version}\t{licence}\n"));
    std::fs::write(path, head.to_owned() + &rows.collect::<String>()).unwrap();
}
