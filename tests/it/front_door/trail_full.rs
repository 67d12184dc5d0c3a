//! A trail on a disk without room: what must be on record fails and says so, what happened before is not lost, and with
//! room everything goes on. On a small file system that is mounted for the server alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::support::server::{Setup, TestServer};
use crate::support::trail::{records, segments};

const BINARY: &str = env!("CARGO_BIN_EXE_spotify-mcp");

async fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output().await;
    tried.is_ok_and(|output| output.status.success())
}

/// Starts the server with its trail on a file system of so many KiB, of which a filler takes so many.
async fn start_small(server: &TestServer, size: u32, filler: u32) -> Child {
    let dir = server.data_dir().join("audit");
    std::fs::create_dir_all(&dir).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size}k,mode=700 none {0} && head -c {filler}k /dev/zero >{0}/filler && exec \"$0\" serve",
        dir.display()
    );
    let log = std::fs::File::create(server.data.join("server.log")).unwrap();
    let child = Command::new("unshare")
        .args(["-m", "bash", "-c", &script, BINARY])
        .env_clear()
        .envs(&server.environment)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("it does not start", async || server.ready().await == Some(StatusCode::OK)).await;
    child
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The trail as the server sees it.
fn seen_by(child: &Child, server: &TestServer) -> PathBuf {
    let inside = server.data_dir().join("audit");
    Path::new("/proc")
        .join(child.id().unwrap().to_string())
        .join("root")
        .join(inside.strip_prefix("/").unwrap())
}

fn assert_chained(dir: &Path) {
    let mut prev = "0".repeat(64);
    for path in segments(dir) {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["unmapped"]["prev"], prev);
            prev = Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect();
        }
    }
}

fn calls(dir: &Path) -> usize {
    records(dir).iter().filter(|record| record["metadata"]["event_code"] == "tool_called").count()
}

#[tokio::test]
async fn a_full_disk_stops_what_must_be_on_record_and_loses_nothing() {
    if !may_mount().await {
        eprintln!("SKIPPED: no right to mount a small file system");
        return;
    }
    let server = Setup::default()
        .env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0")
        .env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "1000000")
        .prepare()
        .await;
    let child = start_small(&server, 128, 60).await;
    let dir = seen_by(&child, &server);
    let ada = server.listener("ada").await;

    let mut answered = 0;
    // One that is on its way just then is refused within the protocol.
    while !ada.call("get_current_track", json!({})).await.text.contains("nothing can be done at the moment") {
        answered += 1;
        assert!(answered < 2000, "it is never full");
        sleep(Duration::from_millis(5)).await;
    }
    let refused = ada.call("get_current_track", json!({})).await;
    assert!(answered > 5, "{answered}");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    server.says("the audit trail cannot be written").await;
    // What is saved together with its event goes on, and the event waits with it.
    let newcomer = server.client().await;
    let registered = |dir: &Path| {
        let told = |record: &&Value| record["metadata"]["event_code"] == "client_registered";
        records(dir).iter().filter(told).any(|record| record.to_string().contains(&newcomer.id))
    };
    assert!(!registered(&dir));

    std::fs::remove_file(dir.join("filler")).unwrap();
    until("it does not go on", async || server.ready().await == Some(StatusCode::OK)).await;
    ada.call("get_current_track", json!({})).await.content();
    // Every call that was answered is on record, each once; a refused one caused nothing at Spotify.
    until("calls are missing", async || calls(&dir) > answered).await;
    until("the registration is missing", async || registered(&dir)).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(calls(&dir), answered + 1);
    assert_chained(&dir);
    drop(child);
}
