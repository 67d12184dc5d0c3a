//! Following a trail: over the edge of a segment, and no longer than somebody reads.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::ambient::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::support::server::{Setup, TestServer, binary};
use crate::support::trail::{lived_before, segments};

const PATIENCE: Duration = Duration::from_secs(20);

fn follow(server: &TestServer, more: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut tail = binary();
    tail.args(["audit", "tail", "-f"]).args(more).envs(&server.environment);
    let mut child = tail.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[tokio::test]
async fn a_trail_is_followed_into_its_next_segment_without_a_gap() {
    let mut server = Setup::default()
        .env("SPOTIFY_MCP__AUDIT__SEGMENT_MEGABYTES", "1")
        .env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0")
        .env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "1000000")
        .prepare()
        .await;
    let dir = server.data_dir().join("audit");
    let full =
        |_| segments(&dir).first().is_some_and(|path| path.metadata().unwrap().len() > (1 << 20) - 20_000);
    lived_before(&server, (Clock::system().now(), 1 << 30), full).await;
    server.start().await;
    let (mut child, mut lines) = follow(&server, &["-n", "1", "--format", "json"]);
    let mut next = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("nothing comes").unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    // From here on it follows.
    let mut seq = next().await["metadata"]["sequence"].as_u64().unwrap();
    let ada = server.listener("ada").await;
    while segments(&dir).len() == 1 {
        ada.call("get_current_track", json!({})).await.content();
    }
    let mut seen = Vec::new();
    while seen.last().is_none_or(|code| code != "tool_called")
        || !seen.contains(&"audit_segment_opened".to_owned())
    {
        let record = next().await;
        seq += 1;
        assert_eq!(record["metadata"]["sequence"], seq, "none is left out, none comes twice: {seen:?}");
        seen.push(record["metadata"]["event_code"].as_str().unwrap().to_owned());
        if seen.last().is_some_and(|code| code == "audit_segment_opened") {
            ada.call("get_current_track", json!({})).await.content();
        }
    }
    assert!(seen.contains(&"audit_segment_closed".to_owned()), "{seen:?}");
    child.kill().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_follower_ends_at_once_when_its_reader_goes_though_nothing_happens() {
    let mut server = TestServer::new().await;
    // Nothing is written any more.
    server.stop().await;
    for format in ["text", "json"] {
        let (mut child, mut lines) = follow(&server, &["--format", format]);
        timeout(PATIENCE, lines.next_line()).await.expect("nothing comes").unwrap().unwrap();
        drop(lines);
        let ended = timeout(PATIENCE, child.wait()).await.expect("it does not end").unwrap();
        assert_eq!(ended.code(), Some(0), "{format}");
    }
}
