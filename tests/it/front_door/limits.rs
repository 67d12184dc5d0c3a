//! Limits through the front door: what a client sees, who is counted, and that several servers count once.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use spotify_mcp::ambient::Clock;

use super::files;
use crate::support::client::Pair;
use crate::support::database::Place;
use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};

const FAILURES: &str = "SPOTIFY_MCP__LIMITS__FAILED_ATTEMPTS_PER_ADDRESS_PER_MINUTE";
const REGISTRATIONS: &str = "SPOTIFY_MCP__LIMITS__REGISTRATIONS_PER_ADDRESS_PER_HOUR";
const LOGINS: &str = "SPOTIFY_MCP__LIMITS__LOGINS_PER_ADDRESS_PER_MINUTE";
const IN_PROGRESS: &str = "SPOTIFY_MCP__LIMITS__LOGINS_IN_PROGRESS";
const CALLS: &str = "SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE";
const WRITES: &str = "SPOTIFY_MCP__LIMITS__WRITES_PER_USER_PER_MINUTE";
const PROXIES: &str = "SPOTIFY_MCP__SERVER__TRUSTED_PROXIES";

/// Waits until a window of so many seconds has room for what takes up to `needed`.
async fn early_in(window: u64, needed: u64) {
    let now = u64::try_from(Clock::system().now().secs()).unwrap();
    if window - now % window < needed {
        tokio::time::sleep(Duration::from_secs(window - now % window)).await;
    }
}

/// The parameters of the one named item: `"user";q=600;w=60` (RFC 9651: an item that is a string, with integers).
fn item(headers: &HeaderMap, field: &str, name: &str) -> Vec<(String, u32)> {
    let text = headers.get(field).unwrap_or_else(|| panic!("no {field}: {headers:?}")).to_str().unwrap();
    let items = text.split(", ").map(|item| {
        let mut parts = item.split(';');
        let key = parts.next().unwrap();
        assert!(key.len() > 2 && key.starts_with('"') && key.ends_with('"'), "{text}");
        let parameters = parts.map(|part| {
            let (key, number) = part.split_once('=').unwrap();
            assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
            (key.to_owned(), number.parse::<u32>().unwrap())
        });
        (key.trim_matches('"').to_owned(), parameters.collect::<Vec<_>>())
    });
    items.into_iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("no {name}: {text}")).1
}

fn number(headers: &HeaderMap, field: &str) -> u32 {
    headers.get(field).unwrap_or_else(|| panic!("no {field}: {headers:?}")).to_str().unwrap().parse().unwrap()
}

/// What is said with every 429: the policy, nothing left, and when to come again.
fn assert_told(headers: &HeaderMap, name: &str, quota: u32, window: u32) {
    assert_eq!(item(headers, "ratelimit-policy", name), [("q".to_owned(), quota), ("w".to_owned(), window)]);
    let wait = number(headers, "retry-after");
    assert!((1..=window).contains(&wait), "{headers:?}");
    assert_eq!(item(headers, "ratelimit", name), [("r".to_owned(), 0), ("t".to_owned(), wait)]);
    assert_eq!(number(headers, "x-ratelimit-limit"), quota);
    assert_eq!(number(headers, "x-ratelimit-remaining"), 0);
}

fn trail(server: &TestServer) -> String {
    let files = files(&[&server.data_dir().join("audit")]);
    files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect()
}

/// Waits for so many records of limits that were exceeded; the trail is written a moment after the answer.
async fn assert_exceeded(server: &TestServer, times: usize) {
    let count = || trail(server).matches("\"event_code\":\"excess_rate_limit_exceeded\"").count();
    for _ in 0..100 {
        if count() >= times {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(count(), times);
}

fn ask(server: &TestServer, bearer: &str, from: Option<&str>) -> RequestBuilder {
    let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(bearer);
    let request = match from {
        Some(from) => request.header("x-forwarded-for", from),
        None => request,
    };
    speak(request, Era::Modern, "tools/list", json!({}))
}

fn guess(n: u32) -> String {
    format!("smat_{n:043}")
}

#[tokio::test]
async fn whoever_guesses_is_stopped_and_whoever_knows_passes() {
    let server = Setup::default().env(FAILURES, "6").start().await;
    let ada = server.listener("ada").await;
    early_in(60, 15).await;
    // Codes, refresh tokens, bearers and what is no token at all: one count.
    for wrong in ["smac_0", &guess(1).replace("smat", "smac")] {
        let (status, answer) = ada.client.redeem(wrong, "v").await;
        assert_eq!((status, answer["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")));
    }
    for wrong in ["smrt_0", &guess(1).replace("smat", "smrt")] {
        assert_eq!(ada.client.refresh(wrong).await.0, StatusCode::BAD_REQUEST);
    }
    for n in 0..2 {
        let reply = ask(&server, &guess(n), None).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        assert!(reply.headers().contains_key("www-authenticate"));
    }
    for n in 0..3 {
        let reply = ask(&server, &guess(n), None).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_told(reply.headers(), "failed-attempts", 6, 60);
        assert!(!reply.headers().contains_key("www-authenticate"));
        assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], 429);
    }
    let form = ada.client.refreshing("smrt_0");
    let reply = server.http.post(format!("{}/token", server.origin)).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_told(reply.headers(), "failed-attempts", 6, 60);
    assert_eq!(reply.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");

    // From the same address: what is valid passes, and an access token that was one is refused as ever.
    let old = ada.pair();
    ada.call("get_status", json!({})).await.content();
    ada.refresh().await;
    let other = server.listener("ada").await;
    other.call("get_status", json!({})).await.content();
    assert_eq!(ada.client.revoke(&old.access).await, StatusCode::OK);
    ada.client.revoke(&ada.pair().refresh).await;
    let over = ask(&server, &ada.pair().access, None).send().await.unwrap();
    assert_eq!(over.status(), StatusCode::UNAUTHORIZED);

    assert_exceeded(&server, 1).await;
    let trail = trail(&server);
    assert!(!trail.contains("smat_0") && !trail.contains("smrt_0") && !server.logged().contains("smat_0"));
}

#[tokio::test]
async fn tokens_that_are_over_are_nobodys_guesses() {
    let server = Setup::default().env(FAILURES, "2").start().await;
    let ada = server.listener("ada").await;
    let old = ada.pair();
    ada.client.revoke(&old.refresh).await;
    for _ in 0..6 {
        assert_eq!(ask(&server, &old.access, None).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn addresses_are_counted_one_by_one_as_trusted_proxies_tell_them() {
    let server = Setup::default().env(FAILURES, "2").env(PROXIES, "127.0.0.1").start().await;
    early_in(60, 10).await;
    let status = async |from: &str| ask(&server, &guess(1), Some(from)).send().await.unwrap().status();
    // A line is one address, whatever its last half.
    for from in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::1"] {
        assert_eq!(status(from).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(status("2001:db8:1:2:abcd::7").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("2001:db8:1:3::1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("203.0.113.5").await, StatusCode::UNAUTHORIZED);
    // What a stranger wrote before the proxy did is nobody's address.
    for claimed in ["9.9.9.1", "9.9.9.2", "9.9.9.3"] {
        let expected =
            if claimed == "9.9.9.1" { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(status(&format!("{claimed}, 203.0.113.5")).await, expected, "{claimed}");
    }

    let alone = Setup::default().env(FAILURES, "2").start().await;
    early_in(60, 10).await;
    for (n, expected) in [(1, 401), (2, 401), (3, 429), (4, 429)] {
        let from = format!("9.9.9.{n}");
        let reply = ask(&alone, &guess(1), Some(&from)).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), expected, "{from}");
    }
}

#[tokio::test]
async fn registrations_are_limited_by_address() {
    let server = Setup::default().env(REGISTRATIONS, "3").start().await;
    early_in(3600, 15).await;
    for _ in 0..3 {
        server.client().await;
    }
    let body =
        json!({"redirect_uris": ["http://127.0.0.1:1/callback"], "token_endpoint_auth_method": "none"});
    for _ in 0..2 {
        let url = format!("{}/register", server.origin);
        let reply =
            server.http.post(url).json(&body).header("origin", "https://x.example").send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_told(reply.headers(), "registrations", 3, 3600);
        let exposed = reply.headers()["access-control-expose-headers"].to_str().unwrap();
        for name in ["ratelimit", "ratelimit-policy", "retry-after", "x-ratelimit-remaining"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    assert_exceeded(&server, 1).await;
    assert_eq!(
        server.place.raw().await.number("SELECT COUNT(*) FROM clients WHERE kind = 'dynamic'").await,
        3
    );
}

#[tokio::test]
async fn logins_in_progress_are_bounded_by_address_and_in_all() {
    let server = Setup::default().env(LOGINS, "3").start().await;
    early_in(60, 15).await;
    for _ in 0..3 {
        let browser = server.browser();
        assert!(browser.is_spotify(&browser.open("/auth/login").await.url));
    }
    let client = server.client().await;
    let browser = server.browser();
    let page = browser.open(&client.attempt().path()).await;
    let page = browser.submit(&page, "/authorize", &[("decision", "approve")]).await;
    for page in [page, server.browser().open("/auth/login").await] {
        assert_eq!((page.status, page.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
        assert_told(&page.headers, "logins", 3, 60);
    }

    let server = Setup::default().env(IN_PROGRESS, "2").start().await;
    let begin = async || {
        let browser = server.browser();
        let page = browser.open("/auth/login").await;
        assert!(browser.is_spotify(&page.url), "nobody is refused");
        (browser, page)
    };
    let (pushed, at_spotify) = begin().await;
    server.place.raw().await.run("UPDATE logins SET expires_at = expires_at - 1").await;
    begin().await;
    let (stays, page) = begin().await;
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM logins").await, 2);
    assert_eq!(pushed.agree_as(&at_spotify, "ada").await.code(), "LOGIN_EXPIRED");
    assert_eq!(stays.agree_as(&page, "ben").await.status, StatusCode::OK);
}

#[tokio::test]
async fn networks_that_flood_push_out_their_own_logins_and_nobody_elses() {
    let setup = Setup::default().env(IN_PROGRESS, "30").env(PROXIES, "127.0.0.1");
    let server = setup.start().await;
    let victim = server.browser();
    let page = victim.open("/auth/login").await;
    let asking = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let flood = async |network: u32| {
        for line in 0..25 {
            let request = asking.get(format!("{}/auth/login", server.origin));
            let from = format!("2001:{network:x}:1:{line:x}::1");
            let reply = request.header("x-forwarded-for", from).send().await.unwrap();
            assert!(reply.status().is_redirection(), "{}", reply.status());
        }
    };
    let raw = server.place.raw().await;
    flood(1).await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM logins").await, 11, "the victim, and one network's share");
    for network in 2..6 {
        flood(network).await;
    }
    assert_eq!(raw.number("SELECT COUNT(*) FROM logins").await, 30);
    let newcomer = server.browser();
    let (late, early) = (newcomer.open("/auth/login").await, page);
    assert_eq!(victim.agree_as(&early, "ada").await.status, StatusCode::OK);
    assert_eq!(newcomer.agree_as(&late, "ben").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_caller_learns_how_many_calls_are_left_and_when_to_come_again() {
    let server = Setup::default().env(CALLS, "5").env(WRITES, "1").start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    early_in(60, 15).await;
    for era in [Era::Modern, Era::Legacy] {
        let listed = ada.request(era, "tools/list", json!({})).await;
        assert_eq!(number(&listed.headers, "x-ratelimit-remaining"), 5);
    }
    let write = json!({"name": "Evening"});
    let first = ada.call("create_playlist", write.clone()).await;
    assert_eq!(item(&first.headers, "ratelimit-policy", "user"), [("q".to_owned(), 5), ("w".to_owned(), 60)]);
    assert_eq!(item(&first.headers, "ratelimit-policy", "tool"), [("q".to_owned(), 1), ("w".to_owned(), 60)]);
    assert_eq!(item(&first.headers, "ratelimit", "user")[0], ("r".to_owned(), 4));
    first.content();
    let made = server.asked("/v1/me/playlists", 201);
    let second = ada.call("create_playlist", write).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    assert_told(&second.headers, "tool", 1, 60);
    assert_eq!(server.asked("/v1/me/playlists", 201), made);
    for (era, left) in [(Era::Legacy, 3), (Era::Modern, 2), (Era::Legacy, 1), (Era::Modern, 0)] {
        let answer = ada.call_in(era, "get_status", json!({})).await;
        answer.content();
        assert_eq!(item(&answer.headers, "ratelimit", "user")[0], ("r".to_owned(), left));
        assert_eq!(number(&answer.headers, "x-ratelimit-remaining"), left);
        assert!(!answer.headers.contains_key("retry-after"));
    }
    for era in [Era::Modern, Era::Legacy] {
        let limited = ada.call_in(era, "get_status", json!({})).await;
        assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
        assert_told(&limited.headers, "user", 5, 60);
        let body: Value = serde_json::from_str(&limited.text).unwrap();
        assert_eq!(
            (&body["jsonrpc"], &body["id"], &body["error"]["code"]),
            (&json!("2.0"), &json!(1), &json!(429))
        );
        assert_eq!(body["error"]["data"]["code"], "RATE_LIMITED");
    }
    ben.call("get_status", json!({})).await.content();
    // One for what writes, one for all: each once, however often it was refused.
    assert_exceeded(&server, 2).await;
}

/// One more server on the database of another, with its keys and a data directory of its own.
async fn beside(server: &TestServer, folder: &Path) -> (tokio::process::Child, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = server.command();
    command.env("SERVER_PORT", port.to_string()).env("DATA_DIR", folder);
    let child = command.spawn().unwrap();
    let origin = format!("http://127.0.0.1:{port}");
    for _ in 0..3_000 {
        if server.http.get(format!("{origin}/readyz")).send().await.is_ok_and(|reply| reply.status() == 200) {
            return (child, origin);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the second server is not ready:\n{}", server.logged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_count_once() {
    const MOST: u32 = 200;
    let Some(place) = Place::postgres().await else { return };
    let setup = Setup::on(place).env(CALLS, &MOST.to_string()).env(FAILURES, "20").env("LOG_LEVEL", "info");
    let server = setup.start().await;
    let (mut child, second) = beside(&server, &server.data.join("second")).await;
    let ada = server.listener("ada").await;
    let origins = [server.origin.clone(), second];
    early_in(60, 40).await;

    // Every server is asked for more than there is.
    let (accepted, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let token = ada.pair().access;
    join_all((0..8).map(async |n| {
        for _ in 0..40 {
            let request = server.http.post(format!("{}/mcp", origins[n % 2])).bearer_auth(&token);
            let call = json!({"name": "get_status", "arguments": {}});
            let reply = speak(request, Era::Modern, "tools/call", call).send().await.unwrap();
            match reply.status() {
                StatusCode::OK => accepted.fetch_add(1, Ordering::SeqCst),
                StatusCode::TOO_MANY_REQUESTS => refused.fetch_add(1, Ordering::SeqCst),
                other => panic!("{other}"),
            };
        }
    }))
    .await;
    let (accepted, refused) = (accepted.into_inner(), refused.into_inner());
    assert_eq!(accepted + refused, 320);
    assert!((MOST * 9 / 10..=MOST).contains(&accepted), "{accepted}");

    // The same for guesses.
    let guesses = AtomicU32::new(0);
    join_all((0..4).map(async |n| {
        for try_ in 0..15 {
            let request = server.http.post(format!("{}/mcp", origins[n % 2])).bearer_auth(guess(try_));
            let reply = speak(request, Era::Modern, "tools/list", json!({})).send().await.unwrap();
            guesses.fetch_add(u32::from(reply.status() == StatusCode::UNAUTHORIZED), Ordering::SeqCst);
        }
    }))
    .await;
    let guesses = guesses.into_inner();
    assert!((18..=20).contains(&guesses), "{guesses}");
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM limit_windows").await, 2);
    assert!(
        raw.dump().await.iter().all(|value| !value.contains("limit_windows") || !value.contains("127.0.0.1"))
    );

    // Where they cannot count together, people whom we know go on and strangers wait.
    raw.run("ALTER TABLE limit_windows RENAME TO gone").await;
    let ben = server.listener("ben").await;
    ben.call("get_status", json!({})).await.content();
    let wrong = ask(&server, &guess(1), None).send().await.unwrap();
    assert!(matches!(wrong.status().as_u16(), 429 | 503), "{}", wrong.status());
    let _ = Pair::of(&ben.client.refresh(&ben.pair().refresh).await);
    child.kill().await.unwrap();
}
