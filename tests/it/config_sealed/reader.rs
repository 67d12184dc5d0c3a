//! The documented test vector, and a second reader made from the documentation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Desk, status, words};

/// The key of the documented test vector.
const VECTOR_KEY: &str = "J7rMxfhmm6MuL2fMt+3ptdDXbUXPMbnHENaOp8QcyLg=";

#[test]
fn the_documented_vector_opens() {
    let desk = Desk::new();
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", ""), ("SPOTIFY_MCP_MASTER_KEY", VECTOR_KEY)];
    // A checkout may be writable by a group.
    desk.write("vector.json", &fs::read_to_string(vector()).unwrap());
    let output = desk.run_with(&["config", "decrypt", "vector.json"], &env, "");
    assert_eq!(status(&output), 0, "{}", words(&output));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), documented());
}

/// A reader in another language, made from the documentation: what it opens is not just what we wrote.
#[test]
fn a_second_reader_opens_the_vector_and_a_fresh_file_and_refuses_changes() {
    let has = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 with the package 'cryptography' is not here");
        return;
    }
    let desk = Desk::sealed();
    let read = |file: &Path, key: &str| {
        let reader = root().join("tests/sealed_reader.py");
        Command::new("python3").arg(reader).arg(file).arg(key).output().unwrap()
    };
    let output = read(&vector(), VECTOR_KEY);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), documented(), "{}", words(&output));

    let key = fs::read_to_string(desk.path("master.key")).unwrap();
    let output = read(&desk.path("c.encrypted.json"), key.trim());
    let plain: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(&output)));
    assert_eq!(plain["auth"]["clients"][0]["secret"], "sentinel-of-a-configured-client");
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    for changed in [text.replace(": 9000", ": 9001"), text.replace('{', "{ ")] {
        desk.write("c.encrypted.json", &changed);
        assert!(!read(&desk.path("c.encrypted.json"), key.trim()).status.success());
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn vector() -> PathBuf {
    root().join("tests/vectors/sealed-configuration.json")
}

/// What docs/sealed-configuration.md says is in the vector.
fn documented() -> Value {
    let text = fs::read_to_string(root().join("docs/sealed-configuration.md")).unwrap();
    let (_, block) = text.rsplit_once("```json\n").unwrap();
    serde_json::from_str(block.split("```").next().unwrap()).unwrap()
}
