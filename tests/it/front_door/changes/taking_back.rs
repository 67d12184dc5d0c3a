//! What undoing may take and what it puts back: never a row that was there before, never one twice, and one change after
//! the other.

use std::time::Duration;

use spotify_mcp::spotify::sandbox::{Fault, Injection};

use super::*;

const ADD: &str = "add_tracks_to_playlist";
const REMOVE: &str = "remove_tracks_from_playlist";

/// The next so many requests of this kind, after so many, go so.
fn inject(server: &TestServer, route: &str, (skip, times): (u32, u32), fault: Fault) {
    let injection = Injection { route: route.to_owned(), skip, times, fault };
    assert!(server.control().inject(injection));
}

fn forbidden() -> Fault {
    Fault::Status {
        status: 403,
        body: r#"{"error":{"status":403,"message":"Forbidden"}}"#.to_owned(),
        headers: Default::default(),
    }
}

fn undoing(change: &Value, force: bool) -> Value {
    json!({"change_id": change["change_id"], "dry_run": false, "force": force})
}

/// Undone without force, and to the end.
async fn undone(who: &Listener, change: &Value) -> Value {
    let output = done(who, "undo_change", undoing(change, false)).await;
    assert_eq!(output["status"], "verified", "{output}");
    output
}

/// Not even by force is there anything to undo.
async fn nothing_to_undo(who: &Listener, change: &Value) {
    for force in [false, true] {
        let told = refused(who, "undo_change", undoing(change, force)).await;
        assert!(told.contains("There is nothing to undo"), "{told}");
    }
}

/// More than one write takes, the last five of which are there already.
fn two_writes_of(there: std::ops::Range<usize>) -> Vec<String> {
    (1_000..1_145).chain(there).map(uri).collect()
}

#[tokio::test]
async fn of_an_addition_that_was_made_in_part_only_that_part_goes() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    for position in [None, Some(0), Some(3)] {
        let list = filled(&server, "ada", uris(&[0, 1, 2, 3, 4]));
        inject(&server, "POST /v1/playlists/*", (1, 1), forbidden());
        let mut adding =
            json!({"playlist_id": list, "track_uris": two_writes_of(0..5), "skip_duplicates": false});
        if let Some(position) = position {
            adding["position"] = json!(position);
        }
        let added = done(&ada, ADD, adding).await;
        assert_eq!((&added["status"], held(&server, &list).len()), (&json!("partial"), 105), "{added}");
        undone(&ada, &added).await;
        assert_eq!(held(&server, &list), uris(&[0, 1, 2, 3, 4]), "{position:?}");
    }
}

#[tokio::test]
async fn of_an_addition_that_was_not_made_nothing_goes_and_it_is_not_used_up() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let before = uris(&[0, 1, 2, 3, 4]);
    for (fault, status) in [(Fault::Unapplied, "accepted"), (Fault::Drop, "ambiguous")] {
        let list = filled(&server, "ada", before.clone());
        inject(&server, "POST /v1/playlists/*", (0, 1), fault);
        let adding = json!({"playlist_id": list, "track_uris": before, "skip_duplicates": false});
        let added = done(&ada, ADD, adding).await;
        assert_eq!(added["status"], status, "{added}");
        nothing_to_undo(&ada, &added).await;
        assert_eq!(held(&server, &list), before);
        let listed = done(&ada, "list_changes", json!({"limit": 1})).await;
        assert!(listed["changes"][0]["undone_at"].is_null(), "{listed}");
    }
}

#[tokio::test]
async fn an_addition_whose_confirmation_was_lost_and_found_is_undone_as_any_other() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[0, 1]));
    inject(&server, "POST /v1/playlists/*", (0, 1), Fault::LoseReply);
    let added = done(&ada, ADD, json!({"playlist_id": list, "track_uris": uris(&[2, 3])})).await;
    assert_eq!(added["status"], "verified", "{added}");
    undone(&ada, &added).await;
    assert_eq!(held(&server, &list), uris(&[0, 1]));
}

#[tokio::test]
async fn what_the_list_had_stays_though_it_was_put_in_again_since() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[0, 1]));
    let adding = json!({"playlist_id": list, "track_uris": uris(&[0]), "skip_duplicates": false});
    let added = done(&ada, ADD, adding).await;
    // Taking one copy out writes the other one anew, so that its date is later than the addition.
    planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": [2]})).await;
    done(&ada, ADD, json!({"playlist_id": list, "track_uris": uris(&[5])})).await;
    nothing_to_undo(&ada, &added).await;
    assert_eq!(held(&server, &list), uris(&[0, 1, 5]));
}

#[tokio::test]
async fn in_a_list_that_was_not_counted_spotifys_clock_tells_what_came_by_an_addition() {
    let server = TestServer::new().await;
    // Ours is two minutes behind.
    server.control().advance(Duration::from_secs(120));
    let ada = server.listener("ada").await;
    let before: Vec<_> = (0..501).map(uri).collect();
    let list = filled(&server, "ada", before.clone());
    server.control().advance(Duration::from_secs(30));
    let adding = json!({"playlist_id": list, "track_uris": uris(&[0]), "skip_duplicates": false});
    let added = done(&ada, ADD, adding).await;
    server.control().advance(Duration::from_secs(30));
    done(&ada, ADD, json!({"playlist_id": list, "track_uris": uris(&[777])})).await;
    assert!(refused(&ada, "undo_change", undoing(&added, false)).await.contains("had 502 after it"));
    done(&ada, "undo_change", undoing(&added, true)).await;
    assert_eq!(held(&server, &list), [&before[..], &uris(&[777])].concat());
}

#[tokio::test]
async fn an_undoing_that_was_broken_off_goes_on_from_where_it_began() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let before: Vec<_> = (0..8).map(uri).collect();
    let list = filled(&server, "ada", before.clone());
    let adding =
        json!({"playlist_id": list, "track_uris": uris(&[0, 1, 2, 3, 4, 99]), "skip_duplicates": false});
    let added = done(&ada, ADD, adding).await;
    // Every copy goes by its name, and the person's own do not come back.
    inject(&server, "POST /v1/playlists/*", (0, 1), forbidden());
    let broken = done(&ada, "undo_change", undoing(&added, false)).await;
    assert_eq!((&broken["status"], held(&server, &list)), (&json!("partial"), uris(&[5, 6, 7])), "{broken}");
    // Somebody puts something in meanwhile.
    replaced(&server, &list, uris(&[5, 6, 7, 55]));
    let told = refused(&ada, "undo_change", undoing(&added, false)).await;
    assert!(told.contains("was broken off, and one row is there now"), "{told}");
    replaced(&server, &list, uris(&[5, 6, 7]));
    undone(&ada, &added).await;
    assert_eq!(held(&server, &list), before);
    assert!(refused(&ada, "undo_change", undoing(&added, true)).await.contains("undone before"));
}

#[tokio::test]
async fn what_the_person_has_put_back_does_not_come_twice() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[0, 1, 2, 3, 4]));
    let removed = planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": [0, 1]})).await;
    done(&ada, ADD, json!({"playlist_id": list, "track_uris": uris(&[0, 1])})).await;
    nothing_to_undo(&ada, &removed).await;
    assert_eq!(held(&server, &list), uris(&[2, 3, 4, 0, 1]));
    replaced(&server, &list, uris(&[2, 3, 4, 0]));
    let output = done(&ada, "undo_change", undoing(&removed, true)).await;
    assert!(
        output["effect"].as_str().unwrap().contains("1 of what it took out is there again already"),
        "{output}"
    );
    assert_eq!(held(&server, &list), uris(&[1, 2, 3, 4, 0]));
}

#[tokio::test]
async fn changes_of_every_kind_are_undone_one_after_the_other() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 3, 4]));
    let add = async |tracks: &[usize]| {
        done(&ada, ADD, json!({"playlist_id": list, "track_uris": uris(tracks)})).await
    };
    let moves = async |from: u32, to: u32| {
        let moving = json!({"playlist_id": list, "range_start": from, "insert_before": to});
        done(&ada, "reorder_playlist_tracks", moving).await
    };
    let rename =
        async |name: &str| done(&ada, "update_playlist", json!({"playlist_id": list, "name": name})).await;
    let removed =
        async || planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": [1]})).await;
    let mut changes = vec![add(&[5]).await, add(&[6, 7]).await, moves(0, 3).await, moves(4, 1).await];
    changes.extend([removed().await, add(&[8]).await]);
    rename("Other").await;
    changes.push(moves(2, 0).await);
    rename("Another").await;
    for change in changes.iter().rev() {
        undone(&ada, change).await;
    }
    assert_eq!(held(&server, &list), uris(&[1, 2, 3, 4]));

    // One that was made is what it was made as, when what was put in and done to it has gone.
    let made = done(&ada, "create_playlist", json!({"name": "Made", "track_uris": uris(&[1])})).await;
    let made_id = &made["playlist"]["id"];
    let added = done(&ada, ADD, json!({"playlist_id": made_id, "track_uris": uris(&[2])})).await;
    let renamed = done(&ada, "update_playlist", json!({"playlist_id": made_id, "name": "Else"})).await;
    assert!(refused(&ada, "undo_change", undoing(&made, false)).await.contains("was put into it"));
    undone(&ada, &added).await;
    assert!(refused(&ada, "undo_change", undoing(&made, false)).await.contains("changed about it"));
    undone(&ada, &renamed).await;
    undone(&ada, &made).await;
    let listed = done(&ada, "get_user_playlists", json!({"limit": 50})).await.to_string();
    assert!(!listed.contains(made_id.as_str().unwrap()), "{listed}");
}

#[tokio::test]
async fn a_move_is_undone_by_force_where_its_rows_are_still_together() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 3, 4, 5]));
    let moving = json!({"playlist_id": list, "range_start": 2, "range_length": 2, "insert_before": 0});
    let moved = done(&ada, "reorder_playlist_tracks", moving).await;
    assert_eq!(held(&server, &list), uris(&[3, 4, 1, 2, 5]));
    replaced(&server, &list, uris(&[9, 3, 4, 1, 2, 5]));
    let told = refused(&ada, "undo_change", undoing(&moved, false)).await;
    assert!(told.contains("With force true"), "{told}");
    done(&ada, "undo_change", undoing(&moved, true)).await;
    assert_eq!(held(&server, &list), uris(&[9, 1, 2, 3, 4, 5]));
    // Apart they are not known any more.
    let list = filled(&server, "ada", uris(&[1, 2, 3, 4, 5]));
    let moving = json!({"playlist_id": list, "range_start": 2, "range_length": 2, "insert_before": 0});
    let moved = done(&ada, "reorder_playlist_tracks", moving).await;
    replaced(&server, &list, uris(&[3, 9, 4]));
    assert!(refused(&ada, "undo_change", undoing(&moved, true)).await.contains("not known which rows"));
}

#[tokio::test]
async fn a_local_file_in_the_list_keeps_no_track_from_coming_back() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let before: Vec<_> =
        std::iter::once("spotify:local:a:b:c:1".to_owned()).chain((0..40).map(|n| uri(n % 20))).collect();
    let list = filled(&server, "ada", before.clone());
    let positions: Vec<usize> = (1..30).step_by(3).collect();
    let arguments = json!({"playlist_id": list, "positions": positions});
    let plan = done(&ada, REMOVE, arguments.clone()).await;
    inject(&server, "POST /v1/playlists/*", (1, 1), Fault::Unapplied);
    let removed = done(&ada, REMOVE, applying(&arguments, &plan)).await;
    assert_eq!(removed["status"], "ambiguous", "{removed}");
    // What is left stands in another order than before.
    let mut rows = held(&server, &list);
    rows.reverse();
    replaced(&server, &list, rows);
    let output = done(&ada, "undo_change", undoing(&removed, false)).await;
    assert!(output["effect"].as_str().unwrap().contains("The order is not quite what it was"), "{output}");
    let (mut now, mut wanted) = (held(&server, &list), before);
    now.sort();
    wanted.sort();
    assert_eq!(now, wanted);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_changed() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let mut state = 7_u64;
    let mut name = || {
        let mut digit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(
                b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[(state >> 58) as usize],
            )
        };
        (0..900).map(|_| digit()).collect::<String>()
    };
    let mut before: Vec<_> = (0..1_200).map(|_| format!("spotify:local:{}", name())).collect();
    before.push(uri(1));
    let list = filled(&server, "ada", before.clone());
    let arguments = json!({"playlist_id": list, "track_uris": [uri(1)]});
    let plan = done(&ada, REMOVE, arguments.clone()).await;
    let told = refused(&ada, REMOVE, applying(&arguments, &plan)).await;
    assert!(told.contains("too large to be written down"), "{told}");
    assert_eq!(held(&server, &list), before);
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 0);
}
