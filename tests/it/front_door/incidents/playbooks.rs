//! Each playbook from start to end: what it ends, what it leaves, and what its report shows.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{evidence, reported, said, steps};
use crate::front_door::api_keys::{command, result};
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

#[tokio::test]
async fn compromised_credentials_of_everybody_are_dead_and_proven_so() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let made = ["api-keys", "create", "--user", "user0001", "--name", "radio"];
        let key = result(&server, &made).await["key"].as_str().unwrap().to_owned();
        let dry = result(&server, &["incident", "authentication-compromise", "--dry-run"]).await;
        assert_eq!(dry["steps"].as_array().unwrap().len(), 6, "{dry}");
        assert_eq!(ping(&server, &key).await, StatusCode::OK);

        let file = server.data.join("report.md");
        let asked = ["authentication-compromise", "--yes", "--report", file.to_str().unwrap()];
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
        for word in [
            "authentication-compromise",
            "What only people can do",
            "spotify.com/account/apps",
            "signed with",
        ] {
            assert!(page.contains(word), "{word}: {page}");
        }
        let raw = server.place.raw().await;
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
    let asked = ["network-breach", "--yes", "--new-master-key-file", new.to_str().unwrap()];
    let report = reported(&server, &asked, 0).await;
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
    let waiting = by(&server).await;
    assert_eq!(waiting.status.code(), Some(3), "{}", said(&waiting));
    assert!(said(&waiting).contains("restart it"), "{}", said(&waiting));
    server.stop().await;
    let ended = by(&server).await;
    assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    assert_eq!(command(&server, &["incident", "list"]).await.status.code(), Some(0));
}
