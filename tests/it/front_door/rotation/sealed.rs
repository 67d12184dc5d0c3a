//! Rotations of the master key of a server that runs with a sealed configuration: a start works with what is at hand at
//! every moment, and after an emergency the old key opens nothing.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::emergency::{contained, emergency};
use super::{evidence, listens, new_key_file, rotate, said, three};
use crate::front_door::api_keys::{command, result};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer};

/// A server that runs with a sealed configuration and a key from a file; the configuration, and the key.
async fn sealed(recovery: bool) -> (TestServer, PathBuf, PathBuf) {
    let mut server = Setup::on(Place::sqlite()).people(3).prepare().await;
    let (plain, key) = (server.data.join("c.toml"), server.data.join("the.key"));
    std::fs::write(
        &plain,
        "[[auth.clients]]\nid = \"desk\"\nname = \"Desk\"\nredirect_uris = [\"http://127.0.0.1/callback\"]\n\
        secret = \"sentinel-of-a-configured-client\"\n",
    )
    .unwrap();
    std::fs::write(&key, server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap()).unwrap();
    for file in [&plain, &key] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), key.display().to_string());
    let recovery_file = server.data.join("recovery.key").display().to_string();
    let more = if recovery { &["--recovery-out", recovery_file.as_str()][..] } else { &[] };
    let done = command(&server, &[&["config", "encrypt", plain.to_str().unwrap()], more].concat()).await;
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let file = server.data.join("c.encrypted.json");
    server.environment.insert("SPOTIFY_MCP_CONFIG".to_owned(), file.display().to_string());
    server.start().await;
    (server, file, key)
}

fn slots(file: &Path) -> Vec<(String, String)> {
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let slots = document["$sealed"]["slots"].as_array().unwrap();
    let text = |slot: &Value, name: &str| slot[name].as_str().unwrap_or_default().to_owned();
    slots.iter().map(|slot| (text(slot, "kind"), text(slot, "key_id"))).collect()
}

/// Restarts the server with the key in this file.
async fn starts_with(server: &mut TestServer, key: &Path) {
    server.stop().await;
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), key.display().to_string());
    server.start().await;
}

#[tokio::test]
async fn a_sealed_configuration_opens_at_every_moment_of_a_routine_rotation() {
    let (mut server, file, old) = sealed(false).await;
    let listeners = three(&server).await;
    let new = new_key_file(&server);
    for boundary in ["slot", "planned", "active", "verified", "retired"] {
        server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
        let died = rotate(&server, &[]).await;
        assert_eq!(died.status.code(), None, "{boundary}: {}", said(&died));
        server.environment.remove("DIE_AT");
        assert_eq!(slots(&file).len(), 2, "{boundary}");
        starts_with(&mut server, &old).await;
        listens(&listeners[0]).await;
        listens(&listeners[1]).await;
    }
    let done = evidence(&rotate(&server, &["--format", "json"]).await, 0);
    let told = done["notes"].to_string();
    let drop = told.split("--drop-slot ").nth(1).expect(&told).split('\'').next().unwrap().to_owned();
    starts_with(&mut server, &new).await;
    listens(&listeners[2]).await;
    let path = file.display().to_string();
    result(&server, &["config", "rekey", &path, "--drop-slot", &drop]).await;
    assert_eq!(slots(&file).len(), 1);
    starts_with(&mut server, &new).await;
    listens(&listeners[0]).await;
    server.stop().await;
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), old.display().to_string());
    let refused = command(&server, &["serve"]).await;
    assert!(
        refused.status.code() == Some(2) && said(&refused).contains("CONFIG_WRONG_KEY"),
        "{}",
        said(&refused)
    );
}

#[tokio::test]
async fn a_sealed_configuration_that_cannot_take_the_new_key_stops_a_rotation_before_it_begins() {
    let (server, file, _) = sealed(false).await;
    std::fs::write(format!("{}.lock", file.display()), "").unwrap();
    let held = std::fs::File::open(format!("{}.lock", file.display())).unwrap();
    held.lock().unwrap();
    let refused = rotate(&server, &[]).await;
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("SEALED_CONFIGURATION_NOT_READY") && text.contains("c.encrypted.json"), "{text}");
    let arguments = emergency(&server);
    let refused = command(&server, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(said(&refused).contains("SEALED_CONFIGURATION_NOT_READY"), "{}", said(&refused));
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM rotations").await, 0);
    assert_eq!(raw.number("SELECT COUNT(*) FROM revocation WHERE frozen_by IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_sealed_configuration_without_room_for_the_new_key_says_so_before_anything_is_rotated() {
    let (server, file, _) = sealed(false).await;
    let path = file.display().to_string();
    while slots(&file).len() < 8 {
        let recovery = server.data.join(format!("recovery{}.key", slots(&file).len()));
        result(&server, &["config", "slot", "add", &path, "--recovery-out", recovery.to_str().unwrap()])
            .await;
    }
    let refused = rotate(&server, &[]).await;
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("as many slots as it may have") && text.contains("config slot remove"), "{text}");
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM rotations").await, 0);
}

#[tokio::test]
async fn after_an_emergency_the_old_key_opens_nothing_of_a_sealed_configuration() {
    let (mut server, file, old) = sealed(true).await;
    three(&server).await;
    let (path, new) = (file.display().to_string(), new_key_file(&server));
    assert_eq!(slots(&file).len(), 2);
    // A text from before, as `config set` leaves it.
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(format!("{path}.bak"), &before).unwrap();
    let arguments = emergency(&server);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    server.environment.insert("DIE_AT".to_owned(), "retired".to_owned());
    assert_eq!(command(&server, &words).await.status.code(), None);
    server.environment.remove("DIE_AT");
    let document = contained(&server, &arguments).await;
    let notes = document["rotations"][0]["evidence"]["notes"].to_string();
    assert!(notes.contains("the new key alone opens it") && notes.contains("recovery"), "{notes}");

    let kept = slots(&file);
    let id = document["rotations"][0]["evidence"]["new_key"].as_str().unwrap();
    assert_eq!(kept, [("master-key".to_owned(), id.to_owned())], "{kept:?}");
    assert!(!Path::new(&format!("{path}.bak")).exists());
    let text = std::fs::read_to_string(&file).unwrap();
    let sealed_values = |text: &str| -> Vec<String> {
        text.split('"').filter(|part| part.starts_with("sealed:")).map(str::to_owned).collect()
    };
    assert!(sealed_values(&before).iter().all(|value| !text.contains(value.as_str())));
    // The command has the old key, from the server's environment.
    let refused = command(&server, &["config", "verify", &path]).await;
    assert_eq!(refused.status.code(), Some(10), "{}", said(&refused));

    // The running server takes the new key, and with it the configuration.
    std::fs::copy(&new, &old).unwrap();
    let taken = result(&server, &["config", "reload"]).await;
    assert_eq!(taken["taken_over"], json!(["security.master_key"]), "{taken}");
    listens(&server.listener("user0001").await).await;
    let verified = command(&server, &["config", "verify", &path]).await;
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    starts_with(&mut server, &new).await;
    listens(&server.listener("user0002").await).await;
}
