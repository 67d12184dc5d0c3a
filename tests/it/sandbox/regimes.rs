//! What the three regimes serve and refuse, and the limits of the player and the library, over real HTTP.

use super::*;

async fn put(b: &Browser, token: &str, path: &str, body: Option<Value>) -> Response {
    let request = b.http.put(format!("{}{path}", b.sandbox.api_url)).bearer_auth(token);
    let request = match body {
        Some(body) => request.json(&body),
        None => request.header("content-length", "0"),
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn each_regime_serves_its_own_endpoints() {
    let b = browser().await;
    let token = b.grant("ada");
    let found = b.json(&token, "/search?type=track,album,artist&q=Fern&limit=1").await;
    let id = |kind: &str| text(&found, &format!("/{kind}/items/0/id")).to_owned();
    let (track, album, artist) = (id("tracks"), id("albums"), id("artists"));
    for (mode, several, change, albums) in
        [("development", 403, 403, 400), ("development_legacy", 200, 200, 200), ("extended", 200, 200, 200)]
    {
        b.sandbox.control.change_app(CLIENT_ID, &json!({ "mode": mode })).unwrap();
        for (kind, id) in [("tracks", &track), ("albums", &album), ("artists", &artist)] {
            assert_eq!(b.status(&token, &format!("/{kind}/{id}")).await, 200, "{mode} {kind}");
            assert_eq!(b.status(&token, &format!("/{kind}?ids={id}")).await, several, "{mode} {kind}");
        }
        assert_eq!(put(&b, &token, &format!("/me/albums?ids={album}"), None).await.status(), change);
        assert_eq!(
            put(&b, &token, &format!("/me/following?type=artist&ids={artist}"), None)
                .await
                .status()
                .is_success(),
            change == 200
        );
        assert_eq!(b.status(&token, &format!("/me/tracks/contains?ids={track}")).await, change);
        assert_eq!(b.status(&token, &format!("/artists/{artist}/albums?limit=11")).await, albums, "{mode}");
        assert_eq!(b.status(&token, "/me/chapters").await, 410);
        let whole = b.json(&token, &format!("/albums/{album}")).await;
        assert_eq!(whole.get("label").is_some(), mode != "development");
        assert_eq!(whole["tracks"]["total"], 6);
    }
}

#[tokio::test]
async fn the_library_takes_forty_of_known_types_and_wants_the_scope_of_each() {
    let b = browser().await;
    let token = b.grant("ada");
    let list = |count: usize| {
        let uris: Vec<_> = (0..count).map(|n| format!("spotify:track:{n:022}")).collect();
        format!("/me/library?uris={}", uris.join(","))
    };
    assert_eq!(put(&b, &token, &list(40), None).await.status(), 200);
    for wrong in [&list(41), "/me/library", "/me/library?uris=spotify:chapter:x", "/me/library?uris=x"] {
        assert_eq!(put(&b, &token, wrong, None).await.status(), 400, "{wrong}");
    }
    let two = format!("/me/library/contains?uris=spotify:track:{:022},spotify:track:{:022}", 999, 7);
    assert_eq!(b.json(&token, &two).await, json!([false, true]));
    let narrow = b.sandbox.control.grant(CLIENT_ID, "ada", "user-library-modify").unwrap().access_token;
    assert_eq!(put(&b, &narrow, &list(1), None).await.status(), 200);
    let artist = format!("/me/library?uris=spotify:artist:{:022}", 1);
    assert_eq!(put(&b, &narrow, &artist, None).await.status(), 403);
    assert_eq!(b.status(&narrow, &two).await, 403);
    b.sandbox.control.change_app(CLIENT_ID, &json!({"mode": "extended", "no_library": true})).unwrap();
    assert_eq!(put(&b, &token, &list(1), None).await.status(), 400);
}

#[tokio::test]
async fn each_type_in_the_library_needs_its_own_scope_and_no_other() {
    let b = browser().await;
    let (ada, mine) = (b.grant("ada"), b.json(&b.grant("ada"), "/me/playlists").await);
    let list = |public: bool| {
        let lists = mine["items"].as_array().unwrap();
        let found = lists.iter().find(|list| list["public"] == public).unwrap();
        text(found, "/uri").to_owned()
    };
    let made_up = |kind: &str| format!("spotify:{kind}:{:022}", 3);
    let saved = ("user-library-read", "user-library-modify");
    let followed = ("user-follow-read", "user-follow-modify");
    let listed = ("playlist-read-private", "playlist-modify-public");
    let kinds = ["track", "album", "show", "episode", "audiobook"].map(|kind| (made_up(kind), saved));
    let others = [(made_up("artist"), followed), ("spotify:user:ben".to_owned(), followed)];
    for (uri, (look, change)) in
        kinds.into_iter().chain(others).chain([(list(true), listed), (list(false), listed)])
    {
        for (scope, is_enough) in [(look, true), (change, false)] {
            let token = b.sandbox.control.grant(CLIENT_ID, "ada", scope).unwrap().access_token;
            let status = b.status(&token, &format!("/me/library/contains?uris={uri}")).await;
            assert_eq!(status.as_u16(), if is_enough { 200 } else { 403 }, "{uri} with {scope}");
        }
        for (scope, is_enough) in [(look, false), (change, true)] {
            let token = b.sandbox.control.grant(CLIENT_ID, "ada", scope).unwrap().access_token;
            let status = put(&b, &token, &format!("/me/library?uris={uri}"), None).await.status();
            assert_eq!(status.as_u16(), if is_enough { 200 } else { 403 }, "{uri} with {scope}");
        }
        let held = b.json(&ada, &format!("/me/library/contains?uris={uri}")).await;
        assert_eq!(held, json!([true]), "{uri}");
    }
    // One that is not there, or that only its owner sees, refuses the whole call.
    let (track, ben) = (format!("spotify:track:{:022}", 8), b.grant("ben"));
    for playlist in [list(false), made_up("playlist")] {
        let both = format!("/me/library?uris={track},{playlist}");
        assert_eq!(put(&b, &ben, &both, None).await.status(), 404);
    }
    let held = b.json(&ben, &format!("/me/library/contains?uris={track}")).await;
    assert_eq!(held, json!([false]));
}

#[tokio::test]
async fn missing_scopes_shorten_what_they_do_not_refuse() {
    let b = browser().await;
    let (all, none) = (b.grant("ada"), b.sandbox.control.grant(CLIENT_ID, "ada", "").unwrap().access_token);
    let (whole, shorter) = (b.json(&all, "/me/playlists").await, b.json(&none, "/me/playlists").await);
    assert!(shorter["total"].as_u64() < whole["total"].as_u64(), "{shorter}");
    assert!(shorter["items"].as_array().unwrap().iter().all(|list| list["public"] == true));
    let book = b.json(&none, "/search?type=audiobook&q=Fog&limit=1").await;
    let book = text(&book, "/audiobooks/items/0/id").to_owned();
    let chapters = b.json(&none, &format!("/audiobooks/{book}/chapters?limit=1")).await;
    let chapter = b.json(&none, &format!("/chapters/{}", text(&chapters, "/items/0/id"))).await;
    assert_eq!((text(&chapter, "/type"), chapter.get("resume_point")), ("episode", None));
}

#[tokio::test]
async fn commands_want_a_length_and_large_ones_fail() {
    let b = browser().await;
    let token = b.grant("ada");
    let bare = b.http.put(format!("{}/me/player/pause", b.sandbox.api_url)).bearer_auth(&token);
    assert_eq!(bare.send().await.unwrap().status(), 411);
    assert_eq!(put(&b, &token, "/me/player/pause", None).await.status(), 204);
    let refused = put(&b, &token, "/me/player/pause", None).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(text(&refused.json().await.unwrap(), "/error/reason"), "UNKNOWN");
    let uris: Vec<_> = (0..240).map(|n| format!("spotify:track:{n:022}")).collect();
    let large = put(&b, &token, "/me/player/play", Some(json!({ "uris": uris }))).await;
    assert_eq!(large.status(), 500);
    for wrong in
        ["volume?volume_percent=101", "shuffle?state=maybe", "repeat?state=all", "seek?position_ms=x"]
    {
        assert_eq!(put(&b, &token, &format!("/me/player/{wrong}"), None).await.status(), 400, "{wrong}");
    }
    assert_eq!(put(&b, &token, "/me/player/dance", None).await.status(), 404);
    let two = json!({"device_ids": ["a", "b"]});
    assert_eq!(put(&b, &token, "/me/player", Some(two)).await.status(), 400);
    assert_eq!(put(&b, &token, "/me/player", Some(json!({"device_ids": ["a"]}))).await.status(), 404);
}
