//! Changes of playlists: what is sent, and the ways that an older app still has.

use serde_json::{Value, json};
use spotify_mcp::spotify::playlist_edits::{COVER, DetailsChange, Move};

use super::*;

fn list() -> PlaylistId {
    ID.parse().unwrap()
}

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn every_change_is_one_request_with_a_body_of_known_length() {
    let fake = Fake::always(|| Answer::json(200, r#"{"snapshot_id":"AAAA"}"#)).await;
    let (api, token, list) = (api(&fake), token(), list());
    let uris = vec![format!("spotify:track:{ID}"), "spotify:local:a:b:c:1".to_owned()];
    assert_eq!(api.remove_items(&token, &list, &uris).await.unwrap().snapshot_id.as_deref(), Some("AAAA"));
    api.replace_items(&token, &list, &[]).await.unwrap();
    api.insert_items(&token, &list, (3, &uris[..1])).await.unwrap();
    let range = Move { start: 1, length: 2, before: 5 };
    api.move_items(&token, &list, (range, Some("BBBB"))).await.unwrap();
    let change =
        DetailsChange { name: Some("N".to_owned()), public: Some(false), ..DetailsChange::default() };
    api.change_playlist(&token, &list, &change).await.unwrap();
    api.set_cover(&token, &list, "/9j/").await.unwrap();
    let seen = fake.seen();
    let sent: Vec<_> =
        seen.iter().map(|request| (request.method.as_str(), request.target.as_str())).collect();
    let items = format!("/v1/playlists/{ID}/items");
    let (whole, images) = (format!("/v1/playlists/{ID}"), format!("/v1/playlists/{ID}/images"));
    assert_eq!(
        sent,
        [
            ("DELETE", &*items),
            ("PUT", &*items),
            ("POST", &*items),
            ("PUT", &*items),
            ("PUT", &*whole),
            ("PUT", &*images)
        ]
    );
    assert_eq!(body(&seen[0].body), json!({"items": [{"uri": uris[0]}, {"uri": uris[1]}]}));
    assert_eq!(body(&seen[1].body), json!({"uris": []}));
    assert_eq!(body(&seen[2].body), json!({"uris": [uris[0]], "position": 3}));
    let moved = json!({"range_start": 1, "range_length": 2, "insert_before": 5, "snapshot_id": "BBBB"});
    assert_eq!(body(&seen[3].body), moved);
    assert_eq!(body(&seen[4].body), json!({"name": "N", "public": false}));
    assert_eq!((seen[5].body.as_str(), seen[5].header("content-type")), ("/9j/", Some("image/jpeg")));
    for request in &seen {
        assert_eq!(request.header("content-length"), Some(&*request.body.len().to_string()));
    }
}

#[tokio::test]
async fn what_spotify_would_refuse_is_not_sent() {
    let fake = Fake::always(|| panic!("it was sent")).await;
    let (api, token, list) = (api(&fake), token(), list());
    let many = vec![format!("spotify:track:{ID}"); 101];
    let described =
        |text: &str| DetailsChange { description: Some(text.to_owned()), ..DetailsChange::default() };
    let both = DetailsChange { public: Some(true), collaborative: Some(true), ..DetailsChange::default() };
    let refused = [
        api.remove_items(&token, &list, &many).await.err(),
        api.remove_items(&token, &list, &[]).await.err(),
        api.replace_items(&token, &list, &many).await.err(),
        api.insert_items(&token, &list, (0, &many)).await.err(),
        api.change_playlist(&token, &list, &DetailsChange::default()).await.err(),
        api.change_playlist(&token, &list, &described(" ")).await.err(),
        api.change_playlist(&token, &list, &described("two\nlines")).await.err(),
        api.change_playlist(&token, &list, &both).await.err(),
        api.set_cover(&token, &list, &"A".repeat(COVER + 1)).await.err(),
    ];
    for error in refused {
        assert_eq!(error.map(|error| error.code()), Some("INVALID_ARGUMENT"));
    }
}

#[tokio::test]
async fn the_older_way_to_follow_is_taken_only_where_there_is_one_and_only_for_that() {
    let closed = r#"{"error":{"status":400,"message":"Invalid request"}}"#;
    for mode in [QuotaMode::DevelopmentLegacy, QuotaMode::Extended] {
        let fake = Fake::start(move |_, seen| match seen.target.starts_with("/v1/me/library") {
            true => Answer::json(400, closed),
            false if seen.method == "GET" => Answer::json(200, "[true]"),
            false => Answer::new(200, "", ""),
        })
        .await;
        let api = api_in(&fake, mode, Duration::from_secs(3));
        api.follow_playlist(&token(), &list()).await.unwrap();
        assert!(api.follows_playlist(&token(), &list()).await.unwrap());
        api.unfollow_playlist(&token(), &list()).await.unwrap();
        let old = format!("/v1/playlists/{ID}/followers");
        let older: Vec<_> =
            fake.seen().iter().filter(|seen| seen.target.starts_with(&old)).cloned().collect();
        let methods: Vec<_> = older.iter().map(|seen| seen.method.as_str()).collect();
        assert_eq!(methods, ["PUT", "GET", "DELETE"]);
        assert_eq!(body(&older[0].body), json!({"public": false}), "it is not put on the profile");
    }
    // In development mode there is none; a missing permission or a lost confirmation is not a closed way.
    let scope = r#"{"error":{"status":403,"message":"Insufficient client scope"}}"#;
    for (mode, answer, code) in [
        (QuotaMode::Development, (400, closed), "INVALID_ARGUMENT"),
        (QuotaMode::Extended, (403, scope), "SCOPE_MISSING"),
        (QuotaMode::Extended, (502, "<html>"), "AMBIGUOUS_WRITE"),
    ] {
        let fake = Fake::always(move || Answer::json(answer.0, answer.1)).await;
        let api = api_in(&fake, mode, Duration::from_secs(3));
        assert_eq!(api.follow_playlist(&token(), &list()).await.unwrap_err().code(), code);
        assert_eq!(fake.seen().len(), 1);
    }
}
