//! Our own refresh tokens: rotation, parallel presentation, reuse, giving back.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use super::epoch_moves;
use crate::support::client::Pair;
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

async fn calls(listener: &Listener) -> StatusCode {
    listener.call("get_status", json!({})).await.status
}

#[tokio::test]
async fn each_refresh_gives_a_new_pair() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let mut seen = vec![ada.pair()];
    for _ in 0..5 {
        ada.refresh().await;
        assert!(!seen.iter().any(|old| old.access == ada.pair().access || old.refresh == ada.pair().refresh));
        assert_eq!(calls(&ada).await, StatusCode::OK);
        seen.push(ada.pair());
    }
    let other = server.client().await;
    assert_eq!(other.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant", "another client's");
    ada.refresh().await;
    assert_eq!(calls(&ada).await, StatusCode::OK);
}

#[tokio::test]
async fn parallel_presentations_get_the_same_pair_up_to_a_bound() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let old = ada.pair();
        let answers = join_all((0..8).map(|_| ada.client.refresh(&old.refresh))).await;
        let pairs: Vec<_> = answers.iter().map(Pair::of).collect();
        assert!(pairs.iter().all(|pair| *pair == pairs[0]), "{answers:?}");
        let mut given = pairs.len();
        while ada.client.refresh(&old.refresh).await.0.is_success() {
            given += 1;
            assert!(given < 20, "the grace has no end");
        }
        assert_eq!(given, 11, "the exchange, and the successor ten times more");
        ada.keep(pairs[0].clone());
        assert_eq!(calls(&ada).await, StatusCode::OK, "presenting too often is no theft");
        ada.refresh().await;
    })
    .await;
}

#[tokio::test]
async fn a_rotated_token_that_comes_back_late_ends_the_family() {
    let server = TestServer::new().await;
    let (ada, apart) = (server.listener("ada").await, server.listener("ada").await);
    let stolen = ada.pair().refresh;
    ada.refresh().await;
    let raw = server.place.raw().await;
    raw.run("UPDATE refresh_tokens SET rotated_at = rotated_at - 61 WHERE rotated_at IS NOT NULL").await;
    assert_eq!(ada.client.refresh(&stolen).await.1["error"], "invalid_grant");
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
    assert_eq!(calls(&apart).await, StatusCode::OK, "another client of the same person is another family");
}

#[tokio::test]
async fn tokens_end_when_their_time_has_come() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    assert_eq!(calls(&ada).await, StatusCode::OK);
    let raw = server.place.raw().await;
    raw.run("UPDATE access_tokens SET expires_at = 1").await;
    epoch_moves(&raw).await;
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    ada.refresh().await;
    assert_eq!(calls(&ada).await, StatusCode::OK);
    raw.run("UPDATE refresh_tokens SET expires_at = 1").await;
    assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_client_gives_tokens_back() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (stranger, first) = (server.client().await, ada.pair());
    assert_eq!(stranger.revoke(&first.access).await, StatusCode::OK, "nothing is told");
    assert_eq!(calls(&ada).await, StatusCode::OK, "and nothing is done for a stranger");
    assert_eq!(ada.client.revoke(&first.access).await, StatusCode::OK);
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    ada.refresh().await;
    assert_eq!(calls(&ada).await, StatusCode::OK, "the grant was not ended");
    assert_eq!(ada.client.revoke(&ada.pair().refresh).await, StatusCode::OK);
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
    assert_eq!(ada.client.revoke("nonsense").await, StatusCode::OK);
}
