//! A lift does not call a trail good that was cut off or is gone.

use std::fs;

use serde_json::Value;

use super::{reported, said};
use crate::front_door::api_keys::command;
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer};

/// What a lift would find of the trail; it would not lift where that is not good.
async fn trail(server: &TestServer) -> (bool, String) {
    let dry = command(server, &["incident", "lift", "--dry-run", "--format", "json"]).await;
    let found: Value = serde_json::from_slice(&dry.stdout).unwrap_or_else(|_| panic!("{}", said(&dry)));
    let checks = found["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == "trail").unwrap();
    let good = check["good"] == true;
    assert_eq!(dry.status.code(), Some(i32::from(!good)), "{found}");
    (good, check["said"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_trail_that_was_cut_off_or_is_gone_keeps_servers_locked_down() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let _ada = server.listener("user0001").await;
    reported(&server, &["lockdown", "--yes"], 0).await;
    server.stop().await;
    assert!(trail(&server).await.0);

    let folder = server.data_dir().join("audit");
    let (segment, checkpoints) = (folder.join("audit-1.ndjson"), folder.join("checkpoints.ndjson"));
    let (records, signed) = (fs::read_to_string(&segment).unwrap(), fs::read(&checkpoints).unwrap());
    let few: String = records.split_inclusive('\n').take(2).collect();
    assert!(few.len() < records.len());

    // The chain of what is left holds: what was signed, and what the database knows, tell.
    fs::write(&segment, &few).unwrap();
    let (good, what) = trail(&server).await;
    assert!(!good && what.contains("cut off"), "{what}");
    fs::write(&checkpoints, "").unwrap();
    let (good, what) = trail(&server).await;
    assert!(!good && what.contains("checkpoints.ndjson"), "{what}");
    fs::write(&segment, &records).unwrap();
    assert!(!trail(&server).await.0);
    fs::write(&checkpoints, &signed).unwrap();
    assert!(trail(&server).await.0);

    fs::remove_file(&segment).unwrap();
    let (good, what) = trail(&server).await;
    assert!(!good && what.contains("no record"), "{what}");
    fs::remove_dir_all(&folder).unwrap();
    assert!(!trail(&server).await.0);
}
