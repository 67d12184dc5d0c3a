//! Before something is taken away the person is asked through their client, where it offers that: in both eras, once,
//! in plain words; only their own yes to just that counts.

mod local;
mod rounds;
mod streams;

use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::PlaylistChange;

use crate::support::listener::{Answer, Era, Listener};
use crate::support::server::TestServer;

const REMOVE: &str = "remove_tracks_from_playlist";

fn uri(n: usize) -> String {
    format!("spotify:track:{n:022}")
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"agree": true}})
}

/// Replies that are not a yes.
fn noes() -> [Value; 4] {
    [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept", "content": {"agree": false}}),
        json!({"action": "accept"}),
    ]
}

/// A playlist of this person with these tracks; its id.
fn filled(server: &TestServer, user: &str, tracks: &[usize]) -> String {
    let uris = tracks.iter().map(|n| uri(*n)).collect();
    let change =
        PlaylistChange { name: Some("Mine".to_owned()), uris: Some(uris), ..PlaylistChange::default() };
    server.control().create_playlist(user, change).unwrap()
}

fn held(server: &TestServer, id: &str) -> Vec<String> {
    server.control().playlist(id).unwrap().uris
}

/// The arguments of a call that applies a plan which has just been made.
async fn planned(who: &Listener, tool: &str, arguments: &Value) -> Value {
    let plan = who.call(tool, arguments.clone()).await.content();
    let mut arguments = arguments.clone();
    arguments["dry_run"] = json!(false);
    arguments["plan_id"] = plan["plan_id"].clone();
    arguments
}

/// A call of a client of today that offers to ask so.
async fn call(who: &Listener, offers: &Value, tool: &str, arguments: &Value, more: Value) -> Answer {
    let mut params =
        json!({"name": tool, "arguments": arguments, "_meta": {"capabilities": {"elicitation": offers}}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    who.request(Era::Modern, "tools/call", params).await
}

/// What the person is asked, and what comes back with the reply.
fn question(answer: &Answer) -> (Value, Value) {
    let result = answer.result();
    assert_eq!(result["resultType"], "input_required", "{answer:?}");
    (result["inputRequests"]["person"]["params"].clone(), result["requestState"].clone())
}

/// The second round.
fn replied(state: &Value, reply: Value) -> Value {
    json!({"requestState": state, "inputResponses": {"person": reply}})
}
