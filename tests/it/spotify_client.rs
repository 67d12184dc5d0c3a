//! The Spotify client against an upstream that answers in every way spotify.md 1.7 and 6 know.

use std::time::{Duration, Instant};

use spotify_mcp::ambient::Clock;
use spotify_mcp::crypto::SecretString;
use spotify_mcp::domain::pkce::CodeVerifier;
use spotify_mcp::egress::{Gate, GatePolicy};
use spotify_mcp::spotify::playlists::NewPlaylist;
use spotify_mcp::spotify::uri::{ItemUri, PlaylistId};
use spotify_mcp::spotify::{
    AccessToken, Accounts, AccountsError, Api, ApiError, AppCredentials, AuthorizeRequest, BaseUrl,
    GrantFault, QuotaMode,
};

use crate::fake::{Answer, Fake};

const TOKEN: &str = "BQ-sentinel-token";
const ID: &str = "37i9dQZF1DXcBWIGoYBM5M";

fn gate(fake: &Fake) -> Gate {
    Gate::new(GatePolicy::new().with_loopback().allow(&fake.origin).unwrap(), Clock::system())
}

fn api_in(fake: &Fake, mode: QuotaMode, timeout: Duration) -> Api {
    let base = BaseUrl::parse(&format!("{}/v1", fake.origin)).unwrap();
    Api::new(gate(fake), Clock::system(), base, mode, timeout)
}

fn api(fake: &Fake) -> Api {
    api_in(fake, QuotaMode::Development, Duration::from_secs(3))
}

fn token() -> AccessToken {
    AccessToken::parse(TOKEN).unwrap()
}

async fn add_one(api: &Api) -> Result<Option<String>, ApiError> {
    let list: PlaylistId = ID.parse().unwrap();
    let items: Vec<ItemUri> = vec![ID.parse().unwrap()];
    api.add_items(&token(), &list, &items, Some(0)).await.map(|snapshot| snapshot.snapshot_id)
}

mod reading {
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
        let paths: Vec<_> =
            fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
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
}

mod refusals {
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
            (403, r#"{"error":{"status":403,"message":"Forbidden"}}"#, "FORBIDDEN"),
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
        let fake = Fake::always(|| {
            Answer::new(429, "retry-after: 1\r\n", r#"{"error":{"reason":"QUOTA_EXCEEDED"}}"#)
        })
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
        let policy =
            GatePolicy::new().with_loopback().allow(&fake.origin).unwrap().allow(&trap.origin).unwrap();
        let base = BaseUrl::parse(&fake.origin).unwrap();
        let gate = Gate::new(policy, Clock::system());
        let api = Api::new(gate, Clock::system(), base, QuotaMode::Extended, Duration::from_secs(3));
        assert_eq!(
            api.me(&token()).await.unwrap_err(),
            ApiError::Upstream { status: 307, retry_after: None }
        );
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
}

mod writing {
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
}

mod accounts {
    use super::*;

    fn accounts(fake: &Fake) -> Accounts {
        let base = BaseUrl::parse(&fake.origin).unwrap();
        Accounts::new(gate(fake), Clock::system(), base, Duration::from_millis(500))
    }

    fn app(secret: Option<&str>) -> AppCredentials {
        AppCredentials { client_id: "cid".to_owned(), client_secret: secret.map(SecretString::new) }
    }

    fn refresh_token() -> SecretString {
        SecretString::new("AQ-sentinel+refresh")
    }

    #[tokio::test]
    async fn the_browser_is_sent_with_pkce_state_and_scopes() {
        let fake = Fake::always(|| Answer::Silence).await;
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let url = accounts(&fake).authorize_url(&AuthorizeRequest {
            client_id: "cid",
            redirect_uri: "http://127.0.0.1:8000/auth/callback",
            scopes: &["user-read-private", "user-library-read"],
            state: &SecretString::new("st"),
            verifier: &verifier,
            show_dialog: true,
        });
        let expected = "/authorize?response_type=code&client_id=cid\
            &redirect_uri=http%3A%2F%2F127.0.0.1%3A8000%2Fauth%2Fcallback\
            &scope=user-read-private%20user-library-read&state=st&code_challenge_method=S256\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&show_dialog=true";
        assert_eq!(url, format!("{}{expected}", fake.origin));
    }

    #[tokio::test]
    async fn public_apps_name_themselves_and_secret_apps_use_basic() {
        let body =
            r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"n","scope":"x"}"#;
        let fake = Fake::always(|| Answer::new(200, "set-cookie: a=b\r\n", body)).await;
        let accounts = accounts(&fake);
        let set = accounts.refresh(&app(None), &refresh_token()).await.unwrap();
        assert_eq!(set.refresh_token, Some(SecretString::new("n")));
        accounts.refresh(&app(Some("s:x")), &refresh_token()).await.unwrap();
        let verifier = CodeVerifier::mint(&[7; 32]);
        let code = SecretString::new("the code");
        accounts.exchange(&app(None), &code, &verifier, "https://us/cb").await.unwrap();
        let seen = fake.seen();
        assert_eq!(seen[0].header("authorization"), None);
        let refresh = "grant_type=refresh_token&refresh_token=AQ-sentinel%2Brefresh";
        assert_eq!(seen[0].body, format!("{refresh}&client_id=cid"));
        assert_eq!(seen[1].header("authorization"), Some("Basic Y2lkOnM6eA=="));
        assert_eq!(seen[1].body, refresh);
        let verifier = verifier.expose();
        assert_eq!(
            seen[2].body,
            format!(
                "grant_type=authorization_code&code=the+code&redirect_uri=https%3A%2F%2Fus%2Fcb\
                 &code_verifier={verifier}&client_id=cid"
            )
        );
        for request in &seen {
            assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/api/token"));
            assert_eq!(request.header("cookie"), None);
            assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        }
    }

    #[tokio::test]
    async fn only_invalid_grant_ends_a_grant() {
        use AccountsError::*;
        let table: [(u16, &str, AccountsError); 6] = [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Refresh token expired"}"#,
                InvalidGrant(GrantFault::Expired),
            ),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Refresh token revoked"}"#,
                InvalidGrant(GrantFault::Revoked),
            ),
            (400, r#"{"error":"invalid_grant"}"#, InvalidGrant(GrantFault::Other)),
            (400, r#"{"error":"invalid_client","error_description":"Invalid client"}"#, InvalidClient),
            (401, r#"{"error":"invalid_client"}"#, InvalidClient),
            (400, r#"{"error":"unsupported_grant_type"}"#, Refused("unsupported_grant_type".to_owned())),
        ];
        for (status, body, expected) in table {
            let fake = Fake::always(move || Answer::json(status, body)).await;
            let error = accounts(&fake).refresh(&app(None), &refresh_token()).await.unwrap_err();
            assert_eq!(error.is_final(), matches!(expected, InvalidGrant(_)));
            assert_eq!(error, expected);
        }
    }

    #[tokio::test]
    async fn outages_and_lost_answers_leave_the_grant_alone() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"access_token\":\"a\"";
        // The answer, and whether Spotify may have rotated the token.
        let table: [(fn() -> Answer, bool); 9] = [
            (|| Answer::json(503, "{}"), true),
            (|| Answer::new(500, "", "<html>oops"), true),
            (|| Answer::new(429, "retry-after: 9\r\n", ""), false),
            (|| Answer::new(400, "content-type: text/html\r\n", "<html>invalid_grant"), true),
            (|| Answer::json(302, ""), true),
            (|| Answer::json(200, "<html>"), true),
            (|| Answer::json(200, "{}"), true),
            (|| Answer::Cut(Vec::new()), true),
            (|| Answer::Silence, true),
        ];
        for (at, (answer, may_have_acted)) in table.into_iter().enumerate() {
            let fake = Fake::always(answer).await;
            let error = accounts(&fake).refresh(&app(Some("s3cret")), &refresh_token()).await.unwrap_err();
            assert_eq!((error.is_final(), error.may_have_acted()), (false, may_have_acted), "{at} {error:?}");
            assert_eq!(fake.seen().len(), 1, "a token request is never sent twice");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("sentinel") && !shown.contains("s3cret"), "{shown}");
        }
        let fake = Fake::start(|_, _| Answer::Cut(head.to_vec())).await;
        assert!(accounts(&fake).refresh(&app(None), &refresh_token()).await.unwrap_err().may_have_acted());

        let nowhere = BaseUrl::parse("http://127.0.0.1:1").unwrap();
        let policy = GatePolicy::new().with_loopback().allow(nowhere.as_str()).unwrap();
        let gate = Gate::new(policy, Clock::system());
        let accounts = Accounts::new(gate, Clock::system(), nowhere, Duration::from_secs(1));
        let error = accounts.refresh(&app(None), &refresh_token()).await.unwrap_err();
        assert!(!error.is_final() && !error.may_have_acted());
    }
}
