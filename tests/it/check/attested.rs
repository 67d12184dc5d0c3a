//! What people attest, and evidence that is signed: with a real server's database and keys.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Here;
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer, binary};
use crate::support::trail;

async fn command(server: &TestServer, arguments: &[&str]) -> Output {
    binary().args(arguments).envs(&server.environment).output().await.unwrap()
}

async fn result(server: &TestServer, arguments: &[&str]) -> Value {
    let output = command(server, &[arguments, &["--format", "json"]].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one record of this code, as soon as the server has written it.
async fn recorded(server: &TestServer, code: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let all = trail::records(&server.data_dir().join("audit"));
        match all.into_iter().find(|record| record.to_string().contains(code)) {
            Some(record) => return record,
            None => assert!(Instant::now() < until, "{code} is not in the trail"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_attestation_is_stored_and_recorded_and_an_empty_one_is_refused() {
    let server = Setup::on(Place::sqlite()).start().await;
    let attest = |by: &'static str, evidence: &'static str| {
        ["security-check", "attest", "restore-test", "--by", by, "--evidence", evidence]
    };
    let tried = result(&server, &[&attest("ada", "ticket 4711")[..], &["--dry-run"]].concat()).await;
    assert_eq!(tried["changed"], false);
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM attestations").await, 0);
    let done = result(&server, &attest("ada", "ticket 4711")).await;
    assert_eq!((&done["changed"], &done["task"]), (&true.into(), &"restore-test".into()));
    assert_eq!(raw.texts("SELECT by_whom FROM attestations").await, ["ada"]);
    let text = recorded(&server, "task_attested").await.to_string();
    assert!(text.contains("restore-test") && text.contains(done["id"].as_str().unwrap()), "{text}");
    assert!(!text.contains("ticket 4711"), "the trail names no people and no tickets: {text}");
    for (by, evidence) in [
        (" ", "ticket 4711"),
        ("ada", ""),
        ("a\u{202e}da", "ticket 4711"),
        ("x", "ticket 4711"),
        ("xx", "ticket 4711"),
        ("ada", "y"),
        ("ada", "yyyyyyyy"),
        ("ada", "#1 . . ."),
    ] {
        let output = command(&server, &attest(by, evidence)).await;
        assert_eq!(output.status.code(), Some(2), "{by} {evidence}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("ATTESTATION_INVALID"));
    }
    assert_eq!(raw.number("SELECT COUNT(*) FROM attestations").await, 1);
}

#[tokio::test]
async fn evidence_is_a_folder_of_reports_with_a_signed_manifest() {
    let here = Here::new();
    let server = Setup::on(Place::sqlite()).start().await;
    let folder = here.0.join("evidence").display().to_string();
    let asked = ["security-check", "compliance", "--only", "SMC7009", "--evidence-dir", &folder, "--quiet"];
    let output = command(&server, &asked).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let bundle = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let document: Value = serde_json::from_slice(&fs::read(bundle.join("manifest.json")).unwrap()).unwrap();
    let of = |member: &str| STANDARD.decode(document["signature"][member].as_str().unwrap()).unwrap();
    let key = UnparsedPublicKey::new(&ED25519, of("public_key"));
    key.verify(document["evidence"].to_string().as_bytes(), &of("value")).expect("signed");
    let files = document["evidence"]["files"].as_object().unwrap();
    assert_eq!(files.len(), 7);
    for (name, said) in files {
        let digest: String = Sha256::digest(fs::read(bundle.join(name)).unwrap())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(said["sha256"], digest, "{name}");
    }
    let text = recorded(&server, "security_checked").await.to_string();
    let digest: String =
        Sha256::digest(document["evidence"].to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(&digest), "the trail holds the manifest's digest: {text}");
    // Without a database and a key there is nothing to sign with, and that is said.
    let (status, said) = here.status(&["compliance", "--only", "SMC7009", "--evidence-dir", "mine"]);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("EVIDENCE_UNSIGNED"), "{said}");
}
