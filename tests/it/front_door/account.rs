//! `/account`: what a person sees and ends, and what nobody else can.

use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use serde_json::json;

use super::status;
use crate::support::browser::{Browser, Page};
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const ACTIONS: [(&str, &str); 5] = [
    ("/account/links/disconnect", "link"),
    ("/account/clients/revoke", "grant"),
    ("/account/approvals/withdraw", "client"),
    ("/account/sessions/end", "session"),
    ("/account/api-keys/revoke", "key"),
];

async fn calls(listener: &Listener) -> StatusCode {
    listener.call("get_status", json!({})).await.status
}

async fn account(browser: &Browser) -> Page {
    let page = browser.open("/account").await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/account"), "{}", page.text);
    page
}

async fn is_logged_in(browser: &Browser) -> bool {
    status(browser).await["authenticated"] == true
}

#[tokio::test]
async fn a_person_sees_what_is_theirs_and_ends_a_client() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let other = server.listener("ada").await;
    let page = account(&ada.browser).await;
    assert!(page.text.contains("Ada") && page.text.contains("A test’s client") || page.text.contains("test"));
    let forms = page.forms("/account/clients/revoke");
    assert_eq!(forms.len(), 2);
    let csrf = forms[0].get("csrf");
    for form in &forms {
        let fields = [("csrf", csrf), ("grant", form.get("grant"))];
        let done = ada.browser.post("/account/clients/revoke", &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    }
    for ended in [&ada, &other] {
        assert_eq!(calls(ended).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ended.client.refresh(&ended.pair().refresh).await.1["error"], "invalid_grant");
    }
    assert!(account(&ada.browser).await.forms("/account/clients/revoke").is_empty());
    assert!(is_logged_in(&ada.browser).await, "the browser's own session is another thing");
}

#[tokio::test]
async fn disconnecting_spotify_leaves_our_tokens_and_logging_in_repairs() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let page = account(&ada.browser).await;
    let page = ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    assert_eq!(page.url.query(), Some("done=disconnected"));
    assert_eq!(ada.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 0, "gone at once");
    ada.browser.open("/auth/login").await;
    if !is_linked(&ada).await {
        let page = ada.browser.open("/auth/login").await;
        ada.browser.agree_as(&page, "ada").await;
    }
    ada.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn who_disconnected_and_comes_back_in_another_browser_is_who_they_were() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let page = account(&ada.browser).await;
    let id = page.text.split("<code>u_").nth(1).unwrap()[..32].to_owned();
    let page = ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    assert!(page.text.contains("not connected to Spotify"), "{}", page.text);
    let page = ada.browser.submit(&page, "/auth/logout", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    let elsewhere = server.browser();
    let page = elsewhere.log_in("ada").await;
    assert!(page.text.contains(&id) && page.text.contains("Ada"), "{}", page.text);
    ada.call("get_current_track", json!({})).await.content();
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM users").await, 1);
    // Somebody else is somebody else.
    assert!(!server.browser().log_in("ben").await.text.contains(&id));
}

#[tokio::test]
async fn after_disconnecting_somebody_elses_account_does_not_become_this_person() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let page = account(&ada.browser).await;
    ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    let page = account(&ada.browser).await;
    assert!(!page.text.contains("Ada"), "the name from Spotify is gone too");
    // Ben at the same computer, still in Ada's session here.
    ada.browser.forget("sandbox");
    let page = ada.browser.open("/auth/login").await;
    ada.browser.agree_as(&page, "ben").await;
    assert!(is_linked(&ada).await, "Ben is logged in, as himself");
    assert_eq!(ada.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED", "Ada's client");
}

async fn is_linked(listener: &Listener) -> bool {
    !account(&listener.browser).await.forms("/account/links/disconnect").is_empty()
}

#[tokio::test]
async fn the_fourth_browser_ends_the_oldest_session() {
    let server = TestServer::new().await;
    let browsers: Vec<_> = (0..4).map(|_| server.browser()).collect();
    for browser in &browsers {
        browser.log_in("ada").await;
        // Which session is the oldest is told by the second.
        tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
    }
    assert!(!is_logged_in(&browsers[0]).await);
    for browser in &browsers[1..] {
        assert!(is_logged_in(browser).await);
    }
    let page = account(&browsers[3]).await;
    assert_eq!(page.forms("/account/sessions/end").len(), 2, "the two others");
    browsers[3].submit(&page, "/account/sessions/end", &[]).await;
    let left = [is_logged_in(&browsers[1]).await, is_logged_in(&browsers[2]).await];
    assert_eq!(left.iter().filter(|alive| **alive).count(), 1);
}

#[tokio::test]
async fn logging_out_is_a_genuine_post() {
    let server = TestServer::new().await;
    let browser = server.browser();
    browser.log_in("ada").await;
    assert_eq!(browser.peek("/auth/logout").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(is_logged_in(&browser).await);
    let thief = server.browser();
    thief.take_cookies(&browser);
    let page = account(&browser).await;
    browser.submit(&page, "/auth/logout", &[]).await;
    assert!(browser.cookie("smcp-session").is_none());
    assert!(!is_logged_in(&browser).await);
    assert!(!is_logged_in(&thief).await, "the session ended here, not only in the browser");
}

#[tokio::test]
async fn forms_without_their_own_token_do_nothing() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let page = account(&ada.browser).await;
    let foreign = account(&ben.browser).await.form("/auth/logout").get("csrf").to_owned();
    for (action, name) in ACTIONS {
        let id = page.forms(action).first().map_or("s_x".to_owned(), |form| form.get(name).to_owned());
        for csrf in ["", "x", &foreign] {
            let refused = ada.browser.post(action, &[("csrf", csrf), (name, &id)]).await;
            assert_eq!((refused.code(), refused.status), ("FORM_EXPIRED", StatusCode::FORBIDDEN), "{action}");
        }
    }
    let form = page.form("/account/clients/revoke");
    let cookies = format!("smcp-session={}", ada.browser.cookie("smcp-session").unwrap());
    let fields: Vec<_> = form.pairs().collect();
    let request = server.http.post(format!("{}/account/clients/revoke", server.origin)).form(&fields);
    let request = request.header("cookie", cookies).header("origin", "https://evil.example");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let confirm = [("csrf", foreign.as_str()), ("confirm", "delete my data")];
    assert_eq!(ada.browser.post("/account/delete", &confirm).await.code(), "FORM_EXPIRED");
    assert_eq!(calls(&ada).await, StatusCode::OK);
    assert!(is_linked(&ada).await);
}

#[tokio::test]
async fn other_peoples_ids_are_not_found() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let second = server.browser();
    second.log_in("ada").await;
    make_key(&ada.browser, "read").await;
    let (hers, his) = (account(&ada.browser).await, account(&ben.browser).await);
    let csrf = his.form("/auth/logout").get("csrf").to_owned();
    for (action, name) in ACTIONS {
        let id = hers.form(action).get(name).to_owned();
        let start = id.find('_').unwrap() + 1;
        let made_up = format!("{}{}", &id[..start], "0".repeat(id.len() - start));
        let mut answers = Vec::new();
        for id in [&id, &made_up] {
            let page = ben.browser.post(action, &[("csrf", &csrf), (name, id)]).await;
            assert_eq!((page.code(), page.status), ("NOT_FOUND", StatusCode::NOT_FOUND), "{action}");
            answers.push(page.text.split("<dt>Request").next().unwrap().to_owned());
        }
        assert_eq!(answers[0], answers[1], "unknown and somebody else's look alike");
    }
    assert_eq!(calls(&ada).await, StatusCode::OK);
    assert!(is_linked(&ada).await && is_logged_in(&second).await && is_logged_in(&ada.browser).await);
}

/// Makes a key at the page; the key.
async fn make_key(browser: &Browser, scope: &str) -> String {
    let page = account(browser).await;
    let fields = [("name", "Kitchen <radio>"), (scope, "on"), ("expires", "90d")];
    let made = browser.submit(&page, "/account/api-keys", &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    assert_eq!(made.url.query(), None);
    assert_eq!(made.headers["cache-control"], "no-store");
    let key = made.text.split("<code id=\"key\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(key.starts_with("smcp_") && key.len() == 53, "{key}");
    key
}

#[tokio::test]
async fn a_key_is_shown_once_and_ended_by_its_owner() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__API_KEYS_PER_USER", "2").start().await;
    let ada = server.listener("ada").await;
    let call = async |key: &str, tool| super::api_keys::call(&server, key, tool).await;
    let key = make_key(&ada.browser, "read").await;
    call(&key, "get_current_track").await.content();
    assert_eq!(call(&key, "create_playlist").await.status, StatusCode::FORBIDDEN, "only what was chosen");
    let page = account(&ada.browser).await;
    assert!(!page.text.contains(&key) && page.text.contains(&key[..11]), "only how it begins");
    assert!(page.text.contains("Kitchen &#60;radio&#62;"), "{}", page.text);

    let post = async |fields: &[(&str, &str)]| ada.browser.submit(&page, "/account/api-keys", fields).await;
    for fields in [
        [("name", "x"), ("expires", "90d"), ("x", "y")],
        [("name", " "), ("expires", "90d"), ("read", "on")],
        [("name", "x"), ("expires", "4000d"), ("read", "on")],
        [("name", "x"), ("expires", "1h"), ("read", "on")],
    ] {
        assert_eq!(post(&fields).await.status, StatusCode::BAD_REQUEST, "{fields:?}");
    }
    let good = [("name", "x"), ("expires", "never"), ("player", "on")];
    assert_eq!(post(&good).await.status, StatusCode::OK);
    assert_eq!(post(&good).await.status, StatusCode::CONFLICT, "two are allowed here");

    let page = account(&ada.browser).await;
    let forms = page.forms("/account/api-keys/revoke");
    assert_eq!(forms.len(), 2);
    for form in &forms {
        let fields: Vec<_> = form.pairs().collect();
        let done = ada.browser.post("/account/api-keys/revoke", &fields).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
        let again = ada.browser.post("/account/api-keys/revoke", &fields).await;
        assert_eq!(again.code(), "NOT_FOUND");
    }
    assert_eq!(call(&key, "get_status").await.status, StatusCode::UNAUTHORIZED, "at once on this server");
    assert!(account(&ada.browser).await.forms("/account/api-keys/revoke").is_empty());
    assert!(!server.logged().contains(&key[5..]), "not in the log");
}

#[tokio::test]
async fn deleting_ones_data_leaves_nothing() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let (id, name) = ("quixotic-zebrafinch", "Wilhelmina Quokkasworth");
        server.control().create_user(id, &json!({"display_name": name})).unwrap();
        let (finch, ben) = (server.listener(id).await, server.listener("ben").await);
        finch.call("create_playlist", json!({"name": "A list of mine"})).await.content();
        finch.refresh().await;
        let users = server.control().users();
        let account_id = users.into_iter().find(|user| *user.id == *id).unwrap().account_id;
        let traces = [id, name, &account_id, "Wilhelmina+Quokkasworth", "quixoticzebrafinch"];
        let found_before = found(&server, &traces).await;
        assert!(found_before.iter().any(|hit| hit.contains(name)), "the search finds what is there");

        let page = finch.browser.open("/account/delete").await;
        let again = finch.browser.submit(&page, "/account/delete", &[("confirm", "no")]).await;
        assert_eq!(calls(&finch).await, StatusCode::OK, "not confirmed");
        let confirm = [("confirm", "delete my data")];
        let end = finch.browser.submit(&again, "/account/delete", &confirm).await;
        assert!(end.text.contains("Your data is deleted"), "{}", end.text);
        assert_eq!(calls(&finch).await, StatusCode::UNAUTHORIZED);
        assert_eq!(finch.client.refresh(&finch.pair().refresh).await.1["error"], "invalid_grant");
        assert!(!is_logged_in(&finch.browser).await);
        // Spotify would let this browser through without a question: no visit begins that.
        let page = account(&finch.browser).await;
        assert!(
            page.text.contains("You are not logged in") && page.text.contains("href=\"/auth/login\""),
            "{}",
            page.text
        );
        assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(calls(&ben).await, StatusCode::OK, "nobody else's");
        assert_eq!(found(&server, &traces).await, [""; 0], "while it runs");
        server.stop().await;
        assert_eq!(found(&server, &traces).await, [""; 0], "and at rest");
    })
    .await;
}

/// Which of these texts stand anywhere at the server: its database, the trail, its operational log.
async fn found(server: &TestServer, texts: &[&str]) -> Vec<String> {
    let mut folders = vec![server.data.clone()];
    if !server.place.is_postgres() {
        folders.extend(server.place.file().parent().map(Path::to_owned));
    }
    let folders: Vec<_> = folders.iter().map(PathBuf::as_path).collect();
    let mut places: Vec<_> = super::files(&folders)
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap_or_default()))
        .collect();
    let dump = server.place.raw().await.dump().await.join("\n");
    places.push(("the database".to_owned(), dump.into_bytes()));
    let mut found = Vec::new();
    for (place, bytes) in places {
        let hits = texts.iter().filter(|text| super::contains(&bytes, text.as_bytes()));
        found.extend(hits.map(|text| format!("{text} in {place}")));
    }
    found
}
