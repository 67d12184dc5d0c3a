//! `api.rate_limit`: no more requests to Spotify for an app in 30 seconds than the operator lets it send, and everybody a
//! share of them.

use serde_json::json;

use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const LIKED: &str = "/v1/me/tracks";

/// Asks so often; how often it was answered.
async fn answered(who: &Listener, times: u32) -> usize {
    let mut answered = 0;
    for offset in 0..times {
        let answer = who.call("get_liked_songs", json!({"offset": offset})).await;
        match answer.result()["isError"] == true {
            false => answered += 1,
            true => {
                assert_eq!(answer.error(), "RATE_LIMITED");
                let error = answer.result()["structuredContent"]["error"].clone();
                let wait = error["retry_after_seconds"].as_u64().unwrap();
                assert!((6..=30).contains(&wait), "{error}");
                assert!(
                    error["message"].as_str().unwrap().starts_with("This server sends no more"),
                    "{error}"
                );
            }
        }
    }
    answered
}

async fn server(most: &str) -> TestServer {
    Setup::default().env("SPOTIFY_MCP__API__RATE_LIMIT", most).start().await
}

#[tokio::test]
async fn an_app_sends_no_more_than_it_may_and_everybody_has_a_share() {
    let server = server("20").await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    assert_eq!(answered(&ben, 1).await, 1);
    let adas = answered(&ada, 25).await;
    assert_eq!(adas, 10, "nine are kept for ben");
    assert_eq!(answered(&ben, 12).await, 9);
    assert_eq!(server.asked(LIKED, 200), 20);
}
