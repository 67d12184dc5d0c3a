//! What Spotify refuses, and what its refusals are called here.

use super::*;

/// spotify.md 1.7 through the front door; the rows' texts are judged one by one in the unit tests.
#[tokio::test]
async fn each_row_has_its_code_and_says_nothing_secret() {
    let table: &[(u16, &str, &str)] = &[
        (401, r#"{"error":{"message":"Missing/invalid/expired access token"}}"#, "RECONNECT_REQUIRED"),
        (
            403,
            r#"{"error":{"message":"The user is not registered for this application."}}"#,
            "NOT_ALLOWLISTED",
        ),
        (403, "User not approved for app", "NOT_ALLOWLISTED"),
        (403, r#"{"error":{"message":"Insufficient client scope"}}"#, "SCOPE_MISSING"),
        (403, r#"{"error":{"message":"p","reason":"PREMIUM_REQUIRED"}}"#, "PREMIUM_REQUIRED"),
        (403, r#"{"error":{"message":"Player command failed: Restriction violated"}}"#, "RESTRICTED"),
        // Of an endpoint that is nobody's; of a playlist it means that it is somebody else's.
        (403, r#"{"error":{"status":403,"message":"Forbidden"}}"#, "NOT_AVAILABLE_IN_MODE"),
        (404, r#"{"error":{"message":"n","reason":"NO_ACTIVE_DEVICE"}}"#, "NO_ACTIVE_DEVICE"),
        (404, "", "NOT_FOUND"),
        (410, "", "NOT_AVAILABLE_IN_MODE"),
        (400, r#"{"error":{"message":"Invalid limit"}}"#, "INVALID_ARGUMENT"),
        (429, "", "RATE_LIMITED"),
        (429, r#"{"error":{"message":"m","reason":"QUOTA_EXCEEDED"}}"#, "QUOTA_EXCEEDED"),
        (411, "", "UPSTREAM_ERROR"),
        (500, r#"{"error":{"status":500,"message":"Server error."}}"#, "UPSTREAM_ERROR"),
        (503, "<html>", "UPSTREAM_ERROR"),
        (200, "<html>", "UPSTREAM_ERROR"),
        (200, r#"{"id":"#, "UPSTREAM_ERROR"),
        (200, "\u{1}\u{2}", "UPSTREAM_ERROR"),
    ];
    for (status, body, code) in table {
        let fake = Fake::always(|| Answer::json(*status, body)).await;
        let error = api(&fake).me(&token()).await.unwrap_err();
        assert_eq!(error.code(), *code, "{status} {body}");
        assert_eq!(fake.seen().len(), 1, "{status} {body} was asked again");
        assert!(!error.instruction().is_empty());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(TOKEN) && !shown.contains(&fake.origin), "{shown}");
    }
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_out_once_and_a_long_one_is_told() {
    let passing = Fake::start(|at, _| match at {
        0 => Answer::new(429, "retry-after: 1\r\n", ""),
        _ => Answer::json(200, r#"{"id":"me"}"#),
    })
    .await;
    let begun = Instant::now();
    assert_eq!(api(&passing).me(&token()).await.unwrap().id.as_deref(), Some("me"));
    assert!(begun.elapsed() >= Duration::from_secs(1));

    // What comes back, how often it was asked.
    let table = [("0", 2, Some(0)), ("6", 1, Some(6)), ("86207", 1, Some(86_207)), ("soon", 1, None)];
    for (wait, asked, told) in table {
        let header = format!("retry-after: {wait}\r\n");
        let fake = Fake::start(move |_, _| Answer::new(429, &header, "")).await;
        let error = api(&fake).me(&token()).await.unwrap_err();
        assert_eq!((error.code(), error.retry_after_seconds()), ("RATE_LIMITED", told), "{wait}");
        assert_eq!(fake.seen().len(), asked, "{wait}");
    }
    // A wait that does not fit into the call's time is told, not slept.
    let fake = Fake::always(|| Answer::new(429, "retry-after: 5\r\n", "")).await;
    let begun = Instant::now();
    assert_eq!(api(&fake).me(&token()).await.unwrap_err().retry_after_seconds(), Some(5));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_used_up_quota_is_never_asked_again() {
    let fake =
        Fake::always(|| Answer::new(429, "retry-after: 1\r\n", r#"{"error":{"reason":"QUOTA_EXCEEDED"}}"#))
            .await;
    let error = api(&fake).me(&token()).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after_seconds()), ("QUOTA_EXCEEDED", Some(1)));
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn the_token_does_not_follow_a_redirect() {
    let trap = Fake::always(|| Answer::json(200, r#"{"id":"thief"}"#)).await;
    let location = format!("location: {}/v1/me\r\n", trap.origin);
    let fake = Fake::start(move |_, _| Answer::new(307, &location, "")).await;
    let policy = GatePolicy::new().with_loopback().allow(&fake.origin).unwrap().allow(&trap.origin).unwrap();
    let base = BaseUrl::parse(&fake.origin).unwrap();
    let gate = Gate::new(policy, Clock::system());
    let api = Api::new(gate, Clock::system(), base, QuotaMode::Extended, Duration::from_secs(3));
    assert_eq!(api.me(&token()).await.unwrap_err(), ApiError::Upstream { status: 307, retry_after: None });
    assert!(trap.seen().is_empty());
}

#[tokio::test]
async fn slow_large_and_broken_answers_have_their_own_errors() {
    let short = |fake: &Fake| api_in(fake, QuotaMode::Development, Duration::from_millis(300));
    let silent = Fake::always(|| Answer::Silence).await;
    assert_eq!(short(&silent).me(&token()).await.unwrap_err().code(), "UPSTREAM_TIMEOUT");
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n";
    let drip = Fake::start(|_, _| Answer::Drip(head.to_vec(), Duration::from_millis(30))).await;
    assert_eq!(short(&drip).me(&token()).await.unwrap_err(), ApiError::Timeout);
    let flood = Fake::always(|| Answer::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await;
    assert_eq!(api(&flood).me(&token()).await.unwrap_err(), ApiError::TooLarge);
    let cut = Fake::start(|_, _| Answer::Cut(head.to_vec())).await;
    assert_eq!(api(&cut).me(&token()).await.unwrap_err(), ApiError::Broken);
    assert_eq!(cut.seen().len(), 2, "a read is tried once more");
    let deep = format!(r#"{{"id":"x","new":{}}}"#, "[".repeat(100_000));
    let deep = Fake::start(move |_, _| Answer::json(200, &deep)).await;
    assert_eq!(api(&deep).me(&token()).await.unwrap_err(), ApiError::Malformed);
}

#[tokio::test]
async fn a_read_survives_one_broken_connection() {
    let fake = Fake::start(|at, _| match at {
        0 => Answer::Cut(Vec::new()),
        _ => Answer::json(200, r#"{"id":"me"}"#),
    })
    .await;
    assert_eq!(api(&fake).me(&token()).await.unwrap().id.as_deref(), Some("me"));
}

#[tokio::test]
async fn a_bare_forbidden_of_a_playlist_is_not_the_modes() {
    let fake = Fake::always(|| Answer::json(403, r#"{"error":{"status":403,"message":"Forbidden"}}"#)).await;
    let list: PlaylistId = ID.parse().unwrap();
    let error = api(&fake).playlist_items(&token(), &list, 1, 0, None).await.unwrap_err();
    assert_eq!(error, ApiError::Forbidden);
    assert_eq!(add_one(&api(&fake)).await, Err(ApiError::Forbidden));
}
