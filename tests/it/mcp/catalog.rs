//! The catalogue's tools before the simulated Spotify, in every mode: one request where one will do, pages of the size
//! that the mode allows, and lists of titles turned into tracks without guessing.

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::spotify::QuotaMode;
use spotify_mcp::spotify::sandbox::Fault;

use super::stage::{GRANTED, MODES, Stage, status, wait};
use crate::fake::{Answer, Fake};

const KINDS: [&str; 7] = ["album", "artist", "playlist", "track", "show", "episode", "audiobook"];

async fn found(stage: &Stage, kind: &str, query: &str) -> Value {
    let found = stage.ask("search_catalog", json!({"query": query, "types": [kind], "limit": 1})).await;
    found["results"][0]["items"][0].clone()
}

fn names(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn seven_types_are_searched_at_once_and_every_hit_has_its_link() {
    let trial = async |mode| {
        let stage = Stage::of("ada", mode).await;
        let asked = stage.asked("GET", "/v1/search");
        let page = stage.ask("search_catalog", json!({"query": "radio", "types": KINDS, "limit": 3})).await;
        assert_eq!(stage.asked("GET", "/v1/search") - asked, 1);
        for (found, kind) in page["results"].as_array().unwrap().iter().zip(KINDS) {
            assert_eq!(found["type"], kind);
            let items = found["items"].as_array().unwrap();
            assert!((1..=3).contains(&items.len()), "{kind}: {items:?}");
            for item in items {
                assert_eq!(item["type"], kind);
                let id = item["uri"].as_str().unwrap().rsplit(':').next().unwrap();
                assert_eq!(item["url"], format!("https://open.spotify.com/{kind}/{id}"));
            }
        }
        assert_eq!(page["next_offset"], 3);
        let album = found(&stage, "album", "Understory").await;
        assert_eq!((&album["name"], &album["artists"][0]), (&json!("Understory"), &json!("Marble & Moss")));
        assert_eq!((&album["release_date"], &album["total"]), (&json!("2021"), &json!(6)));
    };
    join_all(MODES.map(trial)).await;
}

#[tokio::test]
async fn things_are_looked_up_singly_in_development_and_together_where_that_is_left() {
    for mode in MODES {
        let stage = Stage::of("ada", mode).await;
        let mut uris = Vec::new();
        for kind in ["track", "album", "artist", "show", "episode", "audiobook"] {
            uris.push(found(&stage, kind, "weather").await["uri"].as_str().unwrap().to_owned());
        }
        let chapters = stage.ask("list_children", json!({"uri": uris[5], "limit": 1})).await;
        uris.push(chapters["items"][0]["uri"].as_str().unwrap().to_owned());
        uris.push(stage.track("Fern").await);
        let unknown = format!("spotify:album:{:022}", 7);
        let asked: Vec<_> = uris.iter().chain([&unknown, &uris[0]]).cloned().collect();
        stage.control().clear_journal();
        let answer = stage.ask("get_items", json!({ "uris": asked })).await;
        let got: Vec<_> = answer["items"].as_array().unwrap().iter().map(|item| &item["uri"]).collect();
        assert_eq!(got, uris.iter().collect::<Vec<_>>(), "{mode}");
        assert_eq!(answer["missing"], json!([unknown]));
        let requests = if mode == QuotaMode::Extended { 7 } else { 9 };
        assert_eq!(stage.asked("GET", "/v1/"), requests, "{mode}");
        assert_eq!(stage.refused("get_items", json!({"uris": [unknown]})).await, "NOT_FOUND");
    }
}

#[tokio::test]
async fn how_far_somebody_is_is_told_where_they_allowed_it_and_the_rest_without() {
    let stage = Stage::new().await;
    let show = found(&stage, "show", "Music That Never Was").await["uri"].clone();
    let episodes = |answer: Value| -> Vec<Value> { answer["items"].as_array().unwrap().clone() };
    // A permission from before this was asked for.
    let before = episodes(stage.ask("list_children", json!({"uri": show, "limit": 3})).await);
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|episode| episode.get("fully_played").is_none()), "{before:?}");
    stage.grant(&format!("{GRANTED} user-read-playback-position"));
    let after = episodes(stage.ask("list_children", json!({"uri": show, "limit": 3})).await);
    let heard: Vec<_> = after.iter().map(|episode| episode["fully_played"].as_bool().unwrap()).collect();
    assert!(heard.contains(&true) && heard.contains(&false), "{after:?}");
    let uris: Vec<_> = after.iter().map(|episode| episode["uri"].clone()).collect();
    let looked_up = episodes(stage.ask("get_items", json!({"uris": uris})).await);
    let point = |episode: &Value| (episode["fully_played"].clone(), episode["resume_position_ms"].clone());
    assert_eq!(looked_up.iter().map(point).collect::<Vec<_>>(), after.iter().map(point).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_inside_is_told_where_it_is_wanted() {
    for mode in MODES {
        let stage = Stage::of("ada", mode).await;
        let (album, artist) =
            (found(&stage, "album", "Proof").await, found(&stage, "artist", "Midnight Bakery").await);
        let fern = stage.track("Fern").await;
        let uris = json!([album["uri"], fern, artist["uri"]]);
        let plain = stage.ask("get_items", json!({"uris": uris})).await;
        assert!(plain.get("inside").is_none());
        let answer = stage.ask("get_items", json!({"uris": uris, "expand": true})).await;
        assert_eq!(answer["items"], plain["items"]);
        let inside = answer["inside"].as_array().unwrap();
        assert_eq!(inside.iter().map(|one| &one["of"]).collect::<Vec<_>>(), [&album["uri"], &artist["uri"]]);
        let tracks = stage.ask("list_children", json!({"uri": album["uri"], "limit": 10})).await;
        let names = |rows: &Value| -> Vec<Value> {
            rows.as_array().unwrap().iter().map(|row| json!([row["uri"], row["name"]])).collect()
        };
        assert_eq!(names(&inside[0]["items"]), names(&tracks["items"]), "{mode}");
        assert_eq!(inside[0]["total"], tracks["total"]);
        // What is found stays where the rest is refused.
        let quota = r#"{"error":{"status":429,"message":"m","reason":"QUOTA_EXCEEDED"}}"#;
        stage.inject("GET /v1/artists/*/albums", 1, wait(429, quota, "9000"));
        let half = stage.ask("get_items", json!({"uris": uris, "expand": true})).await;
        assert_eq!((&half["items"], half["inside"].as_array().unwrap().len()), (&plain["items"], 1));
        assert_eq!(half["failure"]["code"], "QUOTA_EXCEEDED");
    }
}

#[tokio::test]
async fn a_look_up_that_is_stopped_half_way_keeps_what_it_found() {
    let stage = Stage::new().await;
    let (fern, album) = (stage.track("Fern").await, found(&stage, "album", "Proof").await);
    let album = album["uri"].as_str().unwrap();
    let quota = r#"{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#;
    stage.inject("GET /v1/albums/*", 1, wait(429, quota, "86207"));
    let answer = stage.ask("get_items", json!({"uris": [fern, album]})).await;
    assert_eq!((&answer["items"][0]["uri"], &answer["left"]), (&json!(fern), &json!([album])));
    assert_eq!(answer["failure"]["code"], "QUOTA_EXCEEDED");
    assert_eq!(answer["failure"]["retry_after_seconds"], 86_207);
}

#[tokio::test]
async fn what_is_inside_comes_in_pages_that_neither_skip_nor_repeat() {
    for mode in MODES {
        let stage = Stage::of("ada", mode).await;
        let show = found(&stage, "show", "Music That Never Was").await["uri"].clone();
        let (mut all, mut offset) = (Vec::new(), Some(0));
        while let Some(at) = offset {
            let page = stage.ask("list_children", json!({"uri": show, "limit": 17, "offset": at})).await;
            assert_eq!(page["total"], 40);
            all.extend(names(&page["items"]).into_iter().map(str::to_owned));
            offset = page["next_offset"].as_u64();
        }
        assert_eq!(all, (1..=40).map(|n| format!("Episode {n}")).collect::<Vec<_>>());
        let artist = found(&stage, "artist", "Marble & Moss").await["uri"].clone();
        stage.control().clear_journal();
        let page = stage.ask("list_children", json!({"uri": artist, "limit": 50})).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 7, "{mode}");
        let singles =
            stage.ask("list_children", json!({"uri": artist, "groups": ["single"], "limit": 2})).await;
        assert_eq!(names(&singles["items"]), ["Fern", "Small Hours"]);
        assert_eq!((&singles["total"], &singles["next_offset"]), (&json!(6), &json!(2)));
        assert!(stage.asked("GET", "/v1/artists/") <= 3);
        let album = found(&stage, "album", "Understory").await["uri"].clone();
        let tracks = stage.ask("list_children", json!({"uri": album})).await;
        assert_eq!(names(&tracks["items"])[..2], ["Fern", "Small Hours"]);
        assert!(tracks.get("next_offset").is_none());
        let code = stage.refused("list_children", json!({"uri": album, "groups": ["album"]})).await;
        assert_eq!(code, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn links_that_lead_elsewhere_are_never_followed() {
    let elsewhere = Fake::always(|| Answer::json(200, "{}")).await;
    let stage = Stage::new().await;
    stage.change_app(&json!({"links_base": elsewhere.origin}));
    let search = stage.ask("search_tracks", json!({"query": "Fern", "limit": 30})).await;
    assert_eq!(search["tracks"].as_array().unwrap().len(), 30, "from three pages");
    let album = found(&stage, "album", "Understory").await["uri"].clone();
    let tracks = stage.ask("list_children", json!({"uri": album, "limit": 2})).await;
    assert_eq!(tracks["next_offset"], 2);
    for tool in ["get_liked_songs", "get_user_playlists", "get_recently_played"] {
        stage.ask(tool, json!({"limit": 1})).await;
    }
    stage.ask("list_library", json!({"kind": "artists", "limit": 1})).await;
    stage.ask("find_in_playlists", json!({"query": "Fern"})).await;
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[tokio::test]
async fn what_comes_packed_is_an_error_and_no_more() {
    let stage = Stage::new().await;
    stage.inject("GET /v1/search", 1, Fault::Compressed { bytes: 1 << 30 });
    assert_eq!(stage.refused("search_tracks", json!({"query": "Fern"})).await, "UPSTREAM_ERROR");
}

#[tokio::test]
async fn audiobooks_are_where_spotify_offers_them() {
    let (ada, ben) = (Stage::new().await, Stage::of("ben", QuotaMode::Development).await);
    let book = found(&ada, "audiobook", "Fog").await;
    assert_eq!((&book["artists"], &book["total"]), (&json!(["Otto Brand"]), &json!(12)));
    assert_eq!(found(&ben, "audiobook", "Fog").await, Value::Null);
    assert_eq!(ben.refused("get_items", json!({"uris": [book["uri"]]})).await, "NOT_FOUND");
    assert_eq!(ben.refused("list_children", json!({"uri": book["uri"]})).await, "NOT_FOUND");
}

#[tokio::test]
async fn a_list_of_titles_becomes_tracks_and_what_is_not_certain_is_said() {
    let stage = Stage::new().await;
    let items = json!([
        {"title": "dont stop", "artist": "paper lanterns"},
        {"title": "Fern", "artist": "Marble & Moss", "duration_ms": 1},
        {"title": "Windfall"},
        {"title": "A Song Nobody Wrote", "artist": "Nobody At All"},
        {"title": "whatever", "isrc": "zzsbx2600007"},
        {"title": "caffè alle SEI", "artist": "Il Treno Blu", "album": "Binario Nove"},
    ]);
    let found = stage.ask("match_tracks", json!({ "items": items })).await;
    let verdicts: Vec<_> =
        found["matches"].as_array().unwrap().iter().map(|found| &found["verdict"]).collect();
    assert_eq!(verdicts, ["confident", "uncertain", "uncertain", "none", "confident", "confident"]);
    assert_eq!((&found["confident"], found.get("next_offset")), (&json!(3), None));
    assert_eq!(found["matches"][0]["track"]["name"], "Don't Stop");
    assert_eq!(found["matches"][4]["track"]["name"], "Small Hours");
    assert!(found["matches"][3].get("track").is_none());
    assert_eq!(stage.asked("POST", "/v1/") + stage.asked("PUT", "/v1/"), 0, "nothing is added");
}

#[tokio::test]
async fn a_code_alone_names_a_recording_and_one_that_is_none_costs_the_others_nothing() {
    let stage = Stage::new().await;
    let items = json!([
        {"isrc": "zz-sbx-26-00007"},
        {"title": "dont stop", "artist": "paper lanterns", "isrc": "not a code"},
        {"isrc": "ZZSBX26"},
        {"isrc": "ZZZZZ9999999"},
    ]);
    let found = stage.ask("match_tracks", json!({ "items": items })).await;
    let matches = found["matches"].as_array().unwrap();
    let verdicts: Vec<_> = matches.iter().map(|found| &found["verdict"]).collect();
    assert_eq!(verdicts, ["confident", "confident", "none", "none"], "{found}");
    assert_eq!(matches[0]["track"]["name"], "Small Hours");
    for (at, noted) in [(0, false), (1, true), (2, true), (3, false)] {
        assert_eq!(matches[at]["note"].is_string(), noted, "{found}");
    }
}

#[tokio::test]
async fn a_long_list_that_is_stopped_says_where_to_go_on() {
    let stage = Stage::new().await;
    let items: Vec<_> = (0..50).map(|n| json!({"title": format!("Fern {n}")})).collect();
    stage.inject_after(7, "GET /v1/search", status(503, ""));
    let found = stage.ask("match_tracks", json!({ "items": items })).await;
    assert_eq!((&found["next_offset"], &found["failure"]["code"]), (&json!(7), &json!("UPSTREAM_ERROR")));
    assert_eq!(found["matches"].as_array().unwrap().len(), 7);
    let all = stage.ask("match_tracks", json!({ "items": items })).await;
    assert_eq!((all["matches"].as_array().unwrap().len(), all.get("next_offset")), (50, None));
}

#[tokio::test]
async fn a_single_is_called_one_and_an_artist_has_releases() {
    let stage = Stage::new().await;
    let found = stage
        .ask("search_catalog", json!({"query": "Paper Lanterns", "types": ["artist"], "limit": 1}))
        .await;
    let artist = &found["results"][0]["items"][0]["uri"];
    let text = async |groups: Value| {
        let result = stage.rig.call("list_children", json!({"uri": artist, "groups": groups})).await;
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    let all = text(Value::Null).await;
    assert!(all.lines().next().unwrap().ends_with(" releases:"), "{all}");
    assert!(all.contains(". single: ") && all.contains(". album: "), "{all}");
    let singles = text(json!(["single"])).await;
    assert!(singles.lines().next().unwrap().ends_with(" singles:"), "{singles}");
    assert!(!singles.contains(". album: "), "{singles}");
}
