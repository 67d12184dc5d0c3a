//! HTTP itself: sizes, origins, preflights, and bytes that no decent client sends.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};

#[tokio::test]
async fn bodies_and_headers_have_bounds_and_the_server_goes_on() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let url = |path: &str| format!("{}{path}", server.origin);
    for (path, kind) in [
        ("/token", "application/x-www-form-urlencoded"),
        ("/register", "application/json"),
        ("/authorize", "application/x-www-form-urlencoded"),
    ] {
        let request = server.http.post(url(path)).header("content-type", kind).body("x".repeat(70_000));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    let request = server.http.post(url("/mcp")).bearer_auth(&ada.pair().access);
    let huge = json!({"name": "search_tracks", "arguments": {"query": "x".repeat(1_100_000)}});
    let reply = speak(request, Era::Modern, "tools/call", huge).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let many = (0..150).fold(server.http.get(url("/")), |request, n| request.header(format!("x-{n}"), "y"));
    assert!(many.send().await.unwrap().status().is_client_error());
    let long = server.http.get(url("/")).header("x-long", "y".repeat(17_000)).send().await.unwrap();
    assert!(long.status().is_client_error());
    for nested in ["[".repeat(30_000), "{\"a\":".repeat(10_000)] {
        let request =
            server.http.post(url("/register")).header("content-type", "application/json").body(nested);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    ada.call("get_current_track", json!({})).await.content();
    assert!(!server.logged().contains("panicked"));
}

#[tokio::test]
async fn without_a_limit_on_bodies_they_are_read_all_the_same() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__BODY_BYTES", "0").start().await;
    let form = format!("grant_type=refresh_token&refresh_token={}", "x".repeat(100_000));
    let kind = "application/x-www-form-urlencoded";
    let request =
        server.http.post(format!("{}/token", server.origin)).header("content-type", kind).body(form);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "read, and no good token");
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn foreign_origins_may_ask_for_documents_and_not_for_tools() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let ask = async |origin: &str| {
        let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(&ada.pair().access);
        speak(request.header("origin", origin), Era::Modern, "tools/list", json!({}))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(ask(&server.origin).await, StatusCode::OK);
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(ask(origin).await, StatusCode::FORBIDDEN, "{origin}");
    }
    // Whoever holds no credential hears it too: the origin is looked at first.
    let stranger = async |origin: &str| {
        let request = server.http.post(format!("{}/mcp", server.origin)).header("origin", origin);
        let reply = speak(request, Era::Modern, "tools/list", json!({})).send().await.unwrap();
        assert_eq!(reply.headers()["access-control-allow-origin"], "*");
        reply.status()
    };
    assert_eq!(stranger(&server.origin).await, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger("https://evil.example").await, StatusCode::FORBIDDEN);
    for path in ["/mcp", "/token", "/register", "/.well-known/oauth-authorization-server"] {
        let preflight = server
            .http
            .request(Method::OPTIONS, format!("{}{path}", server.origin))
            .header("origin", "https://client.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,mcp-protocol-version")
            .send()
            .await
            .unwrap();
        assert!(preflight.status().is_success(), "{path}: {}", preflight.status());
        assert_eq!(preflight.headers()["access-control-allow-origin"], "*", "{path}");
        assert!(!preflight.headers().contains_key("access-control-allow-credentials"), "{path}");
    }
    // What is a person's own in their browser is for no other site.
    let page = server.http.get(format!("{}/account", server.origin)).header("origin", "https://evil.example");
    assert!(!page.send().await.unwrap().headers().contains_key("access-control-allow-origin"));
}

/// Sends bytes and reads until the server closes or is silent.
async fn raw(server: &TestServer, bytes: &str) -> String {
    let address = server.origin.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_millis(700), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bytes_that_two_readers_could_read_differently_are_refused() {
    let server = TestServer::new().await;
    let host = server.origin.strip_prefix("http://").unwrap();
    let hidden = format!("GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (what, head) in [
        ("both lengths", format!("Host: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked")),
        ("two lengths", format!("Host: {host}\r\nContent-Length: 0\r\nContent-Length: 40")),
        ("a strange length", format!("Host: {host}\r\nContent-Length: +5")),
        ("a strange coding", format!("Host: {host}\r\nTransfer-Encoding: xchunked")),
        ("a space before the colon", format!("Host : {host}\r\nContent-Length: 0")),
        ("two hosts", format!("Host: {host}\r\nHost: evil.example\r\nContent-Length: 0")),
        ("no host", "Content-Length: 0".to_owned()),
    ] {
        let answer = raw(&server, &format!("POST /token HTTP/1.1\r\n{head}\r\n\r\n{hidden}")).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.is_empty() || first.starts_with("HTTP/1.1 4"), "{what}: {answer}");
        let answers = answer.matches("HTTP/1.1 ").count();
        let whole = ["two hosts", "no host"].contains(&what);
        assert!(answers <= 1 || whole, "{what}: the hidden request was answered: {answer}");
    }
    for bytes in ["\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}", "GET /\r\n\r\n"] {
        let answer = raw(&server, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{bytes:?}: {answer}");
    }
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    assert!(!server.logged().contains("panicked"));
}

/// Half a minute of waiting, beside the other tests: nothing faster shows that nobody is waited for longer.
#[tokio::test]
async fn whoever_says_too_little_is_not_waited_for() {
    let server = TestServer::new().await;
    let address = server.origin.strip_prefix("http://").unwrap().to_owned();
    let register = format!(
        "POST /register HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    );
    let beginnings = ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: ", &register];
    let ended = beginnings.map(|beginning| {
        let address = address.clone();
        async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(beginning.as_bytes()).await.unwrap();
            timeout(Duration::from_secs(45), stream.read_to_end(&mut Vec::new())).await.is_ok()
        }
    });
    let ended = futures_util::future::join_all(ended).await;
    assert!(ended.iter().all(|ended| *ended), "{ended:?}");
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}

/// A thief who sends the head of a call ahead must not have its body done after the revocation.
#[tokio::test]
async fn a_call_whose_body_comes_after_the_revocation_does_nothing() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let address = server.origin.strip_prefix("http://").unwrap().to_owned();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "create_playlist", "arguments": {"name": "Too late"}}})
    .to_string();
    let (first, last) = body.split_at(body.len() - 1);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{first}",
        ada.pair().access,
        body.len()
    );
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let page = ada.browser.open("/account").await;
    ada.browser.submit(&page, "/account/clients/revoke", &[]).await;
    stream.write_all(last.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(server.asked("/v1/me/playlists", 201), 0);
}

#[tokio::test]
async fn odd_targets_methods_and_codings_reach_nothing() {
    let server = TestServer::new().await;
    let host = server.origin.strip_prefix("http://").unwrap();
    let status = async |head: String| {
        let answer = raw(&server, &format!("{head}\r\nconnection: close\r\n\r\n")).await;
        answer.get(9..12).and_then(|status| status.parse::<u16>().ok()).unwrap_or_default()
    };
    let long = format!("/{}", "x".repeat(17_000));
    for (target, expected) in [
        ("//mcp", 404),
        ("/mcp/..", 404),
        ("/mcp/../health", 404),
        ("/%6dcp", 404),
        ("/mcp%2f", 404),
        ("/mcp;x", 404),
        ("/./health", 404),
        ("/account%00", 404),
        ("http://evil.example/account", 403),
        ("http://evil.example/mcp", 403),
        (&long, 414),
    ] {
        let got = status(format!("GET {target} HTTP/1.1\r\nhost: {host}")).await;
        let shown = &target[..target.len().min(30)];
        assert_eq!(got, expected, "{shown}");
    }
    for method in ["TRACE", "PUT", "PATCH", "PROPFIND", "get"] {
        for path in ["/account", "/token", "/mcp"] {
            let got = status(format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-secret: s")).await;
            assert!((400..500).contains(&got), "{method} {path}: {got}");
        }
    }
    for target in ["CONNECT 127.0.0.1:22", "CONNECT /mcp", "OPTIONS *"] {
        let got = status(format!("{target} HTTP/1.1\r\nhost: {host}")).await;
        assert!(got == 0 || (400..500).contains(&got), "{target}: {got}");
    }

    let coded = |path: &str| {
        let request = server.http.post(format!("{}{path}", server.origin)).header("content-encoding", "gzip");
        request.header("content-type", "application/json").body("{}").send()
    };
    for path in ["/token", "/register", "/revoke", "/authorize"] {
        assert_eq!(coded(path).await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
    }
    for path in ["/token", "/register", "/revoke"] {
        let large = server.http.post(format!("{}{path}", server.origin)).body("x".repeat(70_000));
        let kind = if path == "/register" { "application/json" } else { "application/x-www-form-urlencoded" };
        let reply = large.header("content-type", kind).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(reply.headers()["access-control-allow-origin"], "*", "{path}");
        let said: serde_json::Value = reply.json().await.unwrap();
        assert_eq!(said["error"], "invalid_request", "{path}");
    }
    for path in ["/", "/health", "/.well-known/oauth-authorization-server"] {
        let head = server.http.head(format!("{}{path}", server.origin)).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    assert!(!server.logged().contains("panicked"));
}

#[tokio::test]
async fn a_challenge_is_a_json_rpc_error_too() {
    let server = TestServer::new().await;
    let request = server.http.post(format!("{}/mcp", server.origin));
    let reply = speak(request, Era::Modern, "tools/list", json!({})).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    assert!(reply.headers().contains_key("www-authenticate"));
    assert_eq!(reply.headers()["content-type"], "application/json");
    let said: serde_json::Value = reply.json().await.unwrap();
    assert_eq!((&said["jsonrpc"], &said["error"]["code"]), (&json!("2.0"), &json!(-32600)), "{said}");
}
