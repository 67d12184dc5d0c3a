//! Checkpoints outside: every one, in order, at every place; what fails is told again and holds nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep};

use crate::fake::{Answer, Fake};
use crate::support::server::{Setup, TestServer};
use crate::support::trail::records;

fn setup() -> Setup {
    // A second is the least; a checkpoint follows every few records besides.
    Setup::default()
        .env("SPOTIFY_MCP__AUDIT__CHECKPOINT_RECORDS", "3")
        .env("SPOTIFY_MCP__AUDIT__CHECKPOINT_SECONDS", "1")
}

fn signed(server: &TestServer) -> Vec<String> {
    let text = std::fs::read_to_string(server.data_dir().join("audit/checkpoints.ndjson")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn count(server: &TestServer, code: &str) -> usize {
    let records = records(&server.data_dir().join("audit"));
    records.iter().filter(|record| record["metadata"]["event_code"] == code).count()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_place_outside_hears_of_every_checkpoint_in_order() {
    let hook = Fake::start(|_, _| Answer::new(204, "", "")).await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut server = setup()
        .env("SPOTIFY_MCP__AUDIT__ANCHORS__WEBHOOK", &format!("{}/checkpoints", hook.origin))
        .env("SPOTIFY_MCP__AUDIT__ANCHORS__WEBHOOK_TOKEN", "a token of the tests")
        .env("SPOTIFY_MCP__AUDIT__ANCHORS__SYSLOG", &format!("udp://{}", udp.local_addr().unwrap()))
        .prepare()
        .await;
    let elsewhere = server.data.join("elsewhere.ndjson");
    server
        .environment
        .insert("SPOTIFY_MCP__AUDIT__ANCHORS__FILE".to_owned(), elsewhere.display().to_string());
    server.start().await;
    let ada = server.listener("ada").await;
    for _ in 0..4 {
        ada.call("get_current_track", json!({})).await.content();
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(server.stop().await.code(), Some(0));
    let signed = signed(&server);
    assert!(signed.len() >= 3, "{signed:?}");
    // The last one, which was made at the very end, too.
    let told = std::fs::read_to_string(&elsewhere).unwrap();
    assert_eq!(told.lines().collect::<Vec<_>>(), signed);

    let posted = hook.seen();
    assert_eq!(posted.iter().map(|request| request.body.as_str()).collect::<Vec<_>>(), signed);
    for request in &posted {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/checkpoints"));
        assert_eq!(request.header("authorization"), Some("Bearer a token of the tests"));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    let mut buffer = [0; 8192];
    for line in &signed {
        let length = udp.try_recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        let (head, text) = message.split_once(" audit-checkpoint - ").unwrap();
        // Priority 109: log audit, notice. Version 1, a time, no host, the program and its process.
        let parts: Vec<&str> = head.split(' ').collect();
        assert_eq!(
            (parts[0], parts[2], parts[3], text),
            ("<109>1", "-", "spotify-mcp", line.as_str()),
            "{message}"
        );
        assert!(parts[1].ends_with('Z') && parts[4].parse::<u32>().is_ok(), "{message}");
    }
    assert_eq!(count(&server, "audit_anchor_failed"), 0);
    assert!(!server.logged().contains("a token of the tests"));
}

#[tokio::test]
async fn a_place_that_fails_is_told_again_and_loses_nothing() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    let hook = Fake::start(move |_, _| match is_down.load(Ordering::SeqCst) {
        true => Answer::new(503, "", ""),
        false => Answer::new(200, "", "ok"),
    })
    .await;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = tcp.local_addr().unwrap();
    drop(tcp);
    let mut server = setup()
        .env("SPOTIFY_MCP__AUDIT__ANCHORS__WEBHOOK", &hook.origin)
        .env("SPOTIFY_MCP__AUDIT__ANCHORS__SYSLOG", &format!("tcp://{place}"))
        .prepare()
        .await;
    let elsewhere = server.data.join("elsewhere.ndjson");
    server
        .environment
        .insert("SPOTIFY_MCP__AUDIT__ANCHORS__FILE".to_owned(), elsewhere.display().to_string());
    server.start().await;
    server.listener("ada").await;
    until("the failures are not on record", async || count(&server, "audit_anchor_failed") == 2).await;
    // The file hears of everything all the same.
    until("the file waits", async || {
        std::fs::read_to_string(&elsewhere).is_ok_and(|text| text.lines().count() >= signed(&server).len())
    })
    .await;
    // Not even the end of the process loses one.
    assert_eq!(server.stop().await.code(), Some(0));
    let before = signed(&server);

    down.store(false, Ordering::SeqCst);
    let tcp = TcpListener::bind(place).await.unwrap();
    let heard = tokio::spawn(async move {
        let mut text = String::new();
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            stream.read_to_string(&mut text).await.unwrap();
            if text.matches("audit-checkpoint").count() >= before.len() {
                return (text, before);
            }
        }
    });
    server.start().await;
    let taken = |hook: &Fake, signed: &[String]| {
        let bodies: Vec<String> = hook.seen().into_iter().map(|request| request.body).collect();
        signed.iter().all(|line| bodies.contains(line))
    };
    until("the webhook did not hear of all", async || taken(&hook, &signed(&server))).await;
    let (text, before) = heard.await.unwrap();
    // Octet counting: the length of each message stands before it.
    let mut rest = text.as_str();
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_once(' ').unwrap();
        let (message, more) = after.split_at(length.parse().unwrap());
        lines.push(message.split_once(" audit-checkpoint - ").unwrap().1.to_owned());
        rest = more;
    }
    assert_eq!(lines[..before.len()], before);
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_place_outside_that_cannot_be_is_refused_at_the_start() {
    let server = Setup::default().prepare().await;
    for (key, value, code) in [
        ("SYSLOG", "udp://log.example:514", "CONFIG_INVALID"),
        ("WEBHOOK", "ftp://x.example", "CONFIG_INVALID"),
        ("WEBHOOK", "http://hook.example/", "CONFIG_INVALID"),
    ] {
        let mut start = server.command();
        start.env(format!("SPOTIFY_MCP__AUDIT__ANCHORS__{key}"), value);
        start.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = start.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{value}: {said}");
        assert!(said.contains(code) && said.contains(&key.to_ascii_lowercase()), "{value}: {said}");
    }
}
