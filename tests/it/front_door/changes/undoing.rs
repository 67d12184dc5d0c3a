//! Undoing: exactly what was, where nothing happened since; else told how, and forced without harm to what others did.

use super::*;

const REMOVE: &str = "remove_tracks_from_playlist";

async fn undo(who: &Listener, change: &Value) -> Value {
    let dry = done(who, "undo_change", json!({"change_id": change})).await;
    assert_eq!(dry["dry_run"], true, "{dry}");
    assert!(dry["status"].is_null() && !dry["effect"].as_str().unwrap().is_empty(), "{dry}");
    done(who, "undo_change", json!({"change_id": change, "dry_run": false})).await
}

#[tokio::test]
async fn every_kind_of_change_is_taken_back_and_so_is_the_undoing() {
    for mode in MODES {
        let server = in_mode(mode).await;
        let ada = server.listener("ada").await;
        let list = filled(&server, "ada", uris(&[1, 2, 1, 3]));
        let removed =
            planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "track_uris": [uri(1)]})).await;
        let back = undo(&ada, &change_id(&removed)).await;
        assert_eq!(back["status"], "verified", "{mode}: {back}");
        assert_eq!(held(&server, &list), uris(&[1, 2, 1, 3]));
        // An undoing is undone too.
        assert_eq!(undo(&ada, &change_id(&back)).await["status"], "verified");
        assert_eq!(held(&server, &list), uris(&[2, 3]));

        let adding = json!({"playlist_id": list, "track_uris": uris(&[4, 5]), "position": 1});
        let added = done(&ada, "add_tracks_to_playlist", adding).await;
        assert_eq!(held(&server, &list), uris(&[2, 4, 5, 3]));
        assert_eq!(undo(&ada, &change_id(&added)).await["status"], "verified");
        assert_eq!(held(&server, &list), uris(&[2, 3]));

        let moving = json!({"playlist_id": list, "range_start": 0, "insert_before": 2});
        let moved = done(&ada, "reorder_playlist_tracks", moving).await;
        assert_eq!(held(&server, &list), uris(&[3, 2]));
        assert_eq!(undo(&ada, &change_id(&moved)).await["status"], "verified");
        assert_eq!(held(&server, &list), uris(&[2, 3]));

        let renaming = json!({"playlist_id": list, "name": "Other", "public": true});
        let renamed = done(&ada, "update_playlist", renaming).await;
        assert_eq!(undo(&ada, &change_id(&renamed)).await["status"], "verified");
        let now = server.control().playlist(&list).unwrap();
        assert_eq!((now.name.as_str(), now.public), ("Mine", false));

        let left = agreed(&ada, "unfollow_playlist", &json!({"playlist_id": list})).await;
        assert_eq!(undo(&ada, &change_id(&left)).await["status"], "verified");
        let made = done(&ada, "create_playlist", json!({"name": "Made", "track_uris": [uri(1)]})).await;
        let made_id = made["playlist"]["id"].as_str().unwrap().to_owned();
        assert_eq!(undo(&ada, &change_id(&made)).await["status"], "verified");
        let listed = done(&ada, "get_user_playlists", json!({"limit": 50})).await.to_string();
        assert!(listed.contains(&list) && !listed.contains(&made_id), "{mode}: {listed}");
    }
}

#[tokio::test]
async fn what_happened_since_is_told_and_stays_where_undoing_is_forced() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 3, 4]));
    let removed =
        planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "track_uris": uris(&[2, 4])})).await;
    let change = change_id(&removed);
    replaced(&server, &list, uris(&[3, 9, 8]));
    let told = refused(&ada, "undo_change", json!({"change_id": change, "dry_run": false})).await;
    assert!(told.contains("2 tracks were added and 1 removed") && told.contains("force true"), "{told}");
    assert_eq!(held(&server, &list), uris(&[3, 9, 8]));
    let forced = json!({"change_id": change, "dry_run": false, "force": true});
    let output = done(&ada, "undo_change", forced.clone()).await;
    assert_eq!(output["status"], "verified", "{output}");
    assert_eq!(held(&server, &list), uris(&[2, 3, 4, 9, 8]));
    assert!(refused(&ada, "undo_change", forced).await.contains("undone before"), "once");
    let listed = done(&ada, "list_changes", json!({"limit": 1, "offset": 1})).await;
    assert!(listed["changes"][0]["undone_at"].is_string(), "{listed}");

    // A move, where what was moved can still be told.
    let moving = json!({"playlist_id": list, "range_start": 0, "insert_before": 2});
    let moved = change_id(&done(&ada, "reorder_playlist_tracks", moving).await);
    replaced(&server, &list, uris(&[3, 2]));
    let forced = json!({"change_id": moved, "dry_run": false, "force": true});
    done(&ada, "undo_change", forced).await;
    assert_eq!(held(&server, &list), uris(&[2, 3]));

    // Details that somebody else set meanwhile.
    let renamed = done(&ada, "update_playlist", json!({"playlist_id": list, "name": "Mine too"})).await;
    let other = PlaylistChange { name: Some("Theirs".to_owned()), ..PlaylistChange::default() };
    server.control().change_playlist(&list, other).unwrap();
    let change = change_id(&renamed);
    let told = refused(&ada, "undo_change", json!({"change_id": change, "dry_run": false})).await;
    assert!(told.contains("not what that change made it"), "{told}");
    assert_eq!(server.control().playlist(&list).unwrap().name, "Theirs");
}

#[tokio::test]
async fn an_undoing_that_is_refused_can_be_tried_again() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2]));
    let removed = planned_and_done(&ada, REMOVE, &json!({"playlist_id": list, "positions": [0]})).await;
    let undo = json!({"change_id": change_id(&removed), "dry_run": false});
    let fault = spotify_mcp::spotify::sandbox::Fault::Status {
        status: 403,
        body: r#"{"error":{"status":403,"message":"Forbidden"}}"#.to_owned(),
        headers: Default::default(),
    };
    server.inject("POST /v1/playlists/*", 1, fault);
    assert_eq!(ada.call("undo_change", undo.clone()).await.error(), "FORBIDDEN");
    assert_eq!(done(&ada, "undo_change", undo).await["status"], "verified");
    assert_eq!(held(&server, &list), uris(&[1, 2]));
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 2, "the refused one left no entry");
}

#[tokio::test]
async fn without_a_description_before_there_is_none_to_go_back_to() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1]));
    let described = done(&ada, "update_playlist", json!({"playlist_id": list, "description": "words"})).await;
    let told = refused(&ada, "undo_change", json!({"change_id": change_id(&described)})).await;
    assert!(told.contains("Spotify cannot empty one"), "{told}");
}
