//! Spotify's tokens: refreshed once however many wait, kept through every failure that is not the end, and asked
//! of the person again only where Spotify says so.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::spotify::sandbox::{CLIENT_ID, Fault};
use tokio::time::sleep;

use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// Longer than Spotify's access tokens live.
const LATER: Duration = Duration::from_secs(3700);

async fn playing(listener: &Listener) {
    let answer = listener.call("get_current_track", json!({})).await;
    assert!(answer.content().to_string().contains(&listener.marker()), "{answer:?}");
}

async fn failing(listener: &Listener) -> String {
    listener.call("get_current_track", json!({})).await.error()
}

fn refreshes(server: &TestServer, person: &str) -> u64 {
    server.control().users().iter().find(|view| *view.id == *person).unwrap().refreshes
}

/// Our own tokens live on although Spotify's are dead; logging in again with the same browser repairs.
async fn needs_only_a_login(server: &TestServer, ada: &Listener) {
    assert_eq!(failing(ada).await, "RECONNECT_REQUIRED");
    assert_eq!(ada.call("get_status", json!({})).await.status, StatusCode::OK);
    ada.refresh().await;
    assert_eq!(failing(ada).await, "RECONNECT_REQUIRED");
    let page = ada.browser.open("/account").await;
    assert!(page.text.contains("Reconnect"), "{}", page.text);
    let page = ada.browser.open("/auth/login").await;
    if ada.browser.is_spotify(&page.url) {
        ada.browser.agree_as(&page, &ada.person).await;
    }
    playing(ada).await;
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1, "the same person as before");
}

#[tokio::test]
async fn a_permission_withdrawn_at_spotify_asks_for_a_login_and_nothing_else() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        playing(&ada).await;
        server.control().revoke("ada", None);
        needs_only_a_login(&server, &ada).await;
    })
    .await;
}

#[tokio::test]
async fn six_months_end_a_permission() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    server.control().advance(Duration::from_secs(184 * 86_400));
    needs_only_a_login(&server, &ada).await;
    let asked = server.asked("/api/token", 400);
    assert_eq!(asked, 1, "Spotify is not asked again and again for what has ended");
}

#[tokio::test]
async fn one_refresh_serves_all_who_wait() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        for round in 1..=3 {
            server.control().advance(LATER);
            join_all((0..24).map(|_| playing(&ada))).await;
            assert_eq!(refreshes(&server, "ada"), round);
        }
        assert_eq!(refreshes(&server, "ben"), 0);
        playing(&ben).await;
    })
    .await;
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_before_it_is_used() {
    let mut server = TestServer::new().await;
    let ada = server.listener("ada").await;
    server.kill().await;
    server.place.raw().await.run("UPDATE linked_accounts SET access_expires_at = 1").await;
    server.start().await;
    join_all((0..24).map(|_| playing(&ada))).await;
    assert_eq!(refreshes(&server, "ada"), 1);
    assert_eq!(server.asked("/v1/me/player", 401), 0, "no call was made with a dead token");
}

#[tokio::test]
async fn every_way_in_which_spotify_answers_a_refresh_works() {
    for mode in ["rotate", "omit", "same"] {
        let mut server = TestServer::new().await;
        server.control().change_app(CLIENT_ID, &json!({"refresh": mode})).unwrap();
        let ada = server.listener("ada").await;
        for round in 1..=3 {
            server.control().advance(LATER);
            playing(&ada).await;
            assert_eq!(refreshes(&server, "ada"), round, "{mode}");
        }
        server.kill().await;
        server.start().await;
        server.control().advance(LATER);
        playing(&ada).await;
    }
}

#[tokio::test]
async fn an_ailing_accounts_service_costs_nobody_their_login() {
    let server = Setup::default().env("SPOTIFY_MCP__API__TIMEOUT", "1").start().await;
    // Where the answer is lost after the fact, only an unrotated token can survive.
    server.control().change_app(CLIENT_ID, &json!({"refresh": "omit"})).unwrap();
    let ada = server.listener("ada").await;
    let status = |status, body: &str| Fault::Status { status, body: body.to_owned(), headers: [].into() };
    for fault in [
        status(500, ""),
        status(503, "<html><body>Upstream connect error</body></html>"),
        status(200, "<html>Sign in to this hotel's network</html>"),
        status(429, "{}"),
        status(400, "<html>Bad request</html>"),
        status(400, "{\"error\":\"invalid_request\"}"),
        status(401, "{\"error\":\"invalid_client\"}"),
        Fault::Drop,
        Fault::LoseReply,
        Fault::Garbage,
        Fault::Truncate,
        Fault::Oversize { bytes: 50_000_000 },
        Fault::Delay { millis: 3000 },
    ] {
        server.control().advance(LATER);
        server.inject("POST /api/token", 10, fault.clone());
        let code = failing(&ada).await;
        assert!(
            ["UPSTREAM_ERROR", "UPSTREAM_TIMEOUT", "RATE_LIMITED"].contains(&code.as_str()),
            "{fault:?}: {code}"
        );
        server.control().clear_faults();
        let mut last = ada.call("get_current_track", json!({})).await;
        for _ in 0..30 {
            // After a refusal with a wait, ours waits as well.
            if last.result()["isError"] != true {
                break;
            }
            sleep(Duration::from_millis(200)).await;
            last = ada.call("get_current_track", json!({})).await;
        }
        assert!(last.content().to_string().contains(&ada.marker()), "{fault:?}");
    }
}

#[tokio::test]
async fn a_rotated_token_is_on_disk_before_it_is_used() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        for round in 1..=3 {
            server.control().advance(LATER);
            // The call finds its token dead, refreshes, and is then held up at its second try.
            server.control().inject(spotify_mcp::spotify::sandbox::Injection {
                route: "GET /v1/me/player*".to_owned(),
                skip: 1,
                times: 1,
                fault: Fault::Delay { millis: 5000 },
            });
            let given_up = ada.give_up("get_current_track", json!({}), Duration::from_millis(600)).await;
            assert!(given_up);
            assert_eq!(refreshes(&server, "ada"), round);
            server.kill().await;
            server.start().await;
            server.control().clear_faults();
            playing(&ada).await;
            assert_eq!(refreshes(&server, "ada"), round, "the stored token was the new one");
        }
    })
    .await;
}
