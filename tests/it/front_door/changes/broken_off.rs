//! Changes that somebody stops waiting for, that take longer than a call, or that die in their middle: brought to their
//! end where that can be, and undone to the last row where it cannot.

use std::time::Duration;

use spotify_mcp::spotify::sandbox::{Fault, Injection};
use tokio::time::{Instant, sleep};

use super::*;

const REMOVE: &str = "remove_tracks_from_playlist";

/// A list of so many rows, one of which names nothing any more: only writing it anew takes that out.
fn with_a_dead_row(server: &TestServer, rows: usize) -> (String, Vec<String>, Vec<String>) {
    let mut before: Vec<String> = (0..rows).map(uri).collect();
    before[5] = String::new();
    let list = filled(server, "ada", before.clone());
    let mut after = before.clone();
    after.remove(5);
    (list, before, after)
}

/// Everything that can come back.
fn named(rows: &[String]) -> Vec<String> {
    rows.iter().filter(|row| !row.is_empty()).cloned().collect()
}

/// The next so many writes of this kind, after so many, go so.
fn inject(server: &TestServer, route: &str, (skip, times): (u32, u32), fault: Fault) {
    let injection = Injection { route: route.to_owned(), skip, times, fault };
    assert!(server.control().inject(injection));
}

async fn planned(who: &Listener, list: &str) -> Value {
    let arguments = json!({"playlist_id": list, "positions": [5]});
    let plan = done(who, REMOVE, arguments.clone()).await;
    applying(&arguments, &plan)
}

async fn latest(who: &Listener) -> Value {
    done(who, "list_changes", json!({"limit": 1})).await["changes"][0].clone()
}

/// Waits until the latest change has come to this.
async fn comes_to(who: &Listener, state: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let change = latest(who).await;
        if change["state"] == state {
            return change;
        }
        assert!(Instant::now() < until, "{change}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn undone(who: &Listener, change: &Value, force: bool) -> Answer {
    who.call("undo_change", json!({"change_id": change["change_id"], "dry_run": false, "force": force})).await
}

#[tokio::test]
async fn what_has_begun_goes_on_though_the_client_stops_or_leaves() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    for leaves in [false, true] {
        let (list, before, after) = with_a_dead_row(&server, 400);
        let apply = planned(&ada, &list).await;
        inject(&server, "POST /v1/playlists/*", (0, 1), Fault::Delay { millis: 1500 });
        if leaves {
            assert!(ada.give_up(REMOVE, apply, Duration::from_millis(500)).await, "it was quicker");
        } else {
            let params = json!({"name": REMOVE, "arguments": apply});
            let call = ada.request(Era::Legacy, "tools/call", params);
            let stop = async {
                sleep(Duration::from_millis(500)).await;
                cancelled(&server, &ada).await;
            };
            let (answer, ()) = tokio::join!(call, stop);
            assert!(answer.text.contains("cancelled"), "{answer:?}");
        }
        let change = comes_to(&ada, "verified").await;
        assert_eq!(held(&server, &list), after, "{leaves}");
        // Only a row that names nothing has gone, and that cannot be written again.
        assert_eq!(undone(&ada, &change, false).await.error(), "RESTRICTED");
        assert_eq!(held(&server, &list), named(&before), "{leaves}");
    }
}

#[tokio::test]
async fn a_change_that_takes_longer_than_a_call_is_brought_to_its_end() {
    // A call may take twelve seconds here; the writing alone needs more.
    let server = Setup::default().env("SPOTIFY_MCP__API__TIMEOUT", "2s").start().await;
    let ada = server.listener("ada").await;
    let (list, _, after) = with_a_dead_row(&server, 3_000);
    let apply = planned(&ada, &list).await;
    inject(&server, "POST /v1/playlists/*", (0, 30), Fault::Delay { millis: 500 });
    let answer = ada.call(REMOVE, apply.clone()).await;
    let message = answer.result()["structuredContent"]["error"]["message"].to_string();
    assert!(message.contains("goes on by itself"), "{answer:?}");
    // Meanwhile nothing else is changed.
    let rename = json!({"playlist_id": list, "name": "Other"});
    let second = ada.call("update_playlist", rename.clone()).await;
    comes_to_removed(&ada).await;
    assert_eq!(held(&server, &list), after);
    if second.result()["isError"] == true {
        done(&ada, "update_playlist", rename).await;
    }
}

/// Waits until the removal is seen in place; a later change may stand before it.
async fn comes_to_removed(who: &Listener) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = done(who, "list_changes", json!({})).await;
        let changes = listed["changes"].as_array().unwrap();
        if changes.iter().any(|change| change["tool"] == REMOVE && change["state"] == "verified") {
            return;
        }
        assert!(Instant::now() < until, "{listed}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_died_half_way_is_undone_to_the_last_row() {
    let mut server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, before, _) = with_a_dead_row(&server, 400);
    let apply = planned(&ada, &list).await;
    inject(&server, "POST /v1/playlists/*", (0, 1), Fault::Delay { millis: 60_000 });
    assert!(ada.give_up(REMOVE, apply, Duration::from_millis(1500)).await);
    server.kill().await;
    assert_eq!(held(&server, &list).len(), 100, "the first hundred are there");
    server.start().await;
    server.control().clear_faults();
    let change = latest(&ada).await;
    assert_eq!(change["state"], "begun", "{change}");
    // Nothing is in the way: all that is there was there before.
    assert_eq!(undone(&ada, &change, false).await.content()["status"], "verified");
    assert_eq!(held(&server, &list), named(&before));
}

#[tokio::test]
async fn a_song_that_came_meanwhile_asks_for_force_and_stays() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, before, _) = with_a_dead_row(&server, 400);
    let apply = planned(&ada, &list).await;
    let refused = Fault::Status {
        status: 403,
        body: r#"{"error":{"message":"Forbidden"}}"#.to_owned(),
        headers: Default::default(),
    };
    inject(&server, "POST /v1/playlists/*", (1, 1), refused);
    let output = done(&ada, REMOVE, apply).await;
    assert_eq!((&output["status"], held(&server, &list).len()), (&json!("partial"), 200), "{output}");
    let mut rows = held(&server, &list);
    rows.push(uri(7_777));
    replaced(&server, &list, rows);
    let change = latest(&ada).await;
    let told =
        undone(&ada, &change, false).await.result()["structuredContent"]["error"]["message"].to_string();
    assert!(told.contains("was broken off, and one row is there now that was not there before"), "{told}");
    assert_eq!(undone(&ada, &change, true).await.content()["status"], "verified");
    let mut expected = named(&before);
    expected.push(uri(7_777));
    assert_eq!(held(&server, &list), expected);
}

#[tokio::test]
async fn an_undoing_that_was_not_brought_to_its_end_is_done_again() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    for (fault, status) in [(Fault::Drop, "ambiguous"), (Fault::Unapplied, "ambiguous")] {
        let list = filled(&server, "ada", uris(&[1, 2, 3, 4, 5]));
        let arguments = json!({"playlist_id": list, "positions": [1, 3]});
        planned_and_done(&ada, REMOVE, &arguments).await;
        let change = latest(&ada).await;
        server.inject("POST /v1/playlists/*", 1, fault);
        let answer = undone(&ada, &change, false).await;
        assert_eq!(answer.content()["status"], status, "{answer:?}");
        assert!(
            answer.result()["content"][0]["text"].as_str().unwrap().starts_with("Began to undo"),
            "{answer:?}"
        );
        assert_eq!(undone(&ada, &change, false).await.content()["status"], "verified");
        assert_eq!(held(&server, &list), uris(&[1, 2, 3, 4, 5]));
        let told =
            undone(&ada, &change, true).await.result()["structuredContent"]["error"]["message"].to_string();
        assert!(told.contains("undone before"), "{told}");
    }
}

#[tokio::test]
async fn the_last_two_changes_are_undone_one_after_the_other() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 3, 4]));
    for position in [0, 1] {
        planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": [position]})).await;
    }
    done(&ada, "update_playlist", json!({"playlist_id": list, "name": "Other"})).await;
    let changes = done(&ada, "list_changes", json!({})).await["changes"].clone();
    for change in [&changes[1], &changes[2]] {
        assert_eq!(undone(&ada, change, false).await.content()["status"], "verified");
    }
    assert_eq!(held(&server, &list), uris(&[1, 2, 3, 4]));
}

#[tokio::test]
async fn undoing_an_addition_takes_no_row_that_was_there_before() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    // One that is there for long.
    let listed = done(&ada, "get_user_playlists", json!({"limit": 50})).await;
    let lists = listed["playlists"].as_array().unwrap().iter().map(|list| list["id"].as_str().unwrap());
    let list = {
        let mut lists = lists;
        lists.find(|id| held(&server, id).len() > 3 && id.starts_with(&ada.marker())).unwrap()
    };
    let before = held(&server, list);
    let adding = json!({"playlist_id": list, "track_uris": [before[0], uri(7)], "skip_duplicates": false});
    done(&ada, "add_tracks_to_playlist", adding).await;
    assert_eq!(held(&server, list).len(), before.len() + 2);
    // Somebody takes the copy out again.
    let mut rows = before.clone();
    rows.push(uri(7));
    replaced(&server, list, rows);
    let change = latest(&ada).await;
    undone(&ada, &change, true).await.content();
    assert_eq!(held(&server, list), before);
}

#[tokio::test]
async fn changes_of_one_person_come_one_after_the_other() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1]));
    let adding = json!({"playlist_id": list, "track_uris": uris(&[2, 3, 4, 5, 6])});
    let calls = (0..6).map(|_| ada.call("add_tracks_to_playlist", adding.clone()));
    for answer in futures_util::future::join_all(calls).await {
        answer.content();
    }
    assert_eq!(held(&server, &list), uris(&[1, 2, 3, 4, 5, 6]), "those that are there are left out");
    // Two plans that write the list anew: the second finds its plan out of date.
    let (list, _, after) = with_a_dead_row(&server, 400);
    let (one, other) = (planned(&ada, &list).await, planned(&ada, &list).await);
    let (one, other) = tokio::join!(ada.call(REMOVE, one), ada.call(REMOVE, other));
    let failed = [one, other].iter().filter(|answer| answer.result()["isError"] == true).count();
    assert_eq!((failed, held(&server, &list)), (1, after));
}

#[tokio::test]
async fn a_copy_that_nobody_waits_for_is_on_record_from_the_start_and_whole_in_the_end() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", (0..250).map(uri).collect());
    inject(&server, "POST /v1/playlists/*", (1, 1), Fault::Delay { millis: 4000 });
    let copying = json!({"playlist_id": list, "name": "Copy"});
    assert!(ada.give_up("copy_playlist", copying, Duration::from_millis(2000)).await, "it was quicker");
    let change = comes_to(&ada, "begun").await;
    assert_eq!((&change["tool"], &change["playlist"]), (&json!("copy_playlist"), &json!("Copy")), "{change}");
    let change = comes_to(&ada, "accepted").await;
    assert_eq!(held(&server, change["playlist_id"].as_str().unwrap()).len(), 250);
    let gone = undone(&ada, &change, false).await.content();
    assert_eq!(gone["status"], "verified", "{gone}");
}
