//! Things that people and programs do at the same moment, on both engines: no order of them may break anything.

use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::spotify::sandbox::Fault;
use tokio::time::sleep;

use super::status;
use crate::support::client::Pair;
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

async fn calls(listener: &Listener) -> StatusCode {
    listener.call("get_status", json!({})).await.status
}

#[tokio::test]
async fn one_newcomer_in_many_browsers_is_one_person() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let all = join_all((0..8).map(|_| server.listener("ada"))).await;
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 1);
        assert_eq!(raw.number("SELECT COUNT(*) FROM data_keys").await, 1);
        let answers = join_all(all.iter().map(|ada| ada.call("get_current_track", json!({})))).await;
        assert!(answers.iter().all(|answer| answer.content().to_string().contains("adaZ")));
        let mut logged_in = 0;
        for ada in &all {
            logged_in += usize::from(status(&ada.browser).await["authenticated"] == true);
        }
        assert_eq!(logged_in, 3, "sessions");
    })
    .await;
}

#[tokio::test]
async fn ten_people_do_not_fit_into_five_seats() {
    at_both(async |place| {
        let setup = Setup::on(place).people(10).env("SPOTIFY_MCP__SPOTIFY__SEATS", "5");
        let server = setup.start().await;
        let tries = (1..=10).map(async |n| {
            let (browser, page) = (server.browser(), format!("user{n:04}"));
            let spotify = browser.open("/auth/login").await;
            browser.agree_as(&spotify, &page).await
        });
        let pages = join_all(tries).await;
        let seated = pages.iter().filter(|page| page.url.path() == "/account").count();
        let refused = pages.iter().filter(|page| page.text.contains("<code>NO_SEAT</code>")).count();
        assert_eq!((seated, refused), (5, 5));
        assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM linked_accounts").await, 5);
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_while_it_is_refreshed_stays_revoked() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        for round in 0..8 {
            let ada = server.listener("ada").await;
            let old = ada.pair();
            let (refreshed, revoked) = join(ada.client.refresh(&old.refresh), async {
                sleep(Duration::from_millis(round)).await;
                ada.client.revoke(&old.refresh).await
            })
            .await;
            assert_eq!(revoked, StatusCode::OK);
            assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
            if refreshed.0.is_success() {
                ada.keep(Pair::of(&refreshed));
                assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED, "the successor lives");
                assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
            }
            assert_eq!(ada.client.refresh(&old.refresh).await.1["error"], "invalid_grant");
        }
    })
    .await;
}

/// A call that waits for Spotify to refresh its token.
async fn waiting_for_a_refresh(server: &TestServer, ada: &Listener) -> String {
    server.control().advance(Duration::from_secs(3700));
    server.inject("POST /api/token", 1, Fault::Delay { millis: 700 });
    ada.call("get_current_track", json!({})).await.text
}

#[tokio::test]
async fn an_account_disconnected_while_it_is_refreshed_does_not_come_back() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let (_, page) = join(waiting_for_a_refresh(&server, &ada), async {
            sleep(Duration::from_millis(300)).await;
            let page = ada.browser.open("/account").await;
            ada.browser.submit(&page, "/account/links/disconnect", &[]).await
        })
        .await;
        assert_eq!(page.url.query(), Some("done=disconnected"));
        assert_eq!(ada.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_person_deleted_in_the_middle_of_everything_is_gone() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let page = ada.browser.open("/account/delete").await;
        let deletes = async {
            sleep(Duration::from_millis(300)).await;
            ada.browser.submit(&page, "/account/delete", &[("confirm", "delete my data")]).await
        };
        let busy = join_all((0..12).map(async |n| {
            sleep(Duration::from_millis(50 * n)).await;
            let reply = ada.call("create_playlist", json!({"name": "x"})).await;
            assert!(!reply.status.is_server_error(), "{reply:?}");
        }));
        let logs_in = async {
            sleep(Duration::from_millis(250)).await;
            waiting_for_a_refresh(&server, &ada).await
        };
        let ((end, _), _) = join(join(deletes, logs_in), busy).await;
        assert!(end.text.contains("Your data is deleted"), "{}", end.text);
        assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
        let raw = server.place.raw().await;
        // What was counted and not yet written must not bring anything back.
        sleep(Duration::from_secs(6)).await;
        for table in ["users", "linked_accounts", "data_keys", "grants", "browser_sessions", "usage"] {
            let others = raw.number(&format!("SELECT COUNT(*) FROM {table}")).await;
            let bens = "SELECT id FROM users WHERE display_name = 'Ben'";
            let column = if table == "users" { "id" } else { "user_id" };
            let his = raw.number(&format!("SELECT COUNT(*) FROM {table} WHERE {column} IN ({bens})")).await;
            assert_eq!(others, his, "{table}");
        }
        assert_eq!(calls(&ben).await, StatusCode::OK);
        assert!(!server.logged().contains("panicked"));
    })
    .await;
}
