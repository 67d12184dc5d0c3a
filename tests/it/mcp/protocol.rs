//! The wire: mcp.md 1.2 to 1.10, row by row where it is ours to answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spotify_mcp::app::CallLimits;
use spotify_mcp::domain::{Scope, ScopeSet};
use spotify_mcp::mcp::{ExpectedDigest, InsufficientScope, NotServed};

use super::rig::{HOST, Mood, Reply, Rig, VERSION, modern, plain};
use crate::fake::Answer;

const STAMP: &str = "io.modelcontextprotocol/serverInfo";

fn assert_private(result: &Value) {
    assert_eq!(result["cacheScope"], "private", "{result}");
    assert!(result["ttlMs"].is_u64(), "{result}");
    assert_eq!(result["resultType"], "complete", "{result}");
    assert_eq!(result["_meta"][STAMP]["name"], "spotify-mcp", "{result}");
}

mod modern_era {
    use super::*;

    #[tokio::test]
    async fn discovery_says_what_is_there_and_who_we_are() {
        let result = Rig::quiet().await.modern("server/discover", json!({})).await.result();
        assert_eq!(result["supportedVersions"], json!(["2025-06-18", "2025-11-25", VERSION]));
        let capabilities = result["capabilities"].as_object().unwrap();
        let mut declared: Vec<_> = capabilities.keys().map(String::as_str).collect();
        declared.sort_unstable();
        assert_eq!(declared, ["prompts", "resources", "tools"]);
        assert_private(&result);
    }

    #[tokio::test]
    async fn every_list_is_private_stamped_and_in_one_order() {
        let rig = Rig::quiet().await;
        for (method, field) in [
            ("tools/list", "tools"),
            ("resources/list", "resources"),
            ("resources/templates/list", "resourceTemplates"),
            ("prompts/list", "prompts"),
        ] {
            let result = rig.modern(method, json!({})).await.result();
            assert_private(&result);
            let again = rig.modern(method, json!({})).await.result();
            assert_eq!(result[field], again[field]);
            assert_eq!(rig.modern(method, json!({"cursor": "x"})).await.error_code(), -32602);
        }
    }

    #[tokio::test]
    async fn headers_that_contradict_the_body_are_refused() {
        let rig = Rig::quiet().await;
        let call = || modern("tools/call", json!({"name": "get_status", "arguments": {}}));
        let spoilt = |name: &'static str, value: Option<&str>| {
            let mut request = call();
            request.headers_mut().remove(name);
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            request
        };
        let mut twice = call();
        twice.headers_mut().append("mcp-protocol-version", "2025-11-25".parse().unwrap());
        for request in [
            spoilt("mcp-method", None),
            spoilt("mcp-method", Some("tools/list")),
            spoilt("mcp-name", None),
            spoilt("mcp-name", Some("Get_Status")),
            spoilt("mcp-protocol-version", Some("2025-11-25")),
            twice,
        ] {
            let reply = rig.send(request).await.unwrap();
            assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, -32020));
        }
        let encoded = spoilt("mcp-name", Some("=?base64?Z2V0X3N0YXR1cw==?="));
        assert_eq!(rig.send(encoded).await.unwrap().status, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_version_must_be_known_and_the_meta_complete() {
        let rig = Rig::quiet().await;
        let with = |version: &str, meta: Value| {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
            let mut request = plain(&body.to_string());
            request.headers_mut().insert("mcp-protocol-version", version.parse().unwrap());
            request.headers_mut().insert("mcp-method", "tools/list".parse().unwrap());
            request
        };
        let version = "io.modelcontextprotocol/protocolVersion";
        let capabilities = "io.modelcontextprotocol/clientCapabilities";
        let future =
            rig.send(with("2099-01-01", json!({version: "2099-01-01", capabilities: {}}))).await.unwrap();
        assert_eq!((future.status, future.error_code()), (StatusCode::BAD_REQUEST, -32022));
        let data = &future.json()["error"]["data"];
        assert_eq!(data["requested"], "2099-01-01");
        assert!(data["supported"].as_array().unwrap().contains(&json!(VERSION)));
        let bare = rig.send(with(VERSION, json!({version: VERSION}))).await.unwrap();
        assert_eq!((bare.status, bare.error_code()), (StatusCode::BAD_REQUEST, -32602));
    }

    #[tokio::test]
    async fn methods_that_are_unknown_or_gone_are_404() {
        let rig = Rig::quiet().await;
        for method in [
            "music/play",
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "subscriptions/listen",
        ] {
            let params = json!({"uri": "spotify://status", "level": "info", "notifications": {}});
            let reply = rig.modern(method, params).await;
            assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, -32601), "{method}");
        }
    }

    #[tokio::test]
    async fn sessions_are_ignored_and_never_minted() {
        let rig = Rig::quiet().await;
        let mut request = modern("tools/list", json!({}));
        request.headers_mut().insert("mcp-session-id", "left-over".parse().unwrap());
        request.headers_mut().insert("last-event-id", "7".parse().unwrap());
        let reply = rig.send(request).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.headers.get("mcp-session-id").is_none());
        assert_eq!(reply.headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn unknown_tools_resources_and_prompts_are_invalid_parameters_in_band() {
        let rig = Rig::quiet().await;
        for (method, params) in [
            ("tools/call", json!({"name": "format_disk", "arguments": {}})),
            ("tools/call", json!({"name": "get_status", "arguments": []})),
            ("resources/read", json!({"uri": "spotify://secrets"})),
            ("prompts/get", json!({"name": "nothing"})),
        ] {
            let reply = rig.modern(method, params).await;
            assert_eq!((reply.status, reply.error_code()), (StatusCode::OK, -32602), "{method}");
        }
        let missing = rig.modern("resources/read", json!({"uri": "spotify://secrets"})).await.json();
        assert_eq!(missing["error"]["data"]["uri"], "spotify://secrets");
    }
}

mod legacy_era {
    use super::*;

    async fn initialize(rig: &Rig, version: &str) -> Reply {
        let params = json!({"protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "old", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        rig.send(plain(&body.to_string())).await.unwrap()
    }

    #[tokio::test]
    async fn the_handshake_agrees_on_a_version_without_a_session() {
        let rig = Rig::quiet().await;
        for (asked, agreed) in [
            ("2025-11-25", "2025-11-25"),
            ("2025-06-18", "2025-06-18"),
            (VERSION, "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
        ] {
            let reply = initialize(&rig, asked).await;
            assert_eq!(reply.result()["protocolVersion"], agreed, "{asked}");
            assert_eq!(reply.result()["serverInfo"]["name"], "spotify-mcp");
            assert!(reply.headers.get("mcp-session-id").is_none());
        }
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let reply = rig.send(plain(&done.to_string())).await.unwrap();
        assert_eq!((reply.status, reply.text.as_str()), (StatusCode::ACCEPTED, ""));
    }

    #[tokio::test]
    async fn requests_need_no_metadata_and_answers_have_the_old_shape() {
        let rig = Rig::quiet().await;
        assert_eq!(rig.legacy("ping", json!({})).await.result(), json!({}));
        let list = rig.legacy("tools/list", json!({})).await.result();
        assert_eq!(list["tools"].as_array().unwrap().len(), 8);
        assert!(list.get("resultType").is_none());
        let status = rig.legacy("tools/call", json!({"name": "get_status"})).await.result();
        assert_eq!(status["isError"], false);
        let missing = rig.legacy("resources/read", json!({"uri": "spotify://none"})).await;
        assert_eq!((missing.status, missing.error_code()), (StatusCode::OK, -32002));
    }

    #[tokio::test]
    async fn without_a_version_header_it_is_2025_03_26_and_an_unknown_one_is_refused() {
        let rig = Rig::quiet().await;
        let body = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"}).to_string();
        assert_eq!(rig.send(plain(&body)).await.unwrap().json()["id"], "a");
        let mut request = plain(&body);
        request.headers_mut().insert("mcp-protocol-version", "1999-01-01".parse().unwrap());
        assert_eq!(rig.send(request).await.unwrap().status, StatusCode::BAD_REQUEST);
    }
}

mod front {
    use super::*;

    #[tokio::test]
    async fn what_is_no_message_gets_a_json_rpc_error() {
        let rig = Rig::quiet().await;
        let deep =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{}"#, "[".repeat(100_000 / 2));
        for (body, status, code) in [
            ("nonsense", StatusCode::BAD_REQUEST, -32700),
            ("[]", StatusCode::BAD_REQUEST, -32600),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, StatusCode::BAD_REQUEST, -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, StatusCode::BAD_REQUEST, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, StatusCode::BAD_REQUEST, -32600),
            (deep.as_str(), StatusCode::BAD_REQUEST, -32600),
            (&" ".repeat(70_000), StatusCode::PAYLOAD_TOO_LARGE, -32600),
        ] {
            let reply = rig.send(plain(body)).await.unwrap();
            assert_eq!((reply.status, reply.error_code()), (status, code), "{}", &body[..body.len().min(60)]);
            assert_eq!(reply.headers["content-type"], "application/json");
        }
    }

    #[tokio::test]
    async fn only_post_and_only_from_known_hosts_and_origins() {
        let rig = Rig::quiet().await;
        for method in ["GET", "DELETE", "PUT"] {
            let request = Request::builder().method(method).uri("/mcp").header("host", HOST);
            let reply = rig.send(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
        }
        let with = |name: &'static str, value: &str| {
            let mut request = modern("tools/list", json!({}));
            request.headers_mut().insert(name, value.parse().unwrap());
            request
        };
        for (name, value, status) in [
            ("host", "evil.example", StatusCode::FORBIDDEN),
            ("origin", "https://evil.example", StatusCode::FORBIDDEN),
            ("origin", "null", StatusCode::FORBIDDEN),
            ("origin", "http://music.example", StatusCode::FORBIDDEN),
            ("origin", "https://music.example", StatusCode::OK),
            ("origin", "http://localhost:6274", StatusCode::OK),
            ("origin", "http://localhost:6275", StatusCode::FORBIDDEN),
            ("accept", "application/json", StatusCode::NOT_ACCEPTABLE),
            ("content-type", "text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ] {
            let reply = rig.send(with(name, value)).await.unwrap();
            assert_eq!(reply.status, status, "{name}: {value}");
            // Never plain text: a client of 2026 would take us for an old server.
            assert_eq!(reply.json()["jsonrpc"], "2.0");
        }
    }

    #[tokio::test]
    async fn the_scope_is_decided_before_anything_runs() {
        let mut rig = Rig::quiet().await;
        rig.caller.scopes = ScopeSet::known("read");
        let create = || modern("tools/call", json!({"name": "create_playlist", "arguments": {"name": "x"}}));
        let missing = rig.send(create()).await.unwrap_err();
        let granted = ScopeSet::known("read");
        assert_eq!(
            missing,
            NotServed::InsufficientScope(InsufficientScope { needed: Scope::Write, granted })
        );
        rig.caller.scopes = ScopeSet::known("player");
        assert!(rig.send(modern("resources/read", json!({"uri": "spotify://status"}))).await.is_err());
        assert_eq!(rig.modern("tools/list", json!({})).await.status, StatusCode::OK);
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_liked_songs"}}"#;
        assert_eq!(rig.server.required_scope(body), Some(Scope::Read));
        assert_eq!(rig.server.required_scope(b"[]"), None);
    }

    #[tokio::test]
    async fn a_credential_that_ends_while_the_body_comes_runs_nothing() {
        let rig = Rig::quiet().await;
        let mut request = modern("tools/call", json!({"name": "get_status", "arguments": {}}));
        request.extensions_mut().insert(Arc::new(rig.caller.clone()));
        let refused =
            rig.server.handle(request, std::future::ready(Err(NotServed::Ended))).await.unwrap_err();
        assert_eq!(refused, NotServed::Ended);
    }

    #[tokio::test]
    async fn a_body_other_than_the_signed_one_runs_nothing() {
        let rig = Rig::quiet().await;
        for digest in [[7; 32], sha256(b"")] {
            let mut request = modern("tools/call", json!({"name": "get_status", "arguments": {}}));
            request.extensions_mut().insert(ExpectedDigest(digest));
            let answer = rig.send(request).await.map(|reply| reply.status);
            assert_eq!(answer, Err(NotServed::OtherBody));
        }
        let request = modern("tools/list", json!({}));
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut request = Request::from_parts(parts, Body::from(body.clone()));
        request.extensions_mut().insert(ExpectedDigest(sha256(&body)));
        assert_eq!(rig.send(request).await.unwrap().status, StatusCode::OK);
    }

    fn sha256(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    #[tokio::test]
    async fn without_an_identity_nothing_runs() {
        let rig = Rig::quiet().await;
        let request = modern("tools/call", json!({"name": "get_status", "arguments": {}}));
        assert!(rig.server.handle(request, std::future::ready(Ok(()))).await.is_err());
    }
}

mod guard {
    use super::*;

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
}
