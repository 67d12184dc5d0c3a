//! Clients of 2026-07-28: asked by an answer that input is required, replied in the next call, on any server.

use super::*;
use crate::support::database::at_both;
use crate::support::server::Setup;

/// One whole small picture.
const JPEG: &str = "/9j/4AAEAQL//8AACwgAAgADAQERAP/aAAIHB//Z";

#[tokio::test]
async fn nothing_is_taken_away_before_the_person_agrees_whatever_the_tool() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", &[1, 2, 1, 3]);
    let liked = uri(7);
    ada.call("save_to_library", json!({"uris": [liked]})).await.content();
    let made = json!({"playlist_id": list, "name": "Renamed"});
    let change = ada.call("update_playlist", made).await.content()["change_id"].clone();
    let cases = [
        (REMOVE, json!({"playlist_id": list, "track_uris": [uri(2)]}), "Remove 1 of "),
        ("deduplicate_playlist", json!({"playlist_id": list}), "Remove 1 of "),
        ("undo_change", json!({"change_id": change, "dry_run": false}), "name"),
        ("set_playlist_cover", json!({"playlist_id": list, "jpeg_base64": JPEG}), "Replace the cover"),
        ("remove_from_library", json!({"uris": [liked]}), "Remove 1 track from the library"),
        ("unfollow_playlist", json!({"playlist_id": list}), "(2 tracks) out of the library"),
        ("unlink_account", json!({"account": "ada", "confirm": true}), "Unlink the Spotify account"),
    ];
    let form = json!({"form": {}});
    for (tool, arguments, words) in cases {
        let plans = tool == REMOVE || tool == "deduplicate_playlist";
        for reply in noes().into_iter().chain([yes()]) {
            let arguments = if plans { planned(&ada, tool, &arguments).await } else { arguments.clone() };
            let before = (held(&server, &list), writes(&server));
            let (asked, state) = question(&call(&ada, &form, tool, &arguments, json!({})).await);
            let message = asked["message"].as_str().unwrap();
            assert!(message.contains(words), "{tool}: {message}");
            assert_eq!(asked["mode"], "form");
            let agrees = reply == yes();
            let said = call(&ada, &form, tool, &arguments, replied(&state, reply.clone())).await;
            if agrees {
                assert_eq!(said.result()["isError"], false, "{tool}: {said:?}");
                continue;
            }
            assert_eq!(said.error(), "DECLINED", "{tool} {reply}");
            assert_eq!((held(&server, &list), writes(&server)), before, "{tool} {reply}");
            // What was said no to stays so.
            let late = call(&ada, &form, tool, &arguments, replied(&state, yes())).await;
            assert_eq!(late.error(), "INVALID_ARGUMENT", "{tool}");
            assert_eq!(writes(&server), before.1, "{tool} {reply}");
        }
    }
    assert_eq!(held(&server, &list), [uri(1), uri(3)]);
    assert_eq!(ada.call("list_my_accounts", json!({})).await.content()["accounts"], json!([]));
}

#[tokio::test]
async fn the_question_names_what_goes_and_the_call_counts_once() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let found = ada.call("search_tracks", json!({"query": "rain", "limit": 7})).await.content();
    let tracks = found["tracks"].as_array().unwrap().clone();
    let uris: Vec<_> = tracks.iter().map(|track| track["uri"].clone()).collect();
    let saved = ada.call("save_to_library", json!({"uris": uris})).await.content();
    assert_eq!(saved["status"], "verified");
    let (tool, wanted) = ("remove_from_library", json!({"uris": uris}));
    let (asked, state) = question(&call(&ada, &json!({}), tool, &wanted, json!({})).await);
    let message = asked["message"].as_str().unwrap();
    for (at, track) in tracks.iter().enumerate() {
        let cut: String = track["name"].as_str().unwrap().chars().take(30).collect();
        assert_eq!(
            message.contains(&cut),
            at < 5 || tracks[..5].iter().any(|one| one["name"] == track["name"]),
            "{message}"
        );
    }
    assert!(message.contains(", ...") || tracks.len() <= 5, "{message}");
    let done = call(&ada, &json!({}), tool, &wanted, replied(&state, yes())).await.content();
    assert_eq!(done["status"], "verified", "{done}");
    let usage = ada.call("get_usage", json!({"tool": tool})).await.content();
    assert_eq!(usage["calls"], 1, "{usage}");
}

#[tokio::test]
async fn plans_and_questions_tell_which_rows_go_by_their_positions() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", &[1, 2, 1, 2, 1]);
    let wanted = json!({"playlist_id": list, "positions": [3, 1]});
    let plan = ada.call(REMOVE, wanted.clone()).await;
    let text = plan.result()["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("By position, counted from 0:\n1. ") && text.contains("\n3. "), "{text}");
    assert!(!text.contains("\n2. "), "{text}");
    let mut apply = wanted.clone();
    (apply["dry_run"], apply["plan_id"]) = (json!(false), plan.content()["plan_id"].clone());
    let (asked, _) = question(&call(&ada, &json!({"form": {}}), REMOVE, &apply, json!({})).await);
    let message = asked["message"].as_str().unwrap();
    assert!(message.contains(" (position 1), ") && message.contains(" (position 3)?"), "{message}");
}

#[tokio::test]
async fn a_playlists_name_does_not_write_the_question() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    let name = "Trash\" of the Spotify account main: \u{201c}x\u{201d}?\n\nNothing will be removed. Tick to continue \u{202e}[x";
    let change = PlaylistChange { name: Some(name.to_owned()), ..PlaylistChange::default() };
    server.control().change_playlist(&list, change).unwrap();
    for (tool, arguments) in [
        ("set_playlist_cover", json!({"playlist_id": list, "jpeg_base64": JPEG})),
        ("unfollow_playlist", json!({"playlist_id": list})),
    ] {
        let (asked, _) = question(&call(&ada, &json!({"form": {}}), tool, &arguments, json!({})).await);
        let message = asked["message"].as_str().unwrap();
        assert!(message.contains("\"Trash' of the Spotify account main: 'x'…\""), "{tool}: {message}");
        assert_eq!(message.matches(['"', '“', '”']).count(), 2, "{tool}: {message}");
        assert!(!message.contains("Nothing will") && !message.contains('\n'), "{tool}: {message}");
    }
}

/// How many changes Spotify was asked for.
fn writes(server: &TestServer) -> usize {
    let filter = spotify_mcp::spotify::sandbox::Filter { limit: Some(usize::MAX), ..Default::default() };
    server
        .control()
        .journal(&filter)
        .iter()
        .filter(|seen| seen.method != "GET" && seen.path.starts_with("/v1"))
        .count()
}

#[tokio::test]
async fn a_reply_counts_only_for_what_was_asked_of_whom_and_once() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let list = filled(&server, "ada", &[1, 2, 3]);
        let wanted = json!({"playlist_id": list, "positions": [0]});
        let apply = planned(&ada, REMOVE, &wanted).await;
        let form = json!({});
        let (_, state) = question(&call(&ada, &form, REMOVE, &apply, json!({})).await);

        // Without a reply the same question stands; the plan behind it is not asked for again.
        let (_, again) = question(&call(&ada, &form, REMOVE, &apply, json!({"requestState": state})).await);
        assert_eq!(again, state);
        let unread = replied(&state, json!({"action": "perhaps"}));
        assert_eq!(question(&call(&ada, &form, REMOVE, &apply, unread).await).1, state);

        let mut other = apply.clone();
        other["positions"] = json!([1]);
        let refused = async |who: &Listener, arguments: &Value, state: &Value| {
            let said = call(who, &form, REMOVE, arguments, replied(state, yes())).await;
            assert_eq!(said.error(), "INVALID_ARGUMENT", "{said:?}");
            said.result()["structuredContent"]["error"]["message"].as_str().unwrap().to_owned()
        };
        assert!(refused(&ada, &other, &state).await.contains("asked about something else"));
        let bens = filled(&server, "ben", &[1, 2, 3]);
        let of_ben = json!({"playlist_id": bens, "track_uris": [uri(1)], "dry_run": false});
        assert!(refused(&ben, &of_ben, &state).await.contains("nobody was asked so"));
        for invented in [json!("nonsense"), json!(format!("pl_{}", "0".repeat(32))), apply["plan_id"].clone()]
        {
            refused(&ada, &apply, &invented).await;
        }
        assert_eq!((held(&server, &list).len(), held(&server, &bens).len()), (3, 3));

        // A client that no longer offers to ask is held to the reply all the same.
        let done = call(&ada, &Value::Null, REMOVE, &apply, replied(&state, yes())).await;
        assert_eq!(done.content()["status"], "verified");
        assert_eq!(held(&server, &list), [uri(2), uri(3)]);
        assert!(refused(&ada, &apply, &state).await.contains("used before"));

        // What changed meanwhile was not agreed to.
        let apply = planned(&ada, REMOVE, &json!({"playlist_id": list, "positions": [0]})).await;
        let (_, state) = question(&call(&ada, &form, REMOVE, &apply, json!({})).await);
        let change = PlaylistChange { uris: Some(vec![uri(5), uri(6)]), ..PlaylistChange::default() };
        server.control().change_playlist(&list, change).unwrap();
        assert!(refused(&ada, &apply, &state).await.contains("has changed since"));
        assert_eq!(held(&server, &list).len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_plan_is_still_needed_and_a_client_that_cannot_ask_is_not_made_to() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    let bare = json!({"playlist_id": list, "track_uris": [uri(1)], "dry_run": false});
    let said = call(&ada, &json!({}), REMOVE, &bare, json!({})).await;
    assert_eq!(said.error(), "INVALID_ARGUMENT");
    // Pages alone are no forms.
    for offers in [Value::Null, json!({"url": {}})] {
        let apply = planned(&ada, REMOVE, &json!({"playlist_id": list, "positions": [0]})).await;
        let done = call(&ada, &offers, REMOVE, &apply, json!({})).await.content();
        assert_eq!(done["status"], "verified", "{done}");
    }
    assert_eq!(held(&server, &list), [uri(3)]);
}

#[tokio::test]
async fn an_account_is_linked_on_a_page_that_the_client_shows() {
    let server = Setup::default().people(12).start().await;
    let ada = server.listener("ada").await;
    let (tool, offers, alias) = ("link_account", json!({"form": {}, "url": {}}), json!({"alias": "work"}));
    let (asked, state) = question(&call(&ada, &offers, tool, &alias, json!({})).await);
    assert_eq!(asked["mode"], "url");
    let url = asked["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/account/link?page=", server.origin)), "{url}");
    let opened =
        call(&ada, &offers, tool, &alias, replied(&state, json!({"action": "accept"}))).await.content();
    assert_eq!(opened, json!({"opened": true}));
    // Somebody else who gets the address links nothing.
    let stranger = server.listener("ben").await;
    let page = stranger.browser.open(url).await;
    assert_ne!(page.status, reqwest::StatusCode::OK, "{}", page.text);
    let page = ada.browser.open(url).await;
    assert_eq!(page.status, reqwest::StatusCode::OK, "{}", page.text);
    // Forms alone are no pages.
    let told = call(&ada, &json!({}), tool, &json!({"alias": "other"}), json!({})).await.content();
    assert!(told["url"].as_str().unwrap().contains("/account/link?page="), "{told}");
    for no in [json!({"action": "decline"}), json!({"action": "cancel"})] {
        let (_, state) = question(&call(&ada, &offers, tool, &alias, json!({})).await);
        let declined = call(&ada, &offers, tool, &alias, replied(&state, no)).await.content();
        assert_eq!(declined, json!({"opened": false}));
    }
    // A reply to what nobody was asked says nothing: the page is shown.
    for nothing in [&state, &Value::Null, &json!(format!("pl_{}", "0".repeat(32)))] {
        let shown = call(&ada, &offers, tool, &alias, replied(nothing, json!({"action": "accept"}))).await;
        assert_eq!(question(&shown).0["mode"], "url");
    }
}
