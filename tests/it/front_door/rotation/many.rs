//! The master key rotated for very many people on SQLite: how long it takes, how much memory, and how long the server
//! lets callers wait meanwhile. 2,000 by default; `scripts/rotation COUNT PEOPLE` sets `ROTATION_PEOPLE`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use spotify_mcp::ambient::Dice;
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::{RootKey, SealingKey};
use spotify_mcp::domain::{DataKeyId, UserId};
use tokio::io::AsyncReadExt as _;

use super::to_new_file;
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer, binary};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_is_rotated_for_very_many_while_the_server_answers() {
    let people: usize = std::env::var("ROTATION_PEOPLE").map_or(2_000, |count| count.parse().unwrap());
    let setup = Setup::on(Place::sqlite()).people(1).env("LOG_LEVEL", "info");
    let server = setup
        .env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0")
        .env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "1000000")
        .start()
        .await;
    let listener = server.listener("user0001").await;
    fill(&server, people).await;

    let arguments = to_new_file(&server);
    let mut command = binary();
    command.args(&arguments).args(["--format", "json"]).envs(&server.environment);
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let (mut most_memory, mut longest, mut calls) = (0, Duration::ZERO, 0);
    while child.try_wait().unwrap().is_none() {
        let call = Instant::now();
        let answer = listener.call("get_current_track", json!({})).await;
        assert!(answer.text.contains(&listener.marker()), "{answer:?}");
        longest = longest.max(call.elapsed());
        calls += 1;
        most_memory = most_memory.max(peak(&status));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let keys = &document["evidence"]["tables"]["data_keys"];
    assert_eq!(keys["verified"], people + 1, "{document}");
    assert_eq!(keys["after"].as_object().unwrap().len(), 1);
    println!(
        "{people} people: {:.1} s from start to evidence, {} MiB at most, {calls} calls meanwhile, the longest {} ms",
        took.as_secs_f64(),
        most_memory / 1024,
        longest.as_millis()
    );
    // A batch is some hundred KiB; what grew with people would show.
    assert!(most_memory < 200 * 1024, "{most_memory} KiB");
}

/// The most memory that a process has used, in KiB; 0 where it has gone.
fn peak(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// People with a data key each, wrapped as the server would.
async fn fill(server: &TestServer, people: usize) {
    let master = &server.environment["SPOTIFY_MCP_MASTER_KEY"];
    let bytes = base64::engine::general_purpose::STANDARD.decode(master).unwrap();
    let root = RootKey::new(Key::new(bytes.try_into().unwrap()));
    let (dice, raw) = (Dice::system(), server.place.raw().await);
    for from in (0..people).step_by(500) {
        let (mut users, mut keys) = (Vec::new(), Vec::new());
        for _ in from..people.min(from + 500) {
            let (user, id) = (UserId::mint(dice.bytes()), DataKeyId::mint(dice.bytes()));
            let key = SealingKey::new(id.key_id(), Key::new(dice.bytes()));
            let wrapped = root.wrap(&key, user.as_str(), &dice.bytes());
            let hex: String = wrapped.iter().map(|byte| format!("{byte:02x}")).collect();
            users.push(format!("('{user}', '', 1, 1)"));
            keys.push(format!("('{id}', '{user}', '{}', X'{hex}', 'active', 1, 0)", root.id()));
        }
        let users = users.join(", ");
        raw.run(&format!("INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES {users}"))
            .await;
        let keys = keys.join(", ");
        let columns = "(id, user_id, master_key_id, wrapped, state, created_at, seal_count)";
        raw.run(&format!("INSERT INTO data_keys {columns} VALUES {keys}")).await;
    }
}
