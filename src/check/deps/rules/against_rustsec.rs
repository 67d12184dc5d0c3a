//! What RustSec's own report (that of `cargo audit`) finds in a lock file, these rules find too; and what it drops by
//! default, besides.
//!
//! Against a database made here, and against the folder that the variable `ADVISORY_DB` names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustsec::report::{Report, Settings};
use rustsec::{Database, Lockfile};

use super::RULES;
use crate::check::deps::cases::file;
use crate::check::deps::folder::tests::Scratch;
use crate::check::deps::{Wanted, look};
use crate::check::proving::verdicts;
use crate::check::{Profile, State};

/// How many lock files are tried, of how many packages each.
const LOCKS: usize = 10;
const PACKAGES: usize = 150;

/// Versions that packages are given in turn; some end in a preview or in build metadata.
const VERSIONS: [&str; 16] = [
    "0.0.1",
    "0.1.0",
    "0.1.43",
    "0.2.7",
    "0.3.0-rc.1",
    "0.4.5",
    "0.9.9",
    "0.14.9",
    "1.0.0",
    "1.2.2",
    "1.2.3-rc.1",
    "1.5.0",
    "1.7.1+build.5",
    "2.0.0",
    "3.1.4",
    "10.0.0",
];

#[tokio::test]
async fn ten_lock_files_have_the_same_vulnerabilities_as_rustsecs_own_report_has() {
    let made = database();
    let named = std::env::var_os("ADVISORY_DB").map(PathBuf::from);
    for folder in [Some(made.0.clone()), named].into_iter().flatten() {
        let (mut vulnerabilities, mut notices) = (0, 0);
        for lock in locks(&folder) {
            let (expected, warned) = theirs(&folder, &lock);
            let (found, noticed) = ours(&folder, &lock).await;
            assert_eq!(found, expected);
            assert_eq!(noticed, warned);
            vulnerabilities += found.len();
            notices += noticed.len();
        }
        println!("{}: {vulnerabilities} vulnerabilities, {notices} notices, all the same", folder.display());
        assert!(vulnerabilities > 10 && notices > 5, "{vulnerabilities} {notices}");
    }
}

type Found = BTreeSet<String>;

/// What RustSec's report has: vulnerabilities, and the warnings that it leaves out unless they are asked for.
fn theirs(folder: &Path, lock: &str) -> (Found, Found) {
    let database = Database::open(folder).unwrap();
    let lock: Lockfile = lock.parse().unwrap();
    let kinds = ["notice", "unmaintained", "unsound"].map(|kind| kind.parse().unwrap());
    let settings = Settings { informational_warnings: kinds.to_vec(), ..Settings::default() };
    let report = Report::generate(&database, &lock, &settings);
    let vulnerabilities = report.vulnerabilities.list.iter();
    let told = vulnerabilities
        .map(|one| format!("{} {} {}", one.advisory.id, one.package.name, one.package.version));
    let warnings = report.warnings.values().flatten();
    let warned = warnings.filter_map(|one| {
        let id = &one.advisory.as_ref()?.id;
        Some(format!("{id} {} {}", one.package.name, one.package.version))
    });
    (told.collect(), warned.collect())
}

async fn ours(folder: &Path, lock: &str) -> (Found, Found) {
    let scratch = Scratch::new("against");
    let wanted = Wanted {
        lockfile: Some(scratch.write("Cargo.lock", lock)),
        database: Some(folder.to_owned()),
        ..Wanted::default()
    };
    let facts = look(&wanted).await;
    let of = |id: &str| -> Found {
        let all = verdicts(RULES, id, &facts, Profile::Production).into_iter();
        all.filter(|verdict| verdict.state == State::Fail).map(|verdict| verdict.subject).collect()
    };
    (of("SMC7002"), of("SMC7004"))
}

/// Lock files of packages that the database speaks of, each in some version.
fn locks(folder: &Path) -> Vec<String> {
    let crates = std::fs::read_dir(folder.join("crates")).unwrap();
    let mut names: Vec<_> = crates.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let lock = |number: usize| {
        let mut packages = BTreeMap::new();
        for at in 0..PACKAGES {
            let name = &names[(at * 7 + number * 13) % names.len()];
            packages.insert(name, VERSIONS[(at * 5 + number * 3) % VERSIONS.len()]);
        }
        let entries = packages.into_iter().map(|(name, version)| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\
                 source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\n"
            )
        });
        format!("version = 3\n\n{}", entries.collect::<String>())
    };
    (0..LOCKS).map(lock).collect()
}

/// Sixty packages with an advisory each, of every kind and in every form.
fn database() -> Scratch {
    let scratch = Scratch::new("against-database");
    let more = [
        "",
        "cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"",
        "informational = \"unsound\"",
        "informational = \"unmaintained\"",
        "withdrawn = \"2026-11-02\"",
        "informational = \"notice\"",
    ];
    for number in 0..60_usize {
        let (id, package) =
            (format!("RUSTSEC-2026-{number:04}", number = number + 1), format!("package-{number}"));
        let text = file(&id, &package, more[number % more.len()]);
        let text = match number % 4 {
            0 => text.replace("patched = [\">= 1.2.3\"]", "patched = []"),
            1 => text.replace("unaffected = [\"< 1.0.0\"]\n", ""),
            2 => text
                .replace("patched = [\">= 1.2.3\"]", "patched = [\"^0.14.10\", \">= 1.7.1\"]")
                .replace("< 1.0.0", "< 0.1.43"),
            _ => text,
        };
        scratch.write(&format!("crates/{package}/{id}.md"), text);
    }
    scratch
}
