//! How fast rows are gone through, and several rotations as one document.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MASTER, evidence, new_key_file, said, three};
use crate::front_door::api_keys::{command, result};
use crate::support::database::Place;
use crate::support::server::Setup;

const DATA: [&str; 5] = ["rotate-keys", "--what", "data", "--format", "json"];

#[tokio::test]
async fn no_more_rows_in_a_second_than_the_pace_allows() {
    let mut server = Setup::on(Place::sqlite()).people(3).start().await;
    three(&server).await;
    // Three people are one batch, where nothing holds them up.
    server.environment.insert("DIE_AT".to_owned(), "batch:2".to_owned());
    evidence(&command(&server, &DATA).await, 0);

    // One at a time: it comes to a third batch, two pauses later.
    server.environment.insert("DIE_AT".to_owned(), "batch:3".to_owned());
    let began = Instant::now();
    let died = command(&server, &[&DATA[..], &["--max-rows-per-sec", "1"]].concat()).await;
    assert_eq!(died.status.code(), None, "{}", said(&died));
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    server.environment.remove("DIE_AT");
    let ended = evidence(&command(&server, &DATA).await, 0);
    assert_eq!(ended["tables"]["data_keys"]["after"], json!({ "before": 0, "since": 3 }));

    // Data keys by twos (2, 1), then the server's own.
    server.environment.insert("DIE_AT".to_owned(), "batch:3".to_owned());
    let file = new_key_file(&server).display().to_string();
    let master = [&MASTER[..], &["--new-master-key-file", &file, "--max-rows-per-sec", "2"]].concat();
    let died = command(&server, &master).await;
    assert_eq!(died.status.code(), None, "{}", said(&died));
    server.environment.remove("DIE_AT");
    let none = command(&server, &[&DATA[..], &["--max-rows-per-sec", "0"]].concat()).await;
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    evidence(&command(&server, &[&master[..5], &["--format", "json"]].concat()).await, 0);
}

#[tokio::test]
async fn several_rotations_are_one_document() {
    let server = Setup::on(Place::sqlite()).people(3).start().await;
    three(&server).await;
    let file = new_key_file(&server).display().to_string();
    let all = ["rotate-keys", "--what", "all", "--new-master-key-file", &file];
    let kinds = |document: &Value, of: &dyn Fn(&Value) -> Value| -> Value {
        document["rotations"].as_array().unwrap().iter().map(of).collect()
    };
    let dry = result(&server, &[&all[..], &["--dry-run"]].concat()).await;
    assert_eq!(kinds(&dry, &|one| one["kind"].clone()), json!(["master", "signing", "data"]));
    assert_eq!(kinds(&dry, &|one| one["dry_run"].clone()), json!([true, true, true]));
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM rotations").await, 0);
    let done = result(&server, &all).await;
    assert_eq!(kinds(&done, &|one| one["evidence"]["kind"].clone()), json!(["master", "signing", "data"]));
}
