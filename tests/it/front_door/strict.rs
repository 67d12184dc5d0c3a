//! The protocol to the letter on the real binary: what is refused, with which status and error, in either era; and
//! whose call a cancellation ends.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Fault;
use tokio::time::sleep;

use crate::support::listener::{Era, Listener, speak};
use crate::support::server::TestServer;

const BOTH: &str = "application/json, text/event-stream";
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn post(listener: &Listener) -> RequestBuilder {
    listener.client.http.post(format!("{}/mcp", listener.client.origin)).bearer_auth(&listener.pair().access)
}

/// Status and error code; fails where a refusal is not JSON-RPC.
async fn told(request: RequestBuilder) -> (u16, i64) {
    let reply = request.send().await.unwrap();
    let (status, kind) = (reply.status(), reply.headers().get("content-type").cloned());
    let text = reply.text().await.unwrap();
    if status == StatusCode::OK {
        return (200, 0);
    }
    assert_eq!(kind.unwrap(), "application/json", "{status}: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["jsonrpc"], "2.0", "{text}");
    assert!(!body.as_object().unwrap().get("id").is_some_and(Value::is_null), "no null id: {text}");
    (status.as_u16(), body["error"]["code"].as_i64().unwrap())
}

fn plain(listener: &Listener, body: &str) -> RequestBuilder {
    bare(listener, "accept", BOTH).header("content-type", "application/json").body(body.to_owned())
}

fn bare(listener: &Listener, name: &str, value: &str) -> RequestBuilder {
    post(listener).header(name, value).body(LIST)
}

#[tokio::test]
async fn every_refused_message_has_its_status_and_is_a_json_rpc_error() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let nested = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{}{}}}}}"#,
        "[".repeat(70),
        "]".repeat(70)
    );
    // Less than a message may have, and a hundred times as much in memory.
    let many = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"a":[{}0]}}}}}}"#,
        r#"{"b":0},"#.repeat(120_000)
    );
    for (body, expected) in [
        ("", (400, -32700)),
        ("{", (400, -32700)),
        ("[]", (400, -32600)),
        (&format!("[{LIST}]"), (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1,"a":2}}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":{"y":1,"y":2}}}"#, (400, -32600)),
        (&nested, (400, -32600)),
        (&many, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"error":{}}"#, (400, -32600)),
        (&" ".repeat(1_100_000), (413, -32600)),
        (LIST, (200, 0)),
    ] {
        assert_eq!(told(plain(&ada, body)).await, expected, "{}", &body[..body.len().min(80)]);
    }
}

#[tokio::test]
async fn every_refused_head_has_its_status_and_is_a_json_rpc_error() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let plain = |name: &str, value: &str| plain(&ada, LIST).header(name, value);
    let json = |accept: &str| bare(&ada, "accept", accept).header("content-type", "application/json");
    let version = "mcp-protocol-version";
    for (request, expected) in [
        (plain("content-encoding", "gzip"), (415, -32600)),
        (plain("content-encoding", "identity"), (200, 0)),
        (bare(&ada, "accept", BOTH).header("content-type", "text/plain"), (415, -32600)),
        (bare(&ada, "accept", BOTH), (415, -32600)),
        (bare(&ada, "accept", BOTH).header("content-type", "application/json; charset=utf-8"), (200, 0)),
        (json("*/*"), (200, 0)),
        (json("text/html, */*"), (200, 0)),
        (json("application/json"), (406, -32600)),
        (json("text/html"), (406, -32600)),
        (plain(version, "1999-01-01"), (400, -32600)),
        (plain(version, "2025-11-25").header(version, "2025-06-18"), (400, -32020)),
        (plain("mcp-session-id", "a").header("mcp-session-id", "b"), (400, -32020)),
        (plain("mcp-session-id", "a"), (404, -32600)),
        (plain("origin", "https://evil.example"), (403, -32600)),
    ] {
        assert_eq!(told(request).await, expected);
    }
}

#[tokio::test]
async fn only_messages_are_posted_and_only_sessions_of_2025_deleted() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let ask = |method| {
        ada.client.http.request(method, format!("{}/mcp", server.origin)).bearer_auth(&ada.pair().access)
    };
    for method in [Method::GET, Method::PUT, Method::PATCH] {
        assert_eq!(told(ask(method).header("accept", BOTH)).await, (405, -32600));
    }
    let delete = || ask(Method::DELETE);
    assert_eq!(told(delete()).await, (400, -32600), "no session is named");
    let named = || delete().header("mcp-session-id", "x");
    assert_eq!(told(named()).await, (404, -32600));
    assert_eq!(told(named().header("origin", "https://evil.example")).await, (403, -32600));
    let modern = named().header("mcp-protocol-version", "2026-07-28");
    assert_eq!(told(modern).await, (405, -32600), "2026-07-28 has no session to end");
}

fn meta(version: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A message with version, method and name as headers ("" leaves one out) and this revision in its metadata.
fn sent(listener: &Listener, headers: [&str; 3], method: &str, version: &str) -> RequestBuilder {
    let mut params = json!({});
    if method == "tools/call" {
        params = json!({"name": "get_status", "arguments": {}});
    }
    if !version.is_empty() {
        params["_meta"] = meta(version);
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let names = ["mcp-protocol-version", "mcp-method", "mcp-name"];
    let present = names.into_iter().zip(headers).filter(|(_, value)| !value.is_empty());
    present.fold(post(listener).header("accept", BOTH).json(&body), |request, (name, value)| {
        request.header(name, value)
    })
}

#[tokio::test]
async fn requests_of_2026_are_held_to_their_headers_and_metadata() {
    const NOW: &str = "2026-07-28";
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let good =
        || speak(post(&ada), Era::Modern, "tools/call", json!({"name": "get_status", "arguments": {}}));
    assert_eq!(told(good()).await, (200, 0));
    for (name, value) in
        [("mcp-method", "tools/call"), ("mcp-name", "get_status"), ("mcp-protocol-version", NOW)]
    {
        assert_eq!(told(good().header(name, value)).await, (400, -32020), "{name} twice");
    }
    for (headers, method, version, expected) in [
        ([NOW, "", ""], "tools/call", NOW, (400, -32020)),
        ([NOW, "tools/call", ""], "tools/call", NOW, (400, -32020)),
        ([NOW, "tools/list", "get_status"], "tools/call", NOW, (400, -32020)),
        ([NOW, "tools/call", "get_liked_songs"], "tools/call", NOW, (400, -32020)),
        ([NOW, "tools/call", "=?base64?Z2V0X3N0YXR1cw==?="], "tools/call", NOW, (200, 0)),
        ([NOW, "tools/call", "=?base64?!!!?="], "tools/call", NOW, (400, -32020)),
        (["", "tools/call", "get_status"], "tools/call", NOW, (400, -32020)),
        ([NOW, "tools/list", ""], "tools/list", "", (400, -32602)),
        ([NOW, "tools/list", ""], "tools/list", "2025-11-25", (400, -32020)),
        (["2099-01-01", "tools/list", ""], "tools/list", "2099-01-01", (400, -32022)),
        ([NOW, "nothing/here", ""], "nothing/here", NOW, (404, -32601)),
        ([NOW, "initialize", ""], "initialize", NOW, (404, -32601)),
        ([NOW, "ping", ""], "ping", NOW, (404, -32601)),
    ] {
        assert_eq!(told(sent(&ada, headers, method, version)).await, expected, "{method} {headers:?}");
    }
    // Answered in band in the old era: the connection stays good.
    let old = ada.request(Era::Legacy, "nothing/here", json!({})).await;
    assert_eq!(old.status, StatusCode::OK);
    assert!(old.text.contains("-32601"), "{}", old.text);
}

#[tokio::test]
async fn a_cancellation_ends_the_callers_own_call_and_nobody_elses() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    server.inject("GET /v1/me/player*", 2, Fault::Delay { millis: 4000 });
    let cancel = async |listener: &Listener, id: Value| {
        let body =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        let request =
            post(listener).header("accept", BOTH).header("mcp-protocol-version", "2025-11-25").json(&body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    };
    let began = Instant::now();
    let call = async |listener: &Listener| {
        let answer = listener.call_in(Era::Legacy, "get_current_track", json!({})).await;
        (answer.text, began.elapsed())
    };
    let (hers, his, ()) = tokio::join!(call(&ada), call(&ben), async {
        sleep(Duration::from_millis(1000)).await;
        cancel(&ada, json!("1")).await;
        cancel(&ada, json!(2)).await;
        sleep(Duration::from_millis(500)).await;
        // Both run under the id 1.
        cancel(&ada, json!(1)).await;
    });
    assert!(hers.1 >= Duration::from_millis(1500), "only its own id ends it: {:?}", hers.1);
    assert!(hers.1 < Duration::from_secs(4) && hers.0.contains("cancelled"), "{:?} {}", hers.1, hers.0);
    assert!(his.1 >= Duration::from_secs(4) && his.0.contains("\"result\""), "{:?} {}", his.1, his.0);
}
