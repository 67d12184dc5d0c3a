//! What is refused before a tool hears of it: hosts, origins, bodies, scopes.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use spotify_mcp::domain::{Scope, ScopeSet};
use spotify_mcp::mcp::{ExpectedDigest, InsufficientScope, NotServed};

use super::rig::{HOST, Rig, modern, plain, standing};

#[tokio::test]
async fn what_is_no_message_gets_a_json_rpc_error() {
    let rig = Rig::quiet().await;
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{}"#, "[".repeat(100_000 / 2));
    for (body, status, code) in [
        ("nonsense", StatusCode::BAD_REQUEST, -32700),
        ("[]", StatusCode::BAD_REQUEST, -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, StatusCode::BAD_REQUEST, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, StatusCode::BAD_REQUEST, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, StatusCode::BAD_REQUEST, -32600),
        (deep.as_str(), StatusCode::BAD_REQUEST, -32600),
        (&" ".repeat(1_100_000), StatusCode::PAYLOAD_TOO_LARGE, -32600),
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
    assert_eq!(missing, NotServed::InsufficientScope(InsufficientScope { needed: Scope::Write, granted }));
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
    let refused = rig.server.handle(request, standing(Err(NotServed::Ended))).await.unwrap_err();
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
    assert!(rig.server.handle(request, standing(Ok(()))).await.is_err());
}
