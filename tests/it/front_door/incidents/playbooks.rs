//! Each playbook from start to end: what it ends, what it leaves, and what its report shows.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{evidence, reported, said, steps};
use crate::front_door::api_keys::{command, refusal, result};
use crate::front_door::rotation::emergency::keyed_by_file;
use crate::front_door::rotation::{listens, three};
use crate::front_door::status;
use crate::support::database::{Place, at_both};
use crate::support::listener::{Era, Listener, speak};
use crate::support::server::{Setup, TestServer};

async fn ping(server: &TestServer, bearer: &str) -> StatusCode {
    let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(bearer);
    speak(request, Era::Legacy, "ping", json!({})).send().await.unwrap().status()
}

async fn is_dead(server: &TestServer, listener: &Listener) {
    assert_eq!(ping(server, &listener.pair().access).await, StatusCode::UNAUTHORIZED);
    let refresh = listener.pair().refresh;
    let refreshing = listener.client.refreshing(&refresh);
    let refused = listener.client.try_token(&refreshing).await.unwrap();
    assert!(format!("{refused:?}").contains("invalid_grant"), "{refused:?}");
    assert_eq!(status(&listener.browser).await["authenticated"], false);
}

/// A report that people read.
fn is_for_people(page: &str) {
    for word in
        ["authentication-compromise", "What only people can do", "spotify.com/account/apps", "signed with"]
    {
        assert!(page.contains(word), "{word}: {page}");
    }
    for raw in ["\"everybody\"", "\"in_trail\""] {
        assert!(!page.contains(raw), "{raw}: {page}");
    }
}

#[tokio::test]
async fn compromised_credentials_of_everybody_are_dead_and_proven_so() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let made = ["api-keys", "create", "--user", "user0001", "--name", "radio"];
        let key = result(&server, &made).await["key"].as_str().unwrap().to_owned();
        let dry = result(&server, &["incident", "authentication-compromise", "--all", "--dry-run"]).await;
        assert_eq!(dry["steps"].as_array().unwrap().len(), 6, "{dry}");
        assert_eq!(ping(&server, &key).await, StatusCode::OK);

        let file = server.data.join("report.md");
        let asked = ["authentication-compromise", "--all", "--yes", "--report", file.to_str().unwrap()];
        let report = reported(&server, &asked, 0).await;
        assert_eq!(
            steps(&report).iter().map(|(step, _)| *step).collect::<Vec<_>>(),
            ["preserve", "revoke", "signing-keys", "prove", "review", "by-hand"]
        );
        assert_eq!((&report["state"], &report["complete"]), (&json!("contained"), &json!(true)));
        let ended = &evidence(&report, "revoke")["ended_by_this_run"];
        assert_eq!((&ended["grants"], &ended["api_keys"]), (&json!(3), &json!(1)), "{ended}");
        let proof = evidence(&report, "prove");
        assert_eq!(proof["probes"]["place"], "the running server");
        for probe in proof["probes"]["probes"].as_array().unwrap() {
            assert_eq!(probe["found"], probe["expected"], "{probe}");
        }
        let old = |name: &str| {
            let all = proof["probes"]["probes"].as_array().unwrap().clone();
            all.into_iter().find(|probe| probe["probe"] == name).unwrap()
        };
        assert_eq!(
            (&old("old_access_token")["found"], &old("old_access_token")["before"]),
            (&json!("401"), &json!("200"))
        );
        for listener in &listeners {
            is_dead(&server, listener).await;
        }
        assert_eq!(ping(&server, &key).await, StatusCode::UNAUTHORIZED);
        let page = std::fs::read_to_string(&file).unwrap();
        is_for_people(&page);
        // Another incident's report is not written over, and that is said before anything is done.
        let again =
            ["incident", "authentication-compromise", "--all", "--yes", "--report", file.to_str().unwrap()];
        assert_eq!(refusal(&server, &again).await, (2, "FILE_EXISTS".to_owned()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), page);
        result(&server, &["incident", "report", "--report", file.to_str().unwrap()]).await;
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 3);
        assert_eq!(raw.number("SELECT COUNT(*) FROM clients WHERE name = 'canary'").await, 0);
        listens(&server.listener("user0001").await).await;
    })
    .await;
}

#[tokio::test]
async fn compromised_credentials_of_one_person_are_dead_and_nobody_elses() {
    let server = Setup::on(Place::sqlite()).people(3).start().await;
    let listeners = three(&server).await;
    let asked = ["authentication-compromise", "--user", "user0002", "--yes", "--reason", "lost laptop"];
    let report = reported(&server, &asked, 0).await;
    assert_eq!(
        steps(&report).iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        ["preserve", "revoke", "prove", "review", "by-hand"]
    );
    is_dead(&server, &listeners[1]).await;
    listens(&listeners[0]).await;
    listens(&listeners[2]).await;
    assert_eq!(status(&listeners[0].browser).await["authenticated"], true);
}

#[tokio::test]
async fn an_exposed_configuration_leads_nowhere_any_more() {
    at_both(async |place| {
        let (server, file) = keyed_by_file(place).await;
        let listeners = three(&server).await;
        let new = server.data.join("new.key");
        let asked = ["configuration-exposure", "--yes", "--new-master-key-file", new.to_str().unwrap()];
        let report = reported(&server, &asked, 0).await;
        assert_eq!(
            steps(&report).iter().map(|(step, _)| *step).collect::<Vec<_>>(),
            ["preserve", "exposed-values", "emergency-rotation", "review", "by-hand"]
        );
        let rotated = evidence(&report, "emergency-rotation");
        assert_eq!(rotated["old_master_key"]["opened_rows"], 0);
        let kinds: Vec<&Value> =
            rotated["rotations"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
        assert_eq!(kinds, [&json!("master"), &json!("signing"), &json!("data")]);
        std::fs::copy(&new, &file).unwrap();
        result(&server, &["config", "reload"]).await;
        for listener in &listeners {
            is_dead(&server, listener).await;
        }
        listens(&server.listener("user0001").await).await;
    })
    .await;
}

#[tokio::test]
async fn a_breached_network_stays_locked_down_until_it_is_lifted() {
    let (server, file) = keyed_by_file(Place::sqlite()).await;
    let listeners = three(&server).await;
    let new = server.data.join("new.key");
    let dry = ["incident", "network-breach", "--dry-run"];
    assert_eq!(refusal(&server, &dry).await, (2, "NEW_KEY_FILE_NEEDED".to_owned()));
    let asked = ["network-breach", "--yes", "--new-master-key-file", new.to_str().unwrap()];
    let dry = [&["incident"], &asked[..], &["--dry-run"]].concat();
    assert_eq!(result(&server, &dry).await["dry_run"], true);
    assert!(!new.exists());
    let report = reported(&server, &asked, 0).await;
    let said_of = |step: &str| {
        let all = report["steps"].as_array().unwrap();
        all.iter().find(|done| done["step"] == step).unwrap()["said"].clone()
    };
    let first = said_of("by-hand")[0].as_str().unwrap().to_owned();
    assert!(
        first.contains("new.key") && first.contains("the.key") && first.contains("config reload"),
        "{first}"
    );
    let exposed = said_of("exposed-values").to_string();
    assert!(exposed.contains("emergency-rotation replaces it"), "{exposed}");
    // It is over: the same command would begin another one, with a key that is in use.
    let again = command(&server, &[&["incident"], &asked[..]].concat()).await;
    let text = said(&again);
    assert!(text.contains("NEW_KEY_USED_BEFORE") && text.contains("incident report"), "{text}");
    assert_eq!(
        steps(&report).iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        ["preserve", "lockdown", "emergency-rotation", "exposed-values", "network", "review", "by-hand"]
    );
    let running = &evidence(&report, "emergency-rotation")["probes"]["running_server"];
    assert!(running.as_str().unwrap().contains("locked down"), "{running}");
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    std::fs::copy(&new, &file).unwrap();
    result(&server, &["config", "reload"]).await;
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    reported(&server, &["lift", "--yes"], 0).await;
    for listener in &listeners {
        is_dead(&server, listener).await;
    }
    listens(&server.listener("user0003").await).await;
}

#[tokio::test]
async fn a_vulnerable_program_stays_an_open_incident_until_another_runs() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let advisory =
        ["dependency-vulnerability", "--advisory", "RUSTSEC-2026-0001", "--package", "rustls", "--yes"];
    let open = reported(&server, &advisory, 3).await;
    assert_eq!((&open["state"], &open["complete"]), (&json!("open"), &json!(false)));
    assert_eq!(steps(&open), [("preserve", "done"), ("inventory", "done"), ("program-replaced", "not_done")]);
    let named = &evidence(&open, "inventory")["named"];
    assert!(named.to_string().contains("rustls"), "{named}");
    assert!(evidence(&open, "inventory")["running_server"]["program"].is_string());

    // The mended program: another file, which the server does not run yet.
    let mended = server.data.join("spotify-mcp");
    let mut bytes = std::fs::read(env!("CARGO_BIN_EXE_spotify-mcp")).unwrap();
    bytes.extend_from_slice(b"mended");
    std::fs::write(&mended, bytes).unwrap();
    std::fs::set_permissions(&mended, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let by = async |server: &TestServer| {
        let mut command = tokio::process::Command::new(&mended);
        command.args(["incident"]).args(advisory).env_clear().envs(&server.environment);
        command.output().await.unwrap()
    };
    // What only waits is in nobody's way: neither another playbook's nor a lift's.
    let other = ["authentication-compromise", "--user", "user0001", "--yes"];
    reported(&server, &["lockdown", "--yes"], 0).await;
    reported(&server, &["lift", "--yes"], 0).await;
    server.listener("user0001").await;
    reported(&server, &other, 0).await;
    let otherwise = [&["incident"], &advisory[..], &["--lockdown"]].concat();
    assert_eq!(refusal(&server, &otherwise).await, (2, "INCIDENT_ASKED_OTHERWISE".to_owned()));
    let list = command(&server, &["incident", "list"]).await;
    assert!(said(&list).contains("OPEN, waits for another program"), "{}", said(&list));

    let waiting = by(&server).await;
    assert_eq!(waiting.status.code(), Some(3), "{}", said(&waiting));
    assert!(said(&waiting).contains("restart it"), "{}", said(&waiting));
    server.stop().await;
    let ended = by(&server).await;
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert_eq!(command(&server, &["incident", "list"]).await.status.code(), Some(0));
}

async fn logs_in_all_the_time(server: &TestServer, person: &str) {
    loop {
        // One that is on its way when everything ends is ended with it.
        let _login = AssertUnwindSafe(server.listener(person)).catch_unwind().await;
    }
}

/// What is issued after the revocation, in the same second too, is nobody's failure.
#[tokio::test]
async fn people_who_log_in_meanwhile_do_not_make_it_fail() {
    let server = Setup::on(Place::sqlite()).people(3).start().await;
    let _before = server.listener("user0001").await;
    let playbook = async {
        for more in [&["--issued-before", "1s"][..], &["--all"]] {
            let asked = [&["authentication-compromise", "--yes"][..], more].concat();
            let report = reported(&server, &asked, 0).await;
            assert_eq!(report["complete"], true, "{report}");
        }
    };
    tokio::select! {
        () = playbook => {}
        () = logs_in_all_the_time(&server, "user0001") => {}
        () = logs_in_all_the_time(&server, "user0002") => {}
        () = logs_in_all_the_time(&server, "user0003") => {}
    }
}
