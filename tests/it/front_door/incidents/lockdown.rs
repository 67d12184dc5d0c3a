//! `incident lockdown` and `incident lift`: on every server within a second, after a restart too, and back.

use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::spotify::sandbox::Fault;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{evidence, reported, said, steps};
use crate::front_door::api_keys::{command, result};
use crate::front_door::revoking::nodes::beside;
use crate::front_door::rotation::listens;
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// What a server answers to a path.
async fn status(server: &TestServer, origin: &str, path: &str) -> StatusCode {
    let request = server.http.get(format!("{origin}{path}"));
    let request = request.header("host", server.origin.trim_start_matches("http://"));
    request.send().await.unwrap().status()
}

/// Everything is refused but probes, which say what is so.
async fn is_locked(server: &TestServer, origin: &str, listener: &Listener) {
    for path in [
        "/",
        "/account",
        "/auth/login",
        "/auth/status",
        "/authorize",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
        "/nothing-here",
    ] {
        assert_eq!(status(server, origin, path).await, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_eq!(status(server, origin, "/livez").await, StatusCode::OK);
    assert_eq!(status(server, origin, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(server, origin, "/health").await, StatusCode::SERVICE_UNAVAILABLE);
    let called = listener.call("get_current_track", json!({})).await;
    assert_eq!(called.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(called.text.contains("locked down") && called.headers.contains_key("retry-after"), "{called:?}");
    // The page leads nowhere: everything else is closed.
    let page = listener.browser.open(&format!("{origin}/")).await.text;
    assert!(page.contains("Nothing of yours is lost") && !page.contains("#privacy"), "{page}");
    let refresh = listener.pair().refresh;
    let refreshing = listener.client.refreshing(&refresh);
    let refused = listener.client.try_token(&refreshing).await.unwrap();
    assert!(format!("{refused:?}").contains("temporarily_unavailable"), "{refused:?}");
}

#[tokio::test]
async fn a_lockdown_reaches_every_server_and_a_restart_and_is_lifted() {
    at_both(async |place| {
        let mut server = Setup::on(place).people(2).start().await;
        let listener = server.listener("user0001").await;
        let second = if server.place.is_postgres() { Some(beside(&server, None).await) } else { None };

        let report = reported(&server, &["lockdown", "--yes", "--reason", "strange calls"], 0).await;
        assert_eq!(steps(&report), [("lockdown", "done")]);
        assert_eq!(evidence(&report, "lockdown"), &json!({ "livez": 200, "readyz": 503, "page": 503 }));
        assert_eq!((&report["reason"], &report["complete"]), (&json!("strange calls"), &json!(true)));
        is_locked(&server, &server.origin, &listener).await;
        if let Some((_, origin)) = &second {
            is_locked(&server, origin, &listener).await;
        }
        // Once more changes nothing, and says so.
        let again = result(&server, &["incident", "lockdown"]).await;
        assert_eq!((&again["changed"], &again["locked_by"]), (&json!(false), &report["incident_id"]));
        assert_eq!(command(&server, &["incident", "list"]).await.status.code(), Some(1));

        server.stop().await;
        let mut child = server.command().spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while server.ready().await.is_none() {
            assert!(Instant::now() < until, "{}", server.logged());
            sleep(Duration::from_millis(10)).await;
        }
        is_locked(&server, &server.origin, &listener).await;
        let incident = report["incident_id"].as_str().unwrap();
        server.says(incident).await;
        server.says("incident lift").await;

        let lifted = reported(&server, &["lift", "--yes"], 0).await;
        assert_eq!(steps(&lifted), [("lift", "done")]);
        assert_eq!(evidence(&lifted, "lift")["probe"], json!({ "livez": 200, "readyz": 200, "page": 200 }));
        for check in evidence(&lifted, "lift")["checks"].as_array().unwrap() {
            assert_eq!(check["good"], true, "{check}");
        }
        // What people hold was kept from them, not ended.
        listens(&listener).await;
        listener.refresh().await;
        let list = command(&server, &["incident", "list"]).await;
        assert_eq!(list.status.code(), Some(0), "{}", said(&list));
        child.kill().await.unwrap();
        let events = server.place.raw().await.texts("SELECT playbook FROM incidents ORDER BY began_at").await;
        assert_eq!(events, ["lockdown", "lift"]);
    })
    .await;
}

/// Connections are broken off when a lockdown begins, and then no more: probes keep theirs.
#[tokio::test]
async fn a_connection_made_during_a_lockdown_lasts() {
    let server = Setup::on(Place::sqlite()).people(1).start().await;
    // Three at once come to the same: whoever comes too late finds servers locked down, and that is what was asked.
    let lock = || command(&server, &["incident", "lockdown", "--yes"]);
    let (one, two, three) = tokio::join!(lock(), lock(), lock());
    for locked in [one, two, three] {
        assert_eq!(locked.status.code(), Some(0), "{}", said(&locked));
    }
    // One connection, seen from below: a client's pool would put another in its place unsaid.
    let address = server.origin.trim_start_matches("http://");
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        stream.write_all(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            let read = stream.read_line(&mut answer).await.unwrap();
            assert!(read > 0, "the connection was closed: {answer}");
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut body = [0; r#"{"status":"ok"}"#.len()];
        stream.read_exact(&mut body).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_lockdown_breaks_off_a_call_that_runs() {
    let server = Setup::on(Place::sqlite()).people(1).start().await;
    let listener = server.listener("user0001").await;
    listens(&listener).await;
    server.inject("GET /v1/me/player*", 3, Fault::Delay { millis: 8_000 });
    let began = Instant::now();
    let (called, ()) = tokio::join!(listener.try_call("get_current_track", json!({})), async {
        sleep(Duration::from_millis(500)).await;
        reported(&server, &["lockdown", "--yes"], 0).await;
    });
    assert!(called.is_err() || called.unwrap().status == StatusCode::SERVICE_UNAVAILABLE);
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
}

/// Over standard input too: what runs there is broken off, and nothing begins.
#[tokio::test]
async fn a_lockdown_ends_a_local_server_over_standard_input() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    server.stop().await;
    let local = || {
        let mut command = server.command();
        command.arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (mut running, initialize) = (
        local(),
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        }}),
    );
    let mut input = running.stdin.take().unwrap();
    input.write_all(format!("{initialize}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut answer).await.unwrap();
    assert!(answer.contains("serverInfo"), "{answer}");
    let _done = command(&server, &["incident", "lockdown", "--yes"]).await;
    for ended in [running, local()] {
        let ended =
            tokio::time::timeout(Duration::from_secs(20), ended.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(3), "{}", said(&ended));
        assert!(said(&ended).contains("LOCKED_DOWN"), "{}", said(&ended));
    }
    drop(input);
}

#[tokio::test]
async fn a_lockdown_and_its_lift_that_die_are_ended_by_the_next_run() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let listener = server.listener("user0001").await;
    for (playbook, boundary) in [("lockdown", "locked"), ("lift", "lifted")] {
        server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
        let died = command(&server, &["incident", playbook, "--yes", "--quiet"]).await;
        assert_eq!(died.status.code(), None, "{}", said(&died));
        server.environment.remove("DIE_AT");
        let report = reported(&server, &[playbook, "--yes"], 0).await;
        assert_eq!(steps(&report), [(playbook, "done")]);
    }
    listens(&listener).await;
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 2);
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents WHERE ended_at IS NULL").await, 0);
}
