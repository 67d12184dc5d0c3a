//! One question to Spotify for many that are alike, and whole playlists kept for a moment: for the account that asked
//! alone, never across a change, and not at all where it is switched off.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::{Fault, Filter, PlaylistChange};
use tokio::time::sleep;

use crate::support::listener::{Era, Listener};
use crate::support::server::{Setup, TestServer};

const LIKED: &str = "/v1/me/tracks";

fn slow(server: &TestServer, route: &str, millis: u64) {
    server.inject(&format!("GET {route}"), 1_000, Fault::Delay { millis });
}

async fn liked(who: &Listener) -> Value {
    who.call("get_liked_songs", json!({})).await.content()
}

/// A playlist of the person's with so many tracks; its id.
fn filled(server: &TestServer, person: &str, tracks: usize) -> String {
    let uris = (0..tracks).map(|n| format!("spotify:track:{n:022}")).collect();
    let change =
        PlaylistChange { name: Some("Mine".to_owned()), uris: Some(uris), ..PlaylistChange::default() };
    server.control().create_playlist(person, change).unwrap()
}

/// How often the rows of a playlist were asked for.
fn pages(server: &TestServer, list: &str) -> usize {
    server.asked(&format!("/v1/playlists/{list}/items"), 200)
}

async fn find(who: &Listener, list: &str) -> usize {
    let sought = json!({"track_uri": format!("spotify:track:{:022}", 3), "playlist_ids": [list]});
    who.call("find_in_playlists", sought).await.content()["found"].as_array().unwrap().len()
}

#[tokio::test]
async fn many_equal_questions_of_one_account_reach_spotify_once_and_no_other_accounts() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    slow(&server, LIKED, 600);
    let (adas, bens) =
        tokio::join!(join_all((0..12).map(|_| liked(&ada))), join_all((0..12).map(|_| liked(&ben))));
    assert_eq!(server.asked(LIKED, 200), 2, "one of each");
    for (answers, who, other) in [(&adas, &ada, &ben), (&bens, &ben, &ada)] {
        for answer in answers {
            assert_eq!(answer, &answers[0]);
            let text = answer.to_string();
            assert!(text.contains(&who.marker()) && !text.contains(&other.marker()), "{text}");
        }
    }
    // What is over is asked for anew, and what is asked otherwise is something else.
    tokio::join!(liked(&ada), ada.call("get_liked_songs", json!({"offset": 1})));
    assert_eq!(server.asked(LIKED, 200), 4);
}

#[tokio::test]
async fn whoever_asked_first_may_go() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    slow(&server, LIKED, 900);
    let gone = ada.give_up("get_liked_songs", json!({}), Duration::from_millis(250));
    let staying = async {
        sleep(Duration::from_millis(120)).await;
        liked(&ada).await
    };
    let (gone, answer) = tokio::join!(gone, staying);
    assert!(gone && answer["tracks"].as_array().is_some());
    assert_eq!(server.asked(LIKED, 200), 1);
}

#[tokio::test]
async fn a_change_in_between_is_seen_and_the_player_is_never_shared() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", 3);
    let path = format!("/v1/playlists/{list}");
    let look = || ada.call("get_playlist", json!({"playlist_id": list}));
    slow(&server, &path, 800);
    let change = async {
        sleep(Duration::from_millis(200)).await;
        let name = json!({"playlist_id": list, "name": "Renamed"});
        ada.call("update_playlist", name).await.content();
        look().await.content()
    };
    let (_, after) = tokio::join!(look(), change);
    assert!(after.to_string().contains("Renamed"), "{after}");
    let filter = Filter { path: Some(path), limit: Some(usize::MAX), ..Filter::default() };
    let asked = server.control().journal(&filter);
    let changed = asked.iter().find(|entry| entry.method == "PUT").unwrap().seq;
    let anew = asked.iter().filter(|entry| entry.method == "GET" && entry.seq > changed).count();
    assert_eq!(anew, 2, "what proves the change, and what was asked after it");

    slow(&server, "/v1/me/player*", 300);
    let player = "/v1/me/player/currently-playing";
    join_all((0..3).map(|_| ada.call("get_current_track", json!({})))).await;
    assert_eq!(server.asked(player, 200) + server.asked(player, 204), 3);
}

#[tokio::test]
async fn a_playlist_is_read_once_while_nothing_changes_and_anew_after_any_change() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let list = filled(&server, "ada", 120);
    for _ in 0..3 {
        assert_eq!(find(&ada, &list).await, 1);
    }
    assert_eq!(pages(&server, &list), 3);
    // What the player is told changes no playlist.
    ada.call("pause", json!({})).await.content();
    assert_eq!(find(&ada, &list).await, 1);
    assert_eq!(pages(&server, &list), 3);
    // Somebody else's reading is their own.
    let shared = filled(&server, "ben", 10);
    let public = PlaylistChange { public: Some(true), ..PlaylistChange::default() };
    server.control().change_playlist(&shared, public).unwrap();
    assert_eq!(find(&ben, &shared).await, 1);
    let sought = json!({"track_uri": format!("spotify:track:{:022}", 3), "playlist_ids": [shared]});
    let hers = ada.call("find_in_playlists", sought).await.content();
    assert_eq!((&hers["found"], &hers["unreadable"]), (&json!([]), &json!(1)), "{hers}");
    assert_eq!(pages(&server, &shared), 1);

    // Changed by another app: another state.
    let change = PlaylistChange {
        uris: Some(vec!["spotify:track:0000000000000000000000".to_owned()]),
        ..PlaylistChange::default()
    };
    server.control().change_playlist(&list, change).unwrap();
    assert_eq!(find(&ada, &list).await, 0);
    assert_eq!(pages(&server, &list), 4);
    // Changed from here.
    let add = json!({"playlist_id": list, "track_uris": [format!("spotify:track:{:022}", 3)]});
    ada.call("add_tracks_to_playlist", add).await.content();
    let before = pages(&server, &list);
    assert_eq!(find(&ada, &list).await, 1);
    assert!(pages(&server, &list) > before);
}

#[tokio::test]
async fn nothing_kept_outlives_the_account_it_was_read_with() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let list = filled(&server, "ada", 10);
    find(&ada, &list).await;
    find(&ada, &list).await;
    assert_eq!(pages(&server, &list), 1);
    // Whatever ends anywhere takes all that is kept with it.
    let links = ben.call("list_my_accounts", json!({})).await.content();
    let account = links["accounts"][0]["alias"].clone();
    ben.call("unlink_account", json!({"account": account, "confirm": true})).await.content();
    sleep(Duration::from_secs(1)).await;
    find(&ada, &list).await;
    assert_eq!(pages(&server, &list), 2);
    let account = ada.call("list_my_accounts", json!({})).await.content()["accounts"][0]["alias"].clone();
    ada.call("unlink_account", json!({"account": account, "confirm": true})).await.content();
    let sought = json!({"query": "a", "playlist_ids": [list]});
    let refused = ada.call("find_in_playlists", sought).await;
    assert_eq!(refused.error(), "RECONNECT_REQUIRED");
    assert_eq!(pages(&server, &list), 2);
}

#[tokio::test]
async fn off_means_off() {
    let server = Setup::default().env("SPOTIFY_MCP__CACHE__ENABLED", "false").start().await;
    let ada = server.listener("ada").await;
    slow(&server, LIKED, 300);
    join_all((0..5).map(|_| liked(&ada))).await;
    assert_eq!(server.asked(LIKED, 200), 5);
    let list = filled(&server, "ada", 10);
    for _ in 0..2 {
        find(&ada, &list).await;
    }
    assert_eq!(pages(&server, &list), 2);
    let body =
        ada.call_in(Era::Legacy, "find_in_playlists", json!({"query": "x", "playlist_ids": [list]})).await;
    body.content();
    assert_eq!(pages(&server, &list), 3);
}
