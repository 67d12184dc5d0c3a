//! Client ids of people's own apps: sealed, also where a version before wrote them in the clear.

use std::time::Duration;

use serde_json::json;

use super::own_apps::{MINE, SECRET, link_own, server, types};
use super::{PAGE, plays};
use crate::front_door::api_keys::command;
use crate::support::database::{Raw, at_both};
use crate::support::server::TestServer;

/// As the version before this one left it.
async fn in_the_clear(raw: &Raw) {
    raw.run(&format!(
        "UPDATE linked_accounts SET own_client_id = '{MINE}', sealed_client_id = NULL WHERE own_app_since IS NOT NULL"
    ))
    .await;
    raw.run(&format!("UPDATE spotify_apps SET client_id = '{MINE}' WHERE brought_at IS NOT NULL")).await;
}

async fn in_sight(raw: &Raw, server: &TestServer) -> Vec<String> {
    let mut seen: Vec<_> = raw.dump().await.into_iter().filter(|line| line.contains(MINE)).collect();
    if !server.place.is_postgres() {
        // By another process: whoever opens and closes the file itself gives up the locks that its connection holds.
        let folder = server.place.file().parent().unwrap().to_owned();
        let found =
            std::process::Command::new("grep").args(["-rlaF", "--include=*.db*", MINE]).arg(folder).output();
        seen.extend(String::from_utf8(found.unwrap().stdout).unwrap().lines().map(str::to_owned));
    }
    seen
}

#[tokio::test]
async fn what_a_version_before_wrote_in_the_clear_is_sealed_at_the_start() {
    at_both(async |place| {
        let mut server = server(place).await;
        let ada = server.listener("ada").await;
        link_own(&ada, "user0001", (MINE, SECRET)).await;
        let raw = server.place.raw().await;
        let app = raw.texts("SELECT id FROM spotify_apps WHERE brought_at IS NOT NULL").await;
        for killed in [false, true] {
            server.stop().await;
            in_the_clear(&raw).await;
            if killed {
                // Where a server was killed while it did so, all of it is still to be done.
                server.start().await;
                server.kill().await;
                raw.run(&format!(
                    "UPDATE spotify_apps SET client_id = '{MINE}' WHERE brought_at IS NOT NULL"
                ))
                .await;
            }
            server.start().await;
            assert_eq!(in_sight(&raw, &server).await, Vec::<String>::new());
            assert_eq!(raw.texts("SELECT id FROM spotify_apps WHERE brought_at IS NOT NULL").await, app);
            server.control().advance(Duration::from_secs(3700));
            assert!(plays(&ada, json!("work")).await.contains("user0001Z"), "refreshed at that app");
            let page = ada.browser.open("/account").await;
            assert!(page.text.contains("…cdef") && !page.text.contains(MINE), "{}", page.text);
        }
        // Another key for everybody, and then the same once more.
        for _ in 0..2 {
            let rotated = command(&server, &["rotate-keys", "--what", "data", "--format", "json"]).await;
            assert!(rotated.status.success());
            server.control().advance(Duration::from_secs(3700));
            assert!(plays(&ada, json!("work")).await.contains("user0001Z"));
        }
        // Somebody else brings the same one: one row, found by its name.
        let page = ada.browser.open(PAGE).await;
        let spotify = types(&ada.browser, &page, PAGE, (MINE, SECRET)).await;
        assert_eq!(ada.browser.agree_as(&spotify, "user0002").await.url.query(), Some("done=linked"));
        assert_eq!(raw.texts("SELECT id FROM spotify_apps WHERE brought_at IS NOT NULL").await, app);
        let told = command(&server, &["users", "list", "--apps"]).await.stdout;
        let logged = server.logged() + &crate::front_door::api_keys::trail(&server);
        assert!(!logged.contains(MINE) && !String::from_utf8_lossy(&told).contains(MINE), "{logged}");
    })
    .await;
}

#[tokio::test]
async fn an_app_that_somebody_brought_may_become_the_operators() {
    at_both(async |place| {
        let mut server = server(place).await;
        let ada = server.listener("ada").await;
        link_own(&ada, "user0001", (MINE, SECRET)).await;
        let raw = server.place.raw().await;
        let own = "SELECT app_id FROM linked_accounts WHERE own_app_since IS NOT NULL";
        let app = raw.texts(own).await;
        server.stop().await;
        server.environment.insert("SPOTIFY_CLIENT_ID".to_owned(), MINE.to_owned());
        server.environment.insert("SPOTIFY_CLIENT_SECRET".to_owned(), SECRET.to_owned());
        server.start().await;
        assert_eq!(raw.texts(&format!("SELECT id FROM spotify_apps WHERE client_id = '{MINE}'")).await, app);
        assert_eq!(raw.texts(own).await, app);
        server.control().advance(Duration::from_secs(3700));
        assert!(plays(&ada, json!("work")).await.contains("user0001Z"));
    })
    .await;
}
