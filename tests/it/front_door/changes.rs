//! What the tools change in playlists, on the real binary and the simulated Spotify: planned, proven, written down,
//! undone, and never somebody else's.

mod broken_off;
mod editing;
mod faults;
mod going_on;
mod journal;
mod large;
mod leases;
mod library;
mod looking;
mod older;
mod plans;
mod taking_back;
mod turns;
mod undoing;

use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::{CLIENT_ID, PlaylistChange};

use crate::support::listener::{Answer, Era, Listener, speak};
use crate::support::server::{Setup, TestServer};

/// The `n`th of tracks that nobody knows.
fn uri(n: usize) -> String {
    format!("spotify:track:{n:022}")
}

fn uris(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|n| uri(*n)).collect()
}

/// A playlist of this person with these tracks; its id.
fn filled(server: &TestServer, user: &str, uris: Vec<String>) -> String {
    let change =
        PlaylistChange { name: Some("Mine".to_owned()), uris: Some(uris), ..PlaylistChange::default() };
    server.control().create_playlist(user, change).unwrap()
}

/// What is really in a playlist.
fn held(server: &TestServer, id: &str) -> Vec<String> {
    server.control().playlist(id).unwrap().uris
}

/// As another client of the person would.
fn replaced(server: &TestServer, id: &str, uris: Vec<String>) {
    let change = PlaylistChange { uris: Some(uris), ..PlaylistChange::default() };
    server.control().change_playlist(id, change).unwrap();
}

/// A server in one of the three regimes, at both ends.
async fn in_mode(mode: &str) -> TestServer {
    let server = Setup::default().env("SPOTIFY_QUOTA_MODE", mode).start().await;
    server.control().change_app(CLIENT_ID, &json!({"mode": mode})).unwrap();
    server
}

const MODES: [&str; 3] = ["development", "development_legacy", "extended"];

/// The content of a call that works.
async fn done(who: &Listener, tool: &str, arguments: Value) -> Value {
    who.call(tool, arguments).await.content()
}

/// What a tool answers at another server, which is reached by the same name.
async fn called_at(
    (server, origin): (&TestServer, &str),
    who: &Listener,
    tool: &str,
    arguments: Value,
) -> Value {
    let request = server.http.post(format!("{origin}/mcp")).bearer_auth(&who.pair().access);
    let params = json!({"name": tool, "arguments": arguments});
    let request = speak(request, Era::Modern, "tools/call", params);
    let host = server.origin.trim_start_matches("http://").to_owned();
    let reply = request.header("host", host).send().await.unwrap();
    let body: Value = reply.json().await.unwrap();
    body["result"]["structuredContent"].clone()
}

/// Tells the server that a client of the older protocol does not want its call any more.
async fn cancelled(server: &TestServer, who: &Listener) {
    let stop = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(&who.pair().access);
    let request = request.header("accept", "application/json, text/event-stream");
    request.header("mcp-protocol-version", "2025-11-25").json(&stop).send().await.unwrap();
}

/// How many changes Spotify was asked for.
fn writes(server: &TestServer) -> usize {
    let filter = spotify_mcp::spotify::sandbox::Filter { limit: Some(usize::MAX), ..Default::default() };
    let journal = server.control().journal(&filter);
    journal.iter().filter(|seen| seen.method != "GET" && seen.path.starts_with("/v1")).count()
}

/// The message of a call that does not.
async fn refused(who: &Listener, tool: &str, arguments: Value) -> String {
    let answer = who.call(tool, arguments).await;
    let result = answer.result();
    assert_eq!(result["isError"], true, "{answer:?}");
    result["structuredContent"]["error"]["message"].as_str().unwrap().to_owned()
}

/// Plans, and applies what was planned.
async fn planned_and_done(who: &Listener, tool: &str, arguments: &Value) -> Value {
    let plan = done(who, tool, arguments.clone()).await;
    assert_eq!(plan["dry_run"], true, "{plan}");
    done(who, tool, applying(arguments, &plan)).await
}

/// Takes something away with a tool that shows a plan first: what it says, then with its id.
async fn agreed(who: &Listener, tool: &str, arguments: &Value) -> Value {
    let plan = done(who, tool, arguments.clone()).await;
    assert!(plan["plan_id"].is_string() && plan["status"].is_null(), "{plan}");
    let mut arguments = arguments.clone();
    arguments["plan_id"] = plan["plan_id"].clone();
    done(who, tool, arguments).await
}

/// The arguments that apply a plan.
fn applying(arguments: &Value, plan: &Value) -> Value {
    let mut arguments = arguments.clone();
    arguments["dry_run"] = json!(false);
    arguments["plan_id"] = plan["plan_id"].clone();
    arguments
}

/// The id of the change that an answer tells.
fn change_id(output: &Value) -> Value {
    assert!(output["change_id"].as_str().unwrap().starts_with("ch_"), "{output}");
    output["change_id"].clone()
}
