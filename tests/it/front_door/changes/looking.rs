//! One playlist, two side by side, a track in many; in every regime.

use super::*;

#[tokio::test]
async fn a_foreign_playlist_is_never_called_empty_and_details_change_in_every_regime() {
    for mode in MODES {
        let server = in_mode(mode).await;
        let ada = server.listener("ada").await;
        let mine = filled(&server, "ada", uris(&[1, 2]));
        let output = done(&ada, "get_playlist", json!({"playlist_id": mine})).await;
        assert_eq!((&output["owned"], &output["playlist"]["contents"]), (&json!(true), &json!("readable")));
        assert_eq!(output["playlist"]["total_tracks"], 2, "{mode}");
        let public =
            PlaylistChange { public: Some(true), uris: Some(uris(&[3])), ..PlaylistChange::default() };
        let bens = server.control().create_playlist("ben", public).unwrap();
        let output = done(&ada, "get_playlist", json!({"playlist_id": bens})).await;
        let contents = if mode == "development" { "forbidden" } else { "readable" };
        assert_eq!(output["playlist"]["contents"], contents, "{mode}");
        assert_eq!(output["owned"], false);
        if mode == "development" {
            let told =
                refused(&ada, "compare_playlists", json!({"playlist_id": mine, "other_playlist_id": bens}))
                    .await;
            assert!(told.contains("does not mean that it is empty"), "{told}");
        }

        let change =
            json!({"playlist_id": mine, "name": "R&B \"n' <Soul>", "description": "a & b", "public": true});
        let output = done(&ada, "update_playlist", change.clone()).await;
        assert_eq!(output["status"], "verified", "{mode}: {output}");
        let now = server.control().playlist(&mine).unwrap();
        assert_eq!(
            (now.name.as_str(), now.description.as_str(), now.public),
            ("R&B \"n' <Soul>", "a & b", true)
        );
        let told = done(&ada, "get_playlist", json!({"playlist_id": mine})).await;
        assert_eq!(told["playlist"]["description"], "a & b", "as it was written, not as HTML: {told}");
        let again = done(&ada, "update_playlist", change).await;
        assert!(again["change_id"].is_null(), "nothing changed: {again}");
        let told = refused(&ada, "update_playlist", json!({"playlist_id": mine})).await;
        assert!(told.contains("Nothing is to be changed"), "{told}");
        let told = refused(&ada, "update_playlist", json!({"playlist_id": bens, "name": "x"})).await;
        assert!(told.contains("own and collaborative playlists"), "{told}");
    }
}

#[tokio::test]
async fn playlists_are_followed_and_left_in_every_regime_also_where_the_new_way_is_closed() {
    for (mode, no_library) in [
        ("development", false),
        ("development_legacy", false),
        ("development_legacy", true),
        ("extended", true),
    ] {
        let server = in_mode(mode).await;
        server.control().change_app(CLIENT_ID, &json!({"no_library": no_library})).unwrap();
        let ada = server.listener("ada").await;
        let public = PlaylistChange { public: Some(true), ..PlaylistChange::default() };
        let bens = server.control().create_playlist("ben", public).unwrap();
        let named = json!({"playlist_id": bens});
        let output = done(&ada, "follow_playlist", named.clone()).await;
        assert_eq!((&output["status"], &output["followed"]), (&json!("verified"), &json!(true)), "{mode}");
        let again = done(&ada, "follow_playlist", named.clone()).await;
        assert!(again["change_id"].is_null() && again["status"] == "verified", "{again}");
        let listed = done(&ada, "get_user_playlists", json!({"limit": 50})).await.to_string();
        assert!(listed.contains(&bens), "{mode}");
        let output = agreed(&ada, "unfollow_playlist", &named).await;
        assert_eq!((&output["status"], &output["followed"]), (&json!("verified"), &json!(false)), "{mode}");
        let undone = json!({"change_id": change_id(&output), "dry_run": false});
        assert_eq!(done(&ada, "undo_change", undone).await["status"], "verified");
        let listed = done(&ada, "get_user_playlists", json!({"limit": 50})).await.to_string();
        assert!(listed.contains(&bens), "{mode}: it came back");
    }
}

#[tokio::test]
async fn two_playlists_are_compared_by_what_only_one_has() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (one, other) = (filled(&server, "ada", uris(&[1, 2, 2, 3])), filled(&server, "ada", uris(&[3, 4])));
    let output =
        done(&ada, "compare_playlists", json!({"playlist_id": one, "other_playlist_id": other, "limit": 1}))
            .await;
    assert_eq!((&output["in_both"], &output["identical"]), (&json!(1), &json!(false)));
    assert_eq!(
        (&output["playlist"]["only_here"], &output["playlist"]["truncated"]),
        (&json!(2), &json!(true)),
        "{output}"
    );
    assert_eq!(output["other"]["tracks"][0]["uri"], uri(4));
    assert_eq!(output["next_offset"], 1);
    let rest = json!({"playlist_id": one, "other_playlist_id": other, "limit": 1, "offset": 1});
    let rest = done(&ada, "compare_playlists", rest).await;
    assert_eq!(rest["playlist"]["tracks"][0]["uri"], uri(2), "{rest}");
    assert!(rest["other"]["tracks"] == json!([]) && rest["next_offset"].is_null(), "{rest}");
    let same = done(&ada, "compare_playlists", json!({"playlist_id": one, "other_playlist_id": one})).await;
    assert_eq!(same["identical"], true);
}

#[tokio::test]
async fn a_track_is_found_with_its_place_and_a_long_search_goes_on_where_it_stopped() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let small = filled(&server, "ada", uris(&[7, 8, 7]));
    let hidden = filled(&server, "ben", uris(&[7]));
    let output = done(&ada, "find_in_playlists", json!({"track_uri": uri(7)})).await;
    let found: Vec<_> = output["found"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), 2, "{output}");
    assert!(found.iter().all(|find| find["playlist_id"] == *small));
    assert_eq!((&found[0]["position"], &found[1]["position"]), (&json!(0), &json!(2)));
    assert!(!output.to_string().contains(&hidden));
    let by_name =
        done(&ada, "find_in_playlists", json!({"query": "tRACK 0000", "playlist_ids": [small]})).await;
    assert_eq!(by_name["found"].as_array().unwrap().len(), 3, "{by_name}");
    let other = filled(&server, "ada", uris(&[7, 9]));
    let lists = json!([small, other]);
    let (mut found, mut offset) = (Vec::new(), json!(0));
    while !offset.is_null() {
        let arguments = json!({"query": "track 0000", "playlist_ids": lists, "limit": 2, "offset": offset});
        let output = done(&ada, "find_in_playlists", arguments).await;
        let page = output["found"].as_array().unwrap();
        found.extend(page.iter().map(|find| (find["playlist_id"].clone(), find["position"].as_u64())));
        offset = output["next_offset"].clone();
        assert!(page.len() <= 2 && found.len() < 20, "{output}");
    }
    let all: Vec<_> = (0..3).map(|at| (json!(small), Some(at))).collect();
    assert_eq!(found[..3], all[..], "none is lost where pages end");
    assert_eq!(found.len(), 5);

    // Two that need more than one call's budget together.
    for _ in 0..2 {
        filled(&server, "ada", (0..2_000).map(|n| uri(n + 100)).collect());
    }
    let (mut offset, mut calls, mut finds) = (json!(0), 0, 0);
    while !offset.is_null() {
        let arguments = json!({"track_uri": uri(150), "offset": offset});
        let output = done(&ada, "find_in_playlists", arguments).await;
        finds += output["found"].as_array().unwrap().len();
        offset = output["next_offset"].clone();
        calls += 1;
        assert!(calls < 10, "it goes on for ever");
    }
    assert!(calls >= 2 && finds == 2, "{calls} {finds}");
    let told = refused(&ada, "find_in_playlists", json!({})).await;
    assert!(told.contains("either query or track_uri"), "{told}");
}

#[tokio::test]
async fn strangers_names_are_cleaned_wherever_these_tools_show_them() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 1]));
    server.control().change_user("ada", &json!({"hostile_names": true})).unwrap();
    let named = json!({"playlist_id": list});
    let mut answers = vec![ada.call("get_playlist", named.clone()).await.text];
    answers.push(ada.call("deduplicate_playlist", named.clone()).await.text);
    let plan = ada.call("unfollow_playlist", named.clone()).await;
    let apply = json!({"playlist_id": list, "plan_id": plan.content()["plan_id"]});
    answers.extend([plan.text, ada.call("unfollow_playlist", apply).await.text]);
    answers
        .push(ada.call("find_in_playlists", json!({"track_uri": uri(1), "playlist_ids": [list]})).await.text);
    answers.push(ada.call("list_changes", json!({})).await.text);
    for text in answers {
        assert!(text.contains("Mine") && !text.contains("isError\":true"), "{text}");
        for hidden in ["\u{202e}", "\u{1b}", "\\u001b", "\\u0007", "\\u202e", "\u{7}"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}
