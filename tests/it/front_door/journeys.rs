//! What people ask for, each as the conversation of tool calls that does it, on the simulated Spotify.

use serde_json::{Value, json};

use super::linking::link;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// Ten records of six songs, as somebody would type them.
const WANTED: &[(&str, [&str; 6])] = &[
    (
        "Paper Lanterns",
        [
            "Don't Stop",
            "Slow Elevator",
            "Window Seat",
            "Half a Mile of Rain",
            "Kite Season",
            "Last Tram Home",
        ],
    ),
    ("Marble & Moss", ["Fern", "Small Hours", "Green Room", "The Quiet Carriage", "Lichen", "Root Cellar"]),
    (
        "Nova Kestrel",
        [
            "Thermals",
            "Glass Runway",
            "Higher Than the Weather",
            "Feather Count",
            "Night Approach",
            "Holding Pattern",
        ],
    ),
    ("Soft Machinery", ["Conveyor", "Idle Hours", "Clean Room", "Pilot Light", "Bearings", "Night Shift"]),
    (
        "Harbour Lights",
        ["Low Tide Radio", "Salt Stairs", "Foghorn Lullaby", "Net Menders", "Ninth Wave", "Rope and Tar"],
    ),
    (
        "Cactus Choir",
        ["Desert Hymnal", "Mirage Motel", "Thirst", "Tumbleweed Waltz", "Noon Bell", "Vulture Blues"],
    ),
    (
        "Copper Sparrow",
        ["Wire Songs", "Telegraph Hill", "Perch", "Static Bloom", "Sparrow Code", "Power Cut"],
    ),
    (
        "Die Wolkenfänger",
        ["Schäfchen", "Über den Dächern", "Regenmacher", "Heiter bis wolkig", "Blaue Stunde", "Föhn"],
    ),
    ("夜の図書館", ["静かな頁", "返却期限", "栞", "夜の図書館", "インクの雨", "目次"]),
    (
        "Quiet Giants",
        [
            "Footsteps in Snow",
            "Glacier Time",
            "Avalanche (Soft)",
            "Summit Fever",
            "Base Camp Lullaby",
            "Thaw",
        ],
    ),
];

async fn ada() -> (TestServer, Listener) {
    let server = Setup::default().people(3).start().await;
    let ada = server.listener("ada").await;
    (server, ada)
}

/// A tool call that works.
async fn done(listener: &Listener, tool: &str, arguments: Value) -> Value {
    listener.call(tool, arguments).await.content()
}

/// What is taken away is shown first.
async fn agreed(listener: &Listener, tool: &str, mut arguments: Value) -> Value {
    let plan = done(listener, tool, arguments.clone()).await;
    arguments["plan_id"] = plan["plan_id"].clone();
    done(listener, tool, arguments).await
}

fn texts(rows: &Value, key: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
}

/// The URIs of songs by an artist of the catalogue.
async fn songs(listener: &Listener, artist: &str) -> Vec<String> {
    let (_, titles) = WANTED.iter().find(|(name, _)| *name == artist).unwrap();
    let items: Vec<_> = titles.iter().map(|title| json!({"title": title, "artist": artist})).collect();
    let matched = done(listener, "match_tracks", json!({"items": items})).await;
    assert_eq!(matched["confident"], titles.len(), "{matched}");
    matched["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["track"]["uri"].as_str().unwrap().to_owned())
        .collect()
}

async fn playlist(listener: &Listener, name: &str, uris: &[String]) -> String {
    let made = done(listener, "create_playlist", json!({"name": name})).await;
    let id = made["playlist"]["id"].as_str().unwrap().to_owned();
    let asked = json!({"playlist_id": id, "track_uris": uris, "skip_duplicates": false});
    let added = done(listener, "add_tracks_to_playlist", asked).await;
    assert_eq!(added["added"], uris.len(), "{added}");
    id
}

async fn rows(listener: &Listener, id: &str) -> Vec<String> {
    let page = done(listener, "get_playlist_tracks", json!({"playlist_id": id, "limit": 50})).await;
    texts(&page["tracks"], "uri")
}

/// Plans, then applies the plan.
async fn planned(listener: &Listener, tool: &str, mut arguments: Value) -> (Value, Value) {
    let plan = done(listener, tool, arguments.clone()).await;
    assert_eq!(plan["dry_run"], true, "{plan}");
    arguments["dry_run"] = json!(false);
    arguments["plan_id"] = plan["plan_id"].clone();
    let applied = done(listener, tool, arguments).await;
    assert_eq!(applied["status"], "verified", "{applied}");
    (plan, applied)
}

/// "Make me a road trip playlist of these sixty songs."
#[tokio::test]
async fn a_road_trip_from_a_list_of_sixty_titles() {
    let (_server, ada) = ada().await;
    let wanted: Vec<_> = WANTED
        .iter()
        .flat_map(|(artist, titles)| titles.map(|title| json!({"title": title, "artist": artist})))
        .collect();
    let mut uris = Vec::new();
    for some in wanted.chunks(50) {
        let matched = done(&ada, "match_tracks", json!({"items": some})).await;
        assert_eq!(matched["confident"], some.len(), "{matched}");
        let found = matched["matches"].as_array().unwrap();
        uris.extend(found.iter().map(|row| row["track"]["uri"].as_str().unwrap().to_owned()));
    }
    let made =
        done(&ada, "create_playlist", json!({"name": "Road trip", "description": "Sixty songs"})).await;
    let id = made["playlist"]["id"].as_str().unwrap();
    let added = done(&ada, "add_tracks_to_playlist", json!({"playlist_id": id, "track_uris": uris})).await;
    assert_eq!((&added["added"], &added["status"]), (&json!(60), &json!("accepted")), "{added}");
    let last = done(&ada, "get_playlist_tracks", json!({"playlist_id": id, "offset": 50, "limit": 50})).await;
    assert_eq!(texts(&last["tracks"], "uri"), uris[50..]);
    assert_eq!(last["total"], 60);
    assert!(last.get("next_offset").is_none());
}

/// "My playlist has songs twice: clean it up." "Oh no, put them back."
#[tokio::test]
async fn duplicates_go_and_come_back() {
    let (_server, ada) = ada().await;
    let mut uris = songs(&ada, "Paper Lanterns").await;
    uris.extend(uris[..3].to_vec());
    let id = playlist(&ada, "Twice", &uris).await;
    let (plan, applied) = planned(&ada, "deduplicate_playlist", json!({"playlist_id": id})).await;
    assert_eq!((&plan["removes"], &plan["rows_after"]), (&json!(3), &json!(6)), "{plan}");
    assert_eq!(rows(&ada, &id).await, uris[..6]);
    let change = json!({"change_id": applied["change_id"]});
    let would = done(&ada, "undo_change", change.clone()).await;
    assert_eq!(would["dry_run"], true, "{would}");
    let undone =
        done(&ada, "undo_change", json!({"change_id": applied["change_id"], "dry_run": false})).await;
    assert_eq!(undone["status"], "verified", "{undone}");
    assert_eq!(rows(&ada, &id).await, uris);
}

/// "Play it in the kitchen, and not so loud."
#[tokio::test]
async fn the_music_moves_to_the_kitchen() {
    let (server, ada) = ada().await;
    let devices =
        json!({"devices": [{"name": "Phone", "active": true}, {"name": "Kitchen", "kind": "Speaker"}]});
    server.control().change_user("ada", &devices).unwrap();
    let listed = done(&ada, "list_devices", json!({})).await;
    assert_eq!(texts(&listed["devices"], "name"), ["Phone", "Kitchen"]);
    let moved = done(&ada, "transfer_playback", json!({"device": "kitchen", "play": true})).await;
    assert_eq!(moved["status"], "verified", "{moved}");
    let set = done(&ada, "set_player", json!({"volume": 20})).await;
    assert_eq!(set["status"], "verified", "{set}");
    let state = done(&ada, "get_playback_state", json!({})).await;
    assert!(state.to_string().contains("Kitchen"), "{state}");
    let nowhere = ada.call("transfer_playback", json!({"device": "Cellar"})).await;
    assert_eq!(nowhere.result()["isError"], true);
}

/// "Copy my running playlist over to my work account, and tell me later whether they still are the same."
#[tokio::test]
async fn a_playlist_is_copied_to_the_other_account_and_compared() {
    let (_server, ada) = ada().await;
    link(&ada, "work", "user0001").await;
    let uris = songs(&ada, "Nova Kestrel").await;
    let id = playlist(&ada, "Running", &uris).await;
    let copied =
        done(&ada, "copy_playlist", json!({"playlist_id": id, "to_account": "work", "name": "Running"}))
            .await;
    assert_eq!(copied["added"], 6, "{copied}");
    let copy = copied["playlist_id"].as_str().unwrap();
    let there = done(&ada, "get_user_playlists", json!({"account": "work", "query": "running"})).await;
    assert_eq!(there["playlists"][0]["id"], copy);
    let sides = json!({"playlist_id": id, "other_playlist_id": copy, "other_account": "work"});
    let same = done(&ada, "compare_playlists", sides).await;
    assert_eq!((&same["identical"], &same["in_both"]), (&json!(true), &json!(6)), "{same}");
    let mine = done(&ada, "get_user_playlists", json!({"query": "running"})).await;
    assert_eq!(texts(&mine["playlists"], "id"), [id], "the first account has one");
}

/// "What was that I just heard? Keep it."
#[tokio::test]
async fn what_was_heard_is_kept_and_let_go() {
    let (_server, ada) = ada().await;
    let heard = done(&ada, "get_recently_played", json!({"limit": 5})).await;
    let uri = heard["tracks"][0]["uri"].as_str().unwrap().to_owned();
    agreed(&ada, "remove_from_library", json!({"uris": [uri]})).await;
    let kept = done(&ada, "save_to_library", json!({"uris": [uri]})).await;
    assert_eq!(kept["status"], "verified", "{kept}");
    let checked = done(&ada, "check_library", json!({"uris": [uri]})).await;
    assert_eq!(checked["items"][0]["saved"], true, "{checked}");
    let liked = done(&ada, "get_liked_songs", json!({"limit": 1})).await;
    assert_eq!(liked["tracks"][0]["uri"], uri.as_str(), "newest first");
    agreed(&ada, "remove_from_library", json!({"uris": [uri]})).await;
    let checked = done(&ada, "check_library", json!({"uris": [uri]})).await;
    assert_eq!(checked["items"][0]["saved"], false);
}

/// "Put on that record with the foghorn, from the third song."
#[tokio::test]
async fn a_record_is_found_and_played_from_its_third_song() {
    let (_server, ada) = ada().await;
    let found =
        done(&ada, "search_catalog", json!({"query": "Low Tide Radio", "types": ["album"], "limit": 1}))
            .await;
    let album = found["results"][0]["items"][0]["uri"].as_str().unwrap().to_owned();
    let inside = done(&ada, "list_children", json!({"uri": album})).await;
    let third = inside["items"][2].clone();
    assert_eq!(third["name"], "Foghorn Lullaby", "{inside}");
    let played = done(&ada, "play", json!({"context_uri": album, "offset": 2})).await;
    assert_eq!(played["status"], "verified", "{played}");
    let now = done(&ada, "get_current_track", json!({})).await;
    assert_eq!(now["track"]["uri"], third["uri"], "{now}");
    assert_eq!(done(&ada, "pause", json!({})).await["status"], "verified");
    assert_eq!(done(&ada, "get_current_track", json!({})).await["state"], "paused");
}

/// "I cannot hear Thermals any more. Take it out of all my lists."
#[tokio::test]
async fn a_song_is_found_in_all_playlists_and_taken_out() {
    let (_server, ada) = ada().await;
    let uris = songs(&ada, "Nova Kestrel").await;
    let first = playlist(&ada, "Mornings", &uris).await;
    let second = playlist(&ada, "Evenings", &[uris[0].clone(), uris[3].clone(), uris[0].clone()]).await;
    let found = done(&ada, "find_in_playlists", json!({"track_uri": uris[0]})).await;
    let lists = texts(&found["found"], "playlist_id");
    assert!(lists.contains(&first) && lists.contains(&second), "{found}");
    for id in [&first, &second] {
        planned(&ada, "remove_tracks_from_playlist", json!({"playlist_id": id, "track_uris": [uris[0]]}))
            .await;
    }
    assert_eq!(rows(&ada, &first).await, uris[1..]);
    assert_eq!(rows(&ada, &second).await, [uris[3].clone()]);
    let found = done(&ada, "find_in_playlists", json!({"track_uri": uris[0]})).await;
    let left: Vec<_> = texts(&found["found"], "playlist_id")
        .into_iter()
        .filter(|id| *id == first || *id == second)
        .collect();
    assert!(left.is_empty(), "{found}");
}

/// "Follow Ben's list for me." "What is in it?" "Then stop."
#[tokio::test]
async fn somebody_elses_playlist_is_followed_but_not_read() {
    let (server, ada) = ada().await;
    let ben = server.listener("ben").await;
    let made = done(&ben, "create_playlist", json!({"name": "Bens best", "public": true})).await;
    let id = made["playlist"]["id"].as_str().unwrap().to_owned();
    assert_eq!(done(&ada, "follow_playlist", json!({"playlist_id": id})).await["followed"], true);
    let listed = done(&ada, "get_user_playlists", json!({"query": "bens best"})).await;
    assert_eq!(texts(&listed["playlists"], "id"), std::slice::from_ref(&id));
    let seen = done(&ada, "get_playlist", json!({"playlist_id": id})).await;
    assert_eq!(seen["playlist"]["contents"], "forbidden", "never shown as empty: {seen}");
    assert_eq!(ada.call("get_playlist_tracks", json!({"playlist_id": id})).await.error(), "FORBIDDEN");
    assert_eq!(agreed(&ada, "unfollow_playlist", json!({"playlist_id": id})).await["followed"], false);
    let listed = done(&ada, "get_user_playlists", json!({"query": "bens best"})).await;
    assert_eq!(listed["playlists"], json!([]));
}

/// "Put the last song first." Meanwhile somebody changes the list on their phone.
#[tokio::test]
async fn the_last_song_comes_first_unless_the_list_has_changed() {
    let (_server, ada) = ada().await;
    let uris = songs(&ada, "Cactus Choir").await;
    let id = playlist(&ada, "Desert", &uris).await;
    let seen = done(&ada, "get_playlist", json!({"playlist_id": id})).await;
    let first =
        json!({"playlist_id": id, "range_start": 5, "insert_before": 0, "snapshot_id": seen["snapshot_id"]});
    let moved = done(&ada, "reorder_playlist_tracks", first.clone()).await;
    assert_eq!(moved["status"], "verified", "{moved}");
    let mut expected = uris.clone();
    expected.rotate_right(1);
    assert_eq!(rows(&ada, &id).await, expected);
    assert_eq!(
        ada.call("reorder_playlist_tracks", first).await.error(),
        "INVALID_ARGUMENT",
        "the state is another"
    );
    assert_eq!(rows(&ada, &id).await, expected, "nothing was moved");
}

/// "Call it Rainy Sunday." "What did you change lately?" "Call it as before."
#[tokio::test]
async fn a_new_name_is_taken_back() {
    let (_server, ada) = ada().await;
    let id = playlist(&ada, "Sunday", &songs(&ada, "Quiet Giants").await).await;
    let named = json!({"playlist_id": id, "name": "Rainy Sunday", "description": "For indoors"});
    let renamed = done(&ada, "update_playlist", named).await;
    assert_eq!(
        (&renamed["playlist"]["name"], &renamed["status"]),
        (&json!("Rainy Sunday"), &json!("verified"))
    );
    let changes = done(&ada, "list_changes", json!({})).await;
    assert_eq!(changes["changes"][0]["change_id"], renamed["change_id"], "the newest first: {changes}");
    done(&ada, "undo_change", json!({"change_id": renamed["change_id"], "dry_run": false})).await;
    let seen = done(&ada, "get_playlist", json!({"playlist_id": id})).await;
    assert_eq!(seen["playlist"]["name"], "Sunday", "{seen}");
    let again = ada.call("undo_change", json!({"change_id": renamed["change_id"], "dry_run": false})).await;
    assert_eq!(again.result()["isError"], true, "once");
}
