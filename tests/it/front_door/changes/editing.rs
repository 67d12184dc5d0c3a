//! Removing, moving, deduplicating, copying, covers: what is in the playlist afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[tokio::test]
async fn rows_go_by_uri_or_by_place_in_every_regime() {
    for mode in MODES {
        let server = in_mode(mode).await;
        let ada = server.listener("ada").await;
        let list = filled(&server, "ada", uris(&[1, 2, 1, 3, 2]));
        let by_uri = json!({"playlist_id": list, "track_uris": [uri(1)]});
        let output = planned_and_done(&ada, "remove_tracks_from_playlist", &by_uri).await;
        assert_eq!(
            (&output["status"], &output["removes"]),
            (&json!("verified"), &json!(2)),
            "{mode}: {output}"
        );
        assert_eq!(held(&server, &list), uris(&[2, 3, 2]));
        let by_place = json!({"playlist_id": list, "positions": [0]});
        let output = planned_and_done(&ada, "remove_tracks_from_playlist", &by_place).await;
        assert_eq!(output["status"], "verified", "{mode}: {output}");
        assert_eq!(held(&server, &list), uris(&[3, 2]), "the other copy stays, in its place");

        let moving = json!({"playlist_id": list, "range_start": 1, "insert_before": 0});
        let output = done(&ada, "reorder_playlist_tracks", moving).await;
        assert_eq!(output["status"], "verified", "{mode}: {output}");
        assert_eq!(held(&server, &list), uris(&[2, 3]));
    }
}

#[tokio::test]
async fn a_move_is_of_the_state_that_was_meant_and_within_the_list() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 3]));
    let snapshot = done(&ada, "get_playlist", json!({"playlist_id": list})).await["snapshot_id"].clone();
    let moving = json!({"playlist_id": list, "range_start": 0, "range_length": 2, "insert_before": 3,
        "snapshot_id": snapshot});
    replaced(&server, &list, uris(&[1, 2, 3, 4]));
    let told = refused(&ada, "reorder_playlist_tracks", moving).await;
    assert!(told.contains("changed since that snapshot_id"), "{told}");
    let beyond = json!({"playlist_id": list, "range_start": 3, "range_length": 2, "insert_before": 0});
    let told = refused(&ada, "reorder_playlist_tracks", beyond).await;
    assert!(told.contains("4 rows"), "{told}");
    assert_eq!(held(&server, &list), uris(&[1, 2, 3, 4]));
    let nowhere = json!({"playlist_id": list, "range_start": 1, "insert_before": 2});
    let output = done(&ada, "reorder_playlist_tracks", nowhere).await;
    assert!(output["change_id"].is_null(), "it stands there already: {output}");
}

#[tokio::test]
async fn local_files_and_rows_that_are_gone_keep_their_places_and_are_never_lost() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let local = "spotify:local:Me:Tape:Song:200".to_owned();
    let rows = vec![uri(1), local.clone(), String::new(), uri(2), local.clone(), uri(1)];
    let list = filled(&server, "ada", rows.clone());
    // One copy of a local file cannot be kept, because it cannot be written again.
    let told =
        refused(&ada, "remove_tracks_from_playlist", json!({"playlist_id": list, "positions": [1]})).await;
    assert!(told.contains("local files") && told.contains("Nothing was changed"), "{told}");
    let output =
        planned_and_done(&ada, "deduplicate_playlist", &json!({"playlist_id": list, "keep": "last"})).await;
    assert_eq!(output["status"], "verified", "{output}");
    // Of the local file both copies stay: none could be put back.
    assert_eq!(held(&server, &list), [local.clone(), String::new(), uri(2), local, uri(1)]);
}

#[tokio::test]
async fn what_nobody_can_bring_back_is_said_before_it_goes_and_no_undoing_is_promised() {
    let text = |answer: &Answer| answer.result()["content"][0]["text"].as_str().unwrap().to_owned();
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let local = "spotify:local:Me:Tape:Song:200".to_owned();
    let list = filled(&server, "ada", vec![uri(1), local, uri(2), String::new()]);
    let page = ada.call("get_playlist_tracks", json!({"playlist_id": list})).await;
    assert_eq!(page.content()["unavailable_positions"], json!([3]));
    assert!(text(&page).contains("1 more is no longer available (position 3)."), "{}", text(&page));

    let tool = "remove_tracks_from_playlist";
    let both = json!({"playlist_id": list, "positions": [0, 1]});
    let plan = ada.call(tool, both.clone()).await;
    assert_eq!(plan.content()["gone_for_good"], 1);
    let one = "1 of them cannot be brought back by undo_change (local files, or no longer available).";
    assert!(text(&plan).contains(one), "{}", text(&plan));
    let gone = ada.call(tool, applying(&both, &plan.content())).await;
    assert!(text(&gone).contains(one) && text(&gone).contains("To undo it"), "{}", text(&gone));
    assert_eq!(held(&server, &list), [uri(2), String::new()]);

    // A row that names nothing has a name in the plan; it goes where all others can be written.
    let last = json!({"playlist_id": list, "positions": [1]});
    let plan = ada.call(tool, last.clone()).await;
    assert!(text(&plan).contains("1. a track that is no longer available"), "{}", text(&plan));
    let gone = ada.call(tool, applying(&last, &plan.content())).await;
    assert!(text(&gone).contains("It cannot be brought back by undo_change"), "{}", text(&gone));
    assert!(text(&gone).contains("1 row that stays counts as added now."), "{}", text(&gone));
    assert!(!text(&gone).contains("To undo it"), "{}", text(&gone));
    assert_eq!(held(&server, &list), [uri(2)]);
}

#[tokio::test]
async fn cleaning_a_short_list_leaves_the_dates_of_what_is_not_doubled() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let doubled = [3, 20, 41];
    let list = filled(&server, "ada", (0..50).chain(doubled).map(uri).collect());
    let output = planned_and_done(&ada, "deduplicate_playlist", &json!({"playlist_id": list})).await;
    assert_eq!((&output["status"], &output["loses_added_at"]), (&json!("verified"), &json!(3)), "{output}");
    assert_eq!(held(&server, &list), (0..50).map(uri).collect::<Vec<_>>());
}

#[tokio::test]
async fn duplicates_go_by_uri_recording_or_title_and_one_stays() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 1, 3, 2, 1]));
    let arguments = json!({"playlist_id": list});
    let plan = done(&ada, "deduplicate_playlist", arguments.clone()).await;
    assert_eq!((&plan["removes"], &plan["rows_after"]), (&json!(3), &json!(3)), "{plan}");
    assert_eq!(plan["loses_added_at"], 2, "the kept copies are written anew: {plan}");
    assert_eq!(held(&server, &list).len(), 6, "only a plan");
    let output = done(&ada, "deduplicate_playlist", applying(&arguments, &plan)).await;
    assert_eq!(output["status"], "verified", "{output}");
    assert_eq!(held(&server, &list), uris(&[1, 2, 3]));
    let nothing = done(&ada, "deduplicate_playlist", arguments).await;
    assert!(nothing["plan_id"].is_null() && nothing["removes"] == 0, "{nothing}");
    // Two ids of one title: tracks that nobody knows are called by the first letters of their ids.
    let list = filled(&server, "ada", uris(&[4, 5]));
    let by_title = json!({"playlist_id": list, "by": "title"});
    let plan = done(&ada, "deduplicate_playlist", by_title).await;
    assert!(plan["rows"].is_array(), "{plan}");
    // What goes is told with what stays in its place.
    let list = filled(&server, "ada", uris(&[1, 2, 1]));
    let plan = ada.call("deduplicate_playlist", json!({"playlist_id": list, "keep": "last"})).await;
    assert_eq!(plan.content()["rows"][0]["same_as"], 2);
    let text = plan.result()["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("the same as 2"), "{text}");
}

#[tokio::test]
async fn nothing_is_planned_for_a_playlist_of_somebody_else() {
    for mode in ["development_legacy", "extended"] {
        let server = in_mode(mode).await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let list = done(
            &ben,
            "create_playlist",
            json!({"name": "Ben's", "public": true, "track_uris": uris(&[1, 1])}),
        )
        .await["playlist"]["id"]
            .clone();
        for (tool, arguments) in [
            ("remove_tracks_from_playlist", json!({"playlist_id": list, "positions": [0]})),
            ("deduplicate_playlist", json!({"playlist_id": list})),
            (
                "set_playlist_cover",
                json!({"playlist_id": list, "jpeg_base64": STANDARD.encode(picture(100))}),
            ),
        ] {
            let told = refused(&ada, tool, arguments).await;
            assert!(
                told.contains("somebody else's") && told.contains("copy_playlist"),
                "{mode} {tool}: {told}"
            );
        }
        // Leaving it is no deleting.
        done(&ada, "follow_playlist", json!({"playlist_id": list})).await;
        let plan = ada.call("unfollow_playlist", json!({"playlist_id": list})).await;
        assert!(!plan.result().to_string().contains("deleting"), "{plan:?}");
        let own = ben.call("unfollow_playlist", json!({"playlist_id": list})).await;
        assert!(own.result().to_string().contains("It is your own"), "{own:?}");
    }
}

#[tokio::test]
async fn a_copy_is_a_new_playlist_without_what_cannot_be_copied_and_is_undone_by_leaving_it() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let mut rows = uris(&[1, 2]);
    rows.insert(1, "spotify:local:Me:Tape:Song:200".to_owned());
    rows.extend((0..120).map(|n| uri(n + 10)));
    let list = filled(&server, "ada", rows);
    let output = done(&ada, "copy_playlist", json!({"playlist_id": list, "name": "Copy"})).await;
    assert_eq!((&output["added"], &output["left_out"]), (&json!(122), &json!(1)), "{output}");
    let copy = output["playlist_id"].as_str().unwrap().to_owned();
    let expected: Vec<_> = uris(&[1, 2]).into_iter().chain((0..120).map(|n| uri(n + 10))).collect();
    assert_eq!(held(&server, &copy), expected);
    assert_eq!(held(&server, &list).len(), 123, "the original is as it was");
    let undone = done(&ada, "undo_change", json!({"change_id": change_id(&output), "dry_run": false})).await;
    assert_eq!(undone["status"], "verified", "{undone}");
    let listed = done(&ada, "get_user_playlists", json!({"limit": 50})).await.to_string();
    assert!(!listed.contains(&copy) && listed.contains(&list));
    // Going on with a copy that stopped; what is there already does not come twice.
    replaced(&server, &copy, expected[..121].to_vec());
    let rest = json!({"playlist_id": list, "into_playlist_id": copy, "from_index": 120});
    let output = done(&ada, "copy_playlist", rest.clone()).await;
    assert_eq!((&output["requested"], &output["added"]), (&json!(1), &json!(1)), "{output}");
    assert_eq!(held(&server, &copy), expected);
    let output = done(&ada, "copy_playlist", rest.clone()).await;
    assert_eq!((&output["requested"], &output["status"]), (&json!(0), &json!("verified")), "{output}");
    assert_eq!(held(&server, &copy), expected);
    // Another playlist is no copy, and neither is the list itself.
    let other = filled(&server, "ada", uris(&[1, 5]));
    for into in [&other, &list] {
        let wrong = json!({"playlist_id": list, "into_playlist_id": into, "from_index": 0});
        let told = refused(&ada, "copy_playlist", wrong).await;
        assert!(told.contains("is no copy") && told.contains("add_tracks_to_playlist"), "{told}");
    }
    assert_eq!(held(&server, &other), uris(&[1, 5]));
    let mut named = rest;
    named["public"] = json!(true);
    assert!(refused(&ada, "copy_playlist", named).await.contains("for a new copy"));
    let unknown = ada.call("copy_playlist", json!({"playlist_id": list, "to_account": "nobody"})).await;
    assert_eq!(unknown.error(), "ACCOUNT_UNKNOWN");
}

/// The outline of a JPEG of 3 by 2.
fn picture(size: usize) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0, 0xff, 0xda, 0, 2];
    bytes.resize(size.max(19), 7);
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[tokio::test]
async fn a_cover_is_a_jpeg_of_a_bounded_size_and_nothing_is_fetched() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1]));
    let set = |text: String| json!({"playlist_id": list, "jpeg_base64": text});
    for (wrong, why) in [
        ("https://example.com/cover.jpg".to_owned(), "not base 64"),
        (STANDARD.encode(b"\x89PNG\r\n\x1a\n and so on"), "not a whole JPEG"),
        (STANDARD.encode(&picture(100)[..50]), "not a whole JPEG"),
        (STANDARD.encode(picture(200_000)), "jpeg_base64"),
    ] {
        let told = refused(&ada, "set_playlist_cover", set(wrong)).await;
        assert!(told.contains(why), "{told}");
    }
    assert_eq!(server.control().playlist(&list).unwrap().cover, 0);
    let output = agreed(&ada, "set_playlist_cover", &set(STANDARD.encode(picture(190_000)))).await;
    assert_eq!((&output["status"], &output["width"]), (&json!("accepted"), &json!(3)), "{output}");
    assert!(output["change_id"].is_null());
    assert_ne!(server.control().playlist(&list).unwrap().cover, 0);
}
