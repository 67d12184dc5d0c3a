//! A playbook that dies at each of its boundaries, one after the other: the last run ends it, with a complete report.

use std::process::Output;

use reqwest::StatusCode;
use serde_json::json;

use super::{evidence, reported, said, steps};
use crate::front_door::api_keys::{command, result};
use crate::front_door::rotation::emergency::keyed_by_file;
use crate::front_door::rotation::{listens, three};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer};

/// Runs it until it dies there.
pub(super) async fn dies(server: &mut TestServer, arguments: &[&str], boundary: &str) {
    server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
    let died: Output = command(server, &[&["incident"], arguments, &["--quiet"]].concat()).await;
    assert_eq!(died.status.code(), None, "{boundary}: {}", said(&died));
    server.environment.remove("DIE_AT");
}

#[tokio::test]
async fn a_compromise_that_dies_at_every_boundary_ends_with_a_complete_report() {
    let mut server = Setup::on(Place::sqlite()).people(3).start().await;
    let listeners = three(&server).await;
    let asked = ["authentication-compromise", "--all", "--yes"];
    // Between a step and its being written down, and after it.
    for step in ["preserve", "revoke", "signing-keys", "prove", "by-hand"] {
        if step == "preserve" {
            dies(&mut server, &asked, "begun").await;
        }
        dies(&mut server, &asked, "taken").await;
        dies(&mut server, &asked, step).await;
    }
    // Every run ends what there is itself, whatever is stored of those before it.
    let raw = server.place.raw().await;
    let late = server.listener("user0001").await;
    dies(&mut server, &asked, "contained").await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL").await, 0);
    drop(late);
    // It was over, and its report was not written: the same command writes it, and does nothing else.
    let held = server.listener("user0001").await;
    let report = reported(&server, &asked, 0).await;
    assert_eq!((&report["complete"], &report["taken_up_again"]), (&json!(true), &json!(11)));
    assert_eq!(steps(&report).len(), 6);
    assert_eq!(evidence(&report, "revoke")["ended_by_this_run"]["grants"], 1);
    listens(&held).await;
    assert_eq!(evidence(&report, "revoke")["found_before"]["grants"], 3);
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 1);
    assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 3);
    drop(listeners);
}

#[tokio::test]
async fn a_breach_that_dies_at_every_boundary_ends_with_a_complete_report() {
    let (mut server, file) = keyed_by_file(Place::sqlite()).await;
    let _listeners = three(&server).await;
    let new = server.data.join("new.key");
    let asked = ["network-breach", "--yes", "--new-master-key-file", new.to_str().unwrap()];
    dies(&mut server, &asked, "begun").await;
    dies(&mut server, &asked, "preserve").await;
    // Locked, and not known to have done it; then opened by somebody else before it was over.
    dies(&mut server, &asked, "locked").await;
    dies(&mut server, &asked, "lockdown").await;
    reported(&server, &["lift", "--despite", "oops", "--yes"], 0).await;
    assert_eq!(server.ready().await, Some(StatusCode::OK));
    for step in ["emergency-rotation", "exposed-values", "network", "review", "by-hand"] {
        dies(&mut server, &asked, step).await;
        assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    }
    let raw = server.place.raw().await;
    // Taken and not written down: the emergency is found done, and not begun again.
    dies(&mut server, &asked, "contained").await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM emergencies").await, 1);
    std::fs::copy(&new, &file).unwrap();
    result(&server, &["config", "reload"]).await;
    let id = raw.texts("SELECT id FROM incidents WHERE playbook = 'network-breach'").await.remove(0);
    let report = reported(&server, &["report", &id], 0).await;
    assert_eq!((&report["complete"], &report["taken_up_again"]), (&json!(true), &json!(9)));
    assert_eq!(steps(&report).len(), 7);
    assert_eq!(evidence(&report, "lockdown")["locked_again"], 1);
    // Every event that it names happened, and both of the lockdown are among them.
    let named = report["audit"]["events"].as_array().unwrap();
    assert_eq!(report["audit"]["in_trail"], named.len(), "{}", report["audit"]);
    reported(&server, &["lift", "--yes"], 0).await;
}

#[tokio::test]
async fn an_emergency_that_was_done_and_not_written_down_is_found_done() {
    let (mut server, file) = keyed_by_file(Place::sqlite()).await;
    let new = server.data.join("new.key");
    let asked = ["configuration-exposure", "--yes", "--new-master-key-file", new.to_str().unwrap()];
    dies(&mut server, &asked, "exposed-values").await;
    dies(&mut server, &asked, "taken").await;
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM emergencies WHERE ended_at IS NOT NULL").await, 1);
    let report = reported(&server, &asked, 0).await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM emergencies").await, 1);
    assert_eq!(evidence(&report, "emergency-rotation")["old_master_key"]["opened_rows"], 0);
    std::fs::copy(&new, &file).unwrap();
}

#[tokio::test]
async fn an_exposure_that_dies_at_every_boundary_ends_as_one_that_did_not() {
    let (mut server, file) = keyed_by_file(Place::sqlite()).await;
    let _listeners = three(&server).await;
    let new = server.data.join("new.key");
    let asked = ["configuration-exposure", "--yes", "--new-master-key-file", new.to_str().unwrap()];
    let boundaries =
        ["begun", "preserve", "exposed-values", "emergency-rotation", "review", "by-hand", "contained"];
    for boundary in boundaries {
        dies(&mut server, &asked, boundary).await;
    }
    // It was over: the same command writes its report.
    let report = reported(&server, &asked, 0).await;
    assert_eq!((&report["state"], &report["complete"]), (&json!("contained"), &json!(true)));
    assert_eq!(report["taken_up_again"], boundaries.len() - 1);
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM emergencies").await, 1);
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 1);
    // What one run does that nothing disturbs, beside the same server with its new key.
    std::fs::copy(&new, &file).unwrap();
    result(&server, &["config", "reload"]).await;
    let newer = server.data.join("newer.key");
    let again = ["configuration-exposure", "--yes", "--new-master-key-file", newer.to_str().unwrap()];
    let whole = reported(&server, &again, 0).await;
    // The second looks back on the first, so it finds more.
    let (mut report, mut whole) = (steps(&report), steps(&whole));
    report.retain(|(step, _)| *step != "review");
    whole.retain(|(step, _)| *step != "review");
    assert_eq!(report, whole);
    assert_eq!(raw.number("SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL").await, 0);
}

#[tokio::test]
async fn a_vulnerable_program_that_dies_at_every_boundary_ends_with_a_complete_report() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let accepted = "the function is not called";
    let asked = [
        "dependency-vulnerability",
        "--advisory",
        "RUSTSEC-2026-0001",
        "--lockdown",
        "--accept",
        accepted,
        "--yes",
    ];
    let boundaries = [
        "begun",
        "preserve",
        "inventory",
        "locked",
        "lockdown",
        "program-replaced",
        "review",
        "by-hand",
        "contained",
    ];
    for boundary in boundaries {
        dies(&mut server, &asked, boundary).await;
    }
    let report = reported(&server, &asked, 0).await;
    assert_eq!(
        (&report["complete"], &report["taken_up_again"]),
        (&json!(true), &json!(boundaries.len() - 1))
    );
    assert_eq!(steps(&report).len(), 6);
    assert!(report.to_string().contains(accepted), "{report}");
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 1);
    reported(&server, &["lift", "--yes"], 0).await;
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}
