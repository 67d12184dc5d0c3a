//! The library's tools before the simulated Spotify: everything is seen to, in every mode, also where an app from before
//! February 2026 is refused at the new endpoint.

use serde_json::{Value, json};
use spotify_mcp::spotify::QuotaMode;
use spotify_mcp::spotify::sandbox::Fault;

use super::stage::{GRANTED, MODES, Stage, status, wait};

/// So many tracks and albums that they take several requests.
fn many(count: usize) -> Vec<String> {
    let uri = |n: usize| match n % 3 {
        0 => format!("spotify:album:{n:022}"),
        _ => format!("spotify:track:{n:022}"),
    };
    (0..count).map(uri).collect()
}

async fn saved(stage: &Stage, uris: &[String]) -> Vec<bool> {
    let checked = stage.ask("check_library", json!({ "uris": uris })).await;
    checked["items"].as_array().unwrap().iter().map(|item| item["saved"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn things_are_saved_checked_and_removed_in_every_mode() {
    for (mode, refused) in MODES.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let stage = Stage::of("ada", mode).await;
        stage.change_app(&json!({ "no_library": refused }));
        let uris = many(100);
        assert!(saved(&stage, &uris).await.iter().all(|saved| !saved));
        let done = stage.ask("save_to_library", json!({ "uris": uris })).await;
        assert_eq!((&done["status"], &done["done"]), (&json!("verified"), &json!(100)), "{mode} {refused}");
        assert!(saved(&stage, &uris).await.iter().all(|saved| *saved));
        let gone = stage.ask("remove_from_library", json!({ "uris": uris[..41] })).await;
        assert_eq!(gone["status"], "verified");
        let expected: Vec<_> = (0..100).map(|n| n > 40).collect();
        assert_eq!(saved(&stage, &uris).await, expected);
        let tries = stage.asked("PUT", "/v1/me/library") + stage.asked("GET", "/v1/me/library");
        match (mode, refused) {
            (QuotaMode::Development, _) | (_, false) => assert!(tries >= 9, "{mode}: {tries}"),
            // Learned from the first one, and never asked again.
            _ => assert_eq!(tries, 1, "{mode}"),
        }
    }
}

#[tokio::test]
async fn artists_are_followed_by_whichever_way_there_is() {
    for mode in MODES {
        let stage = Stage::of("ada", mode).await;
        stage.change_app(&json!({"no_artists_in_library": true}));
        let artist = format!("spotify:artist:{:022}", 1);
        let both = json!({"uris": [artist, format!("spotify:track:{:022}", 1)]});
        if mode == QuotaMode::Development {
            assert_eq!(stage.refused("save_to_library", both).await, "NOT_AVAILABLE_IN_MODE");
            continue;
        }
        for _ in 0..2 {
            assert_eq!(stage.ask("save_to_library", both.clone()).await["status"], "verified", "{mode}");
        }
        let followed = stage.ask("list_library", json!({"kind": "artists", "limit": 1})).await;
        assert_eq!(followed["total"], 4);
    }
}

#[tokio::test]
async fn a_refusal_that_says_something_else_teaches_nothing() {
    let stage = Stage::of("ada", QuotaMode::DevelopmentLegacy).await;
    let one = json!({ "uris": many(2) });
    for (fault, code) in [
        (status(403, "User not approved for app"), "NOT_ALLOWLISTED"),
        (status(403, r#"{"error":{"message":"Insufficient client scope"}}"#), "SCOPE_MISSING"),
        (wait(429, r#"{"error":{"message":"m","reason":"QUOTA_EXCEEDED"}}"#, "9000"), "QUOTA_EXCEEDED"),
    ] {
        stage.inject("PUT /v1/me/library", 1, fault);
        assert_eq!(stage.refused("save_to_library", one.clone()).await, code);
    }
    assert_eq!(stage.asked("PUT", "/v1/me/tracks") + stage.asked("PUT", "/v1/me/albums"), 0);
    assert_eq!(stage.ask("save_to_library", one).await["status"], "verified");
}

#[tokio::test]
async fn what_was_not_done_is_told_and_a_lost_confirmation_is_looked_after() {
    let stage = Stage::new().await;
    let uris = many(100);
    stage.inject_after(1, "PUT /v1/me/library", status(429, "{}"));
    let half = stage.ask("save_to_library", json!({ "uris": uris })).await;
    assert_eq!((&half["status"], &half["done"]), (&json!("partial"), &json!(40)));
    assert_eq!(half["resume"], json!({"from_index": 40, "remaining": 60}));
    stage.inject("PUT /v1/me/library", 1, Fault::LoseReply);
    let rest = stage.ask("save_to_library", json!({ "uris": uris[40..] })).await;
    assert_eq!((&rest["status"], &rest["done"]), (&json!("verified"), &json!(60)));
    stage.inject("DELETE /v1/me/library", 1, Fault::Drop);
    let lost = stage.ask("remove_from_library", json!({ "uris": uris[..3] })).await;
    assert_eq!((&lost["status"], &lost["failure"]["code"]), (&json!("ambiguous"), &json!("AMBIGUOUS_WRITE")));
    // Confirmed and not done: what is not seen is not claimed.
    stage.inject("DELETE /v1/me/library", 1, status(200, ""));
    let unseen = stage.ask("remove_from_library", json!({ "uris": uris[..3] })).await;
    assert_eq!(unseen["status"], "accepted");
    stage.inject_after(1, "GET /v1/me/library/contains", status(503, ""));
    let checked = stage.ask("check_library", json!({ "uris": uris })).await;
    assert_eq!((checked["items"].as_array().unwrap().len(), &checked["next_offset"]), (40, &json!(40)));
}

#[tokio::test]
async fn the_library_is_listed_by_offset_and_artists_by_cursor() {
    for mode in MODES {
        let stage = Stage::of("chiara", mode).await;
        for (kind, word) in [("albums", "album"), ("shows", "show"), ("episodes", "episode")] {
            let page = stage.ask("list_library", json!({"kind": kind, "limit": 1})).await;
            let item = &page["items"][0];
            assert_eq!(item["type"], word, "{page}");
            assert!(item["added_at"].is_string() && item["url"].as_str().unwrap().contains(word));
            assert_eq!(page["next_offset"].is_u64(), page["total"].as_u64().unwrap() > 1);
        }
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let page =
                stage.ask("list_library", json!({"kind": "artists", "limit": 2, "after": after})).await;
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["uri"].clone()));
            after = page["next_after"].clone();
            if after.is_null() {
                break;
            }
        }
        assert_eq!(seen.len(), 3, "{mode}");
        seen.dedup();
        assert_eq!(seen.len(), 3);
        for wrong in
            [json!({"kind": "artists", "offset": 1}), json!({"kind": "albums", "after": "a".repeat(22)})]
        {
            assert_eq!(stage.refused("list_library", wrong).await, "INVALID_ARGUMENT");
        }
    }
    let ada = Stage::new().await;
    assert_eq!(ada.ask("list_library", json!({"kind": "audiobooks"})).await["total"], 1);
}

#[tokio::test]
async fn what_is_played_most_and_was_played_last() {
    let stage = Stage::new().await;
    let top = stage.ask("get_top_items", json!({"kind": "tracks", "limit": 3})).await;
    assert_eq!((top["tracks"].as_array().unwrap().len(), &top["next_offset"]), (3, &json!(3)));
    let long =
        stage.ask("get_top_items", json!({"kind": "artists", "time_range": "long", "offset": 19})).await;
    assert_eq!(long["artists"].as_array().unwrap().len(), 1);
    assert!(long.get("next_offset").is_none());
    let (mut times, mut before) = (Vec::new(), Value::Null);
    loop {
        let page = stage.ask("get_recently_played", json!({"limit": 20, "before": before})).await;
        let played = page["tracks"].as_array().unwrap();
        times.extend(played.iter().map(|track| track["played_at"].as_str().unwrap().to_owned()));
        assert!(played.iter().all(|track| track["url"].is_string()));
        before = page["next_before"].clone();
        if before.is_null() || played.is_empty() {
            break;
        }
    }
    assert_eq!(times.len(), 50);
    // From a moment on, page by page up to now and never before it.
    let moment = |at: &str| spotify_mcp::ambient::Timestamp::parse_rfc3339(at).unwrap().millis();
    let (mut later, mut after) = (Vec::new(), json!(moment(&times[9])));
    while !after.is_null() {
        let result = stage.rig.call("get_recently_played", json!({"limit": 4, "after": after})).await;
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(" played after that moment, the newest of them first:"), "{text}");
        let page = &result["structuredContent"];
        assert!(page.get("next_before").is_none(), "it leads out of what was asked: {page}");
        let played = page["tracks"].as_array().unwrap();
        let mut played: Vec<_> =
            played.iter().map(|track| track["played_at"].as_str().unwrap().to_owned()).collect();
        played.extend(later);
        (later, after) = (played, page["next_after"].clone());
    }
    assert_eq!(later, times[..9], "all that came after it, none twice");
    assert!(times.windows(2).all(|pair| pair[0] > pair[1]), "the newest first, none twice");
    let both = json!({"before": 1, "after": 1});
    assert_eq!(stage.refused("get_recently_played", both).await, "INVALID_ARGUMENT");
    stage.grant(&GRANTED.replace("user-top-read", "").replace("user-read-recently-played", ""));
    assert_eq!(stage.refused("get_top_items", json!({"kind": "tracks"})).await, "SCOPE_MISSING");
    assert_eq!(stage.refused("get_recently_played", json!({})).await, "SCOPE_MISSING");
    stage.grant(&GRANTED.replace("user-follow-modify", ""));
    let artist = json!({"uris": [format!("spotify:artist:{:022}", 1)]});
    assert_eq!(stage.refused("save_to_library", artist).await, "SCOPE_MISSING");
}
