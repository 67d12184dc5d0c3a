//! Reads: what is asked for, and how pages go on.

use super::*;

#[tokio::test]
async fn a_search_carries_any_text_and_pages_by_place() {
    let body = r#"{"tracks":{"items":[{"id":"a","name":"Don't Stop"},null],"total":40,"limit":10,
        "next":"https://evil.example/v1/search?offset=999"}}"#;
    let fake = Fake::always(|| Answer::json(200, body)).await;
    let market = "de".parse().unwrap();
    let query = r#"Don't "Stop"; \ 100% & é"#;
    let page = api(&fake).search_tracks(&token(), query, 10, 20, Some(&market)).await.unwrap();
    assert_eq!(page.items[0].name.as_ref().unwrap().clean(300), "Don't Stop");
    assert_eq!((page.items.len(), page.total, page.next_offset), (1, Some(40), Some(30)));
    let seen = fake.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].target,
        "/v1/search?q=Don%27t%20%22Stop%22%3B%20%5C%20100%25%20%26%20%C3%A9&type=track&limit=10&offset=20&market=DE"
    );
    assert_eq!(seen[0].header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(seen[0].header("accept-encoding"), None);
    assert_eq!(seen[0].header("content-length"), None);
}

#[tokio::test]
async fn pages_that_spotify_would_refuse_are_not_asked_for() {
    let fake = Fake::always(|| Answer::json(200, "{}")).await;
    let development = api(&fake);
    let extended = api_in(&fake, QuotaMode::Extended, Duration::from_secs(3));
    for (limit, offset) in [(0, 0), (11, 0), (10, 1001)] {
        let refused = development.search_tracks(&token(), "x", limit, offset, None).await.unwrap_err();
        assert_eq!(refused.code(), "INVALID_ARGUMENT");
    }
    assert!(development.search_tracks(&token(), "  ", 5, 0, None).await.is_err());
    assert!(development.my_playlists(&token(), 51, 0).await.is_err());
    assert!(fake.seen().is_empty());
    assert!(extended.search_tracks(&token(), "x", 50, 0, None).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn nothing_playing_an_advertisement_and_an_episode_are_told_apart() {
    let fake = Fake::start(|at, _| match at {
        0 => Answer::Whole(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        1 => Answer::json(200, r#"{"currently_playing_type":"ad","is_playing":true,"item":null}"#),
        _ => Answer::json(200, r#"{"item":{"type":"episode","show":{"name":"S"}},"progress_ms":1}"#),
    })
    .await;
    let api = api(&fake);
    assert_eq!(api.currently_playing(&token()).await.unwrap(), None);
    let ad = api.currently_playing(&token()).await.unwrap().unwrap();
    assert_eq!((ad.currently_playing_type.as_deref(), ad.item), (Some("ad"), None));
    let episode = api.playback_state(&token()).await.unwrap().unwrap().item.unwrap();
    assert_eq!(episode.show.unwrap().name.unwrap().clean(9), "S");
}

#[tokio::test]
async fn every_reading_method_asks_its_own_address() {
    let fake = Fake::always(|| Answer::json(200, "{}")).await;
    let (api, token, list) = (api(&fake), token(), ID.parse().unwrap());
    api.me(&token).await.unwrap();
    api.my_playlists(&token, 50, 0).await.unwrap();
    api.playlist_items(&token, &list, 50, 100, None).await.unwrap();
    api.saved_tracks(&token, 1, 2).await.unwrap();
    api.track(&token, &ID.parse().unwrap()).await.unwrap();
    api.devices(&token).await.unwrap();
    assert_eq!(api.playlist(&token, &list).await.unwrap().total(), None);
    let paths: Vec<_> = fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    let expected = [
        "GET /v1/me".to_owned(),
        "GET /v1/me/playlists?limit=50&offset=0".to_owned(),
        format!("GET /v1/playlists/{ID}/items?limit=50&offset=100&additional_types=track%2Cepisode"),
        "GET /v1/me/tracks?limit=1&offset=2".to_owned(),
        format!("GET /v1/tracks/{ID}"),
        "GET /v1/me/player/devices".to_owned(),
    ];
    assert_eq!(paths[..6], expected);
    assert!(paths[6].starts_with(&format!("GET /v1/playlists/{ID}?fields=id%2Curi")));
}

#[tokio::test]
async fn one_person_takes_no_more_than_a_part_of_the_places() {
    let (open, told) = tokio::sync::watch::channel(false);
    let fake = Fake::start(move |_, seen| {
        let answer = Answer::json(200, "{}");
        if seen.target.contains("adas") { answer.held(&told) } else { answer }
    })
    .await;
    let api = api_in(&fake, QuotaMode::Development, Duration::from_secs(30));
    let of = |person: &str, account: usize| {
        let account = format!("{person} {account}").into();
        token().held_by(Holder { account, app: "app".into(), person: person.into() })
    };
    let adas: Vec<_> = (0..600)
        .map(|number| {
            let (api, token) = (api.clone(), of("ada", number % 10));
            tokio::spawn(async move { api.search_tracks(&token, "adas", 10, 0, None).await })
        })
        .collect();
    while fake.seen().len() < 64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ben = of("ben", 0);
    let bens = api.search_tracks(&ben, "bens", 10, 0, None);
    tokio::time::timeout(Duration::from_secs(10), bens).await.unwrap().unwrap();
    assert_eq!(fake.seen().len(), 65, "ada's others wait, and nobody else does");
    open.send(true).unwrap();
    for one in adas {
        one.await.unwrap().unwrap();
    }
    assert_eq!(fake.seen().len(), 601, "and all have their turn");
}
