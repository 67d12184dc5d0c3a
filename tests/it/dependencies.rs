//! `security-check deps` through the command line: against lock files, advisory databases and a server that hands one
//! out, all made here.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use spotify_mcp::ambient::Clock;

/// A folder of its own, with a lock file that needs mending and the advisories that say so.
struct Here(PathBuf);

impl Here {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("smcp-deps-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let here = Self(std::env::temp_dir().join(name));
        for (path, text) in database() {
            here.file(&format!("db/{path}"), text);
        }
        here.file("Cargo.lock", LOCK.as_bytes());
        here
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(Path::new(env!("CARGO_BIN_EXE_spotify-mcp")))
            .args(["security-check", "deps", "--format", "json"])
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .env("DATA_DIR", self.0.join("data"))
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }

    /// The exit status and the report.
    fn report(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, Value) {
        let output = self.run(arguments, environment);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {said}"));
        (output.status.code().unwrap(), report)
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LOCK: &str = r#"version = 4

[[package]]
name = "mine"
version = "0.1.0"
dependencies = ["holey", "lonely", "forked"]

[[package]]
name = "holey"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "0000000000000000000000000000000000000000000000000000000000000000"

[[package]]
name = "lonely"
version = "2.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "0000000000000000000000000000000000000000000000000000000000000000"

[[package]]
name = "forked"
version = "3.0.0"
source = "git+https://user:hunter2@git.example/forked#0123456789012345678901234567890123456789"
"#;

fn advisory(id: &str, package: &str, more: &str) -> String {
    format!(
        "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{package}\"\ndate = \"2026-11-01\"\n{more}\n\
         [versions]\npatched = [\">= 9.0.0\"]\n```\n\n# Something about {package}\n\nText.\n"
    )
}

fn database() -> Vec<(String, String)> {
    let cvss = "cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\naliases = [\"CVE-2026-1\"]";
    vec![
        ("crates/holey/RUSTSEC-2026-0001.md".to_owned(), advisory("RUSTSEC-2026-0001", "holey", cvss)),
        (
            "crates/lonely/RUSTSEC-2026-0002.md".to_owned(),
            advisory("RUSTSEC-2026-0002", "lonely", "informational = \"unmaintained\""),
        ),
        ("crates/other/RUSTSEC-2026-0003.md".to_owned(), advisory("RUSTSEC-2026-0003", "other", "")),
    ]
    .into_iter()
    // As many as make it whole.
    .chain((1..=600).map(|at| {
        let id = format!("RUSTSEC-2025-{at:04}");
        (format!("crates/p{at}/{id}.md"), advisory(&id, &format!("p{at}"), ""))
    }))
    .collect()
}

/// The same as git would archive it.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in database() {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, format!("advisory-db-main/{path}"), text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// Check, state and subject of the findings that are in one of these states.
fn findings(report: &Value, states: &[&str]) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter();
    let wanted = all.filter(|finding| states.contains(&finding["state"].as_str().unwrap()));
    wanted
        .map(|one| format!("{} {}", one["id"].as_str().unwrap(), one["subject"].as_str().unwrap_or_default()))
        .collect()
}

#[test]
fn a_lock_file_is_held_against_a_database_and_nothing_is_passed_over() {
    let here = Here::new();
    let arguments = ["--lockfile", "Cargo.lock", "--advisory-db", "db", "--offline"];
    let (status, report) = here.report(&arguments, &[]);
    assert_eq!(status, 1, "{report:#}");
    let failed = findings(&report, &["fail"]);
    for expected in [
        "SMC7002 RUSTSEC-2026-0001 holey 1.0.0",
        "SMC7004 RUSTSEC-2026-0002 lonely 2.0.0",
        "SMC7006 forked 3.0.0",
    ] {
        assert!(failed.iter().any(|one| one == expected), "{expected} is not in {failed:?}");
    }
    assert_eq!(findings(&report, &["error"]), ["SMC7002 packages from elsewhere"]);
    assert!(!report.to_string().contains("hunter2"), "a password in an address is shown");
    // An archive says the same.
    here.file("db.tar.gz", archive());
    let (status, archived) =
        here.report(&["--lockfile", "Cargo.lock", "--advisory-db", "db.tar.gz", "--offline"], &[]);
    assert_eq!((status, findings(&archived, &["fail", "error"])), (1, findings(&report, &["fail", "error"])));
}

#[test]
fn without_a_database_the_status_is_three_and_with_offline_it_was_not_asked() {
    let here = Here::new();
    let only = ["--only", "SMC7002,SMC7003"];
    let (status, report) = here.report(&only, &[]);
    assert_eq!((status, findings(&report, &["error"]).len()), (3, 2), "{report:#}");
    let (status, report) = here.report(&[&only[..], &["--offline"]].concat(), &[]);
    assert_eq!((status, findings(&report, &["not_applicable"]).len()), (0, 2), "{report:#}");
    here.file("damaged.tar.gz", &archive()[..200]);
    let (status, report) =
        here.report(&[&only[..], &["--offline", "--advisory-db", "damaged.tar.gz"]].concat(), &[]);
    assert_eq!((status, findings(&report, &["error"]).len()), (3, 2), "{report:#}");
    here.file("torn.lock", "version = ");
    let (status, _) = here.report(&["--lockfile", "torn.lock", "--advisory-db", "db", "--offline"], &[]);
    assert_eq!(status, 3);
    let missing = here.run(&["--lockfile", "nowhere", "--advisory-db", "db", "--offline"], &[]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn this_program_is_judged_by_what_it_carries() {
    let here = Here::new();
    let (_, report) = here.report(&["--advisory-db", "db", "--offline"], &[]);
    let about = |id: &str| {
        let all = report["findings"].as_array().unwrap();
        all.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {report:#}")).clone()
    };
    let list = about("SMC7001")["observed"].as_str().unwrap().to_owned();
    assert!(list.contains("packages by"), "{list}");
    for id in ["SMC7002", "SMC7005", "SMC7006"] {
        assert_eq!(about(id)["state"], "pass", "{id}");
    }
}

#[test]
fn a_database_is_fetched_only_from_an_allowed_host_and_kept() {
    let here = Here::new();
    let url = serve(archive());
    let fetch = format!("--fetch-advisories={url}");
    let arguments = ["--lockfile", "Cargo.lock", "--only", "SMC7002", &fetch];
    let (status, report) = here.report(&arguments, &[]);
    assert_eq!(status, 3);
    assert!(report.to_string().contains("add it to network.allowed_hosts"), "{report:#}");
    assert!(!here.0.join("data/advisory-db.tar.gz").exists());

    fs::create_dir_all(here.0.join("data")).unwrap();
    // Plain http is for loopback alone, and only Spotify's own addresses may be it: here they stand on the same host.
    let origin = url.rsplit_once('/').unwrap().0;
    let allowed = [("SPOTIFY_API_URL", origin)];
    let (status, report) = here.report(&arguments, &allowed);
    assert_eq!(status, 1, "{report:#}");
    // Kept: the next run needs no network.
    let (status, report) = here.report(&["--lockfile", "Cargo.lock", "--only", "SMC7002", "--offline"], &[]);
    assert_eq!(status, 1, "{report:#}");
    let refused = here.run(&[&fetch, "--offline"], &allowed);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_bill_of_materials_has_the_packages_and_what_was_decided() {
    let here = Here::new();
    let arguments = ["--lockfile", "Cargo.lock", "--advisory-db", "db", "--offline", "--sbom", "bill.json"];
    let (_, report) = here.report(&arguments, &[]);
    let read = || fs::read_to_string(here.0.join("bill.json")).unwrap();
    let first = read();
    here.report(&arguments, &[]);
    assert_eq!(read(), first, "the same facts give the same bytes");
    let bill: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    assert_eq!(bill["metadata"]["component"]["name"], "mine");
    let urls: Vec<_> = bill["components"].as_array().unwrap().iter().map(|one| &one["purl"]).collect();
    assert_eq!(urls, ["pkg:cargo/forked@3.0.0", "pkg:cargo/holey@1.0.0", "pkg:cargo/lonely@2.0.0"]);
    assert_eq!(bill["vulnerabilities"][0]["analysis"]["state"], "in_triage");

    let finding = report["findings"].as_array().unwrap().iter().find(|one| one["id"] == "SMC7002").unwrap();
    let waiver = format!(
        "[[waiver]]\nid = \"SMC7002\"\nowner = \"ada\"\nreason = \"the hole is not reached\"\nexpires = \"{}\"\n\
         fingerprint = \"{}\"\njustification = \"code_not_reachable\"\n",
        day_in_a_month(),
        finding["fingerprint"].as_str().unwrap()
    );
    here.file("waivers.toml", waiver);
    here.report(&[&arguments[..], &["--waivers", "waivers.toml"]].concat(), &[]);
    let bill: Value = serde_json::from_str(&read()).unwrap();
    let analysis = &bill["vulnerabilities"][0]["analysis"];
    assert_eq!(
        (&analysis["state"], &analysis["justification"]),
        (&"not_affected".into(), &"code_not_reachable".into())
    );
    assert!(analysis["detail"].as_str().unwrap().contains("the hole is not reached (ada"), "{analysis}");
}

fn day_in_a_month() -> String {
    let day = Clock::system().now().plus(Duration::from_secs(30 * 86_400)).rfc3339();
    day.split('T').next().unwrap().to_owned()
}

/// Hands these bytes to whoever asks, for as long as the test runs; the address.
fn serve(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/db.tar.gz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(&[head.as_bytes(), &bytes].concat());
        }
    });
    url
}
