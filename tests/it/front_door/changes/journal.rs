//! The journal: sealed, bounded, only its person's, re-sealed by rotations, gone with account and person.

use spotify_mcp::spotify::sandbox::PlaylistChange;

use super::*;
use crate::front_door::api_keys::{command, result};
use crate::support::browser::Browser;
use crate::support::database::at_both;

const REMOVE: &str = "remove_tracks_from_playlist";

async fn removal(server: &TestServer, who: &Listener, user: &str) -> (String, Value) {
    let change = PlaylistChange {
        name: Some("Unmistakable Title".to_owned()),
        uris: Some(uris(&[1, 2, 3])),
        ..PlaylistChange::default()
    };
    let list = server.control().create_playlist(user, change).unwrap();
    let output = planned_and_done(who, REMOVE, &json!({"playlist_id": list, "track_uris": [uri(2)]})).await;
    (list, change_id(&output))
}

#[tokio::test]
async fn what_was_changed_is_told_to_its_person_alone_and_sealed_in_the_database() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let (list, change) = removal(&server, &ada, "ada").await;
        let output = done(&ada, "list_changes", json!({})).await;
        let item = &output["changes"][0];
        assert_eq!((&item["change_id"], &item["state"]), (&change, &json!("verified")), "{output}");
        assert_eq!((&item["playlist_id"], &item["playlist"]), (&json!(list), &json!("Unmistakable Title")));
        assert_eq!((&item["account"], &output["total"]), (&json!("main"), &json!(1)));

        // Of somebody else's change not even that it exists.
        assert_eq!(done(&ben, "list_changes", json!({})).await["total"], 0);
        let foreign = refused(&ben, "undo_change", json!({"change_id": change})).await;
        for nothing in [json!(format!("ch_{}", "0".repeat(32))), json!("nonsense")] {
            assert_eq!(refused(&ben, "undo_change", json!({"change_id": nothing})).await, foreign);
        }
        let forced = json!({"change_id": change, "dry_run": false, "force": true});
        assert_eq!(ben.call("undo_change", forced).await.error(), "NOT_FOUND");
        assert_eq!(held(&server, &list), uris(&[1, 3]));

        let raw = server.place.raw().await;
        let dump = raw.dump().await;
        assert!(dump.iter().any(|line| line.starts_with("changes.")));
        for told in ["Unmistakable", &list, &uri(2)[14..]] {
            assert!(!dump.iter().any(|line| line.contains(told)), "{told} is readable");
        }
        assert!(!server.logged().contains("Unmistakable"));

        // Put beside another version or another person's row, it does not open, and nothing is done.
        raw.run("UPDATE changes SET version = 7").await;
        assert_eq!(done(&ada, "list_changes", json!({})).await["changes"][0]["state"], "unreadable");
        let told = refused(&ada, "undo_change", json!({"change_id": change, "dry_run": false})).await;
        assert!(told.contains("cannot be read any more"), "{told}");
        raw.run("UPDATE changes SET version = 2, expires_at = 1").await;
        assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 0, "it has expired");
        assert_eq!(refused(&ada, "undo_change", json!({"change_id": change})).await, foreign);
    })
    .await;
}

#[tokio::test]
async fn another_data_key_seals_the_journal_anew_and_undoing_works_on() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let (list, change) = removal(&server, &ada, "ada").await;
        let raw = server.place.raw().await;
        let key = "SELECT data_key_id FROM changes";
        let before = raw.texts(key).await;
        let ended = result(&server, &["rotate-keys", "--what", "data"]).await;
        assert_eq!(ended["evidence"]["tables"]["data_keys"]["after"]["before"], 0, "{ended}");
        assert_ne!(raw.texts(key).await, before);
        crate::front_door::epoch_moves(&raw).await;
        let undone = done(&ada, "undo_change", json!({"change_id": change, "dry_run": false})).await;
        assert_eq!(undone["status"], "verified", "{undone}");
        assert_eq!(held(&server, &list), uris(&[1, 2, 3]));
    })
    .await;
}

async fn disconnect(browser: &Browser) {
    let page = browser.open("/account").await;
    browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
}

#[tokio::test]
async fn with_the_account_or_the_person_goes_what_was_written_down() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    removal(&server, &ada, "ada").await;
    removal(&server, &ben, "ben").await;
    done(&ben, REMOVE, json!({"playlist_id": filled(&server, "ben", uris(&[1])), "positions": [0]})).await;
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM changes").await, 2);
    let exported = command(&server, &["users", "export", "ben"]).await;
    let document: Value = serde_json::from_slice(&exported.stdout).unwrap();
    let text = document.to_string();
    assert!(text.contains("\"ch_") && text.contains(REMOVE), "{text}");
    disconnect(&ada.browser).await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM changes").await, 1);
    result(&server, &["users", "delete", "ben", "--yes"]).await;
    let left = "SELECT (SELECT COUNT(*) FROM changes) + (SELECT COUNT(*) FROM plans)";
    assert_eq!(raw.number(left).await, 0);
}

#[tokio::test]
async fn what_is_on_record_says_of_what_and_how_many() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 3]));
    done(&ada, "create_playlist", json!({"name": "Empty"})).await;
    done(&ada, "create_playlist", json!({"name": "Two", "track_uris": [uri(1), uri(2)]})).await;
    done(&ada, "copy_playlist", json!({"playlist_id": list})).await;
    let listed = ada.call("list_changes", json!({})).await.content();
    let told: Vec<_> = listed["changes"].as_array().unwrap().iter().map(|change| &change["done"]).collect();
    assert_eq!(
        told,
        ["made as a copy of 3 tracks of \"Mine\"", "playlist made of 2 tracks", "empty playlist made"]
    );
    // What was so before is said, and what cannot be undone too.
    let save = json!({"uris": [uri(1), uri(2)]});
    let text = async |tool: &str, arguments: &Value| {
        let result = ada.call(tool, arguments.clone()).await.result();
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    done(&ada, "save_to_library", json!({"uris": [uri(1)]})).await;
    assert!(text("save_to_library", &save).await.starts_with("Saved 2 of 2 (1 was so before)."));
    assert!(text("save_to_library", &save).await.starts_with("Saved 2 of 2 (2 were so before)."));
    let twice = json!({"uris": [uri(3), uri(3)]});
    assert!(text("save_to_library", &twice).await.starts_with("Saved 2 of 2 (1 was so before)."));
    let listed = ada.call("list_changes", json!({"limit": 1})).await.content();
    assert_eq!(listed["changes"][0]["done"], "1 track saved");
    let refused = ada.call("get_playlist_tracks", json!({"playlist_id": foreign(&server)})).await.result();
    assert!(refused.to_string().contains("That does not mean that it is empty."), "{refused}");
}

/// Somebody else's, for everybody to see.
fn foreign(server: &TestServer) -> String {
    let change = PlaylistChange { public: Some(true), ..PlaylistChange::default() };
    server.control().create_playlist("ben", change).unwrap()
}

#[tokio::test]
async fn small_changes_flush_nothing_that_took_something_away() {
    at_both(async |place| {
        let server =
            Setup::on(place).env("SPOTIFY_MCP__LIMITS__WRITES_PER_USER_PER_MINUTE", "0").start().await;
        let ada = server.listener("ada").await;
        let (list, change) = removal(&server, &ada, "ada").await;
        let rename = async |list: &str, n: usize| {
            let answer =
                ada.call("update_playlist", json!({"playlist_id": list, "name": format!("Name {n}")})).await;
            let text = answer.result()["content"][0]["text"].as_str().unwrap().to_owned();
            (answer.content(), text)
        };
        // Of one playlist they are one, with what was there before the first.
        let (first, text) = rename(&list, 0).await;
        assert!(!text.contains("undoes both"), "{text}");
        for n in 1..12 {
            assert!(rename(&list, n).await.1.contains("undoing it undoes both"));
        }
        let public = json!({"playlist_id": list, "public": true});
        let last = change_id(&done(&ada, "update_playlist", public).await);
        assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 2);
        assert_eq!(
            ada.call("undo_change", json!({"change_id": change_id(&first)})).await.error(),
            "NOT_FOUND"
        );
        assert_eq!(
            done(&ada, "undo_change", json!({"change_id": last, "dry_run": false})).await["status"],
            "verified"
        );
        let now = server.control().playlist(&list).unwrap();
        assert_eq!((now.name.as_str(), now.public), ("Unmistakable Title", false));

        // What somebody else did in between stays apart.
        rename(&list, 20).await;
        let theirs = PlaylistChange { name: Some("Theirs".to_owned()), ..PlaylistChange::default() };
        server.control().change_playlist(&list, theirs).unwrap();
        let (own, text) = rename(&list, 21).await;
        assert!(!text.contains("undoes both"), "{text}");
        done(&ada, "undo_change", json!({"change_id": change_id(&own), "dry_run": false})).await;
        assert_eq!(server.control().playlist(&list).unwrap().name, "Theirs");

        // Of many playlists they are many, and go first; what was undone before all of them.
        let mut forgotten = 0;
        for n in 0..105 {
            let other = filled(&server, "ada", uris(&[n]));
            forgotten += usize::from(rename(&other, n).await.1.contains("forgotten for this one"));
        }
        assert!((6..=12).contains(&forgotten), "{forgotten}");
        assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 100);
        let back = done(&ada, "undo_change", json!({"change_id": change, "dry_run": false})).await;
        assert_eq!(back["status"], "verified", "{back}");
        assert_eq!(held(&server, &list), uris(&[1, 2, 3]));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_keeps_nothing_changes_and_says_that_nothing_can_be_undone() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__UNDO_DAYS", "0").start().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2]));
    let arguments = json!({"playlist_id": list, "track_uris": [uri(1)]});
    let plan = ada.call(REMOVE, arguments.clone()).await.result()["content"][0]["text"].to_string();
    assert!(plan.contains("It cannot be undone"), "{plan}");
    let output = planned_and_done(&ada, REMOVE, &arguments).await;
    assert!(output["status"] == "verified" && output["change_id"].is_null(), "{output}");
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM changes").await, 0);
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 0);
}
