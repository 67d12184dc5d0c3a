//! Logging in and connecting a client: the way that works, and every place where somebody may refuse.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::spotify::sandbox::Fault;

use super::{epoch_moves, status};
use crate::support::browser::{Browser, Page};
use crate::support::client::{Pair, RegisteredClient};
use crate::support::database::at_both;
use crate::support::listener::Era;
use crate::support::server::{Setup, TestServer};

#[tokio::test]
async fn a_person_connects_a_client_and_calls_tools_in_both_eras() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        for era in [Era::Modern, Era::Legacy] {
            let playing = ada.call_in(era, "get_current_track", json!({})).await;
            assert!(playing.content().to_string().contains(&ada.marker()), "{playing:?}");
        }
        let new = ada.call("create_playlist", json!({"name": "Rock & Roll: \"Don't Stop\""})).await.content();
        assert!(new.to_string().contains(&ada.marker()), "{new}");
        let found = ada.call("search_tracks", json!({"query": "don't stop"})).await.content();
        assert!(found.to_string().contains(&ada.marker()), "{found}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_on_either_page_goes_back_to_the_client() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let consent = browser.open(&attempt.path()).await;
    let denied = browser.submit(&consent, "/authorize", &[("decision", "deny")]).await;
    let spotify = browser.submit(&consent, "/authorize", &[("decision", "approve")]).await;
    let denied_there = browser.submit(&spotify, "/authorize", &[("decision", "deny")]).await;
    for page in [denied, denied_there] {
        let brought = page.brought();
        assert_eq!(brought["error"], "access_denied");
        assert_eq!((&brought["state"], &brought["iss"]), (&attempt.state, &server.origin));
        assert!(!brought.contains_key("code"));
    }
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 0);
}

/// At Spotify, having begun at `/auth/login`: the address to which Spotify sends the browser back.
async fn callback(browser: &Browser, person: &str) -> String {
    let page = browser.open("/auth/login").await;
    let fields = [("other", person), ("decision", "approve")];
    browser.submit_only(&page, "/authorize", &fields).await.redirect().unwrap().into()
}

#[tokio::test]
async fn a_callback_works_once_in_its_own_browser_and_in_time() {
    let server = TestServer::new().await;
    let (mine, other) = (server.browser(), server.browser());
    let url = callback(&mine, "ada").await;
    assert_eq!(other.open(&url).await.code(), "WRONG_BROWSER");
    assert!(other.cookie("smcp-session").is_none());

    // The stranger's try has not used it up. Afterwards it is, even for one who kept the cookie.
    let thief = server.browser();
    thief.take_cookies(&mine);
    assert_eq!(mine.open(&url).await.url.path(), "/account");
    assert_eq!(mine.peek(&url).await.code(), "WRONG_BROWSER");
    assert_eq!(thief.open(&url).await.code(), "LOGIN_EXPIRED");
    assert!(thief.cookie("smcp-session").is_none());

    let late = server.browser();
    let url = callback(&late, "ada").await;
    server.place.raw().await.run("UPDATE logins SET expires_at = 1").await;
    assert_eq!(late.open(&url).await.code(), "LOGIN_EXPIRED");
    for state in ["", "x", &"s".repeat(9000)] {
        let page = late.open(&format!("/auth/callback?code=abc&state={state}")).await;
        assert!(page.status.is_client_error(), "{page:?}");
    }
}

#[tokio::test]
async fn a_browser_that_is_made_to_begin_many_logins_can_still_log_in() {
    let server = TestServer::new().await;
    let browser = server.browser();
    // A page somewhere sends it to our login over and over.
    for _ in 0..70 {
        assert_eq!(browser.peek("/auth/login").await.status, StatusCode::SEE_OTHER);
    }
    let pending = browser.cookies().into_keys().filter(|name| name.starts_with("smcp-login-")).count();
    assert_eq!(pending, 9, "the newest, and those beside it");
    browser.log_in("ada").await;
}

#[tokio::test]
async fn a_consent_form_belongs_to_the_browser_that_was_shown_it() {
    let server = TestServer::new().await;
    let (client, mine, other) = (server.client().await, server.browser(), server.browser());
    let page = mine.open(&client.attempt().path()).await;
    other.open(&client.attempt().path()).await;
    let approve = [("decision", "approve")];
    let cookieless = server.browser();
    for stranger in [&other, &cookieless] {
        let refused = stranger.submit(&page, "/authorize", &approve).await;
        assert_eq!((refused.code(), refused.status), ("FORM_EXPIRED", StatusCode::FORBIDDEN));
    }
    let form = page.form("/authorize");
    let (csrf, ticket) = (form.get("csrf"), form.get("ticket"));
    let tampered = ticket.replacen('A', "B", 1);
    for (csrf, ticket) in [("", ticket), ("x", ticket), (csrf, ""), (csrf, tampered.as_str())] {
        let fields = [("csrf", csrf), ("ticket", ticket), ("decision", "approve")];
        assert_eq!(mine.post("/authorize", &fields).await.code(), "FORM_EXPIRED");
    }
    let foreign =
        server.http.post(format!("{}/authorize", server.origin)).header("origin", "https://evil.example");
    let cookies = mine.cookies();
    let (name, value) = cookies.iter().find(|(name, _)| name.starts_with("smcp-browser-")).unwrap();
    let cookie = format!("{name}={value}");
    let fields = [("csrf", csrf), ("ticket", ticket), ("decision", "approve")];
    let refused = foreign.header("cookie", cookie).form(&fields).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);

    // Two tabs of one browser, both good, and the first one still is.
    let second = client.attempt();
    let tab = mine.open(&second.path()).await;
    assert!(mine.is_spotify(&mine.submit(&tab, "/authorize", &approve).await.url));
    assert!(mine.is_spotify(&mine.submit(&page, "/authorize", &approve).await.url));
}

#[tokio::test]
async fn asking_to_authorize_changes_nothing() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let raw = server.place.raw().await;
    for _ in 0..3 {
        let prefetched =
            server.http.get(format!("{}{}", server.origin, attempt.path())).send().await.unwrap();
        assert_eq!(prefetched.status(), StatusCode::OK);
        assert_eq!(browser.open(&attempt.path()).await.status, StatusCode::OK);
    }
    assert_eq!(raw.number("SELECT COUNT(*) FROM logins").await, 0);
    assert!(browser.cookie("smcp-login").is_none());
    let code = client.code(&attempt, &browser, "ada").await;
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
}

#[tokio::test]
async fn consent_is_asked_again_unless_this_very_thing_was_approved() {
    let server = TestServer::new().await;
    let browser = server.browser();
    let skips = async |client: &RegisteredClient, scope: Option<&str>| {
        let page = browser.open(&client.attempt().with("scope", scope).path()).await;
        page.left_for.is_some()
    };
    let site = RegisteredClient::register(&server.origin, "https://client.example/callback").await;
    let program = server.client().await;
    let narrow = site.attempt().with("scope", Some("read"));
    site.code(&narrow, &browser, "ada").await;
    assert!(skips(&site, Some("read")).await, "approved before, and Spotify remembers as well");
    assert!(!skips(&site, Some("read write")).await, "more than was approved");
    program.code(&program.attempt(), &browser, "ada").await;
    assert!(!skips(&program, None).await, "any program may listen on loopback");
    browser.forget("smcp-session");
    assert!(!skips(&site, Some("read")).await, "nobody is logged in");
}

#[tokio::test]
async fn another_account_than_the_one_logged_in_here_is_refused() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    browser.log_in("ada").await;
    // Spotify's page remembers who logged in there, as the real one does; on a shared computer it is somebody else.
    browser.forget("sandbox_person");
    let brought = client.send_away(&client.attempt(), &browser, "ben").await.brought();
    assert_eq!(brought["error"], "access_denied");
    assert!(brought["error_description"].contains("Another Spotify account"));
    // Neither by reconnecting.
    browser.forget("sandbox_person");
    let page = browser.open("/auth/login?link=any").await;
    let page = browser.agree_as(&page, "ben").await;
    assert_eq!((page.code(), page.status), ("WRONG_ACCOUNT", StatusCode::CONFLICT));
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 1);
    assert_eq!(status(&browser).await["display_name"], "Ada");
}

/// Both ways in are refused with this code.
async fn refused_everywhere(server: &TestServer, person: &str, code: &str) -> Page {
    let (client, browser) = (server.client().await, server.browser());
    let brought = client.send_away(&client.attempt(), &browser, person).await.brought();
    assert_eq!(brought["error"], "access_denied");
    assert!(brought["error_description"].contains(code), "{brought:?}");
    let browser = server.browser();
    let page = browser.open("/auth/login").await;
    let page = browser.agree_as(&page, person).await;
    assert_eq!((page.code(), page.status), (code, StatusCode::FORBIDDEN));
    assert!(browser.cookie("smcp-session").is_none());
    page
}

#[tokio::test]
async fn the_sixth_listener_is_told_why_and_the_five_stay() {
    let setup = Setup::default().people(3).env("SPOTIFY_MCP__SPOTIFY__SEATS", "5");
    let server = setup.start().await;
    let ada = server.listener("ada").await;
    for person in ["ben", "chiara", "user0001", "user0002"] {
        server.listener(person).await;
    }
    let page = refused_everywhere(&server, "user0003", "NO_SEAT").await;
    assert!(page.text.contains("client id"), "how to bring one's own: {}", page.text);
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 5, "nothing of the sixth is kept");
    ada.call("get_current_track", json!({})).await.content();
    server.listener("ada").await;
}

#[tokio::test]
async fn somebody_whom_the_dashboard_does_not_list_is_told_so() {
    let server = TestServer::new().await;
    server.control().change_user("ben", &json!({"allow_listed": false})).unwrap();
    refused_everywhere(&server, "ben", "NOT_ALLOWLISTED").await;
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 0, "no seat is taken");
    server.control().change_user("ben", &json!({"allow_listed": true})).unwrap();
    server.listener("ben").await;
}

#[tokio::test]
async fn a_disabled_person_is_out_at_once() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    ada.call("get_current_track", json!({})).await.content();
    let raw = server.place.raw().await;
    raw.run("UPDATE users SET disabled_at = 1").await;
    epoch_moves(&raw).await;
    assert_eq!(ada.call("get_current_track", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.client.refresh(&ada.pair().refresh).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(status(&ada.browser).await["authenticated"], false);
    refused_everywhere(&server, "ada", "USER_DISABLED").await;
}

#[tokio::test]
async fn an_ailing_spotify_is_said_to_be_one_and_the_next_try_works() {
    let server = Setup::default().env("SPOTIFY_MCP__API__TIMEOUT", "1").start().await;
    let html = Fault::Status { status: 502, body: "<html>Bad Gateway</html>".to_owned(), headers: [].into() };
    let slow = Fault::Delay { millis: 3000 };
    for (route, fault) in [
        ("POST /api/token", html.clone()),
        ("POST /api/token", Fault::Garbage),
        ("POST /api/token", slow),
        ("POST /api/token", Fault::LoseReply),
        ("GET /v1/me", html),
        ("GET /v1/me", Fault::Garbage),
        ("GET /v1/me", Fault::Truncate),
    ] {
        // Patient retries of ours must find the same.
        server.inject(route, 10, fault.clone());
        let (client, browser) = (server.client().await, server.browser());
        let brought = client.send_away(&client.attempt(), &browser, "ada").await.brought();
        assert_eq!(brought["error"], "temporarily_unavailable", "{route} {fault:?}: {brought:?}");
        server.control().clear_faults();
    }
    tokio::time::timeout(Duration::from_secs(20), server.listener("ada")).await.unwrap();
}
