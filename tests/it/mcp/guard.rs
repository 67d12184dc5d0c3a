//! What guards a tool that runs: panics, deadlines, limits, callers that go away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use spotify_mcp::app::CallLimits;

use super::rig::{Mood, Rig, modern, plain};
use crate::fake::Answer;

#[tokio::test]
async fn a_panicking_tool_is_answered_and_the_next_call_works() {
    let rig = Rig::new(|_, _| Answer::new(204, "", "")).await;
    rig.mood(Mood::Panics);
    let reply = rig.modern("tools/call", json!({"name": "get_current_track", "arguments": {}})).await;
    assert_eq!((reply.status, reply.error_code()), (StatusCode::OK, -32603));
    assert!(!reply.text.contains("as this test wants"));
    rig.mood(Mood::Works);
    assert_eq!(rig.call("get_current_track", json!({})).await["isError"], false);
    assert!(rig.trail().await.contains("panic"));
}

#[tokio::test]
async fn a_slow_tool_ends_at_its_deadline() {
    let limits = CallLimits::default();
    let rig = Rig::with(limits, Duration::from_millis(100), |_, _| Answer::Silence).await;
    rig.mood(Mood::Hangs);
    let result = rig.call("get_current_track", json!({})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "UPSTREAM_TIMEOUT");
    assert!(rig.upstream.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call_in_both_eras() {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "get_current_track"}});
    for request in [
        modern("tools/call", json!({"name": "get_current_track", "arguments": {}})),
        plain(&body.to_string()),
    ] {
        let rig = Rig::quiet().await;
        rig.mood(Mood::Hangs);
        let gone = tokio::time::timeout(Duration::from_millis(200), rig.send(request)).await;
        assert!(gone.is_err());
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        while !rig.upstream.dropped.load(Ordering::SeqCst) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(rig.upstream.dropped.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn the_rate_and_the_number_at_once_are_limited_per_person() {
    let limits = CallLimits { per_minute: 3, concurrent: 1, ..CallLimits::default() };
    let mut rig = Rig::with(limits, Duration::from_millis(300), |_, _| Answer::Silence).await;
    rig.mood(Mood::Hangs);
    let status = || modern("tools/call", json!({"name": "get_status", "arguments": {}}));
    let (first, second) = tokio::join!(rig.call("get_current_track", json!({})), rig.send(status()));
    assert_eq!(first["structuredContent"]["error"]["code"], "UPSTREAM_TIMEOUT");
    let second = second.unwrap();
    assert_eq!((second.status, second.error_code()), (StatusCode::TOO_MANY_REQUESTS, 429));
    assert_eq!(
        (second.json()["id"].as_i64(), &second.headers["retry-after"]),
        (Some(1), &"1".parse().unwrap())
    );
    for left in ["1", "0"] {
        let reply = rig.send(status()).await.unwrap();
        assert_eq!(reply.result()["isError"], false);
        assert_eq!(reply.headers["ratelimit-policy"], "\"user\";q=3;w=60");
        assert_eq!(reply.headers["x-ratelimit-remaining"], left);
    }
    let resource = modern("resources/read", json!({"uri": "spotify://status"}));
    for request in [status(), resource] {
        let limited = rig.send(request).await.unwrap();
        assert_eq!((limited.status, limited.error_code()), (StatusCode::TOO_MANY_REQUESTS, 429));
        let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{limited:?}");
        assert_eq!(limited.json()["error"]["data"]["retry_after_seconds"], wait);
        let message = limited.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with(&format!("Try again in {wait} s.")), "{message}");
    }
    // What runs nothing is not counted.
    let listed = rig.modern("tools/list", json!({})).await;
    assert_eq!(
        (listed.status, &listed.headers["x-ratelimit-remaining"]),
        (StatusCode::OK, &"0".parse().unwrap())
    );
    rig.caller.user = spotify_mcp::domain::UserId::mint([9; 16]);
    assert_eq!(rig.call("get_status", json!({})).await["isError"], false);
    assert_eq!(rig.trail().await.matches("\"event_code\":\"excess_rate_limit_exceeded\"").count(), 2);
}

#[tokio::test]
async fn the_trail_and_the_counts_know_the_tool_and_not_what_was_asked() {
    let rig = Rig::new(|_, _| Answer::json(200, r#"{"tracks":{"items":[]}}"#)).await;
    rig.call("search_tracks", json!({"query": "a very private wish"})).await;
    rig.call("search_tracks", json!({"query": "x", "limit": 0})).await;
    let usage = rig.server.usage().take();
    assert_eq!(usage.len(), 1);
    assert_eq!((usage[0].tool.as_str(), usage[0].calls, usage[0].errors), ("search_tracks", 2, 1));
    let trail = rig.trail().await;
    assert_eq!(trail.matches("tools/call search_tracks").count(), 2, "{trail}");
    assert!(trail.contains("INVALID_ARGUMENT") && trail.contains("duration_ms"));
    assert!(!trail.contains("private wish") && !trail.contains("BQ-sentinel"));
}
