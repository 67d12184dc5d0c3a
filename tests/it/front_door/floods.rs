//! Floods by whoever holds very many addresses: they may cost him, and nobody else.

use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::server::{Setup, TestServer};

const REGISTRATIONS: &str = "SPOTIFY_MCP__LIMITS__REGISTRATIONS_PER_ADDRESS_PER_HOUR";
const PROXIES: &str = "SPOTIFY_MCP__SERVER__TRUSTED_PROXIES";

/// Requests that are written together.
const TOGETHER: usize = 50;

/// Asks to register something that is no client, once from each address, on one connection.
async fn flood(server: &TestServer, addresses: impl Iterator<Item = String>) {
    let host = server.origin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let addresses: Vec<_> = addresses.collect();
    for some in addresses.chunks(TOGETHER) {
        let requests = some.iter().map(|from| {
            format!(
                "POST /register HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: {from}\r\n\
                 content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
            )
        });
        stream.write_all(requests.collect::<String>().as_bytes()).await.unwrap();
        let mut answers = String::new();
        while answers.matches("HTTP/1.1 ").count() < some.len() || !answers.ends_with('}') {
            let mut bytes = [0; 16 * 1024];
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the connection ended:\n{answers}");
            answers += std::str::from_utf8(&bytes[..read]).unwrap();
        }
    }
}

#[tokio::test]
async fn one_holder_of_many_addresses_keeps_nobody_else_from_registering() {
    let server = Setup::default().env(REGISTRATIONS, "1").env(PROXIES, "127.0.0.1").start().await;
    // More /64s of one /48 than are counted one by one, and then thousands of its neighbours in the same /32.
    flood(&server, (0..8_300).map(|line| format!("2001:db8:7:{line:x}::1"))).await;
    flood(&server, (0..5_000).map(|network| format!("2001:db8:{:x}::1", 0x100 + network))).await;
    for n in 0..10 {
        let body = json!({"client_name": "n", "redirect_uris": [format!("http://127.0.0.1:1/{n}")]});
        let request = server.http.post(format!("{}/register", server.origin)).json(&body);
        let reply = request.header("x-forwarded-for", format!("198.51.{n}.7")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::CREATED, "{n}");
    }
}
