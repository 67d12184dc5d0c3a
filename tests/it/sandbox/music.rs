//! The Web API: searching, playlists, what is playing, and the refusals that Spotify is known for.

use super::*;

#[tokio::test]
async fn search_takes_any_text_and_refuses_more_than_ten() {
    let b = browser().await;
    let token = b.grant("ada");
    let found = b.json(&token, "/search?type=track&q=Don%27t%20Stop").await;
    assert_eq!(text(&found, "/tracks/items/0/name"), "Don't Stop");
    assert!(text(&found, "/tracks/items/0/uri").starts_with("spotify:track:adaZ"));
    let odd = b.json(&token, "/search?type=track&limit=10&q=%22quantum%22%20marmalade").await;
    assert_eq!(text(&odd, "/tracks/items/0/name"), "\"quantum\" marmalade");
    let id = text(&odd, "/tracks/items/0/id");
    assert_eq!(text(&b.json(&token, &format!("/tracks/{id}")).await, "/name"), "\"quantum\" marmalade");
    let next = b.get(&token, "").build().unwrap().url().to_string();
    assert!(text(&odd, "/tracks/next").starts_with(&next));
    let reply = b.get(&token, "/search?type=track&q=x&limit=11").send().await.unwrap();
    assert_eq!(reply.status(), 400);
    assert_eq!(text(&reply.json().await.unwrap(), "/error/message"), "Invalid limit");
    b.sandbox.control.change_app(CLIENT_ID, &json!({ "mode": "extended" })).unwrap();
    let full = b.json(&token, "/search?type=track&q=x&limit=50").await;
    assert!(full.pointer("/tracks/items/0/popularity").is_some());
}

#[tokio::test]
async fn a_playlist_is_made_filled_changed_and_kept_from_others() {
    let b = browser().await;
    let (ada, ben) = (b.grant("ada"), b.grant("ben"));
    let url = |path: &str| format!("{}{path}", b.sandbox.api_url);
    let made =
        b.http.post(url("/me/playlists")).bearer_auth(&ada).json(&json!({ "name": "New", "public": false }));
    let made = made.send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let items = format!("/playlists/{}/items", text(&made, "/id"));
    let uri = |n: usize| format!("spotify:track:{n:022}");
    let add = async |uris: Vec<String>, position: Option<usize>| {
        let body = json!({ "uris": uris, "position": position });
        let reply = b.http.post(url(&items)).bearer_auth(&ada).json(&body).send().await.unwrap();
        (reply.status().as_u16(), reply.json::<Value>().await.unwrap())
    };
    assert_eq!(add((0..101).map(uri).collect(), None).await.0, 400);
    let (status, first) = add((0..100).map(uri).collect(), None).await;
    assert_eq!(status, 201);
    let (_, second) = add(vec![uri(7)], Some(0)).await;
    assert_ne!(first["snapshot_id"], second["snapshot_id"]);
    let page = b.json(&ada, &format!("{items}?limit=2")).await;
    assert_eq!(page["total"], 101);
    assert_eq!(text(&page, "/items/0/item/uri"), uri(7));
    let gone = json!({ "items": [{ "uri": uri(7) }] });
    b.http.delete(url(&items)).bearer_auth(&ada).json(&gone).send().await.unwrap();
    assert_eq!(b.json(&ada, &items).await["total"], 99);
    b.http.put(url(&items)).bearer_auth(&ada).json(&json!({ "uris": [] })).send().await.unwrap();
    assert_eq!(b.json(&ada, &items).await["total"], 0);
    assert_eq!(b.status(&ben, &items).await, 404);
    let lists = b.json(&ada, "/me/playlists").await;
    let public = lists["items"].as_array().unwrap().iter().find(|list| list["public"] == true).unwrap();
    let public = format!("/playlists/{}", text(public, "/id"));
    assert!(b.json(&ben, &public).await.get("items").is_none());
    assert_eq!(b.status(&ben, &format!("{public}/items")).await, 403);
    assert_eq!(b.status(&ada, &format!("{public}/tracks")).await, 403);
}

#[tokio::test]
async fn the_families_of_403_429_and_411() {
    let b = browser().await;
    let control = &b.sandbox.control;
    let token = b.grant("ada");
    control.change_user("ada", &json!({ "allow_listed": false })).unwrap();
    let reply = b.get(&token, "/me").send().await.unwrap();
    assert_eq!(reply.status(), 403);
    assert!(reply.text().await.unwrap().contains("not registered"));
    control.change_app(CLIENT_ID, &json!({ "plain_text_refusals": true })).unwrap();
    let plain = b.get(&token, "/me").send().await.unwrap().text().await.unwrap();
    assert_eq!(plain, "User not approved for app");
    control.change_user("ada", &json!({ "allow_listed": true })).unwrap();
    control.change_app(CLIENT_ID, &json!({ "owner_premium": false })).unwrap();
    assert_eq!(b.status(&token, "/me").await, 403);
    control.change_app(CLIENT_ID, &json!({ "owner_premium": true, "rate_limit": 2 })).unwrap();
    assert_eq!(b.status(&token, "/me").await, 200);
    assert_eq!(b.status(&token, "/me").await, 200);
    let limited = b.get(&token, "/me").send().await.unwrap();
    assert_eq!(limited.status(), 429);
    let wait: u64 = limited.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=31).contains(&wait));
    control.advance(Duration::from_secs(wait + 30));
    control.change_app(CLIENT_ID, &json!({ "rate_limit": null, "daily_quota": 1 })).unwrap();
    assert_eq!(b.status(&token, "/search?type=track&q=a").await, 200);
    let spent = b.get(&token, "/search?type=track&q=a").send().await.unwrap();
    assert_eq!(text(&spent.json().await.unwrap(), "/error/reason"), "QUOTA_EXCEEDED");
    assert_eq!(b.status(&token, "/me").await, 200);
    let bare = b.http.post(format!("{}/me/playlists", b.sandbox.api_url)).bearer_auth(&token);
    assert_eq!(bare.send().await.unwrap().status(), 411);
}

#[tokio::test]
async fn nothing_an_episode_or_an_advertisement_may_be_playing() {
    let b = browser().await;
    let token = b.grant("ada");
    let path = "/me/player/currently-playing";
    for (playing, kind) in [("episode", "episode"), ("ad", "ad"), ("track", "track")] {
        b.sandbox.control.change_user("ada", &json!({ "playing": playing })).unwrap();
        let answer = b.json(&token, path).await;
        assert_eq!(text(&answer, "/currently_playing_type"), kind);
        assert_eq!(answer["item"].is_null(), kind == "ad");
    }
    b.sandbox.control.change_user("ada", &json!({ "playing": "nothing" })).unwrap();
    assert_eq!(b.status(&token, path).await, 204);
    assert_eq!(b.status(&token, "/me/player").await, 204);
}

#[tokio::test]
async fn a_song_that_ends_gives_way_to_what_was_queued_and_then_to_the_list() {
    let b = browser().await;
    let token = b.grant("ada");
    let song = |n: usize| format!("spotify:track:{n:022}");
    let send = |request: RequestBuilder| async { request.bearer_auth(&token).send().await.unwrap().status() };
    let url = |path: &str| format!("{}/me/player/{path}", b.sandbox.api_url);
    let started = b.http.put(url("play")).json(&json!({ "uris": [song(1), song(2)] }));
    assert_eq!(send(started).await, 204);
    let queued = b.http.post(url(&format!("queue?uri={}", song(9)))).header("content-length", "0");
    assert_eq!(send(queued).await, 204);
    b.sandbox.control.advance(Duration::from_secs(1));
    let mut heard = Vec::new();
    for _ in 0..4 {
        let player = b.json(&token, "/me/player").await;
        heard.push((text(&player, "/item/uri").to_owned(), player["is_playing"] == true));
        let left = player["item"]["duration_ms"].as_u64().unwrap() - player["progress_ms"].as_u64().unwrap();
        // Less than a second into the next one.
        b.sandbox.control.advance(Duration::from_millis(left + 500));
    }
    assert_eq!(heard, [(song(1), true), (song(9), true), (song(2), true), (song(1), false)]);
}

#[tokio::test]
async fn descriptions_come_in_entities_and_names_do_not() {
    let b = browser().await;
    let token = b.grant("ada");
    let (name, said) = ("R&B <\"it's\">", "R&B <\"it's\"> 1/2 &amp;");
    let made = b.http.post(format!("{}/me/playlists", b.sandbox.api_url)).bearer_auth(&token);
    let made = made.json(&json!({ "name": name, "description": said })).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    assert_eq!(
        (&made["name"], text(&made, "/description")),
        (&json!(name), "R&amp;B &lt;&quot;it&#x27;s&quot;&gt; 1&#x2F;2 &amp;amp;")
    );
    let kept = b.sandbox.control.playlist(text(&made, "/id")).unwrap();
    assert_eq!(kept.description, said);
}
