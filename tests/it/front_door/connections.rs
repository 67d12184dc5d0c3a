//! Connections as such: how many and for how long. In bytes, because no decent client can be brought to do these
//! things.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::server::{Setup, TestServer};

/// As long as no bound of the server's lasts.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// So far apart that the server, which counts milliseconds, sees which of two was idle first.
const APART: Duration = Duration::from_millis(50);

pub(super) async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.origin.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Asks `/livez` on a connection that stays; `None`: it is closed.
pub(super) async fn alive(stream: &mut TcpStream) -> Option<()> {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"{\"status\":\"ok\"}") {
        let mut part = [0; 2048];
        match timeout(Duration::from_secs(10), stream.read(&mut part)).await.expect("no answer") {
            Ok(0) | Err(_) => return None,
            Ok(read) => answer.extend_from_slice(&part[..read]),
        }
    }
    Some(())
}

/// Reads to the end, however it comes; `None`: it does not come.
async fn end(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut read)).await.ok()?.ok();
    Some(read)
}

#[tokio::test]
async fn the_longest_idle_connection_goes_for_a_newcomer() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__CONNECTIONS", "4").start().await;
    let mut open = Vec::new();
    // The fourth is the fifth: waiting for readiness left one open.
    for _ in 0..4 {
        let mut stream = connect(&server).await;
        alive(&mut stream).await.unwrap();
        open.push(stream);
        sleep(APART).await;
    }
    alive(&mut open[0]).await.unwrap();
    sleep(APART).await;
    let mut newcomers = Vec::new();
    for shed in [1, 2] {
        let mut newcomer = connect(&server).await;
        alive(&mut newcomer).await.unwrap();
        newcomers.push(newcomer);
        sleep(APART).await;
        assert_eq!(end(&mut open[shed]).await.unwrap(), b"", "{shed}");
    }
    for stream in [0, 3] {
        alive(&mut open[stream]).await.unwrap();
    }
    for newcomer in &mut newcomers {
        alive(newcomer).await.unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_silent_connections_leaves_the_server_reachable() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__CONNECTIONS", "50").start().await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(connect(&server).await);
    }
    let mut asking = connect(&server).await;
    alive(&mut asking).await.unwrap();
    for _ in 0..300 {
        flood.push(connect(&server).await);
        alive(&mut asking).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_head_may_take() {
    let server = TestServer::new().await;
    let mut stream = connect(&server).await;
    alive(&mut stream).await.unwrap();
    sleep(Duration::from_secs(13)).await;
    alive(&mut stream).await.expect("kept for the next request");
    // The next request has its ten seconds from its first byte.
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost:").await.unwrap();
    let began = tokio::time::Instant::now();
    assert!(end(&mut stream).await.is_some(), "the head never came");
    assert!(began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_takes_no_answer_is_not_waited_for() {
    let server = TestServer::new().await;
    let mut stream = connect(&server).await;
    let host = server.origin.strip_prefix("http://").unwrap();
    let asked = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").repeat(200);
    // Until the server takes no more, because nobody takes its answers.
    while let Ok(written) = timeout(Duration::from_secs(2), stream.write_all(asked.as_bytes())).await {
        written.unwrap();
    }
    sleep(PATIENCE).await;
    let refused = stream.write_all(asked.as_bytes()).await.and(stream.flush().await);
    let closed = refused.is_err() || end(&mut stream).await.is_some();
    assert!(closed, "the connection is still open");
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}
