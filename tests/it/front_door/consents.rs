//! What people approve: asking again for more, seeing it at `/account`, taking it back.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::{Attempt, Pair, RegisteredClient};
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const SITE: &str = "https://client.example/callback";

async fn calls(listener: &Listener) -> StatusCode {
    listener.call("get_status", json!({})).await.status
}

/// A person with a site connected for these scopes.
async fn connect(client: &RegisteredClient, browser: Browser, scope: &str) -> Listener {
    let attempt = client.attempt().with("scope", Some(scope));
    let code = client.code(&attempt, &browser, "ada").await;
    let pair = Pair::of(&client.redeem(&code, &attempt.verifier).await);
    Listener::with(client, pair, "ada", browser)
}

/// Whether the browser is sent on without a question.
async fn is_let_through(browser: &Browser, attempt: &Attempt) -> bool {
    browser.peek(&attempt.path()).await.status.is_redirection()
}

#[tokio::test]
async fn withdrawing_ends_all_access_and_the_client_must_ask_again() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let site = RegisteredClient::register(&server.origin, SITE).await;
        let ada = connect(&site, server.browser(), "read").await;
        let second = connect(&site, server.browser(), "read player").await;
        let other = server.listener("ada").await;
        let pending = site.attempt().with("scope", Some("read"));
        let code = site.code(&pending, &second.browser, "ada").await;
        assert!(
            is_let_through(&ada.browser, &site.attempt()).await
                || is_let_through(&ada.browser, &pending).await
        );

        let page = ada.browser.open("/account").await;
        let section = page.text.split("id=\"approvals\"").nth(1).unwrap().split("</section>").next().unwrap();
        assert!(section.contains("client.example") && section.contains("127.0.0.1"), "{section}");
        let forms = page.forms("/account/approvals/withdraw");
        assert_eq!(forms.len(), 2, "each client once");
        let form = forms.iter().find(|form| form.get("client") == site.id).unwrap();
        let fields: Vec<_> = form.pairs().collect();
        let done = ada.browser.post("/account/approvals/withdraw", &fields).await;
        assert_eq!(done.redirect().unwrap().query(), Some("done=withdrawn"));

        for ended in [&ada, &second] {
            assert_eq!(calls(ended).await, StatusCode::UNAUTHORIZED);
            assert_eq!(ended.client.refresh(&ended.pair().refresh).await.1["error"], "invalid_grant");
        }
        assert_eq!(
            site.redeem(&code, &pending.verifier).await.1["error"],
            "invalid_grant",
            "a code on its way"
        );
        assert!(!is_let_through(&ada.browser, &pending).await);
        assert_eq!(calls(&other).await, StatusCode::OK, "another client");
        let again = ada.browser.post("/account/approvals/withdraw", &fields).await;
        assert_eq!(again.code(), "NOT_FOUND", "nothing is left to withdraw");
        tokio::time::sleep(Duration::from_millis(600)).await;
        let trail =
            super::files(&[server.data.as_path()]).into_iter().map(|path| std::fs::read(path).unwrap());
        let trail = trail.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<String>();
        let mut records = trail.lines().filter(|line| line.contains(r#""event_code":"consent_withdrawn""#));
        assert!(records.clone().count() == 1 && records.any(|line| line.contains(&site.id)), "{trail}");
    })
    .await;
}

#[tokio::test]
async fn who_asks_for_more_asks_again_and_what_was_approved_stays() {
    let server = TestServer::new().await;
    let site = RegisteredClient::register(&server.origin, SITE).await;
    let ada = connect(&site, server.browser(), "read").await;
    let asks = |scope: &str| site.attempt().with("scope", Some(scope));
    assert!(is_let_through(&ada.browser, &asks("read")).await);
    let more = asks("read write");
    let page = ada.browser.open(&more.path()).await;
    assert!(page.status == StatusCode::OK && page.text.contains("Change your music"), "{page:?}");
    let stepped = connect(&site, ada.browser, "read write").await;
    stepped.call("create_playlist", json!({"name": "Stepped up"})).await.content();
    // Less than before is within what was approved, and takes nothing of it back.
    let narrow = connect(&site, stepped.browser, "read").await;
    for scope in ["read", "write", "read write"] {
        assert!(is_let_through(&narrow.browser, &asks(scope)).await, "{scope}");
    }
    for (name, value) in [("scope", "read write player"), ("prompt", "consent"), ("prompt", "login")] {
        let asked = asks("read").with(name, Some(value));
        assert!(!is_let_through(&narrow.browser, &asked).await, "{name}={value}");
    }
}

#[tokio::test]
async fn of_a_program_that_moves_only_the_last_address_is_kept() {
    let server = TestServer::new().await;
    let (program, browser) = (server.client().await, server.browser());
    for port in [1, 2, 3] {
        let moved = format!("http://127.0.0.1:{port}/callback");
        program.code(&program.attempt().with("redirect_uri", Some(&moved)), &browser, "ada").await;
    }
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM consents").await, 1);
}

#[tokio::test]
async fn a_decision_posted_twice_is_two_logins_of_one_person() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (client, browser) = (server.client().await, server.browser());
        let attempt = client.attempt();
        let page = browser.open(&attempt.path()).await;
        let clicks = (0..4).map(|_| browser.submit_only(&page, "/authorize", &[("decision", "approve")]));
        for answer in join_all(clicks).await {
            let spotify = answer.redirect().unwrap();
            assert!(browser.is_spotify(&spotify), "{answer:?}");
            let mut there = browser.open(spotify.as_str()).await;
            if there.left_for.is_none() {
                there = browser.agree_as(&there, "ada").await;
            }
            let brought = there.brought();
            assert_eq!(brought["state"], attempt.state);
            Pair::of(&client.redeem(&brought["code"], &attempt.verifier).await);
        }
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM consents").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM grants").await, 4);
    })
    .await;
}
