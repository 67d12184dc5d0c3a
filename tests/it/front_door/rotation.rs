//! `rotate-keys` beside a running server: what it changes, what it leaves, what it proves, and what a restart with
//! which key does afterwards.

mod again;
mod client;
mod client_ways;
mod data;
pub(super) mod emergency;
mod killed;
mod many;
mod paced;
mod put_back;
mod sealed;
mod storm;
mod tampered;

use std::path::PathBuf;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use spotify_mcp::crypto::signature;
use spotify_mcp::domain::KeyPurpose;

use super::api_keys::{command, result};
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// A rotation of the master key to a file beside the data.
const MASTER: [&str; 3] = ["rotate-keys", "--what", "master"];

fn new_key_file(server: &TestServer) -> PathBuf {
    server.data.join("new.key")
}

/// What rotates to that file, as arguments.
fn to_new_file(server: &TestServer) -> Vec<String> {
    let file = new_key_file(server).display().to_string();
    MASTER.into_iter().map(str::to_owned).chain(["--new-master-key-file".to_owned(), file]).collect()
}

async fn rotate(server: &TestServer, arguments: &[&str]) -> Output {
    let to_file = to_new_file(server);
    let all: Vec<&str> = to_file.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
    command(server, &all).await
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The evidence of a rotation that ended with this status, its signature checked.
fn evidence(output: &Output, status: i32) -> Value {
    assert_eq!(output.status.code(), Some(status), "{}", said(output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    signed(&document)
}

/// The evidence of a document, its signature checked.
fn signed(document: &Value) -> Value {
    let bytes = |name: &str| STANDARD.decode(document["signature"][name].as_str().unwrap()).unwrap();
    let text = document["evidence"].to_string();
    assert!(signature::verify(&bytes("public_key"), text.as_bytes(), &bytes("value")));
    assert!(!signature::verify(
        &bytes("public_key"),
        text.replace("\"schema\"", "\"scheme\"").as_bytes(),
        &bytes("value")
    ));
    document["evidence"].clone()
}

pub(super) async fn listens(listener: &Listener) {
    let answer = listener.call("get_current_track", json!({})).await;
    assert!(answer.text.contains(&listener.marker()), "{answer:?}");
}

/// Everything open is forgotten, so that the next call opens what is stored.
async fn forgets(server: &TestServer) {
    super::epoch_moves(&server.place.raw().await).await;
}

pub(super) async fn three(server: &TestServer) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for name in ["user0001", "user0002", "user0003"] {
        listeners.push(server.listener(name).await);
    }
    listeners
}

#[tokio::test]
async fn the_master_key_is_rotated_while_people_listen() {
    at_both(async |place| {
        let mut server = Setup::on(place).people(4).start().await;
        let listeners = three(&server).await;
        let dry = [&MASTER[..], &["--dry-run", "--new-master-key-file", "/nowhere/new.key"]].concat();
        assert_eq!(result(&server, &dry).await["data_keys"], 3);

        let evidence = evidence(&rotate(&server, &["--format", "json"]).await, 0);
        let (old, new) = (evidence["old_key"].as_str().unwrap(), evidence["new_key"].as_str().unwrap());
        assert_ne!(old, new);
        let keys = &evidence["tables"]["data_keys"];
        assert_eq!(keys["before"], json!({ old: 3 }));
        assert_eq!(keys["after"], json!({ new: 3 }));
        assert_eq!((&keys["verified"], &keys["quarantined"]), (&json!(3), &json!(0)));
        assert_eq!(evidence["negative_probe"]["opened"], 0);
        assert_eq!(evidence["negative_probe"]["tried"], 11);
        assert_eq!(evidence["outcome"], "completed");
        let audit = &evidence["audit"];
        assert_eq!(audit["in_trail"], audit["events"].as_array().unwrap().len(), "{evidence}");
        assert!(audit["last_sequence"].as_u64() > audit["first_sequence"].as_u64());

        // The running server has learned it: what is stored opens, and newcomers are wrapped under it.
        forgets(&server).await;
        for listener in &listeners {
            listens(listener).await;
        }
        listens(&server.listener("user0004").await).await;
        let under = format!("SELECT COUNT(*) FROM data_keys WHERE master_key_id = '{new}'");
        assert_eq!(server.place.raw().await.number(&under).await, 4);

        // Run again: the same evidence.
        let again: Value =
            serde_json::from_slice(&rotate(&server, &["--format", "json"]).await.stdout).unwrap();
        assert_eq!(again["evidence"], evidence);
        restarts(&mut server, &listeners, (old, new)).await;
    })
    .await;
}

/// With the old key until one has started with the new one, and never after that.
async fn restarts(server: &mut TestServer, listeners: &[Listener], (old, new): (&str, &str)) {
    let before = server.environment["SPOTIFY_MCP_MASTER_KEY"].clone();
    server.stop().await;
    server.start().await;
    listens(&listeners[0]).await;
    server.says("started with a master key that another has replaced").await;

    server.stop().await;
    let after = std::fs::read_to_string(new_key_file(server)).unwrap().trim().to_owned();
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), after);
    server.start().await;
    for listener in listeners {
        listens(listener).await;
    }
    server.stop().await;
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), before);
    let refused = command(server, &["serve"]).await;
    assert_eq!(refused.status.code(), Some(2));
    let said = said(&refused);
    assert!(said.contains("MASTER_KEY_WRONG") && said.contains(old) && said.contains(new), "{said}");
}

#[tokio::test]
async fn a_key_beside_the_data_is_replaced_there_and_the_old_one_kept_apart() {
    let mut server = Setup::on(Place::sqlite()).people(3).prepare().await;
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    server.start().await;
    let listeners = three(&server).await;
    let key = server.data_dir().join("master.key");
    let before = std::fs::read_to_string(&key).unwrap();
    let output = command(&server, &[&MASTER[..], &["--format", "json"]].concat()).await;
    let evidence = evidence(&output, 0);
    assert_ne!(std::fs::read_to_string(&key).unwrap(), before);
    assert!(!key.with_extension("key.next").exists());
    let kept = key.with_extension(format!("key.retired-{}", evidence["old_key"].as_str().unwrap()));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), before);
    for folder in ["evidence"] {
        let entries = std::fs::read_dir(server.data_dir().join(folder)).unwrap();
        for entry in entries {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
    }
    server.stop().await;
    server.start().await;
    for listener in &listeners {
        listens(listener).await;
    }
}

#[tokio::test]
async fn the_status_names_every_key_without_needing_one() {
    let mut server = Setup::on(Place::sqlite()).people(3).start().await;
    three(&server).await;
    let key = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
    let status = result(&server, &["rotate-keys", "--status"]).await;
    let keys = status["keys"].as_array().unwrap();
    let of = |kind: &str| keys.iter().find(|line| line["kind"] == kind).unwrap();
    assert_eq!(of("master")["id"].as_str().unwrap().len(), 32);
    // Three wrapped data keys and the server's own eight.
    assert_eq!((&of("master")["seals"], &of("data")["keys"]), (&json!(11), &json!(3)));
    assert!(of("data")["seals"].as_i64().unwrap() >= 2);
    for own in KeyPurpose::ALL {
        assert_eq!(of(own.name())["state"], "active");
    }
    assert_eq!(status["rotations"], json!([]));

    let month = "UPDATE master_keys SET created_at = created_at - 31 * 86400";
    server.place.raw().await.run(month).await;
    let output = command(&server, &["rotate-keys", "--status"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("older than the policy allows"), "{}", said(&output));
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);
}

#[tokio::test]
async fn what_cannot_be_rotated_says_why() {
    let server = Setup::on(Place::sqlite()).people(3).start().await;
    let refusal = async |arguments: &[&str]| {
        let output = command(&server, arguments).await;
        (output.status.code().unwrap(), said(&output))
    };
    let (status, text) = refusal(&MASTER).await;
    assert!(status == 2 && text.contains("NEW_KEY_FILE_NEEDED"), "{text}");

    let present = server.data.join("present.key");
    std::fs::write(&present, &server.environment["SPOTIFY_MCP_MASTER_KEY"]).unwrap();
    let arguments = [&MASTER[..], &["--new-master-key-file", present.to_str().unwrap()]].concat();
    let (status, text) = refusal(&arguments).await;
    assert!(status == 2 && text.contains("MASTER_KEY_EXPOSED"), "{text}");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&present, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (status, text) = refusal(&arguments).await;
    assert!(status == 2 && text.contains("NEW_KEY_USED_BEFORE"), "{text}");

    let nowhere = [&MASTER[..], &["--new-master-key-file", "/nowhere/at/all.key"]].concat();
    let (status, text) = refusal(&nowhere).await;
    assert!(status == 3 && text.contains("FILE_UNWRITABLE"), "{text}");
    let none: Vec<String> = server.place.raw().await.texts("SELECT id FROM rotations").await;
    assert!(none.is_empty());
}
