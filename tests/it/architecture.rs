//! Holds the module order of `src/lib.rs`: a module imports only from its left. Prose goes stale, a test does not.

use std::fs;
use std::path::{Path, PathBuf};

const ORDER: &[&str] = &[
    "ambient",
    "failure",
    "reading",
    "crypto",
    "domain",
    "policy",
    "config",
    "telemetry",
    "store",
    "egress",
    "spotify",
    "vault",
    "audit",
    "alerts",
    "backup",
    "app",
    "check",
    "oauth",
    "mcp",
    "web",
    "http",
    "cli",
    "fuzzing",
];

/// Pairs that the order alone would allow and the map forbids.
const FORBIDDEN: &[(&str, &str)] =
    &[("crypto", "ambient"), ("crypto", "failure"), ("mcp", "oauth"), ("config", "store")];

#[test]
fn modules_import_only_from_their_left() {
    let mut wrong = Vec::new();
    for (at, module) in ORDER.iter().enumerate() {
        for file in sources(module) {
            let text = fs::read_to_string(&file).unwrap();
            for used in imports(&text) {
                let Some(to) = ORDER.iter().position(|name| *name == used) else { continue };
                if to > at || FORBIDDEN.contains(&(module, ORDER[to])) {
                    wrong.push(format!("{} imports {used}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the order in src/lib.rs is broken:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_lists_every_module_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: Vec<_> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, ORDER);
    let mapped: Vec<_> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`")?.split_once('`').map(|(name, _)| name))
        .collect();
    assert_eq!(mapped, ORDER);
}

#[test]
fn the_core_does_no_input_or_output() {
    for module in ["crypto", "domain", "policy"] {
        for file in sources(module) {
            let text = fs::read_to_string(&file).unwrap();
            for word in
                ["std::fs", "std::net::Tcp", "tokio::", "axum::", "sqlx::", "async fn", "std::env", "hyper::"]
            {
                assert!(!text.contains(word), "{} mentions {word}", file.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for module in ORDER {
        for file in sources(module) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{} does not open with //!", file.display());
        }
    }
}

fn imports(text: &str) -> impl Iterator<Item = &str> {
    // Documentation may name any module: links are not imports.
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
}

fn sources(module: &str) -> Vec<PathBuf> {
    let src = root().join("src");
    let single = src.join(format!("{module}.rs"));
    if single.exists() { vec![single] } else { walk(&src.join(module)) }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
