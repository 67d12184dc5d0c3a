//! Whose address counts behind proxies, as the audit trail has it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::server::{Setup, TestServer};
use crate::support::trail;

/// Headers of a request: names and values, in order, the values as bytes.
type Sent<'a> = &'a [(&'a str, &'a [u8])];

const FOR: &str = "x-forwarded-for";

/// Registers a client with these headers.
async fn register(server: &TestServer, name: &str, sent: Sent<'_>) -> (StatusCode, Value) {
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    let body = json!({"client_name": name, "redirect_uris": ["http://127.0.0.1:1/callback"]});
    let request = server.http.post(format!("{}/register", server.origin)).headers(headers).json(&body);
    let reply = request.send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

/// The address that the trail has for the registration of this client.
async fn recorded(server: &TestServer, client: &str) -> String {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let found = trail::records(&server.data_dir().join("audit")).into_iter().find(|record| {
            record["metadata"]["event_code"] == "client_registered" && record.to_string().contains(client)
        });
        if let Some(record) = found {
            let address = trail::Reader::of(server).await.address(&record).await;
            return address.unwrap_or_else(|| panic!("no address: {record}"));
        }
        assert!(Instant::now() < until, "no record of {client}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn seen(server: &TestServer, name: &str, sent: Sent<'_>) -> String {
    let (status, answer) = register(server, name, sent).await;
    assert_eq!(status, StatusCode::CREATED, "{name}: {answer}");
    recorded(server, answer["client_id"].as_str().unwrap()).await
}

#[tokio::test]
async fn the_nearest_hop_that_no_trusted_proxy_is_counts() {
    let server = Setup::default()
        .env("SPOTIFY_MCP__SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8, 2001:db8:1::/48")
        .start()
        .await;
    let long = format!("6.6.6.6{}", ", 10.9.9.9".repeat(40));
    let cases: &[(&str, Sent<'_>, &str)] = &[
        ("none", &[], "127.0.0.1"),
        ("one", &[(FOR, b"198.51.100.1")], "198.51.100.1"),
        ("what the client wrote before", &[(FOR, b"6.6.6.6, 198.51.100.2")], "198.51.100.2"),
        ("trusted ones between", &[(FOR, b"6.6.6.6, 198.51.100.3, 10.0.0.2,10.0.0.3")], "198.51.100.3"),
        ("several headers", &[(FOR, b"6.6.6.6"), (FOR, b"198.51.100.4"), (FOR, b"10.0.0.2")], "198.51.100.4"),
        ("IPv6", &[(FOR, b"6.6.6.6, 2001:db8::4, 2001:db8:1::9")], "2001:db8::4"),
        ("in brackets", &[(FOR, b"[2001:db8::5]")], "2001:db8::5"),
        ("in brackets with a port", &[(FOR, b"[2001:db8::6]:443, [2001:db8:1::9]:80")], "2001:db8::6"),
        ("with a port", &[(FOR, b"198.51.100.7:5678, 10.0.0.2:80")], "198.51.100.7"),
        ("mapped", &[(FOR, b"::ffff:198.51.100.8, ::ffff:10.0.0.2")], "198.51.100.8"),
        ("no address", &[(FOR, b"6.6.6.6, unknown")], "127.0.0.1"),
        ("no address behind a proxy", &[(FOR, b"6.6.6.6, <script>, 10.0.0.2")], "10.0.0.2"),
        ("nothing", &[(FOR, b"")], "127.0.0.1"),
        ("nothing at the end", &[(FOR, b"6.6.6.6,")], "127.0.0.1"),
        ("bytes that are no text", &[(FOR, b"6.6.6.6"), (FOR, b"\xff\xfe, 198.51.100.9")], "198.51.100.9"),
        ("such bytes last", &[(FOR, b"6.6.6.6"), (FOR, b"\xff\xfe")], "127.0.0.1"),
        ("more hops than are looked at", &[(FOR, long.as_bytes())], "10.9.9.9"),
        (
            "headers that nobody vouches for",
            &[("forwarded", b"for=6.6.6.6"), ("x-real-ip", b"6.6.6.6"), ("cf-connecting-ip", b"6.6.6.6")],
            "127.0.0.1",
        ),
    ];
    for (what, sent, expected) in cases {
        assert_eq!(seen(&server, what, sent).await, *expected, "{what}");
    }
    // Where this server is, is configured and not asked of a request.
    let sent = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example"),
    ];
    let url = format!("{}/.well-known/oauth-authorization-server", server.origin);
    let request =
        sent.iter().fold(server.http.get(url), |request, (name, value)| request.header(*name, *value));
    let metadata: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], server.origin);
    assert!(!metadata.to_string().contains("evil"));
}

#[tokio::test]
async fn a_stranger_forwards_nothing_and_limits_count_who_really_asks() {
    let stranger = Setup::default().env("SPOTIFY_MCP__SERVER__TRUSTED_PROXIES", "10.0.0.0/8").start().await;
    for (what, sent) in [("v4", &b"198.51.100.1"[..]), ("a proxy", b"10.0.0.1"), ("junk", b"\xff")] {
        assert_eq!(seen(&stranger, what, &[(FOR, sent)]).await, "127.0.0.1", "{what}");
    }

    for (trusted, expected) in
        [("10.0.0.0/8", StatusCode::TOO_MANY_REQUESTS), ("127.0.0.1", StatusCode::CREATED)]
    {
        let server = Setup::default()
            .env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS_PER_ADDRESS_PER_DAY", "2")
            .env("SPOTIFY_MCP__SERVER__TRUSTED_PROXIES", trusted)
            .start()
            .await;
        let mut statuses = Vec::new();
        for number in 1..=4 {
            let address = format!("198.51.100.{number}");
            statuses.push(register(&server, &address, &[(FOR, address.as_bytes())]).await.0);
        }
        assert_eq!(statuses[3], expected, "{trusted}: {statuses:?}");
        // One address stays one, however it is written.
        let mut last = StatusCode::OK;
        for (number, hop) in
            ["203.0.113.7", "203.0.113.7:80", "::ffff:203.0.113.7", "6.6.6.6, 203.0.113.7"].iter().enumerate()
        {
            last = register(&server, &format!("again {number}"), &[(FOR, hop.as_bytes())]).await.0;
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "{trusted}");
    }
}
