//! `revoke-sessions`: each selection ends what it says on the running server, and nothing of anybody else; what is on its
//! way, and what runs, goes too.

pub(super) mod nodes;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Fault;
use tokio::time::{Instant, sleep};

use super::api_keys::{command, made, refusal, result, trail};
use super::status;
use crate::support::client::Pair;
use crate::support::database::at_both;
use crate::support::listener::{Era, Listener, speak};
use crate::support::server::{Setup, TestServer};

/// How long every server may take to hear of an end.
const HEARD: Duration = Duration::from_secs(1);

/// A person with every kind of credential.
struct Holder {
    listener: Listener,
    key_id: String,
    key: String,
    session: String,
}

impl Holder {
    async fn new(server: &TestServer, person: &str) -> Self {
        let listener = server.listener(person).await;
        let (key_id, key) = made(server, person, &[]).await;
        let session = initialize(&listener).await;
        Self { listener, key_id, key, session }
    }

    /// Which kinds of credentials work: access, session, key, browser; the refresh token is spent by trying.
    async fn works(&self) -> [bool; 4] {
        let origin = &self.listener.client.origin;
        let access = self.listener.pair().access;
        [
            ping(origin, &access, None).await == StatusCode::OK,
            ping(origin, &access, Some(&self.session)).await == StatusCode::OK,
            ping(origin, &self.key, None).await == StatusCode::OK,
            status(&self.listener.browser).await["authenticated"] == true,
        ]
    }

    /// Refreshes, and keeps the new pair where there is one.
    async fn refreshes(&self) -> bool {
        let (code, answer) = self.listener.client.refresh(&self.listener.pair().refresh).await;
        if code == StatusCode::OK {
            self.listener.keep(Pair::of(&(code, answer)));
            return true;
        }
        assert_eq!((code, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{answer}");
        false
    }
}

/// A 2025-era session that was used.
async fn initialize(listener: &Listener) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}});
    let url = format!("{}/mcp", listener.client.origin);
    let request = listener.client.http.post(url).bearer_auth(&listener.pair().access);
    let reply = speak(request, Era::Legacy, "initialize", params).send().await.unwrap();
    let session = reply.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    assert_eq!(ping(&listener.client.origin, &listener.pair().access, Some(&session)).await, StatusCode::OK);
    session
}

async fn ping(origin: &str, bearer: &str, session: Option<&str>) -> StatusCode {
    let request = crate::support::server::plain_http().post(format!("{origin}/mcp")).bearer_auth(bearer);
    let request = match session {
        Some(session) => request.header("mcp-session-id", session),
        None => request,
    };
    speak(request, Era::Legacy, "ping", json!({})).send().await.unwrap().status()
}

async fn revoke(server: &TestServer, selection: &[&str]) -> Value {
    result(server, &[&["revoke-sessions"], selection].concat()).await
}

/// The records of revocations, as soon as the trail has so many: it is written behind the commands.
async fn told(server: &TestServer, count: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let all = trail(server);
        let told: Vec<_> = all.lines().filter(|line| line.contains("\"sessions_revoked\"")).collect();
        if told.len() >= count || Instant::now() > end {
            return told.into_iter().map(str::to_owned).collect();
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The counts of kinds of which there was something.
fn counted(counts: &Value) -> Vec<(String, i64)> {
    let all = counts.as_object().unwrap().iter();
    all.map(|(kind, count)| (kind.clone(), count.as_i64().unwrap())).filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn what_a_person_holds_ends_and_nobody_else_notices() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (Holder::new(&server, "ada").await, Holder::new(&server, "ben").await);
        let would = revoke(&server, &["--user", "ada", "--dry-run"]).await;
        assert_eq!(ada.works().await, [true; 4], "{would}");
        let expected = [
            ("access_tokens", 1),
            ("browser_sessions", 1),
            ("consents", 1),
            ("grants", 1),
            ("mcp_sessions", 1),
            ("refresh_tokens", 1),
        ];
        assert_eq!(counted(&would["would_end"]), expected.map(|(kind, count)| (kind.to_owned(), count)));

        let ended = revoke(&server, &["--user", "ada", "--reason", "lost laptop", "--yes"]).await;
        assert_eq!(ended["ended"], would["would_end"], "the same predicate");
        assert_eq!(ended["kept"], json!({"api_keys": 1, "spotify_links": 1}));
        let beyond = ended["cannot_be_ended_here"].to_string();
        assert!(beyond.contains("spotify.com/account/apps") && beyond.contains("1 linked account of 1 person"));
        assert!(beyond.contains("developer.spotify.com/dashboard"), "{beyond}");
        sleep(HEARD).await;
        assert_eq!(ada.works().await, [false, false, true, false]);
        assert!(!ada.refreshes().await);
        assert_eq!(ben.works().await, [true; 4]);
        assert!(ben.refreshes().await);

        // Keys and Spotify's tokens are ended where that is said.
        let more = ["--user", "ada", "--api-keys", "--spotify-links", "--yes"];
        let ended = revoke(&server, &more).await;
        let left = [("api_keys".to_owned(), 1), ("spotify_links".to_owned(), 1)];
        assert_eq!(counted(&ended["ended"]), left);
        sleep(HEARD).await;
        assert_eq!(ada.works().await, [false; 4]);
        let raw = server.place.raw().await;
        let tokens = "SELECT COUNT(*) FROM linked_accounts WHERE access_token IS NOT NULL OR refresh_token IS NOT NULL";
        assert_eq!(raw.number(tokens).await, 1, "ben's alone");
        let nothing = revoke(&server, &more).await;
        assert!(counted(&nothing["ended"]).is_empty(), "{nothing}");

        // A new login brings back the person, their account and its tokens.
        let again = server.listener("ada").await;
        again.call("get_current_track", json!({})).await.content();
        assert_eq!(ben.works().await, [true; 4]);
        let told = told(&server, 3).await;
        assert!(told.len() == 3 && told[0].contains("lost laptop"), "{told:?}");
        assert!(told[0].contains("\"grants\":\"1\""), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_a_session_and_an_age_end_no_more_than_they_say() {
    let server = Setup::default().start().await;
    let (ada, ben) = (Holder::new(&server, "ada").await, Holder::new(&server, "ben").await);
    let second = initialize(&ada.listener).await;

    // One session, by what its client holds.
    let ended = revoke(&server, &["--session", &ada.session, "--yes"]).await;
    assert_eq!(counted(&ended["ended"]), [("mcp_sessions".to_owned(), 1)]);
    assert_eq!(ended["cannot_be_ended_here"], json!([]));
    assert!(ended["selection"]["session_id"].as_str().unwrap().starts_with("s_"), "{ended}");
    sleep(HEARD).await;
    let (origin, access) = (&server.origin, ada.listener.pair().access);
    assert_eq!(ping(origin, &access, Some(&ada.session)).await, StatusCode::NOT_FOUND);
    assert_eq!(ping(origin, &access, Some(&second)).await, StatusCode::OK);
    assert_eq!(
        refusal(&server, &["revoke-sessions", "--session", &ada.session, "--yes"]).await.1,
        "SESSION_UNKNOWN"
    );
    // A browser, by its id.
    let raw = server.place.raw().await;
    let browser = raw.texts("SELECT s.id FROM browser_sessions s JOIN users u ON u.id = s.user_id WHERE u.display_name LIKE 'Ada%'");
    let ended = revoke(&server, &["--session", &browser.await[0], "--yes"]).await;
    assert_eq!(counted(&ended["ended"]), [("browser_sessions".to_owned(), 1)]);
    assert_eq!(status(&ada.listener.browser).await["authenticated"], false);

    // A client; combined, what both apply to.
    let client = &ada.listener.client.id;
    let none = revoke(&server, &["--client", client, "--user", "ben", "--yes"]).await;
    assert!(counted(&none["ended"]).is_empty(), "{none}");
    let ended = revoke(&server, &["--client", client, "--user", "ada", "--yes"]).await;
    assert_eq!((&ended["ended"]["grants"], &ended["ended"]["consents"]), (&json!(1), &json!(1)), "{ended}");
    sleep(HEARD).await;
    assert_eq!(ping(origin, &access, None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ben.works().await, [true; 4]);
    // It has to ask again.
    let page = ben.listener.browser.open(&ada.listener.client.attempt().path()).await;
    assert!(page.text.contains("name=\"decision\""), "{}", page.text);

    // What was issued before an instant; what came after stays.
    raw.run("UPDATE grants SET created_at = created_at - 7200").await;
    raw.run("UPDATE api_keys SET created_at = created_at - 7200").await;
    let later = server.listener("ben").await;
    let ended = revoke(&server, &["--issued-before", "1h", "--api-keys", "--yes"]).await;
    assert_eq!((&ended["ended"]["grants"], &ended["ended"]["api_keys"]), (&json!(1), &json!(2)), "{ended}");
    assert_eq!(ended["ended"]["browser_sessions"], 0);
    sleep(HEARD).await;
    assert_eq!(ben.works().await, [false, false, false, true]);
    later.call("get_status", json!({})).await.content();

    let ended = revoke(&server, &["--all", "--yes"]).await;
    assert_eq!(ended["selection"]["all"], true);
    sleep(HEARD).await;
    assert_eq!(later.call("get_status", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&ben.listener.browser).await["authenticated"], false);
}

#[tokio::test]
async fn nothing_is_taken_for_everything_and_every_wrong_word_is_told() {
    let server = Setup::default().start().await;
    let ada = Holder::new(&server, "ada").await;
    let no_client = "c_00000000000000000000000000000009";
    let future = "2999-01-01T00:00:00Z";
    for (arguments, exit, code) in [
        (&[][..], 2, "SELECTOR_MISSING"),
        (&["--yes"][..], 2, "SELECTOR_MISSING"),
        (&["--api-keys", "--yes"][..], 2, "SELECTOR_MISSING"),
        (&["--all"][..], 2, "CONFIRMATION_NEEDED"),
        (&["--all", "--user", "ada", "--yes"][..], 2, "USAGE"),
        (&["--client", no_client, "--yes"][..], 3, "CLIENT_UNKNOWN"),
        (&["--client", "no id", "--yes"][..], 3, "CLIENT_UNKNOWN"),
        (&["--client", no_client, "--api-keys", "--yes"][..], 2, "SELECTOR_CONTRADICTS"),
        (&["--session", "s_1", "--spotify-links", "--yes"][..], 2, "SELECTOR_CONTRADICTS"),
        (&["--user", "nobody", "--yes"][..], 3, "USER_UNKNOWN"),
        (&["--session", "s_00000000000000000000000000000009", "--yes"][..], 3, "SESSION_UNKNOWN"),
        (&["--session", "word", "--yes"][..], 2, "USAGE"),
        (&["--session", &ada.listener.pair().access, "--yes"][..], 2, "SECRET_INSTEAD_OF_ID"),
        (&["--issued-before", "yesterday", "--yes"][..], 2, "USAGE"),
        (&["--issued-before", future, "--yes"][..], 2, "USAGE"),
    ] {
        let refused = refusal(&server, &[&["revoke-sessions"], arguments].concat()).await;
        assert_eq!(refused, (exit, code.to_owned()), "{arguments:?}");
    }
    assert_eq!(ada.works().await, [true; 4], "nothing of it did anything");
    let said = command(&server, &["revoke-sessions", "--user", "ada", "--yes"]).await;
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("1 browser session\n") && text.contains("KEPT: 1 API keys"), "{text}");
    assert!(text.contains("NOT ENDED: what Spotify granted"), "{text}");
    for secret in [&ada.listener.pair().access, &ada.listener.pair().refresh, &ada.key, &ada.session] {
        assert!(!text.contains(secret.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_runs_ends_with_what_it_came_with_and_others_run_on() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (Holder::new(&server, "ada").await, Holder::new(&server, "ben").await);
        let by_key = Holder::new(&server, "chiara").await;
        server.inject("GET /v1/me/player*", 3, Fault::Delay { millis: 4_000 });
        let call = async |bearer: &str, session: Option<&str>| {
            let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(bearer);
            let request = match session {
                Some(session) => request.header("mcp-session-id", session),
                None => request,
            };
            let params = json!({"name": "get_current_track", "arguments": {}});
            let reply = speak(request, Era::Legacy, "tools/call", params).send().await.unwrap();
            (reply.status(), Instant::now())
        };
        let revoking = async {
            sleep(Duration::from_millis(1_000)).await;
            revoke(&server, &["--user", "ada", "--yes"]).await;
            revoke(&server, &["--session", &ben.session, "--yes"]).await;
            Instant::now()
        };
        let (adas, bens) = (ada.listener.pair().access, ben.listener.pair().access);
        let (ended, in_session, key, returned) = tokio::join!(
            call(&adas, None),
            call(&bens, Some(&ben.session)),
            call(&by_key.key, None),
            revoking
        );
        assert_eq!((ended.0, in_session.0), (StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND));
        assert!(ended.1 < returned + HEARD && in_session.1 < returned + HEARD);
        assert_eq!(key.0, StatusCode::OK, "nobody else notices");
        assert!(key.1 > returned + Duration::from_millis(500), "it was still running");
    })
    .await;
}

#[tokio::test]
async fn a_login_and_a_code_on_their_way_lead_nowhere() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let attempt = ada.client.attempt();
        let code = ada.client.code(&attempt, &ada.browser, "ada").await;
        // A browser that was never here: whose login it is, is known only when it comes back.
        let stranger = server.browser();
        let at_spotify = stranger.open("/auth/login").await;
        let (fresh, client) = (server.browser(), server.client().await);
        let consent = fresh.open(&client.attempt().path()).await;
        let waits = fresh.submit(&consent, "/authorize", &[("decision", "approve")]).await;

        let ended = revoke(&server, &["--user", "ada", "--yes"]).await;
        assert_eq!(ended["ended"]["codes"], 1, "{ended}");
        let (status, answer) = ada.client.redeem(&code, &attempt.verifier).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
        let back = stranger.agree_as(&at_spotify, "ada").await;
        assert_eq!(back.code(), "LOGIN_EXPIRED", "{}", back.text);
        let brought = fresh.agree_as(&waits, "ada").await.brought();
        assert!(brought.contains_key("error") && !brought.contains_key("code"), "{brought:?}");
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM browser_sessions WHERE revoked_at IS NULL").await, 0);
        assert_eq!(raw.number("SELECT COUNT(*) FROM codes WHERE used_at IS NULL").await, 0);

        // Somebody else's login that began before goes on, and one that begins now.
        stranger.log_in("ada").await;
        let waiting = server.browser();
        let at_spotify = waiting.open("/auth/login").await;
        revoke(&server, &["--user", "ada", "--yes"]).await;
        assert_eq!(waiting.agree_as(&at_spotify, "ben").await.url.path(), "/account");
        // With a client, the logins that wait for it.
        let fresh = server.browser();
        let consent = fresh.open(&client.attempt().path()).await;
        let waits = fresh.submit(&consent, "/authorize", &[("decision", "approve")]).await;
        let ended = revoke(&server, &["--client", &client.id, "--yes"]).await;
        assert!(ended["ended"]["pending_logins"].as_i64().unwrap() >= 1, "{ended}");
        assert_eq!(fresh.agree_as(&waits, "ada").await.code(), "LOGIN_EXPIRED");
    })
    .await;
}
