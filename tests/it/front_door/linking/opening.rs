//! Which of a person's accounts opens them: the one linked first, of those that they still have, and no other.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{accounts, link, named, plays, server, told};
use crate::front_door::status;
use crate::support::browser::{Browser, Page};
use crate::support::client::Pair;
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// Logs in at an address as this person, who agrees as often as Spotify asks.
async fn log_in_at(browser: &Browser, address: &str, person: &str) -> Page {
    let mut page = browser.open(address).await;
    for _ in 0..2 {
        if page.left_for.is_some() || !browser.is_spotify(&page.url) {
            break;
        }
        page = browser.agree_as(&page, person).await;
    }
    page
}

/// Neither a browser nor a client that is new comes in with this account.
async fn opens_nothing(server: &TestServer, person: &str) {
    let browser = server.browser();
    let page = log_in_at(&browser, "/auth/login", person).await;
    assert_eq!((page.code(), page.status), ("FURTHER_ACCOUNT", StatusCode::FORBIDDEN));
    assert!(!page.text.contains("Ada") && !page.text.contains(">main<"), "nobody is named: {}", page.text);
    assert!(browser.cookie("smcp-session").is_none());
    assert_eq!(status(&browser).await["authenticated"], false);
    let way = page.text.split("href=\"").find(|rest| rest.contains("the other account")).unwrap();
    let spotify = browser.open(way.split('"').next().unwrap()).await;
    assert!(spotify.url.query().unwrap().contains("show_dialog=true"), "Spotify asks: {}", spotify.url);
    refuses_a_client(server, &server.browser(), person).await;
}

async fn refuses_a_client(server: &TestServer, browser: &Browser, person: &str) {
    let client = server.client().await;
    let mut page = client.send_away(&client.attempt(), browser, person).await;
    if page.left_for.is_none() {
        assert!(page.url.query().unwrap().contains("show_dialog=true"), "Spotify asks once more");
        page = browser.agree_as(&page, person).await;
    }
    let brought = page.brought();
    assert_eq!(brought["error"], "access_denied");
    assert!(brought["error_description"].starts_with("FURTHER_ACCOUNT"), "{brought:?}");
    assert!(!brought.contains_key("code"));
}

async fn with_work(place: Place) -> (TestServer, Listener) {
    let server = Setup::on(place).people(4).start().await;
    let ada = server.listener("ada").await;
    link(&ada, "work", "user0001").await;
    (server, ada)
}

#[tokio::test]
async fn a_further_account_opens_nothing_and_comes_as_itself_once_it_was_unlinked() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        opens_nothing(&server, "user0001").await;
        // Nor where it is the default, nor in the browser where its person is logged in.
        ada.call("set_default_account", json!({"account": "work"})).await.content();
        opens_nothing(&server, "user0001").await;
        refuses_a_client(&server, &ada.browser, "user0001").await;
        told(&server, "account_mismatch", 5).await;
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM browser_sessions").await, 1, "hers alone");
        assert!(plays(&ada, json!("work")).await.contains("user0001Z"), "it works as before");

        ada.call("unlink_account", json!({"account": "work", "confirm": true})).await.content();
        let ben = server.browser();
        ben.log_in("user0001").await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2, "somebody of their own");
        assert_ne!(status(&ben).await["user_id"], status(&ada.browser).await["user_id"]);
    })
    .await;
}

#[tokio::test]
async fn who_is_here_chooses_at_spotify_which_account_logs_in() {
    let (server, ada) = with_work(Place::sqlite()).await;
    // Spotify's own session in that browser is the account that was just linked.
    let client = server.client().await;
    let attempt = client.attempt();
    let code = client.code(&attempt, &ada.browser, "ada").await;
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
}

#[tokio::test]
async fn a_further_account_is_connected_again_by_who_is_logged_in() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        server.control().revoke("user0001", None);
        server.control().advance(Duration::from_secs(3700));
        let answer = ada.call("get_current_track", json!({"account": "work"})).await.result().to_string();
        assert!(answer.contains("RECONNECT_REQUIRED"), "{answer}");
        let address = answer.split('"').flat_map(|text| text.split(' ')).find(|word| word.contains("?link="));
        let address = address.unwrap().trim_end_matches(['.', ',']).to_owned();

        let elsewhere = server.browser();
        let first = elsewhere.open(&address).await;
        assert!(first.text.contains("Log in as yourself first"), "{}", first.text);
        assert!(elsewhere.cookie("smcp-login").is_none(), "nothing began");
        let (_, way) = address.split_once("/auth/").unwrap();
        let way = format!("/auth/{way}&login=yes");
        assert!(first.text.replace("&#38;", "&").replace("&amp;", "&").contains(&way), "{}", first.text);
        let refused = log_in_at(&elsewhere, &way, "user0001").await;
        assert_eq!(refused.code(), "FURTHER_ACCOUNT");
        assert!(refused.text.contains("login=yes"), "back to where they were: {}", refused.text);
        assert_eq!(status(&elsewhere).await["authenticated"], false);
        let spotify = elsewhere.open(&way).await;
        let spotify = elsewhere.agree_as(&spotify, "ada").await;
        assert!(elsewhere.is_spotify(&spotify.url), "on to the second: {}", spotify.text);
        assert_eq!(status(&elsewhere).await["authenticated"], true);
        let done = elsewhere.agree_as(&spotify, "user0001").await;
        assert_eq!(done.url.query(), Some("done=reconnected"), "{}", done.text);
        assert!(plays(&ada, json!("work")).await.contains("user0001Z"));
        assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));

        // Somebody else whom the address was sent to is whoever they are, and hears of nobody.
        let stranger = server.browser();
        let page = log_in_at(&stranger, &way, "user0002").await;
        assert_eq!((page.url.path(), page.url.query()), ("/account", None), "{}", page.text);
        // Logged out while at Spotify: the way back opens nothing.
        let spotify = elsewhere.open(&address).await;
        elsewhere.forget("smcp-session");
        let refused = elsewhere.agree_as(&spotify, "user0001").await;
        assert_eq!(refused.code(), "FURTHER_ACCOUNT");
        assert!(elsewhere.cookie("smcp-session").is_none());
    })
    .await;
}

#[tokio::test]
async fn the_next_oldest_opens_once_the_first_is_unlinked_and_that_is_said() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        link(&ada, "home", "user0002").await;
        let raw = server.place.raw().await;
        let times = raw.number("SELECT COUNT(DISTINCT created_at) FROM linked_accounts").await;
        assert_eq!(times, 3, "which was first is never in doubt");
        let page = ada.browser.open("/account").await;
        assert!(page.text.contains("you log in with this one"), "{}", page.text);
        assert_eq!(page.text.matches("does not log in here").count(), 2, "{}", page.text);
        let plan = ada.call("unlink_account", json!({"account": "work"})).await.content();
        assert_eq!(plan.get("logs_in"), None, "only where it changes");
        let said = async |confirm: bool| {
            let answer = ada.call("unlink_account", json!({"account": "main", "confirm": confirm})).await;
            let result = answer.result();
            assert_eq!(result["structuredContent"]["logs_in"], "work");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("logs in to this server with work from then on"), "{text}");
        };
        said(false).await;
        said(true).await;

        let page = server.browser().log_in("user0001").await;
        assert!(page.text.contains("you log in with this one"), "{}", page.text);
        opens_nothing(&server, "user0002").await;
        server.browser().log_in("ada").await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2, "the first is somebody of their own");
        assert!(plays(&ada, Value::Null).await.contains("user0001Z"));
    })
    .await;
}

#[tokio::test]
async fn the_page_that_links_says_that_the_new_account_does_not_log_in() {
    let server = server().await;
    let ada = server.listener("ada").await;
    let page = ada.browser.open(super::PAGE).await;
    assert!(page.text.contains("the new account does not log in here"), "{}", page.text);
    let text = ada.call("link_account", json!({})).await.result().to_string();
    assert!(text.contains("the new account does not log in"), "{text}");
}
