//! The primary account, and what becomes of things when it or the last one goes: at once, on every server.

use reqwest::StatusCode;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Fault;

use super::{accounts, link, named, plays, told};
use crate::front_door::revoking::nodes::beside;
use crate::support::database::{Place, at_both};
use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};

#[tokio::test]
async fn the_primary_account_is_chosen_by_tool_or_page() {
    let server = Setup::default().people(3).start().await;
    let ada = server.listener("ada").await;
    link(&ada, "work", "user0001").await;
    let made = ada.call("set_default_account", json!({"account": "WORK"})).await.content();
    assert_eq!((&made["account"], &made["changed"]), (&json!("work"), &json!(true)));
    assert!(plays(&ada, Value::Null).await.contains("user0001Z"));
    let again = ada.call("set_default_account", json!({"account": "work"})).await.content();
    assert_eq!(again["changed"], false);
    assert_eq!(ada.call("set_default_account", json!({"account": "x"})).await.error(), "ACCOUNT_UNKNOWN");
    let raw = server.place.raw().await;
    let name = raw.texts("SELECT display_name FROM linked_accounts WHERE alias = 'work'").await;
    assert_eq!(raw.texts("SELECT display_name FROM users").await, name, "called as the primary one");
    let page = ada.browser.open("/account").await;
    assert_eq!(page.forms("/account/links/default").len(), 1, "only where it is not that already");
    let page = ada.browser.submit(&page, "/account/links/default", &[]).await;
    assert_eq!((page.status, page.url.query()), (StatusCode::OK, Some("done=default-changed")));
    assert!(plays(&ada, Value::Null).await.contains("adaZ"));
    assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));
    told(&server, "account_default_changed", 2).await;
}

#[tokio::test]
async fn each_account_can_be_connected_again_and_another_one_is_told() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let ada = server.listener("ada").await;
        link(&ada, "work", "user0001").await;
        server.control().revoke("user0001", None);
        server.control().advance(std::time::Duration::from_secs(3700));
        let works = async || {
            let answer = ada.call("get_current_track", json!({"account": "work"})).await.result();
            answer["structuredContent"]["error"]["code"].as_str().unwrap_or("works").to_owned()
        };
        assert_eq!(works().await, "RECONNECT_REQUIRED");
        let status = ada.call("get_status", json!({"account": "work"})).await.content();
        let to_do = status["accounts"][0]["to_do"][0].as_str().unwrap().to_owned();
        let told = to_do.split(' ').find(|word| word.starts_with("http")).unwrap().trim_end_matches('.');
        let page = ada.browser.open("/account").await;
        let button = page.text.split("href=\"").find(|rest| rest.contains(">Reconnect<")).unwrap();
        let button = button.split('"').next().unwrap();
        assert!(told.ends_with(button), "{told} {button}");
        for (address, person, done, after) in [
            (button, "ada", "done=other-returned", "RECONNECT_REQUIRED"),
            ("/auth/login", "ada", "done=other-returned", "RECONNECT_REQUIRED"),
            (told, "user0001", "done=reconnected", "works"),
        ] {
            let spotify = ada.browser.open(address).await;
            assert!(ada.browser.is_spotify(&spotify.url), "Spotify asks who it is: {}", spotify.text);
            assert!(spotify.url.query().unwrap().contains("show_dialog=true"));
            let page = ada.browser.agree_as(&spotify, person).await;
            assert_eq!(page.url.query(), Some(done), "{}", page.text);
            let said = if person == "ada" { "another of your accounts" } else { "connected again." };
            assert!(page.text.contains(said), "{}", page.text);
            assert_eq!(works().await, after);
        }
        assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));
    })
    .await;
}

#[tokio::test]
async fn unlinking_asks_first_then_erases_and_the_first_linked_takes_its_place() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let ada = server.listener("ada").await;
        link(&ada, "work", "user0001").await;
        let plan = ada.call("unlink_account", json!({"account": "main"})).await.content();
        assert_eq!((&plan["removed"], &plan["primary"]), (&json!(false), &json!("work")));
        assert_eq!(accounts(&ada).await.len(), 2, "nothing is removed without confirm");
        assert_eq!(
            ada.call("unlink_account", json!({"account": "x", "confirm": true})).await.error(),
            "ACCOUNT_UNKNOWN"
        );

        let gone = ada.call("unlink_account", json!({"account": "main", "confirm": true})).await;
        assert!(gone.result()["content"][0]["text"].as_str().unwrap().contains("spotify.com/account/apps"));
        let gone = gone.content();
        assert_eq!((&gone["removed"], &gone["remaining"]), (&json!(true), &json!(["work"])));
        assert!(
            plays(&ada, Value::Null).await.contains("user0001Z"),
            "the one that is left is the primary one"
        );
        assert_eq!(ada.call("get_liked_songs", json!({"account": "main"})).await.error(), "ACCOUNT_UNKNOWN");
        let raw = server.place.raw().await;
        assert!(raw.dump().await.iter().all(|row| !row.contains("Ada")), "no name of it stays");
        // Another one that is unlinked is nobody's: whoever logs in with it is somebody new.
        link(&ada, "home", "user0002").await;
        ada.call("unlink_account", json!({"account": "home", "confirm": true})).await.content();
        server.browser().log_in("user0002").await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2);

        let last = ada.call("unlink_account", json!({"account": "work", "confirm": true})).await.content();
        assert_eq!((last.get("primary"), &last["remaining"]), (None, &json!([])));
        assert_eq!(ada.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
        assert_eq!(ada.call("list_my_accounts", json!({})).await.content()["accounts"], json!([]));
        told(&server, "account_unlinked", 3).await;
        // Only the one that logged in comes back as this person, to the apps that they had connected.
        let elsewhere = server.browser();
        elsewhere.log_in("ada").await;
        assert!(plays(&ada, Value::Null).await.contains("adaZ"));
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2);
    })
    .await;
}

#[tokio::test]
async fn what_is_still_being_read_of_an_unlinked_account_is_told_to_nobody() {
    at_both(async |place| {
        let server = Setup::on(place).people(2).start().await;
        let ada = server.listener("ada").await;
        link(&ada, "work", "user0001").await;
        for account in ["work", "main"] {
            server.inject("GET /v1/me/player/currently-playing*", 1, Fault::Delay { millis: 1500 });
            let slow = ada.call("get_current_track", json!({"account": account}));
            let unlinks = async {
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                let gone = ada.call("unlink_account", json!({"account": account, "confirm": true})).await;
                assert_eq!(gone.content()["removed"], true);
            };
            let (answer, ()) = tokio::join!(slow, unlinks);
            let answer = answer.result();
            assert_eq!(answer["structuredContent"]["error"]["code"], "ACCOUNT_UNKNOWN", "{answer}");
            assert!(!answer.to_string().contains("Z\""), "nothing of it: {answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_unlinked_answers_on_no_server() {
    let Some(place) = Place::postgres().await else { return };
    let server = Setup::on(place).people(2).start().await;
    let ada = server.listener("ada").await;
    link(&ada, "work", "user0001").await;
    let (_child, other) = beside(&server, None).await;
    let call = async |arguments: Value| {
        let params = json!({"name": "get_current_track", "arguments": arguments});
        let request = server.http.post(format!("{other}/mcp")).bearer_auth(&ada.pair().access);
        let host = server.origin.trim_start_matches("http://").to_owned();
        let reply =
            speak(request, Era::Modern, "tools/call", params).header("host", host).send().await.unwrap();
        reply.text().await.unwrap()
    };
    let before = call(json!({"account": "work"})).await;
    assert!(before.contains("user0001Z"), "{before}");
    assert!(call(json!({})).await.contains("adaZ"));
    ada.call("unlink_account", json!({"account": "main", "confirm": true})).await.content();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(call(json!({"account": "main"})).await.contains("ACCOUNT_UNKNOWN"));
    assert!(call(json!({})).await.contains("user0001Z"), "the new primary one, there too");
}

#[tokio::test]
async fn ten_accounts_are_the_most() {
    let server = Setup::default().people(12).start().await;
    let ada = server.listener("ada").await;
    for n in 1..10 {
        link(&ada, &format!("number {n}"), &format!("user{n:04}")).await;
    }
    assert_eq!(ada.call("link_account", json!({})).await.error(), "RESTRICTED");
    assert_eq!(ada.browser.open(super::PAGE).await.code(), "TOO_MANY_ACCOUNTS");
    let all = ada.call("get_current_track", json!({"account": "all"})).await.content();
    assert_eq!(all["by_account"].as_array().unwrap().len(), 10);
    assert!(counted(&server, &ada).await > 0);
}

/// What `get_usage` says of the calls of `link_account`.
async fn counted(server: &TestServer, listener: &crate::support::listener::Listener) -> i64 {
    let usage = listener.call("get_usage", json!({"tool": "link_account"})).await.content();
    let [row] = &usage["usage"].as_array().unwrap()[..] else { panic!("{usage}: {}", server.logged()) };
    assert_eq!(
        (&row["tool"], &row["calls"], &row["errors"]),
        (&json!("link_account"), &json!(10), &json!(1))
    );
    assert_eq!((&usage["calls"], &usage["errors"]), (&json!(10), &json!(1)));
    let nothing = listener.call("get_usage", json!({"tool": "search_tracks", "days": 90})).await.content();
    assert_eq!((&nothing["calls"], &nothing["usage"]), (&json!(0), &json!([])));
    usage["calls"].as_i64().unwrap()
}

#[tokio::test]
async fn who_changes_their_accounts_makes_servers_forget_nobody_else() {
    let Some(place) = Place::postgres().await else { return };
    let server = Setup::on(place).people(3).start().await;
    let ada = server.listener("ada").await;
    link(&ada, "work", "user0001").await;
    let (_child, other) = beside(&server, None).await;
    let there = async || {
        let params = json!({"name": "get_current_track", "arguments": {}});
        let request = server.http.post(format!("{other}/mcp")).bearer_auth(&ada.pair().access);
        let host = server.origin.trim_start_matches("http://").to_owned();
        let request = speak(request, Era::Modern, "tools/call", params).header("host", host);
        request.send().await.unwrap().text().await.unwrap()
    };
    assert!(there().await.contains("adaZ"));
    let raw = server.place.raw().await;
    let epoch = raw.number("SELECT epoch FROM revocation").await;
    for (account, marker) in [("work", "user0001Z"), ("main", "adaZ"), ("work", "user0001Z")] {
        ada.call("set_default_account", json!({"account": account})).await.content();
        assert!(plays(&ada, Value::Null).await.contains(marker), "here at once");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let said = there().await;
        assert!(said.contains(marker), "there within a second: {said}");
    }
    server.listener("ben").await;
    assert_eq!(raw.number("SELECT epoch FROM revocation").await, epoch, "what others have is remembered");
}
