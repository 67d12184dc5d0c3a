//! Things that people and programs do at the same moment, on both engines: no order of them may break anything.

use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::spotify::sandbox::Fault;
use tokio::time::sleep;

use super::status;
use crate::support::browser::Page;
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

#[tokio::test]
async fn of_many_redemptions_of_one_code_one_wins_and_it_is_one_grant() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (client, browser) = (server.client().await, server.browser());
        let raw = server.place.raw().await;
        for round in 1..=3 {
            let attempt = client.attempt();
            let code = client.code(&attempt, &browser, "ada").await;
            let answers = join_all((0..32).map(|_| client.redeem(&code, &attempt.verifier))).await;
            let won = answers.iter().filter(|(status, _)| *status == StatusCode::OK).count();
            let lost = answers.iter().filter(|(_, body)| body["error"] == "invalid_grant").count();
            assert_eq!((won, lost), (1, 31), "{answers:?}");
            assert_eq!(raw.number("SELECT COUNT(*) FROM grants").await, round);
            // Who came after the winner, however little, replayed a used code: what it gave must not live on.
            assert_eq!(raw.number("SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL").await, 0);
            let winner = answers.iter().find(|(status, _)| *status == StatusCode::OK).unwrap();
            let ada = Listener::with(&client, Pair::of(winner), "ada", server.browser());
            assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
            assert_eq!(client.redeem(&code, &attempt.verifier).await.1["error"], "invalid_grant");
        }
    })
    .await;
}

#[tokio::test]
async fn six_parallel_refreshes_at_expiry_all_succeed_and_a_late_one_ends_the_family() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let old = ada.pair();
        let raw = server.place.raw().await;
        raw.run("UPDATE access_tokens SET expires_at = 1").await;
        let answers = join_all((0..6).map(|_| ada.client.refresh(&old.refresh))).await;
        let pairs: Vec<_> = answers.iter().map(Pair::of).collect();
        assert!(pairs.iter().all(|pair| *pair == pairs[0]), "{answers:?}");
        ada.keep(pairs[0].clone());
        assert_eq!(calls(&ada).await, StatusCode::OK);
        raw.run("UPDATE refresh_tokens SET rotated_at = rotated_at - 61 WHERE rotated_at IS NOT NULL").await;
        let late = join_all((0..6).map(|_| ada.client.refresh(&old.refresh))).await;
        assert!(late.iter().all(|(_, body)| body["error"] == "invalid_grant"), "{late:?}");
        assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
    })
    .await;
}

#[tokio::test]
async fn a_consent_withdrawn_while_its_client_redeems_and_refreshes_leaves_nothing_alive() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let raw = server.place.raw().await;
        for round in 0..6 {
            let ada = server.listener("ada").await;
            let attempt = ada.client.attempt();
            let code = ada.client.code(&attempt, &ada.browser, "ada").await;
            let page = ada.browser.open("/account").await;
            let forms = page.forms("/account/approvals/withdraw");
            let form = forms.iter().find(|form| form.get("client") == ada.client.id).unwrap();
            let fields: Vec<_> = form.pairs().collect();
            let withdraws = async {
                sleep(Duration::from_millis(2 * round)).await;
                ada.browser.post("/account/approvals/withdraw", &fields).await
            };
            let old = ada.pair();
            let busy = join(ada.client.redeem(&code, &attempt.verifier), ada.client.refresh(&old.refresh));
            let (done, (redeemed, refreshed)) = join(withdraws, busy).await;
            assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
            assert!([redeemed.0, refreshed.0].iter().all(|status| !status.is_server_error()));
            let alive = format!(
                "SELECT COUNT(*) FROM grants WHERE client_id = '{}' AND revoked_at IS NULL",
                ada.client.id
            );
            assert_eq!(raw.number(&alive).await, 0, "round {round}: {redeemed:?} {refreshed:?}");
            // Whatever was answered on the way is dead.
            let given = [redeemed, refreshed].into_iter().filter(|answer| answer.0.is_success());
            for pair in given.map(|answer| Pair::of(&answer)) {
                ada.keep(pair);
                assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
            }
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
            ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await
        })
        .await;
        assert_eq!(page.url.query(), Some("done=disconnected"));
        assert_eq!(ada.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 0);
    })
    .await;
}

/// A login that comes back from Spotify some milliseconds later, the odd ones for a client.
async fn comes_back(server: &TestServer, ada: &Listener, n: u64) -> Page {
    let browser = server.browser();
    let page = if n.is_multiple_of(2) {
        browser.open("/auth/login").await
    } else {
        let page = browser.open(&ada.client.attempt().path()).await;
        browser.submit(&page, "/authorize", &[("decision", "approve")]).await
    };
    sleep(Duration::from_millis(5 * n)).await;
    browser.agree_as(&page, "ada").await
}

/// Whoever is deleted while a login of theirs is on its way has to log in again: nothing fails, and nobody comes back.
#[tokio::test]
async fn a_login_that_meets_the_deletion_of_its_person_has_expired() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let raw = server.place.raw().await;
        for round in 0..6 {
            let ada = server.listener("ada").await;
            // Several on their way back from Spotify, for a client and for the account, spread over the deletion.
            let logins = join_all((0..6).map(|n| comes_back(&server, &ada, n)));
            let deletes = async {
                sleep(Duration::from_millis(4 * round)).await;
                let id = raw.texts("SELECT id FROM users WHERE display_name = 'Ada'").await.remove(0);
                super::api_keys::result(&server, &["users", "delete", &id, "--yes"]).await
            };
            let (pages, _) = join(logins, deletes).await;
            for page in &pages {
                assert!(!page.status.is_server_error(), "{page:?}");
            }
            // Who came after it is somebody new, once.
            assert!(raw.number("SELECT COUNT(*) FROM users").await <= 1);
            for id in raw.texts("SELECT id FROM users").await {
                super::api_keys::result(&server, &["users", "delete", &id, "--yes"]).await;
            }
        }
        assert!(!server.logged().contains("panicked"));
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
