//! What a playbook says where it cannot run: with a code, a status and a next step.

use serde_json::json;

use super::{evidence, reported, said};
use crate::front_door::api_keys::{command, refusal, result};
use crate::support::database::Place;
use crate::support::server::Setup;

#[tokio::test]
async fn wrong_ways_are_named() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let nobody = ["incident", "authentication-compromise", "--user", "nobody", "--yes"];
    assert_eq!(
        refusal(&server, &["incident", "authentication-compromise"]).await,
        (2, "SELECTOR_MISSING".to_owned())
    );
    assert_eq!(
        refusal(&server, &["incident", "authentication-compromise", "--all"]).await,
        (2, "CONFIRMATION_NEEDED".to_owned())
    );
    assert_eq!(refusal(&server, &["incident", "lockdown"]).await, (2, "CONFIRMATION_NEEDED".to_owned()));
    assert_eq!(refusal(&server, &["incident", "report"]).await, (3, "INCIDENT_UNKNOWN".to_owned()));
    assert_eq!(refusal(&server, &["incident", "report", "inc_1"]).await, (3, "INCIDENT_UNKNOWN".to_owned()));
    assert_eq!(refusal(&server, &["incident", "dependency-vulnerability"]).await.0, 2);
    assert_eq!(refusal(&server, &["incident", "flood"]).await.0, 2);
    let nonsense = ["incident", "dependency-vulnerability", "--advisory", "nonsense", "--yes"];
    let refused = command(&server, &nonsense).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("RUSTSEC-2026-0001"), "{}", said(&refused));
    let nowhere = server.data.join("no-folder");
    let file = nowhere.join("report.md");
    let reporting = ["incident", "lockdown", "--yes", "--report", file.to_str().unwrap()];
    assert_eq!(refusal(&server, &reporting).await, (2, "REPORT_UNWRITTEN".to_owned()));
    assert!(!nowhere.exists());
    // Asked for before anything is opened.
    assert_eq!(refusal(&server, &nobody).await, (3, "USER_UNKNOWN".to_owned()));
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 0);
    let lifted = result(&server, &["incident", "lift", "--yes"]).await;
    assert_eq!(lifted["changed"], false);

    // One at a time, and as it was begun.
    server.environment.insert("DIE_AT".to_owned(), "revoke".to_owned());
    let died =
        command(&server, &["incident", "authentication-compromise", "--all", "--yes", "--quiet"]).await;
    assert_eq!(died.status.code(), None, "{}", said(&died));
    server.environment.remove("DIE_AT");
    let other = ["incident", "network-breach", "--yes"];
    assert_eq!(refusal(&server, &other).await, (3, "INCIDENT_IN_PROGRESS".to_owned()));
    let narrower = ["incident", "authentication-compromise", "--user", "user0001", "--yes"];
    assert_eq!(refusal(&server, &narrower).await, (2, "INCIDENT_ASKED_OTHERWISE".to_owned()));

    // A lockdown always works; lifting it looks first.
    reported(&server, &["lockdown", "--yes"], 0).await;
    assert_eq!(refusal(&server, &["incident", "lift", "--yes"]).await, (1, "LIFT_NOT_SAFE".to_owned()));
    let dry = command(&server, &["incident", "lift", "--dry-run", "--format", "json"]).await;
    assert_eq!(dry.status.code(), Some(1), "{}", said(&dry));
    let despite = reported(&server, &["lift", "--despite", "people wait", "--yes"], 0).await;
    assert_eq!(despite["reason"], "people wait");
    let failing = |check: &&serde_json::Value| check["good"] == false;
    let checks = evidence(&despite, "lift")["checks"].as_array().unwrap();
    assert_eq!(
        checks.iter().filter(failing).map(|check| &check["check"]).collect::<Vec<_>>(),
        [&json!("incident")]
    );
}

#[tokio::test]
async fn a_report_without_a_key_says_that_it_is_not_signed() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    // With another port configured, no server is found: that is said, with the address.
    let elsewhere = "127.0.0.1:9";
    server.environment.insert("SERVER_PORT".to_owned(), "9".to_owned());
    let key = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
    let unsigned = result(&server, &["incident", "lockdown", "--yes"]).await;
    assert!(unsigned["signature"].is_null(), "{unsigned}");
    assert!(unsigned["unsigned_because"].as_str().unwrap().contains("incident report"), "{unsigned}");
    let step = &unsigned["evidence"]["steps"][0];
    assert_eq!((&step["outcome"], &step["evidence"]["asked"]), (&json!("findings"), &json!(elsewhere)));
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);
    let signed = reported(&server, &["report"], 0).await;
    assert_eq!(signed["incident_id"], unsigned["evidence"]["incident_id"]);
}
