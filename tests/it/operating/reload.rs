//! `config reload` and SIGHUP: a changed configuration is taken over whole or not at all, and what needs a restart is named.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{command, refusal, result, told};
use crate::support::server::{Setup, TestServer, master_key};

/// A server that takes this from a file, and where the file is.
async fn configured(text: &str) -> (TestServer, PathBuf) {
    let mut server = Setup::default().prepare().await;
    let file = server.data.join("server.toml");
    std::fs::write(&file, text).unwrap();
    server.environment.insert("SPOTIFY_MCP_CONFIG".to_owned(), file.display().to_string());
    // What the environment says wins over a file.
    server.environment.remove("LOG_LEVEL");
    server.start().await;
    (server, file)
}

async fn reload(server: &TestServer) -> Value {
    result(server, &["config", "reload"]).await
}

fn contact(server: &TestServer) -> impl Future<Output = String> {
    let asked = server.http.get(format!("{}/.well-known/security.txt", server.origin)).send();
    async { asked.await.unwrap().text().await.unwrap() }
}

#[tokio::test]
async fn live_keys_take_effect_at_once_and_the_rest_is_named() {
    let (server, file) = configured("[limits]\ncalls_per_user_per_minute = 1000\n").await;
    let ada = server.listener("ada").await;
    ada.call("get_current_track", json!({})).await.content();
    assert!(contact(&server).await.contains("No contact"));
    let unchanged = reload(&server).await;
    assert_eq!((&unchanged["taken_over"], &unchanged["needs_restart"]), (&json!([]), &json!([])));

    let changed = "[limits]\ncalls_per_user_per_minute = 2\nconnections = 77\n[auth]\nsignup = \"allowlist\"\n\
        allowlist = [\"chiara\"]\n[server]\nsecurity_contact = \"mailto:security@music.example\"\n\
        [telemetry]\nlog_level = \"debug\"\n[api]\ntimeout = \"9s\"\n";
    std::fs::write(&file, changed).unwrap();
    let taken = reload(&server).await;
    let live = [
        "server.security_contact",
        "auth.signup",
        "auth.allowlist",
        "limits.calls_per_user_per_minute",
        "telemetry.log_level",
    ];
    assert_eq!(taken["taken_over"], json!(live));
    assert_eq!(taken["needs_restart"], json!(["limits.connections", "api.timeout"]));

    // Each through the front door.
    assert!(contact(&server).await.contains("Contact: mailto:security@music.example"));
    for left in (0..2).rev() {
        let answer = ada.call("get_current_track", json!({})).await;
        if answer.status != reqwest::StatusCode::OK {
            assert_eq!(left, 0, "one call was counted before");
        }
    }
    assert_eq!(ada.call("get_current_track", json!({})).await.status, reqwest::StatusCode::TOO_MANY_REQUESTS);
    server.listener("chiara").await.call("get_current_track", json!({})).await.content();
    let browser = server.browser();
    let page = browser.open("/auth/login").await;
    assert_eq!(browser.agree_as(&page, "ben").await.code(), "SIGNUP_CLOSED");
    server.says("DEBUG").await;

    // What waits for a restart goes on waiting, and is named again.
    let again = reload(&server).await;
    assert_eq!((&again["taken_over"], &again["needs_restart"]), (&json!([]), &taken["needs_restart"]));
    std::fs::write(&file, "[limits]\ncalls_per_user_per_minute = 1000\n").unwrap();
    let back = reload(&server).await;
    assert_eq!((&back["taken_over"], &back["needs_restart"]), (&json!(live), &json!([])));
    ada.call("get_current_track", json!({})).await.content();
    assert!(contact(&server).await.contains("No contact"));
    let events = told(&server, "config_loaded");
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(
        events[1].contains("limits.calls_per_user_per_minute") && events[1].contains("limits.connections")
    );
}

#[tokio::test]
async fn an_invalid_configuration_changes_nothing_and_tells_every_problem() {
    let (server, file) = configured("[limits]\ncalls_per_user_per_minute = 1000\n").await;
    let ada = server.listener("ada").await;
    let bad = "[limits]\ncalls_per_user_per_minute = 1\nconections = 5\n[server]\nsecurity_contact = \"nobody\"\n\
        [telemetry]\nlog_level = \"loud\"\n";
    std::fs::write(&file, bad).unwrap();
    let (status, error) = refusal(&server, &["config", "reload"]).await;
    assert_eq!((status, &error["code"]), (2, &json!("CONFIG_INVALID")));
    let keys: Vec<&str> = error["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["key"].as_str().unwrap())
        .collect();
    for key in ["limits.conections", "server.security_contact", "telemetry.log_level"] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    for _ in 0..5 {
        ada.call("get_current_track", json!({})).await.content();
    }
    assert!(contact(&server).await.contains("No contact"));
    std::fs::remove_file(&file).unwrap();
    let (status, error) = refusal(&server, &["config", "reload"]).await;
    assert_eq!((status, &error["problems"][0]["code"]), (2, &json!("CONFIG_FILE_UNREADABLE")));
    sleep(Duration::from_millis(300)).await;
    assert_eq!(told(&server, "config_refused").len(), 2);
    assert!(told(&server, "config_loaded").is_empty());
    // In words, too.
    let output = command(&server, &["config", "reload"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("nothing was changed") && said.contains("CONFIG_FILE_UNREADABLE"), "{said}");
}

#[tokio::test]
async fn a_hangup_does_the_same() {
    let (server, file) = configured("").await;
    std::fs::write(&file, "[server]\nsecurity_contact = \"mailto:a@b.example\"\n").unwrap();
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let taken = async {
        while !contact(&server).await.contains("mailto:a@b.example") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), taken).await.expect("the change is not taken over");
    std::fs::write(&file, "nonsense").unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let refused = async {
        while told(&server, "config_refused").is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), refused).await.expect("the refusal is not recorded");
    assert!(contact(&server).await.contains("mailto:a@b.example"));
}

#[tokio::test]
async fn a_master_key_that_a_start_would_refuse_is_refused_now() {
    let mut server = Setup::default().prepare().await;
    let file = server.data.join("the.key");
    std::fs::write(&file, server.environment["SPOTIFY_MCP_MASTER_KEY"].clone()).unwrap();
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), file.display().to_string());
    server.start().await;
    let in_use = server.place.raw().await.texts("SELECT id FROM master_keys").await.remove(0);
    let same = reload(&server).await;
    assert_eq!(same["master_key"], json!({ "in_use": in_use, "source_has": null }));
    std::fs::write(&file, master_key("another")).unwrap();
    let (status, error) = refusal(&server, &["config", "reload"]).await;
    assert_eq!((status, &error["problems"][0]["code"]), (2, &json!("MASTER_KEY_WRONG")));
    assert!(error.to_string().contains(&in_use), "{error}");
    std::fs::write(&file, "c2hvcnQ=").unwrap();
    let (status, error) = refusal(&server, &["config", "reload"]).await;
    assert_eq!((status, &error["problems"][0]["code"]), (2, &json!("MASTER_KEY_SHORT")));
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn a_key_that_was_rotated_is_named_while_the_old_one_is_in_the_source_and_then_taken() {
    let mut server = Setup::default().prepare().await;
    let (file, new) = (server.data.join("the.key"), server.data.join("new.key"));
    std::fs::write(&file, server.environment["SPOTIFY_MCP_MASTER_KEY"].clone()).unwrap();
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), file.display().to_string());
    server.start().await;
    let new_file = new.display().to_string();
    let rotated = result(&server, &["rotate-keys", "--new-master-key-file", &new_file]).await;
    let (old, active) = (&rotated["evidence"]["old_key"], &rotated["evidence"]["new_key"]);
    sleep(Duration::from_secs(1)).await;
    let still = reload(&server).await;
    assert_eq!(still["needs_restart"], json!([]));
    assert!(still["notices"].to_string().contains("MASTER_KEY_REPLACED"), "{still}");
    assert_eq!(still["master_key"], json!({ "in_use": active, "source_has": old }));
    std::fs::copy(&new, &file).unwrap();
    let now = reload(&server).await;
    assert_eq!(now["needs_restart"], json!([]));
    assert!(!now["notices"].to_string().contains("MASTER_KEY_REPLACED"), "{now}");
    assert_eq!(now["master_key"], json!({ "in_use": active, "source_has": null }));
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn the_socket_is_its_owners_and_strangers_to_the_protocol_get_nothing() {
    use std::os::unix::fs::MetadataExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut server = TestServer::new().await;
    let path = server.data_dir().join("control.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    for question in ["GET / HTTP/1.1\r\n", "{\"ask\":\"everything\"}\n", "{}\n", "\n"] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.contains("CONTROL_UNKNOWN") && !answer.contains("\"ok\":true"),
            "{question}: {answer}"
        );
    }
    // Somebody who asks nothing keeps nobody waiting for long.
    let _silent = tokio::net::UnixStream::connect(&path).await.unwrap();
    reload(&server).await;
    assert_eq!(server.stop().await.code(), Some(0));
    assert!(!path.exists());
    let (status, error) = refusal(&server, &["config", "reload"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("SERVER_NOT_RUNNING")));
    // What a dead server left behind is nobody.
    server.start().await;
    server.kill().await;
    assert!(path.exists());
    assert_eq!(refusal(&server, &["config", "reload"]).await.1["code"], "SERVER_NOT_RUNNING");
    server.start().await;
    reload(&server).await;
}
