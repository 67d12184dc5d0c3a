//! What `config verify` and `config status` say, and every typed status.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Desk, status, words};

#[test]
fn every_refusal_has_its_typed_status() {
    let desk = Desk::sealed();
    let other = desk.key("other.key");
    let verify = |env: &[(&str, &str)]| {
        let output = desk.run_with(&["config", "verify", "c.encrypted.json"], env, "");
        (status(&output), words(&output))
    };
    assert_eq!(verify(&[]).0, 0, "{}", verify(&[]).1);
    assert_eq!(verify(&[("SPOTIFY_MCP_MASTER_KEY_FILE", &other)]).0, 10);
    assert_eq!(verify(&[("SPOTIFY_MCP_MASTER_KEY_FILE", "")]).0, 16);
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    let with = |text: &str| {
        desk.write("c.encrypted.json", text);
        verify(&[]).0
    };
    assert_eq!(with(&text.replace(": 9000", ": 9001")), 11);
    assert_eq!(with(&text.replace("configuration/v1", "configuration/v7")), 13);
    assert_eq!(with("{}\n"), 11);
    assert_eq!(with(&text), 0);
    fs::set_permissions(desk.path("c.encrypted.json"), fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(verify(&[]).0, 17);

    let phrase = desk.write("phrase", "correct horse battery");
    let args = ["config", "encrypt", "c.toml", "-o", "p.json", "--passphrase-file", &phrase];
    assert_eq!(status(&desk.run(&args)), 0);
    let weak = fs::read_to_string(desk.path("p.json")).unwrap().replace(": 65536", ": 1024");
    desk.write("p.json", &weak);
    assert_eq!(status(&desk.run(&["config", "verify", "p.json"])), 14);

    for wrong in ["[server]\nprot = 1\n", "[server]\nport = \"many\"\n"] {
        desk.write("wrong.toml", wrong);
        let output = desk.run(&["config", "encrypt", "wrong.toml"]);
        assert_eq!(status(&output), 15, "{}", words(&output));
        assert!(!desk.path("wrong.encrypted.json").exists());
    }
}

#[test]
fn the_state_of_a_file_is_shown_and_judged() {
    let desk = Desk::sealed();
    let status_of = |env: &[(&str, &str)]| {
        let output = desk.run_with(&["config", "status", "c.encrypted.json", "--format", "json"], env, "");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (status(&output), report)
    };
    let (code, report) = status_of(&[]);
    assert_eq!((code, &report["authentic"], &report["rev"]), (0, &true.into(), &1.into()));
    assert_eq!(report["slots"][0]["age_days"], 0);
    let text = fs::read(desk.path("c.encrypted.json")).unwrap();
    let digest: String = {
        use sha2::Digest as _;
        sha2::Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(report["digest"], digest.as_str());
    let (code, report) = status_of(&[("SPOTIFY_MCP_MASTER_KEY_FILE", "")]);
    assert_eq!((code, &report["authentic"]), (16, &false.into()));
    // Which key it wants is seen with another one too.
    desk.key("another.key");
    let output = desk.run_with(
        &["config", "status", "c.encrypted.json"],
        &[("SPOTIFY_MCP_MASTER_KEY_FILE", "another.key")],
        "",
    );
    let slot = text_of(&report["slots"][0]["id"]);
    assert_eq!(status(&output), 10, "{}", words(&output));
    assert!(words(&output).contains("NOT PROVEN") && words(&output).contains(&slot), "{}", words(&output));
    // What is not what was sealed is not shown at all.
    let changed = fs::read_to_string(desk.path("c.encrypted.json")).unwrap().replace("9000", "9001");
    desk.write("changed.encrypted.json", &changed);
    let output = desk.run(&["config", "status", "changed.encrypted.json"]);
    assert_eq!((status(&output), words(&output).contains("revision")), (11, false), "{}", words(&output));
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_file_that_is_not_there_is_said_before_a_key_or_a_word_is_asked_for() {
    let desk = Desk::new();
    let missing = "missing.encrypted.json";
    for args in [
        &["edit", missing][..],
        &["exec", missing, "--only", "server.port", "--", "true"],
        &["verify", missing],
        &["status", missing],
        &["decrypt", missing, "-o", "x.json"],
        &["rekey", missing],
        &["slot", "add", missing, "--new-passphrase"],
        &["slot", "remove", missing, "0123456789abcdef"],
        &["diff", missing, "c.toml"],
        &["encrypt", missing, "--accept-merge"],
        &["set", "spotify.client_secret", "--config", missing],
        &["get", "spotify.client_secret", "--config", missing],
    ] {
        // Without a key at hand, and without a terminal.
        let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", "")];
        let output = desk.run_with(&[&["config"], args].concat(), &env, "");
        assert_eq!(status(&output), 2, "{args:?}: {}", words(&output));
        let text = words(&output);
        assert!(text.contains("CONFIG_FILE_UNREADABLE") && text.contains(missing), "{args:?}: {text}");
        assert!(!desk.path("missing.encrypted.json.lock").exists());
    }
}
