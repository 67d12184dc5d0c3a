//! What answers say as text, for whoever sees nothing else: the same as their fields.

use serde_json::{Value, json};

use super::stage::Stage;

async fn told(stage: &Stage, tool: &str, arguments: Value) -> String {
    let result = stage.rig.call(tool, arguments).await;
    assert_eq!(result["isError"], false, "{tool}: {result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_row_has_the_position_that_other_tools_take() {
    let stage = Stage::new().await;
    let list = stage.playlist(0).await;
    let page = json!({"playlist_id": list, "limit": 2, "offset": 1});
    let rows = stage.ask("get_playlist_tracks", page.clone()).await;
    assert_eq!(
        (&rows["tracks"][0]["position"], &rows["tracks"][1]["position"]),
        (&json!(1), &json!(2)),
        "{rows}"
    );
    let text = told(&stage, "get_playlist_tracks", page).await;
    let line = format!("\n2. {}", rows["tracks"][1]["name"].as_str().unwrap());
    assert!(text.contains(&line) && text.contains("counted from 0"), "{text}");
    let uri = rows["tracks"][1]["uri"].as_str().unwrap();
    let plan =
        stage.rig.call("remove_tracks_from_playlist", json!({"playlist_id": list, "positions": [2]})).await;
    assert!(plan.to_string().contains(uri), "{plan}");
    let liked = stage.ask("get_liked_songs", json!({"limit": 1})).await;
    assert!(liked["tracks"][0]["position"].is_null(), "liked songs have none: {liked}");
    let text = told(
        &stage,
        "compare_playlists",
        json!({"playlist_id": list, "other_playlist_id": stage.playlist(1).await}),
    );
    assert!(text.await.contains("by position, counted from 0:"));
}

#[tokio::test]
async fn a_new_playlist_has_what_was_put_into_it() {
    let stage = Stage::new().await;
    let track = stage.track("Don't Stop").await;
    let made = stage.ask("create_playlist", json!({"name": "One", "track_uris": [track]})).await;
    assert_eq!((&made["added"], &made["playlist"]["total_tracks"]), (&json!(1), &json!(1)), "{made}");
    let text = told(&stage, "create_playlist", json!({"name": "Two", "track_uris": [track]})).await;
    assert!(text.contains("with 1 of 1 track."), "{text}");
    let text = told(&stage, "create_playlist", json!({"name": "None"})).await;
    assert!(text.starts_with("Created the empty playlist \"None\""), "{text}");
}

#[tokio::test]
async fn how_many_there_are_is_said_and_one_is_not_many() {
    let stage = Stage::new().await;
    let all = stage.ask("get_user_playlists", json!({"limit": 50})).await["total"].as_u64().unwrap();
    let text = told(&stage, "get_user_playlists", json!({"limit": 1})).await;
    assert!(text.starts_with(&format!("1 of {all} playlists:")), "{text}");
    stage.ask("create_playlist", json!({"name": "Only this one"})).await;
    let text = told(&stage, "get_user_playlists", json!({"query": "only this"})).await;
    assert!(text.starts_with(&format!("1 playlist found (the library has {}):", all + 1)), "{text}");
    let text =
        told(&stage, "get_playlist_tracks", json!({"playlist_id": stage.playlist(1).await, "limit": 1}))
            .await;
    assert!(text.starts_with("1 of "), "{text}");
}

#[tokio::test]
async fn what_was_added_is_told_with_its_playlist_and_where_it_can_be() {
    let stage = Stage::new().await;
    let track = stage.track("Don't Stop").await;
    let made = stage.ask("create_playlist", json!({"name": "Road trip"})).await;
    let id = made["playlist"]["id"].as_str().unwrap();
    let more = json!({"playlist_id": id, "track_uris": [track]});
    let text = told(&stage, "add_tracks_to_playlist", more).await;
    let link = format!("https://open.spotify.com/playlist/{id}");
    assert!(text.starts_with(&format!("Added 1 of 1 track to \"Road trip\" [{id}].")), "{text}");
    assert!(text.contains("it was not read again") && text.contains(&link), "{text}");
    let beyond = json!({"playlist_id": id, "track_uris": [track], "position": 2, "skip_duplicates": false});
    let result = stage.rig.call("add_tracks_to_playlist", beyond).await;
    let message = result["structuredContent"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("'position'") && message.contains("from 0 to 1"), "{message}");
    let stays = json!({"playlist_id": id, "range_start": 0, "insert_before": 0});
    let text = told(&stage, "reorder_playlist_tracks", stays).await;
    assert!(text.starts_with("Nothing was moved in \"Road trip\": what is at position 0"), "{text}");
}

#[tokio::test]
async fn a_mistake_in_arguments_is_told_in_words_that_a_model_can_act_on() {
    let stage = Stage::new().await;
    let id = "37i9dQZF1DXcBWIGoYBM5M";
    for (tool, arguments, said) in [
        (
            "match_tracks",
            json!({"items": ["Don't Stop"]}),
            "'items[0]' is not valid: it must be an object with",
        ),
        ("match_tracks", json!({"items": [{"artist": "x"}]}), "give a `title`"),
        ("search_tracks", json!({"query": "x", "limit": "5"}), "and it is the text \"5\""),
        ("search_tracks", json!({}), "`query` is missing"),
        ("search_tracks", json!({"query": "x", "song": 1}), "there is no `song`; there are"),
        (
            "get_playlist",
            json!({"playlist_id": "Train Window Collection"}),
            "look up first what you know by its name",
        ),
        ("get_playlist", json!({"playlist_id": "https://spotify.link/abcdefghijkl"}), "that is a short link"),
        ("add_to_queue", json!({"uris": [format!("spotify:album:{id}")]}), "a track or episode is needed"),
        ("play", json!({"context_uri": format!("spotify:track:{id}")}), "and an album, artist"),
    ] {
        let result = stage.rig.call(tool, arguments).await;
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], "INVALID_ARGUMENT", "{result}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{tool}: {message}");
        for rust in ["i64", "u64", "struct", "variant", "sequence", "invalid type", "missing field"] {
            assert!(!message.contains(rust), "{tool}: {message}");
        }
    }
    let found = stage.ask("search_tracks", json!({"query": "Fern", "limit": 2.0})).await;
    assert!(found["tracks"].is_array(), "2.0 is a whole number: {found}");
}
