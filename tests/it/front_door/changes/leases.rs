//! The right to undo a change: given back where nothing came of it, whoever has stopped waiting; believed by the database's
//! clock; and who may not have it is told when.

use spotify_mcp::spotify::sandbox::Fault;
use tokio::time::{Duration, Instant, sleep};

use super::*;
use crate::front_door::revoking::nodes::ahead;
use crate::support::database::Place;

const REMOVE: &str = "remove_tracks_from_playlist";

/// How far the other server's clock is ahead.
const AHEAD: u32 = 600;

/// The one change there is, renamed from "Mine" to "New", and the arguments that undo it.
async fn renamed(server: &TestServer, who: &Listener) -> (String, Value) {
    let list = filled(server, "ada", uris(&[1]));
    let output = done(who, "update_playlist", json!({"playlist_id": list, "name": "New"})).await;
    (list, json!({"change_id": change_id(&output), "dry_run": false}))
}

/// Spotify answers so once.
fn answers(server: &TestServer, status: u16, retry_after: Option<&str>) {
    let body = r#"{"error":{"message":"Forbidden"}}"#.to_owned();
    let headers = retry_after.map(|wait| ("retry-after".to_owned(), wait.to_owned())).into_iter().collect();
    server.inject("PUT /v1/playlists/*", 1, Fault::Status { status, body, headers });
}

/// Asks for it, and says that it is not wanted while it waits for Spotify, after its right was taken.
async fn stopped_in_the_middle(server: &TestServer, who: &Listener, undo: &Value) {
    let call = who.request(Era::Legacy, "tools/call", json!({"name": "undo_change", "arguments": undo}));
    let stop = async {
        sleep(Duration::from_millis(600)).await;
        cancelled(server, who).await;
    };
    let (answer, ()) = tokio::join!(call, stop);
    assert!(answer.text.contains("cancelled"), "{answer:?}");
}

fn name(server: &TestServer, list: &str) -> String {
    server.control().playlist(list).unwrap().name
}

#[tokio::test]
async fn an_undoing_that_nobody_waits_for_any_more_is_done_or_gives_its_right_back() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, undo) = renamed(&server, &ada).await;
    answers(&server, 429, Some("2"));
    stopped_in_the_middle(&server, &ada, &undo).await;
    assert_eq!(name(&server, &list), "New");
    let until = Instant::now() + Duration::from_secs(30);
    while name(&server, &list) != "Mine" {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(20)).await;
    }
    // This one waits until the other has ended.
    assert!(refused(&ada, "undo_change", undo).await.contains("undone before"));

    // The same where Spotify then refuses it.
    let (list, undo) = renamed(&server, &ada).await;
    answers(&server, 429, Some("2"));
    answers(&server, 403, None);
    stopped_in_the_middle(&server, &ada, &undo).await;
    assert_eq!(done(&ada, "undo_change", undo).await["status"], "verified");
    assert_eq!(name(&server, &list), "Mine");
}

#[tokio::test]
async fn who_may_not_undo_yet_is_told_when() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, undo) = renamed(&server, &ada).await;
    // As a server leaves it that dies in an undoing.
    let raw = server.place.raw().await;
    let now = raw.number("SELECT CAST(strftime('%s', 'now') AS BIGINT)").await;
    raw.run(&format!("UPDATE changes SET undoing_until = {}", now + 200)).await;
    let error = ada.call("undo_change", undo.clone()).await.result()["structuredContent"]["error"].clone();
    assert_eq!(error["code"], "RATE_LIMITED", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("can be undone again in 4 minutes at the latest"), "{error}");
    assert!((150..=200).contains(&error["retry_after_seconds"].as_u64().unwrap()), "{error}");
    assert_eq!(name(&server, &list), "New");
    raw.run(&format!("UPDATE changes SET undoing_until = {now}")).await;
    assert_eq!(done(&ada, "undo_change", undo).await["status"], "verified");
    assert_eq!(name(&server, &list), "Mine");
}

#[tokio::test]
async fn servers_whose_clocks_are_apart_undo_a_change_once() {
    let Some(place) = Place::postgres().await else { return };
    let server = Setup::on(place).start().await;
    let (mut other, origin) = ahead(&server, AHEAD).await;
    let ada = server.listener("ada").await;
    let before: Vec<_> = (0..300).map(uri).collect();
    let list = filled(&server, "ada", before.clone());
    let positions: Vec<_> = (0..250).collect();
    let removed = planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": positions})).await;
    let undo = json!({"change_id": change_id(&removed), "dry_run": false});
    let there = || called_at((&server, &origin), &ada, "undo_change", undo.clone());

    // What somebody has for a minute by the database's clock is over for long by that of the other server.
    let raw = server.place.raw().await;
    let taken = "UPDATE changes SET undoing_until = CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) + 60";
    raw.run(taken).await;
    let answer = there().await;
    assert_eq!(answer["error"]["code"], "RATE_LIMITED", "{answer}");
    assert!(answer["error"]["retry_after_seconds"].as_u64().unwrap() <= 60, "{answer}");
    raw.run("UPDATE changes SET undoing_until = NULL").await;

    let fault = Fault::Delay { millis: 400 };
    server.inject("POST /v1/playlists/*", 10, fault);
    let (here, there) = tokio::join!(ada.call("undo_change", undo.clone()), there());
    let answers = [here.result()["structuredContent"].clone(), there];
    let whole = answers.iter().filter(|answer| answer["status"] == "verified").count();
    assert_eq!(whole, 1, "{answers:?}");
    assert_eq!(held(&server, &list), before);
    other.kill().await.unwrap();
}
