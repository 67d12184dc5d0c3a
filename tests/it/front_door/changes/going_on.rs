//! Changes that take several requests: what does not fit is refused before the first of them, what fits is brought to its
//! end whatever refuses in between, and what was broken off is undone whatever was asked for since.

use spotify_mcp::spotify::sandbox::{Fault, Injection};
use tokio::time::{Duration, sleep};

use super::*;
use crate::front_door::api_keys::result;

const REMOVE: &str = "remove_tracks_from_playlist";

/// A list of so many rows, one of which names nothing any more: only writing it anew takes that out. With what is there
/// before and after.
fn with_a_dead_row(server: &TestServer, rows: usize) -> (String, Vec<String>, Vec<String>) {
    let mut before: Vec<String> = (0..rows).map(uri).collect();
    before[5] = String::new();
    let list = filled(server, "ada", before.clone());
    let mut after = before.clone();
    after.remove(5);
    (list, before, after)
}

/// The next so many writes of new rows, after so many, go so.
fn inject(server: &TestServer, route: &str, (skip, times): (u32, u32), fault: Fault) {
    assert!(server.control().inject(Injection { route: route.to_owned(), skip, times, fault }));
}

fn status(status: u16, retry_after: Option<u32>) -> Fault {
    let headers = retry_after.map(|wait| ("retry-after".to_owned(), wait.to_string())).into_iter().collect();
    let body = if status == 403 { r#"{"error":{"message":"Forbidden"}}"# } else { "" };
    Fault::Status { status, body: body.to_owned(), headers }
}

async fn planned(who: &Listener, list: &str) -> Value {
    let arguments = json!({"playlist_id": list, "positions": [5]});
    let plan = done(who, REMOVE, arguments.clone()).await;
    applying(&arguments, &plan)
}

/// One request for playlists.
async fn ask(who: &Listener, page: usize) -> Value {
    who.call("get_user_playlists", json!({"limit": 1, "offset": page})).await.result()
}

/// A day's quota of which two people have forty requests each.
async fn shared() -> (TestServer, Listener) {
    let server = Setup::default().env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "80").start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    assert_ne!(ask(&ben, 0).await["isError"], true);
    (server, ada)
}

#[tokio::test]
async fn what_has_no_room_in_a_share_is_refused_before_anything_is_touched() {
    let (server, ada) = shared().await;
    let (list, before, _) = with_a_dead_row(&server, 1_000);
    let apply = planned(&ada, &list).await;
    for _ in 0..2 {
        let error = ada.call(REMOVE, apply.clone()).await.result()["structuredContent"]["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("Nothing was changed: it takes about 32 requests"), "{error}");
        assert!(message.contains("share") && message.contains("24 hours"), "{error}");
        assert_eq!(error["code"], "QUOTA_EXCEEDED");
        assert!(error["retry_after_seconds"].as_u64().is_some_and(|wait| wait > 80_000), "{error}");
    }
    assert_eq!(held(&server, &list), before);
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 0);
    // What fits is done.
    let (list, _, after) = with_a_dead_row(&server, 200);
    let apply = planned(&ada, &list).await;
    assert_eq!(done(&ada, REMOVE, apply).await["status"], "verified");
    assert_eq!(held(&server, &list), after);
}

#[tokio::test]
async fn what_was_broken_off_is_undone_whatever_was_asked_for_since() {
    let (server, ada) = shared().await;
    let (list, mut before, _) = with_a_dead_row(&server, 400);
    let apply = planned(&ada, &list).await;
    inject(&server, "POST /v1/playlists/*", (1, 1), status(403, None));
    let output = done(&ada, REMOVE, apply).await;
    assert_eq!((&output["status"], held(&server, &list).len()), (&json!("partial"), 200), "{output}");
    use_up(&ada).await;
    // Looking alone mends nothing.
    let looking = json!({"change_id": change_id(&output)});
    assert_eq!(ada.call("undo_change", looking).await.error(), "QUOTA_EXCEEDED");
    let undo = json!({"change_id": change_id(&output), "dry_run": false});
    assert_eq!(done(&ada, "undo_change", undo).await["status"], "verified");
    before.remove(5);
    assert_eq!(held(&server, &list), before);
    assert_eq!(ask(&ada, 90).await["structuredContent"]["error"]["code"], "QUOTA_EXCEEDED");
}

/// Uses up what is left of a share.
async fn use_up(who: &Listener) {
    let mut page = 0;
    while ask(who, page).await["isError"] != true {
        page += 1;
        assert!(page < 80);
    }
}

#[tokio::test]
async fn undoing_takes_no_more_than_a_share_where_nothing_is_half_written() {
    let (server, ada) = shared().await;
    let list = filled(&server, "ada", uris(&[1, 2, 3]));
    inject(&server, "DELETE /v1/playlists/*", (0, 1), Fault::Unapplied);
    let removed = planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": [0]})).await;
    assert_eq!(removed["status"], "ambiguous", "{removed}");
    use_up(&ada).await;
    // What was read of it is not read anew for a moment.
    replaced(&server, &list, uris(&[1, 2, 3, 4]));
    for force in [false, true] {
        let undo = json!({"change_id": change_id(&removed), "dry_run": false, "force": force});
        assert_eq!(ada.call("undo_change", undo).await.error(), "QUOTA_EXCEEDED");
    }
}

#[tokio::test]
async fn what_is_half_written_is_looked_at_past_a_share_some_times_a_day() {
    let (server, ada) = shared().await;
    let (list, ..) = with_a_dead_row(&server, 300);
    let apply = planned(&ada, &list).await;
    inject(&server, "POST /v1/playlists/*", (0, 1), status(403, None));
    let output = done(&ada, REMOVE, apply).await;
    assert_eq!(output["status"], "partial", "{output}");
    // Somebody puts something in, so that it is not undone without force.
    let mut rows = held(&server, &list);
    rows.push(uri(7_777));
    replaced(&server, &list, rows);
    use_up(&ada).await;
    let undo = json!({"change_id": change_id(&output), "dry_run": false});
    for _ in 0..6 {
        assert_eq!(ada.call("undo_change", undo.clone()).await.error(), "INVALID_ARGUMENT");
    }
    assert_eq!(ada.call("undo_change", undo).await.error(), "QUOTA_EXCEEDED");
}

#[tokio::test]
async fn what_passes_at_spotify_is_waited_out_in_the_middle() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    for fault in [status(503, None), status(429, Some(6)), Fault::Drop, Fault::LoseReply] {
        let (list, before, after) = with_a_dead_row(&server, 400);
        let apply = planned(&ada, &list).await;
        inject(&server, "POST /v1/playlists/*", (1, 1), fault.clone());
        if matches!(fault, Fault::Status { status: 503, .. }) {
            // Looking what became of it does not work at once either.
            inject(&server, "GET /v1/playlists/*", (1, 1), status(502, None));
        }
        let output = done(&ada, REMOVE, apply).await;
        server.control().clear_faults();
        assert_eq!(output["status"], "verified", "{fault:?}: {output}");
        assert_eq!(held(&server, &list), after, "{fault:?}");
        // Only a row that names nothing has gone, and that cannot be written again.
        let undo = json!({"change_id": change_id(&output), "dry_run": false});
        assert_eq!(ada.call("undo_change", undo).await.error(), "RESTRICTED");
        assert_eq!(held(&server, &list).len(), before.len() - 1);
    }
}

#[tokio::test]
async fn what_somebody_else_is_told_stops_no_change_that_has_begun() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let (list, _, after) = with_a_dead_row(&server, 500);
    let apply = planned(&ada, &list).await;
    inject(&server, "POST /v1/playlists/*", (0, 10), Fault::Delay { millis: 700 });
    inject(&server, "GET /v1/search*", (0, 1), status(429, Some(600)));
    let told = async {
        sleep(Duration::from_millis(900)).await;
        ben.call("search_tracks", json!({"query": "x"})).await.error()
    };
    let (output, told) = tokio::join!(done(&ada, REMOVE, apply), told);
    assert_eq!((told.as_str(), &output["status"]), ("RATE_LIMITED", &json!("accepted")), "{output}");
    assert_eq!(held(&server, &list), after);
    // Nobody begins anything now, and proving it can wait too.
    assert_eq!(ada.call("get_playlist", json!({"playlist_id": list})).await.error(), "RATE_LIMITED");
}

#[tokio::test]
async fn what_spotify_would_write_too_slowly_is_refused_before_anything_is_touched() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let small = filled(&server, "ada", uris(&[1]));
    let (list, before, after) = with_a_dead_row(&server, 6_100);
    let apply = planned(&ada, &list).await;
    // One write of four seconds: 61 of them are more than a change may take.
    inject(&server, "POST /v1/playlists/*", (0, 1), Fault::Delay { millis: 4_000 });
    done(&ada, "add_tracks_to_playlist", json!({"playlist_id": small, "track_uris": uris(&[2])})).await;
    let wrote = writes(&server);
    let error = ada.call(REMOVE, apply.clone()).await.result()["structuredContent"]["error"].clone();
    assert_eq!(error["code"], "UPSTREAM_TIMEOUT");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Nothing was changed: it takes 61 requests one after the other"),
        "{message}"
    );
    assert!(message.contains("Spotify is so slow at the moment"), "{message}");
    assert_eq!((held(&server, &list) == before, writes(&server)), (true, wrote));
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 1, "the small one alone");
    // The plan is not used up, and Spotify becomes quicker.
    for n in 3..8 {
        let adding = json!({"playlist_id": small, "track_uris": uris(&[n])});
        done(&ada, "add_tracks_to_playlist", adding).await;
    }
    ada.call(REMOVE, apply).await.result();
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while held(&server, &list) != after {
        assert!(tokio::time::Instant::now() < until, "{} rows", held(&server, &list).len());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_waits_to_be_sent_is_sent_no_more_once_its_person_is_disabled() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let (list, ..) = with_a_dead_row(&server, 800);
    let apply = planned(&ada, &list).await;
    inject(&server, "POST /v1/playlists/*", (0, 10), Fault::Delay { millis: 400 });
    inject(&server, "GET /v1/search*", (0, 1), status(429, Some(60)));
    assert!(ada.give_up(REMOVE, apply, Duration::from_millis(700)).await, "it was quicker");
    assert_eq!(ben.call("search_tracks", json!({"query": "x"})).await.error(), "RATE_LIMITED");
    sleep(Duration::from_millis(600)).await;
    let left = held(&server, &list);
    assert!(left.len() < 799, "it is over already");
    result(&server, &["users", "disable", "ada", "--reason", "x", "--yes"]).await;
    result(&server, &["users", "enable", "ada"]).await;
    let ada = server.listener("ada").await;
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let change = done(&ada, "list_changes", json!({"limit": 1})).await["changes"][0].clone();
        if change["state"] == "partial" {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{change}");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(held(&server, &list), left, "nothing more was sent");
}

#[tokio::test]
async fn a_step_that_is_lost_costs_no_reading_of_the_whole_list() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, _, after) = with_a_dead_row(&server, 1_000);
    let apply = planned(&ada, &list).await;
    let pages = || {
        let filter = spotify_mcp::spotify::sandbox::Filter { limit: Some(usize::MAX), ..Default::default() };
        let journal = server.control().journal(&filter);
        journal.iter().filter(|seen| seen.method == "GET" && seen.path.ends_with("/items")).count()
    };
    let before = pages();
    inject(&server, "POST /v1/playlists/*", (3, 2), status(500, None));
    assert_eq!(done(&ada, REMOVE, apply).await["status"], "verified");
    assert_eq!((held(&server, &list), pages() - before), (after, 20), "to prove it in the end");
}
