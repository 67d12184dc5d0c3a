//! Which of a person's accounts opens them: the one that they began with, or chose, and no other.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{accounts, link, named, plays, server, told};
use crate::front_door::api_keys::command;
use crate::front_door::status;
use crate::support::browser::{Browser, Page};
use crate::support::client::Pair;
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const DISCONNECT: &str = "/account/links/disconnect";

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
async fn no_account_that_stays_logs_in_by_itself_and_the_one_that_went_comes_back() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        let raw = server.place.raw().await;
        let page = ada.browser.open("/account").await;
        assert!(page.text.contains("you log in with this one"), "{}", page.text);
        assert_eq!(page.text.matches("does not log in here").count(), 1, "{}", page.text);
        let plan = ada.call("unlink_account", json!({"account": "work"})).await.content();
        assert_eq!(plan["logs_in"], false);
        let id = status(&ada.browser).await["user_id"].clone();
        for confirm in [false, true] {
            let answer = ada.call("unlink_account", json!({"account": "main", "confirm": confirm})).await;
            let result = answer.result();
            assert_eq!(result["structuredContent"]["logs_in"], true);
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("only that same Spotify account brings them back"), "{text}");
            assert!(text.contains("log in as nobody"), "{text}");
        }
        opens_nothing(&server, "user0001").await;
        assert!(plays(&ada, Value::Null).await.contains("user0001Z"), "the apps go on with what stays");
        let page = ada.browser.open("/account").await;
        assert!(page.text.contains("None of these logs in here"), "{}", page.text);
        link(&ada, "home", "user0002").await;
        opens_nothing(&server, "user0002").await;
        let page = server.browser().log_in("ada").await;
        assert!(page.text.contains(id.as_str().unwrap()), "who they were: {}", page.text);
        assert!(page.text.contains("you log in with this one"), "{}", page.text);
        opens_nothing(&server, "user0001").await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn disconnecting_the_account_that_logs_in_is_confirmed_and_asks_who_logs_in_then() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        let raw = server.place.raw().await;
        let id = status(&ada.browser).await["user_id"].as_str().unwrap().to_owned();
        let page = ada.browser.open("/account").await;
        let confirm = ada.browser.submit(&page, DISCONNECT, &[]).await;
        assert_eq!(confirm.status, StatusCode::OK);
        for said in [
            "<h1>Disconnect ",
            "you log in here with",
            "1 connected app",
            "1 browser logged in",
            "is you here then",
        ] {
            assert!(confirm.text.contains(said), "{said}: {}", confirm.text);
        }
        assert_eq!(accounts(&ada).await.len(), 2, "nothing is done yet");
        let linked = raw.texts("SELECT id FROM linked_accounts WHERE spotify_user_id = 'user0001'").await;
        assert!(confirm.text.contains(&format!("value=\"{}\"", linked[0])), "{}", confirm.text);
        let form = confirm.form(DISCONNECT);
        let chosen = async |heir: &str| {
            let fields = ["csrf", "link", "confirm"].map(|name| (name, form.get(name)));
            ada.browser.post(DISCONNECT, &[&fields[..], &[("heir", heir)]].concat()).await
        };
        for nonsense in ["x", "l_00000000000000000000000000000000"] {
            assert_eq!(chosen(nonsense).await.code(), "NOT_FOUND");
        }
        assert_eq!(accounts(&ada).await.len(), 2, "nor then");
        assert_eq!(chosen(&linked[0]).await.status, StatusCode::SEE_OTHER);

        let page = server.browser().log_in("user0001").await;
        assert!(page.text.contains(&id), "{}", page.text);
        let page = server.browser().log_in("ada").await;
        assert!(!page.text.contains(&id), "somebody new: {}", page.text);
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2);
        // The last one is confirmed too; one beside others that does not log in is not.
        let page = ada.browser.open("/account").await;
        let confirm = ada.browser.submit(&page, DISCONNECT, &[]).await;
        assert!(confirm.text.contains("No Spotify account stays"), "{}", confirm.text);
        link(&ada, "home", "user0002").await;
        let page = ada.browser.open("/account").await;
        let forms = page.forms(DISCONNECT);
        let [_, home] = &forms[..] else { panic!("{}", page.text) };
        let fields = [("csrf", home.get("csrf")), ("link", home.get("link"))];
        let gone = ada.browser.post(DISCONNECT, &fields).await;
        assert_eq!(gone.status, StatusCode::SEE_OTHER, "{}", gone.text);
    })
    .await;
}

#[tokio::test]
async fn what_spotify_no_longer_honours_gives_way_to_its_owner_who_asks_for_it() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        let raw = server.place.raw().await;
        // While it works, asking for it changes nothing.
        let page = log_in_at(&server.browser(), "/auth/login?as=myself", "user0001").await;
        assert_eq!(page.code(), "FURTHER_ACCOUNT");
        assert!(page.text.contains("spotify.com/account/apps"), "{}", page.text);
        assert!(plays(&ada, json!("work")).await.contains("user0001Z"));

        // Nobody here has noticed yet that its owner took the permission back.
        server.control().revoke("user0001", None);
        let browser = server.browser();
        let page = log_in_at(&browser, "/auth/login", "user0001").await;
        assert_eq!((page.code(), page.status), ("FURTHER_ACCOUNT_ENDED", StatusCode::FORBIDDEN));
        assert_eq!(accounts(&ada).await.len(), 2, "nothing was changed");
        assert!(page.text.contains("/auth/login?as=myself"), "{}", page.text);
        // Whom the operator keeps out does not come in again by it.
        raw.run("UPDATE users SET disabled_at = 1").await;
        let refused = log_in_at(&server.browser(), "/auth/login?as=myself", "user0001").await;
        assert_eq!(refused.code(), "FURTHER_ACCOUNT");
        raw.run("UPDATE users SET disabled_at = NULL").await;

        let page = log_in_at(&browser, "/auth/login?as=myself", "user0001").await;
        assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/account"), "{}", page.text);
        assert!(!page.text.contains("Ada"), "{}", page.text);
        assert_ne!(status(&browser).await["user_id"], status(&ada.browser).await["user_id"]);
        assert_eq!(accounts(&ada).await, named(&[("main", true)]), "it is theirs no more");
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2);
        told(&server, "taken_by_its_owner", 1).await;
        // Theirs, it does not give way, whether Spotify honours it or not.
        server.control().revoke("user0001", None);
        let page = ada.browser.open(super::PAGE).await;
        let page = super::link_on(&ada.browser, &page, "work", "user0001").await;
        assert_eq!(page.code(), "ACCOUNT_TAKEN");
    })
    .await;
}

#[tokio::test]
async fn who_is_somebody_here_links_what_spotify_no_longer_honours_for_another() {
    let (server, ada) = with_work(Place::sqlite()).await;
    let ben = server.listener("ben").await;
    let page = ben.browser.open(super::PAGE).await;
    let page = super::link_on(&ben.browser, &page, "mine", "user0001").await;
    assert_eq!(page.code(), "ACCOUNT_TAKEN", "while it works");
    server.control().revoke("user0001", None);
    link(&ben, "mine", "user0001").await;
    assert!(plays(&ben, json!("mine")).await.contains("user0001Z"));
    assert_eq!(accounts(&ada).await, named(&[("main", true)]));
}

#[tokio::test]
async fn a_further_account_names_nobody_to_the_operator() {
    at_both(async |place| {
        let (server, ada) = with_work(place).await;
        let id = status(&ada.browser).await["user_id"].as_str().unwrap().to_owned();
        for arguments in [
            &["users", "show", "user0001"][..],
            &["users", "delete", "user0001", "--yes"],
            &["users", "disable", "user0001", "--yes"],
            &["users", "export", "user0001"],
            &["api-keys", "create", "--user", "user0001", "--name", "x"],
            &["usage", "--user", "user0001"],
            &["revoke-sessions", "--user", "user0001", "--yes"],
        ] {
            let done = command(&server, arguments).await;
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(!done.status.success() && said.contains("USER_FURTHER_ACCOUNT"), "{arguments:?}: {said}");
            assert!(said.contains(&id) && said.contains("Ada"), "{said}");
        }
        let shown = command(&server, &["users", "show", "ada"]).await;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("ada (main, default, logs in with it"), "{shown}");
        assert!(shown.contains("user0001 (work, through"), "{shown}");
        assert!(plays(&ada, json!("work")).await.contains("user0001Z"));
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
