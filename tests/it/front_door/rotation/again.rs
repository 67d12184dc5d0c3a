//! A rotation that is run again after its end, and evidence that is shown again: nothing is rotated by accident, and
//! nothing is shown that was not signed.

use serde_json::{Value, json};

use super::{MASTER, evidence, listens, rotate, said, three, to_new_file};
use crate::front_door::api_keys::{command, result};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer};

async fn beside() -> TestServer {
    let mut server = Setup::on(Place::sqlite()).people(3).prepare().await;
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    server.start().await;
    server
}

async fn master(server: &TestServer, more: &[&str]) -> Value {
    let output = command(server, &[&MASTER[..], &["--format", "json"], more].concat()).await;
    evidence(&output, 0)
}

#[tokio::test]
async fn a_finished_rotation_run_again_shows_its_evidence_for_half_a_day() {
    let mut server = beside().await;
    let listeners = three(&server).await;
    let raw = server.place.raw().await;
    let rotations = async || raw.number("SELECT COUNT(*) FROM rotations").await;
    let first = master(&server, &[]).await;
    assert_eq!(master(&server, &[]).await, first);
    let again = command(&server, &MASTER).await;
    assert!(said(&again).contains("rotated already") && said(&again).contains("--again"), "{}", said(&again));
    let dry = result(&server, &[&MASTER[..], &["--dry-run"]].concat()).await;
    assert_eq!((&dry["done_already"], rotations().await), (&first["rotation_id"], 1));

    // Whoever means it says so; and next month the same command rotates.
    let second = master(&server, &["--again"]).await;
    assert_eq!((&second["old_key"], rotations().await), (&first["new_key"], 2));
    raw.run("UPDATE rotations SET ended_at = ended_at - 43200000, started_at = started_at - 43200000").await;
    let third = master(&server, &[]).await;
    assert_eq!((&third["old_key"], rotations().await), (&second["new_key"], 3));

    // A run that died before the new key had its name is no reason for another.
    raw.run("UPDATE rotations SET ended_at = ended_at - 43200000, started_at = started_at - 43200000").await;
    server.environment.insert("DIE_AT".to_owned(), "retired".to_owned());
    assert_eq!(command(&server, &MASTER).await.status.code(), None);
    server.environment.remove("DIE_AT");
    let fourth = master(&server, &[]).await;
    assert_eq!((&fourth["old_key"], rotations().await), (&third["new_key"], 4));
    assert!(!server.data_dir().join("master.key.next").exists());
    server.stop().await;
    server.start().await;
    listens(&listeners[0]).await;
}

#[tokio::test]
async fn a_reload_after_a_rotation_beside_the_data_has_nothing_to_say_of_the_key() {
    let server = beside().await;
    master(&server, &[]).await;
    let told = result(&server, &["config", "reload"]).await;
    assert_eq!((&told["taken_over"], &told["needs_restart"]), (&json!([]), &json!([])), "{told}");
    assert_eq!(told["master_key"]["source_has"], Value::Null);
}

#[tokio::test]
async fn evidence_that_was_changed_is_named_and_never_shown() {
    let server = Setup::on(Place::sqlite()).people(3).start().await;
    three(&server).await;
    let first = evidence(&rotate(&server, &["--format", "json"]).await, 0);
    let id = first["rotation_id"].as_str().unwrap();
    let path = server.data_dir().join("evidence").join(format!("{id}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut unsigned: Value = serde_json::from_str(&text).unwrap();
    unsigned["signature"] = Value::Null;
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    forged["evidence"]["quarantined"] = json!([{ "table": "data_keys" }]);
    for (changed, why) in [
        (text.replace("\"completed\"", "\"COMPLETED\""), "its signature does not fit"),
        (forged.to_string(), "its signature does not fit"),
        (unsigned.to_string(), "it is not signed"),
        (by_another_key(&text), "an evidence key signed it that is not this server's"),
        ("nonsense".to_owned(), "it is no JSON"),
    ] {
        std::fs::write(&path, &changed).unwrap();
        let shown = rotate(&server, &["--format", "json"]).await;
        let said = said(&shown);
        assert_eq!(shown.status.code(), Some(3), "{why}: {said}");
        assert!(said.contains("EVIDENCE_NOT_GENUINE") && said.contains(why) && said.contains(id), "{said}");
        assert!(shown.stdout.is_empty(), "{said}");
    }
    // Moved away, it is written anew.
    std::fs::remove_file(&path).unwrap();
    let anew = evidence(&rotate(&server, &["--format", "json"]).await, 0);
    assert_eq!((&anew["new_key"], &anew["tables"]), (&first["new_key"], &first["tables"]));

    // Evidence from before the evidence key was replaced, twice, is still known; in another's place it is not.
    for _ in 0..2 {
        evidence(&command(&server, &["rotate-keys", "--what", "signing", "--format", "json"]).await, 0);
    }
    assert_eq!(evidence(&rotate(&server, &["--format", "json"]).await, 0), anew);
    let mut others = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let other = others.find(|file| file.extension().is_some_and(|end| end == "json") && *file != path);
    std::fs::copy(other.unwrap(), &path).unwrap();
    let shown = rotate(&server, &["--format", "json"]).await;
    assert!(said(&shown).contains("it is the evidence of something else"), "{}", said(&shown));
}

/// The same evidence with a good signature by a key that nobody knows.
fn by_another_key(text: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut document: Value = serde_json::from_str(text).unwrap();
    let seed = spotify_mcp::crypto::Key::new([7; 32]);
    let said = document["evidence"].to_string();
    let signed = spotify_mcp::crypto::signature::sign(&seed, said.as_bytes()).unwrap();
    document["signature"]["public_key"] = json!(STANDARD.encode(signed.public_key));
    document["signature"]["value"] = json!(STANDARD.encode(signed.signature));
    document.to_string()
}

#[tokio::test]
async fn evidence_names_the_backups_that_need_the_old_key() {
    let server = Setup::on(Place::sqlite()).people(1).start().await;
    let made = result(&server, &["backup", "create"]).await;
    let all: Vec<String> = to_new_file(&server);
    let all: Vec<&str> = all.iter().map(String::as_str).chain(["--format", "json"]).collect();
    let evidence = evidence(&command(&server, &all).await, 0);
    let named = evidence["backups_that_need_the_old_key"].as_array().unwrap();
    assert_eq!(named.len(), 1, "{evidence}");
    assert_eq!(named[0]["id"], made["header"]["id"], "{made}");
    let words = said(&rotate(&server, &[]).await);
    assert!(words.contains(&format!("backup {}", made["header"]["id"].as_str().unwrap())), "{words}");
}
