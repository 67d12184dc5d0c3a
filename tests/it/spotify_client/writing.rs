//! Writes: each once, whatever becomes of its answer.

use super::*;

#[tokio::test]
async fn a_playlist_is_made_and_filled_with_bodies_of_known_length() {
    let fake = Fake::start(|at, _| match at {
        0 => Answer::json(201, &format!(r#"{{"id":"{ID}","name":"N","snapshot_id":"s"}}"#)),
        1 => Answer::json(201, r#"{"snapshot_id":"AAAA/x="}"#),
        _ => Answer::new(200, "content-type: text/plain\r\n", "xhJ9-junk"),
    })
    .await;
    let api = api(&fake);
    let new = NewPlaylist { name: "N \"q\" é".to_owned(), ..NewPlaylist::default() };
    assert_eq!(api.create_playlist(&token(), &new).await.unwrap().id.as_deref(), Some(ID));
    assert_eq!(add_one(&api).await.unwrap().as_deref(), Some("AAAA/x="));
    assert_eq!(add_one(&api).await.unwrap(), None, "a confirmation without snapshot is a confirmation");
    let seen = fake.seen();
    for request in &seen {
        assert_eq!(request.header("content-length"), Some(&*request.body.len().to_string()));
        assert_eq!(request.header("transfer-encoding"), None);
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    let made: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(made, serde_json::json!({"name": "N \"q\" é", "public": false, "collaborative": false}));
    assert_eq!(seen[1].target, format!("/v1/playlists/{ID}/items"));
    let added: serde_json::Value = serde_json::from_str(&seen[1].body).unwrap();
    assert_eq!(added, serde_json::json!({"uris": [format!("spotify:track:{ID}")], "position": 0}));
}

#[tokio::test]
async fn a_write_whose_confirmation_is_lost_is_ambiguous_and_sent_once() {
    let lost: [fn() -> Answer; 5] = [
        || Answer::Cut(Vec::new()),
        || Answer::Cut(b"HTTP/1.1 201 Created\r\ncontent-length: 50\r\n\r\n{".to_vec()),
        || Answer::Silence,
        || Answer::json(500, r#"{"error":{"message":"Server error."}}"#),
        || Answer::new(502, "retry-after: 0\r\n", "<html>"),
    ];
    for answer in lost {
        let fake = Fake::always(answer).await;
        let api = api_in(&fake, QuotaMode::Development, Duration::from_millis(300));
        let error = add_one(&api).await.unwrap_err();
        assert_eq!(error.code(), "AMBIGUOUS_WRITE", "{error:?}");
        assert_eq!(fake.seen().len(), 1);
    }
    let unusable: [fn() -> Answer; 3] = [
        || Answer::json(201, "<html>"),
        || Answer::json(201, r#"{"name":"N"}"#),
        || Answer::json(201, r#"{"id":"../../me","name":"N"}"#),
    ];
    for answer in unusable {
        let fake = Fake::always(answer).await;
        let new = NewPlaylist { name: "N".to_owned(), ..NewPlaylist::default() };
        let error = api(&fake).create_playlist(&token(), &new).await.unwrap_err();
        assert_eq!(error.code(), "AMBIGUOUS_WRITE");
        assert_eq!(fake.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_write_that_was_certainly_not_made_is_not_ambiguous() {
    let fake = Fake::start(|at, _| match at {
        0 => Answer::new(429, "retry-after: 0\r\n", ""),
        _ => Answer::json(201, r#"{"snapshot_id":"s"}"#),
    })
    .await;
    assert_eq!(add_one(&api(&fake)).await.unwrap().as_deref(), Some("s"));
    assert_eq!(fake.seen()[0].body, fake.seen()[1].body);

    let gone = Fake::always(|| Answer::Silence).await;
    let api = {
        let base = BaseUrl::parse("http://127.0.0.1:1").unwrap();
        let policy = GatePolicy::new().with_loopback().allow("http://127.0.0.1:1").unwrap();
        let gate = Gate::new(policy, Clock::system());
        Api::new(gate, Clock::system(), base, QuotaMode::Development, Duration::from_secs(1))
    };
    let error = add_one(&api).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error:?}");
    assert!(gone.seen().is_empty());
}

#[tokio::test]
async fn impossible_playlists_are_refused_before_sending() {
    let fake = Fake::always(|| Answer::json(201, "{}")).await;
    let api = api(&fake);
    let named = |name: &str| NewPlaylist { name: name.to_owned(), ..NewPlaylist::default() };
    for new in [
        named(" "),
        named(&"x".repeat(101)),
        NewPlaylist { description: "y".repeat(301), ..named("n") },
        NewPlaylist { description: "a\nb".to_owned(), ..named("n") },
        NewPlaylist { public: true, collaborative: true, ..named("n") },
    ] {
        assert_eq!(api.create_playlist(&token(), &new).await.unwrap_err().code(), "INVALID_ARGUMENT");
    }
    let item: ItemUri = ID.parse().unwrap();
    for count in [0, 101] {
        let items = vec![item.clone(); count];
        assert!(api.add_items(&token(), &ID.parse().unwrap(), &items, None).await.is_err());
    }
    assert!(fake.seen().is_empty());
}
