//! `users`, `clients` and `usage`: what an operator does without a browser, beside the running server.

mod leaving;
mod told;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::api_keys::{call, command, made, refusal, result};
use super::quotas::used_up;
use super::status;
use crate::support::browser::Page;
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// How long every server may take to hear of an end.
const HEARD: Duration = Duration::from_secs(1);

async fn text(server: &TestServer, arguments: &[&str]) -> String {
    let output = command(server, arguments).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|person| person["display_name"].as_str().unwrap()).collect()
}

async fn logs_in(server: &TestServer, person: &str) -> Page {
    let browser = server.browser();
    let page = browser.open("/auth/login").await;
    browser.agree_as(&page, person).await
}

#[tokio::test]
async fn people_are_listed_in_pages_and_shown_one_by_one() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        assert_eq!(text(&server, &["users", "list"]).await, "No people.\n");
        let long = "A name as long as anybody may have one \u{202e}and longer";
        server.control().create_user("x".repeat(60).as_str(), &json!({"display_name": long})).unwrap();
        let ada = server.listener("ada").await;
        for person in ["ben", "x".repeat(60).as_str()] {
            server.listener(person).await;
        }
        let raw = server.place.raw().await;
        raw.run("UPDATE users SET created_at = created_at - 60 WHERE display_name = 'Ada'").await;
        raw.run("UPDATE users SET created_at = created_at - 30 WHERE display_name = 'Ben'").await;
        let all = result(&server, &["users", "list"]).await;
        assert_eq!(names(&all)[..2], ["Ada", "Ben"]);
        let keys: Vec<_> = all[0].as_object().unwrap().keys().map(String::as_str).collect();
        let documented = [
            "accounts",
            "created_at",
            "disabled",
            "display_name",
            "id",
            "last_seen_at",
            "sessions",
            "spotify_user_ids",
        ];
        assert_eq!(keys, documented);
        assert_eq!((&all[0]["spotify_user_ids"], &all[0]["accounts"]), (&json!(["ada"]), &json!(1)));
        assert_eq!((&all[0]["sessions"], &all[0]["disabled"]), (&json!(1), &json!(false)));
        assert!(all[0]["created_at"].as_str().unwrap().ends_with('Z'));
        let table = text(&server, &["users", "list"]).await;
        // The one with the long id goes on below its first line, whole.
        assert!(
            table.starts_with("ID ") && table.contains("ada") && table.contains(&"x".repeat(60)),
            "{table}"
        );
        fits(&table);

        in_pages(&server).await;
        shown(&server, &ada, all[0]["id"].as_str().unwrap()).await;
        wrong_words(&server).await;
    })
    .await;
}

async fn in_pages(server: &TestServer) {
    let output = command(server, &["users", "list", "--limit", "2", "--format", "json"]).await;
    assert_eq!(names(&serde_json::from_slice(&output.stdout).unwrap()), ["Ada", "Ben"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--offset 2"));
    assert_eq!(names(&result(server, &["users", "list", "--limit", "1", "--offset", "1"]).await), ["Ben"]);
    assert_eq!(names(&result(server, &["users", "list", "--search", "BE"]).await), ["Ben"]);
    assert_eq!(result(server, &["users", "list", "--search", "%"]).await, json!([]), "no pattern");
    assert_eq!(result(server, &["users", "list", "--disabled"]).await, json!([]));
    result(server, &["users", "disable", "ben", "--yes"]).await;
    assert_eq!(names(&result(server, &["users", "list", "--disabled"]).await), ["Ben"]);
    assert_eq!(result(server, &["users", "list", "--enabled"]).await.as_array().unwrap().len(), 2);
    assert!(text(server, &["users", "list", "--disabled"]).await.contains("disabled"));
}

async fn shown(server: &TestServer, ada: &Listener, id: &str) {
    made(server, "ada", &[]).await;
    ada.call("get_status", json!({})).await.content();
    let shown = result(server, &["users", "show", "ada"]).await;
    assert_eq!((&shown["id"], &shown["disabled"]), (&json!(id), &json!(false)));
    assert_eq!(shown["clients"][0]["client_id"], json!(ada.client.id));
    assert_eq!(
        (&shown["sessions"][0]["kind"], &shown["api_keys"][0]["name"]),
        (&json!("browser"), &json!("a test"))
    );
    assert_eq!(shown["accounts"][0]["primary"], true);
    let words = text(server, &["users", "show", id]).await;
    assert!(words.contains("Connected clients: 1") && words.contains("Sessions: 1"), "{words}");
    assert!(text(server, &["users", "show", "ben"]).await.contains("DISABLED since"));
    let secrets =
        [ada.pair().access, ada.pair().refresh, ada.browser.cookie("smcp").unwrap_or("none".into())];
    assert!(
        secrets
            .iter()
            .all(|secret| !words.contains(secret.as_str()) && !shown.to_string().contains(secret.as_str()))
    );
}

async fn wrong_words(server: &TestServer) {
    for (arguments, exit, code) in [
        (&["users", "show", "nobody"][..], 3, "USER_UNKNOWN"),
        (&["users", "show"][..], 2, "USAGE"),
        (&["users", "list", "--limit", "0"][..], 2, "USAGE"),
        (&["users", "list", "--disabled", "--enabled"][..], 2, "USAGE"),
        (&["users", "disable", "ada"][..], 2, "CONFIRMATION_NEEDED"),
        (&["users", "delete", "ada"][..], 2, "CONFIRMATION_NEEDED"),
        (&["users", "delete", "ada", "nobody", "--yes"][..], 3, "USER_UNKNOWN"),
        (&["users", "enable", "nobody"][..], 3, "USER_UNKNOWN"),
    ] {
        assert_eq!(refusal(server, arguments).await, (exit, code.to_owned()), "{arguments:?}");
    }
    assert_eq!(names(&result(server, &["users", "list"]).await).len(), 3, "nobody went");
}

#[tokio::test]
async fn a_disabled_person_is_out_within_a_second_and_comes_back_with_nothing() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let (_, key) = made(&server, "ada", &[]).await;
        let would = result(&server, &["users", "disable", "ada", "--dry-run"]).await;
        works(&server, &ada, &key).await;
        let done = result(&server, &["users", "disable", "ada", "--reason", "a test", "--yes"]).await;
        assert_eq!(done["disabled"][0]["ended"], would["disabled"][0]["ended"], "the same predicate");
        assert_eq!(done["disabled"][0]["ended"]["api_keys"], 1);
        assert_eq!(done["disabled"][0]["ended"]["spotify_links"], 0, "for the day on which they are enabled");
        sleep(HEARD).await;
        let nothing_works = async || {
            assert_eq!(ada.call("get_status", json!({})).await.status, StatusCode::UNAUTHORIZED);
            assert_eq!(call(&server, &key, "get_status").await.status, StatusCode::UNAUTHORIZED);
            assert_eq!(status(&ada.browser).await["authenticated"], false);
            assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
        };
        nothing_works().await;
        let page = logs_in(&server, "ada").await;
        assert_eq!((page.code(), page.status), ("USER_DISABLED", StatusCode::FORBIDDEN), "{}", page.text);
        let no_key = ["api-keys", "create", "--user", "ada", "--name", "radio"];
        assert_eq!(refusal(&server, &no_key).await, (3, "USER_DISABLED".to_owned()));
        ben.call("get_current_track", json!({})).await.content();
        let again = result(&server, &["users", "disable", "ada", "--yes"]).await;
        assert_eq!(again["disabled"][0]["already_disabled"], true);

        let would = result(&server, &["users", "enable", "ada", "ben", "--dry-run"]).await;
        assert_eq!(would["enabled"].as_array().unwrap().len(), 1);
        assert_eq!(logs_in(&server, "ada").await.code(), "USER_DISABLED");
        let enabled = result(&server, &["users", "enable", "ada", "ben"]).await;
        assert_eq!(
            (&enabled["enabled"], &enabled["not_disabled"]),
            (&would["enabled"], &would["not_disabled"])
        );
        sleep(HEARD).await;
        nothing_works().await;
        let back = server.listener("ada").await;
        back.call("get_current_track", json!({})).await.content();
        assert_eq!(names(&result(&server, &["users", "list"]).await).len(), 2, "the same person");

        // Who disconnected the account before does not come back as somebody new.
        let id = result(&server, &["users", "show", "ada"]).await["id"].as_str().unwrap().to_owned();
        let account = back.browser.open("/account").await;
        back.browser.submit(&account, "/account/links/disconnect", &[("confirm", "yes")]).await;
        result(&server, &["users", "disable", &id, "--yes"]).await;
        sleep(HEARD).await;
        assert_eq!(logs_in(&server, "ada").await.code(), "USER_DISABLED");
        assert_eq!(result(&server, &["users", "list"]).await.as_array().unwrap().len(), 2);
        sleep(Duration::from_secs(2)).await;
        let trail = super::api_keys::trail(&server);
        let told = |code: &str| {
            trail.lines().filter(|line| line.contains(&format!("\"event_code\":\"{code}\""))).count()
        };
        assert_eq!((told("user_disabled"), told("user_enabled")), (3, 1));
        assert!(trail.contains("a test"));
        // Three times turned away, and the trail says who.
        let turned_away = trail
            .lines()
            .filter(|line| line.contains("\"user_disabled\"") && line.contains("authn_login_fail"));
        assert_eq!(turned_away.filter(|line| line.contains("\"uid\":\"p_")).count(), 3, "{trail}");
    })
    .await;
}

async fn works(server: &TestServer, person: &Listener, key: &str) {
    person.call("get_status", json!({})).await.content();
    assert_eq!(call(server, key, "get_status").await.status, StatusCode::OK);
    assert_eq!(status(&person.browser).await["authenticated"], true);
}

#[tokio::test]
async fn clients_are_listed_and_deleted_with_all_that_they_hold() {
    at_both(async |place| {
        let configured =
            r#"[{"id": "house", "name": "House", "redirect_uris": ["https://house.example/cb"]}]"#;
        let server = Setup::on(place).env("SPOTIFY_MCP__AUTH__CLIENTS", configured).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let unused = server.client().await;
        let all = result(&server, &["clients", "list"]).await;
        assert_eq!(
            all.as_array().unwrap().iter().filter(|client| client["kind"] == "dynamic").count(),
            3,
            "{all}"
        );
        let adas = result(&server, &["clients", "list", "--user", "ada"]).await;
        assert_eq!((&adas[0]["id"], &adas[0]["people"]), (&json!(ada.client.id), &json!(1)));
        assert_eq!(
            (adas[0]["redirect_uris"][0].as_str(), adas.as_array().unwrap().len()),
            (Some("http://127.0.0.1:1/callback"), 1)
        );
        let idle = result(&server, &["clients", "list", "--unused", "--kind", "dynamic"]).await;
        assert_eq!((&idle[0]["id"], idle.as_array().unwrap().len()), (&json!(unused.id), 1));
        assert_eq!(result(&server, &["clients", "list", "--search", "no such"]).await, json!([]));
        let table = text(&server, &["clients", "list", "--kind", "dynamic"]).await;
        assert!(table.contains(&ada.client.id) && table.contains("A test's client"), "{table}");
        assert_eq!(table.matches("redirects to 127.0.0.1").count(), 3, "{table}");
        fits(&table);

        let id = ada.client.id.as_str();
        for (arguments, exit, code) in [
            (&["clients", "delete", id][..], 2, "CONFIRMATION_NEEDED"),
            (&["clients", "delete", "nobody", "--yes"][..], 3, "CLIENT_UNKNOWN"),
            (&["clients", "delete", "house", "--yes"][..], 2, "CLIENT_CONFIGURED"),
            (&["clients", "delete"][..], 2, "USAGE"),
            (&["clients", "list", "--kind", "odd"][..], 2, "USAGE"),
        ] {
            assert_eq!(refusal(&server, arguments).await, (exit, code.to_owned()), "{arguments:?}");
        }
        let would = result(&server, &["clients", "delete", id, "--dry-run"]).await;
        ada.call("get_status", json!({})).await.content();
        let done = result(&server, &["clients", "delete", id, "--yes"]).await;
        assert_eq!(would["deleted"], done["deleted"]);
        assert_eq!(done["deleted"][0]["ended"]["grants"], 1);
        // What it held is kept for a while as ended: that is nothing to delete again.
        let again = refusal(&server, &["clients", "delete", id, "--yes"]).await;
        assert_eq!(again, (3, "CLIENT_UNKNOWN".to_owned()));
        sleep(HEARD).await;
        assert_eq!(ada.call("get_status", json!({})).await.status, StatusCode::UNAUTHORIZED);
        ben.call("get_status", json!({})).await.content();
        assert_eq!(result(&server, &["clients", "list", "--user", "ada"]).await, json!([]));
        let page = ada.browser.open(&ada.client.attempt().path()).await;
        assert_eq!(page.code(), "UNKNOWN_CLIENT");
    })
    .await;
}

#[tokio::test]
async fn calls_are_added_up_by_whatever_is_asked_for() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        assert_eq!(text(&server, &["usage"]).await, "No calls.\n");
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        for _ in 0..3 {
            ada.call("get_status", json!({})).await.content();
        }
        ada.call("search_tracks", json!({"query": "x"})).await.content();
        ada.call("get_playlist_tracks", json!({"playlist_id": "not an id"})).await.error();
        ben.call("get_status", json!({})).await.content();
        // A stop writes down what was counted.
        server.stop().await;
        let by_tool = result(&server, &["usage", "--by", "tool"]).await;
        let expected = [("get_playlist_tracks", 1, 1), ("get_status", 4, 0), ("search_tracks", 1, 0)];
        let expected =
            expected.map(|(tool, calls, errors)| json!({"tool": tool, "calls": calls, "errors": errors}));
        assert_eq!(by_tool, json!(expected));
        let of_ada =
            result(&server, &["usage", "--user", "ada", "--by", "tool,day", "--tool", "get_status"]).await;
        assert_eq!((&of_ada[0]["calls"], of_ada.as_array().unwrap().len()), (&json!(3), 1));
        let today = of_ada[0]["day"].as_str().unwrap().to_owned();
        let by_user = result(&server, &["usage", "--since", &today, "--until", &today]).await;
        assert_eq!(by_user.as_array().unwrap().len(), 2);
        assert_eq!(result(&server, &["usage", "--until", "2026-01-01"]).await, json!([]));
        assert_eq!(
            result(&server, &["usage", "--by", "tool", "--limit", "1", "--offset", "1"]).await[0]["tool"],
            "get_status"
        );
        let table = text(&server, &["usage", "--by", "user,tool"]).await;
        assert!(table.starts_with("USER") && table.lines().count() == 5, "{table}");
        fits(&table);
        assert_eq!(
            (by_user[0]["display_name"].is_string(), by_tool[0]["display_name"].is_null()),
            (true, true)
        );
        let table = text(&server, &["usage"]).await;
        assert!(table.contains("NAME") && table.contains("Ada") && table.contains("Ben"), "{table}");
        fits(&table);
        assert_eq!(result(&server, &["usage", "--since", "7d"]).await, by_user, "an age is a day");
        for arguments in [&["usage", "--since", "yesterday"][..], &["usage", "--by", "colour"][..]] {
            assert_eq!(refusal(&server, arguments).await, (2, "USAGE".to_owned()));
        }
    })
    .await;
}

/// What has run out is asked for again at once where the operator says so, on the server that runs.
async fn reopened(server: &TestServer, ada: &Listener) {
    let searches = async || {
        let answer = ada.call("search_tracks", json!({"query": "rain"})).await.result();
        answer["structuredContent"]["error"]["code"].as_str().unwrap_or("works").to_owned()
    };
    assert_eq!(searches().await, "QUOTA_EXCEEDED");
    for (app, code) in [("nobody's", "APP_UNKNOWN"), ("", "APP_UNKNOWN")] {
        assert_eq!(refusal(server, &["usage", "--apps", "--reopen", app]).await, (2, code.to_owned()));
    }
    assert_eq!(refusal(server, &["usage", "--reopen", "app ient"]).await.0, 2);
    let would = result(server, &["usage", "--apps", "--reopen", "app ient", "--dry-run"]).await;
    assert_eq!((&would["reopened"], &would["dry_run"]), (&json!(["search"]), &json!(true)));
    assert_eq!(searches().await, "QUOTA_EXCEEDED");
    let done = text(server, &["usage", "--apps", "--reopen", "sandbox-client", "--yes"]).await;
    assert!(done.contains("again within ten seconds for: search"), "{done}");
    let until = Instant::now() + Duration::from_secs(15);
    while searches().await != "works" {
        assert!(Instant::now() < until, "not opened");
        sleep(Duration::from_millis(200)).await;
    }
    let again = text(server, &["usage", "--apps", "--reopen", "app ient"]).await;
    assert!(again.contains("Nothing has run out"), "{again}");
    assert!(crate::front_door::api_keys::trail(server).contains("\"quota_reopened\""));
}

#[tokio::test]
async fn an_operator_sees_how_apps_stand() {
    at_both(async |place| {
        let server = Setup::on(place).env("SPOTIFY_MCP__SPOTIFY__SEATS", "3").start().await;
        let (ada, _ben) = (server.listener("ada").await, server.listener("ben").await);
        let apps = result(&server, &["usage", "--apps"]).await;
        let [app] = &apps.as_array().unwrap()[..] else { panic!("{apps}") };
        assert_eq!((&app["name"], &app["client_id"]), (&json!("app ient"), &json!("sandbox-client")));
        assert_eq!((&app["linked"], &app["seats"]), (&json!(2), &json!(3)));
        assert_eq!((&app["quota_mode"], &app["own"]), (&json!("development"), &json!(false)));
        assert_eq!(app["closed"], json!([]));
        server.inject("GET /v1/search*", 1, used_up(48_925));
        ada.call("search_tracks", json!({"query": "rain"})).await.error();
        let apps = result(&server, &["usage", "--apps"]).await;
        assert_eq!(apps[0]["closed"][0]["calls"], "search", "{apps}");
        let opens = apps[0]["closed"][0]["opens_at"].as_str().unwrap();
        let table = text(&server, &["usage", "--apps"]).await;
        assert!(table.contains("2 of 3") && table.contains(&format!("search until {opens}")), "{table}");
        fits(&table);
        reopened(&server, &ada).await;
        let shown = result(&server, &["users", "show", "ada"]).await;
        assert_eq!(shown["accounts"][0]["app"]["name"], "app ient", "{shown}");
        assert!(text(&server, &["users", "show", "ada"]).await.contains("through app ient"));
        assert_eq!(refusal(&server, &["usage", "--apps", "--tool", "play"]).await.0, 2);
    })
    .await;
}
