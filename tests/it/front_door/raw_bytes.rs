//! Bytes that no decent client sends, each before a good request on the same connection: what is answered, and that
//! no byte of a refused request is ever read as another one.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connections::connect;
use crate::support::server::TestServer;

/// A body that registers a client: 201 where it was read whole, whatever came around it.
const CLIENT: &str =
    r#"{"redirect_uris":["http://127.0.0.1:1/callback"],"token_endpoint_auth_method":"none"}"#;

/// What no answer may ever be about: `/livez` would say 200, and this path says 404.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: HOST\r\n\r\n";

/// The statuses of everything that is answered to these bytes and a good request after them, up to the end of the
/// connection.
async fn statuses(server: &TestServer, bytes: &[u8]) -> Vec<u16> {
    let host = server.origin.strip_prefix("http://").unwrap();
    let good = format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut stream = connect(server).await;
    // A server that has had enough may have closed meanwhile.
    let _ = stream.write_all(&[bytes, good.as_bytes()].concat()).await;
    let mut answered = Vec::new();
    let mut part = [0; 8192];
    loop {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        match timeout(Duration::from_secs(20), stream.read(&mut part)).await.expect(&shown) {
            Ok(0) | Err(_) => return heads(&answered),
            Ok(read) => answered.extend_from_slice(&part[..read]),
        }
    }
}

/// The statuses of answers that follow each other, each as long as it says.
fn heads(mut answered: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while let Some(end) = answered.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&answered[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 ") || head.starts_with("http/1.0 "), "{head}");
        let status = head[9..12].parse().unwrap();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length = length.map_or(0, |length| length.parse::<usize>().unwrap());
        assert!(length > 0 || !head.contains("transfer-encoding"), "{head}");
        statuses.push(status);
        answered = &answered[(end + 4 + length).min(answered.len())..];
    }
    assert!(answered.is_empty(), "{}", String::from_utf8_lossy(answered));
    statuses
}

/// Sends each of these; `HOST` in it is the server's.
async fn hold(server: &TestServer, table: &[(&str, String, &[u16])]) {
    let host = server.origin.strip_prefix("http://").unwrap();
    let mut wrong = Vec::new();
    for (what, bytes, expected) in table {
        // Bytes above 0x7f stand for themselves.
        let bytes: Vec<u8> = bytes.replace("HOST", host).chars().map(|one| one as u8).collect();
        let got = statuses(server, &bytes).await;
        if got != *expected {
            wrong.push(format!("{what}: {got:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!server.logged().contains("panicked"));
}

/// A request for `/livez` with these lines in its head.
fn get(lines: &str) -> String {
    format!("GET /livez HTTP/1.1\r\nHost: HOST\r\n{lines}\r\n")
}

/// A request for this target.
fn target(line: &str) -> String {
    format!("{line}\r\nHost: HOST\r\n\r\n")
}

/// A registration with these lines in its head and this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST /register HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n{lines}\r\n{body}")
}

/// The registration in chunks of this first size, with whatever comes after the last chunk's line.
fn chunked(first: &str, last: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", &format!("{first}\r\n{CLIENT}\r\n0\r\n{last}"))
}

#[tokio::test]
async fn lines_of_a_head_mean_one_thing_or_nothing() {
    let server = TestServer::new().await;
    let many = |count: usize| (0..count).fold(String::new(), |all, n| format!("{all}X-{n}: y\r\n"));
    hold(
        &server,
        &[
            ("a good one", get(""), &[200, 200]),
            ("a folded line", get("X: a\r\n b\r\n"), &[400]),
            ("a folded first line", "GET /livez HTTP/1.1\r\n Host: HOST\r\n\r\n".into(), &[400]),
            ("a name that is no token", get("X(y): z\r\n"), &[400]),
            ("a name with a byte above ASCII", get("X\u{e9}: z\r\n"), &[400]),
            ("no name", get(": z\r\n"), &[400]),
            ("no colon", get("X\r\n"), &[400]),
            ("a space before the colon", get("X : z\r\n"), &[400]),
            ("a tab before the colon", get("X\t: z\r\n"), &[400]),
            ("NUL in a name", get("X\0: z\r\n"), &[400]),
            ("NUL in a value", get("X: y\0z\r\n"), &[400]),
            ("a control character in a value", get("X: y\u{1}z\r\n"), &[400]),
            ("DEL in a value", get("X: y\u{7f}z\r\n"), &[400]),
            ("a bare CR in a value", get("X: y\rHost: evil.example\r\n"), &[400]),
            ("a bare CR before a line", get("\rX: y\r\n"), &[400]),
            ("a tab in a value", get("X: y\tz\r\n"), &[200, 200]),
            ("bytes above ASCII in a value", get("X: \u{e9}\r\n"), &[200, 200]),
            ("an empty value", get("X:\r\n"), &[200, 200]),
            // RFC 9112, 2.2: a recipient may take a single LF for the end of a line.
            ("lines that end in LF", get("").replace("\r\n", "\n"), &[200, 200]),
            ("one line that ends in LF", get("X: y\nZ: z\r\n"), &[200, 200]),
            ("empty lines before it", format!("\r\n\r\n{}", get("")), &[200, 200]),
            ("a name of 64 KiB", get(&format!("{}: y\r\n", "x".repeat(65_536))), &[431]),
            ("a value of 64 KiB", get(&format!("x: {}\r\n", "y".repeat(65_536))), &[431]),
            ("values of 17 KiB", get(&format!("x: {}\r\n", "y".repeat(17_000))), &[431, 200]),
            ("99 fields and the host", get(&many(99)), &[200, 200]),
            ("100 fields and the host", get(&many(100)), &[431, 200]),
            ("1000 fields", get(&many(1000)), &[431]),
        ],
    )
    .await;
}

#[tokio::test]
async fn one_host_is_named_and_it_is_ours() {
    let server = TestServer::new().await;
    let with = |hosts: &str| format!("GET / HTTP/1.1\r\n{hosts}\r\n");
    hold(
        &server,
        &[
            ("ours", with("Host: HOST\r\n"), &[200, 200]),
            ("none", with(""), &[400]),
            ("none for a probe", "GET /livez HTTP/1.1\r\n\r\n".into(), &[400]),
            ("two", with("Host: HOST\r\nHost: evil.example\r\n"), &[400]),
            ("twice the same", with("Host: HOST\r\nHost: HOST\r\n"), &[400]),
            ("two in one line", with("Host: HOST, evil.example\r\n"), &[400]),
            ("with a user", with("Host: user@HOST\r\n"), &[400]),
            ("with a path", with("Host: HOST/x\r\n"), &[400]),
            ("a URL", with("Host: http://HOST\r\n"), &[400]),
            ("empty", with("Host:\r\n"), &[403, 200]),
            ("another's", with("Host: evil.example\r\n"), &[403, 200]),
            ("another port", with("Host: 127.0.0.1:1\r\n"), &[403, 200]),
            ("a name around ours", with("Host: HOST.evil.example\r\n"), &[403, 200]),
            ("with a dot at its end", with("Host: localhost.:80\r\n"), &[403, 200]),
            // RFC 9112, 3.2.2: the host of a whole URL counts, whatever `Host` says.
            (
                "in the target, and another beside it",
                "GET http://HOST/ HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(),
                &[200, 200],
            ),
            ("another's in the target", target("GET http://evil.example/ HTTP/1.1"), &[403, 200]),
            ("none, in HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n".into(), &[200]),
        ],
    )
    .await;
}

#[tokio::test]
async fn targets_and_versions_mean_one_thing_or_nothing() {
    let server = TestServer::new().await;
    hold(
        &server,
        &[
            ("two dots in code", target("GET /assets/%2e%2e/livez HTTP/1.1"), &[404, 200]),
            ("two dots", target("GET /assets/../livez HTTP/1.1"), &[404, 200]),
            ("two strokes", target("GET //livez HTTP/1.1"), &[404, 200]),
            ("a backslash", target("GET /\\livez HTTP/1.1"), &[404, 200]),
            ("a whole URL", target("GET http://HOST/livez HTTP/1.1"), &[200, 200]),
            ("a whole URL with a user", target("GET http://user@HOST/livez HTTP/1.1"), &[400]),
            ("a URL of another scheme", target("GET ftp://HOST/livez HTTP/1.1"), &[400]),
            ("a host and a port", target("GET 127.0.0.1:22 HTTP/1.1"), &[400]),
            ("a bare word", target("GET livez HTTP/1.1"), &[400]),
            ("a star", target("GET * HTTP/1.1"), &[400]),
            ("NUL", target("GET /livez\0 HTTP/1.1"), &[400]),
            ("a control character", target("GET /li\u{1}vez HTTP/1.1"), &[400]),
            ("a bare CR", target("GET /livez\rx HTTP/1.1"), &[400]),
            ("a space", target("GET /live z HTTP/1.1"), &[400]),
            ("a tab", target("GET\t/livez HTTP/1.1"), &[400]),
            ("no target", target("GET HTTP/1.1"), &[400]),
            ("bytes that are no text", target("GET /\u{ff}\u{fe} HTTP/1.1"), &[400]),
            ("longer than any", target(&format!("GET /{} HTTP/1.1", "x".repeat(17_000))), &[414, 200]),
            ("longer than a URI", target(&format!("GET /{} HTTP/1.1", "x".repeat(65_534))), &[431]),
            ("OPTIONS of all", target("OPTIONS * HTTP/1.1"), &[404, 200]),
            ("TRACE", target("TRACE /livez HTTP/1.1"), &[405, 200]),
            ("a method in small letters", target("get /livez HTTP/1.1"), &[405, 200]),
            ("a method that is no token", target("G{T /livez HTTP/1.1"), &[400]),
            ("HTTP/0.9", "GET /livez\r\n".into(), &[400]),
            ("HTTP/1.2", target("GET /livez HTTP/1.2"), &[400]),
            ("HTTP/2.0 in words", target("GET /livez HTTP/2.0"), &[400]),
            ("a version in small letters", target("GET /livez http/1.1"), &[400]),
            ("HTTP/1.0, which closes", target("GET /livez HTTP/1.0"), &[200]),
            ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".into(), &[400]),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_length_of_a_body_is_said_once_and_well() {
    let server = TestServer::new().await;
    let sized = |length: &str| post(&format!("Content-Length: {length}\r\n"), CLIENT);
    let (length, hidden) = (CLIENT.len(), hidden(&server).len());
    // A refused request's body stays a body, although it reads like a request.
    let poisoned = |lines: &str| post(lines, HIDDEN);
    hold(
        &server,
        &[
            ("right", sized(&length.to_string()), &[201, 200]),
            ("right, with zeros before it", sized(&format!("000{length}")), &[201, 200]),
            ("twice the same", post(&format!("Content-Length: {length}\r\n").repeat(2), CLIENT), &[201, 200]),
            ("two", poisoned("Content-Length: 0\r\nContent-Length: 40\r\n"), &[400]),
            ("a list", poisoned("Content-Length: 40, 40\r\n"), &[400]),
            ("a list of two", poisoned("Content-Length: 0, 40\r\n"), &[400]),
            ("negative", poisoned("Content-Length: -1\r\n"), &[400]),
            ("with a plus", poisoned("Content-Length: +5\r\n"), &[400]),
            ("in hexadecimal", poisoned("Content-Length: 0x5\r\n"), &[400]),
            ("with a point", poisoned("Content-Length: 5.0\r\n"), &[400]),
            ("empty", poisoned("Content-Length:\r\n"), &[400]),
            ("a space in it", poisoned("Content-Length: 1 0\r\n"), &[400]),
            ("larger than 64 bits", poisoned("Content-Length: 18446744073709551616\r\n"), &[400]),
            ("as large as 64 bits", poisoned("Content-Length: 18446744073709551615\r\n"), &[431]),
            ("huge", poisoned("Content-Length: 9223372036854775807\r\n"), &[413]),
            ("none", poisoned(""), &[400, 404, 200]),
            (
                "of a body that a GET has",
                format!("{}{HIDDEN}", get(&format!("Content-Length: {}\r\n", hidden))),
                &[200, 200],
            ),
            (
                "of a body that an unknown path has",
                format!("POST /nowhere HTTP/1.1\r\nHost: HOST\r\nContent-Length: {}\r\n\r\n{HIDDEN}", hidden),
                &[404, 200],
            ),
            (
                "beyond the registration",
                post(&format!("Content-Length: {}\r\n", length + hidden), &format!("{CLIENT}{HIDDEN}")),
                &[400, 200],
            ),
        ],
    )
    .await;
}

/// [`HIDDEN`] as it is sent.
fn hidden(server: &TestServer) -> String {
    HIDDEN.replace("HOST", server.origin.strip_prefix("http://").unwrap())
}

#[tokio::test]
async fn a_body_is_chunked_to_the_letter_or_refused() {
    let server = TestServer::new().await;
    let size = format!("{:x}", CLIENT.len());
    let flood = format!("{size};{}", "x=y;".repeat(8000));
    let trailers = (0..200).fold(String::new(), |all, n| format!("{all}X-{n}: y\r\n"));
    hold(
        &server,
        &[
            ("good", chunked(&size, "\r\n"), &[201, 200]),
            (
                "a size in capitals, with zeros",
                chunked(&format!("000{}", size.to_uppercase()), "\r\n"),
                &[201, 200],
            ),
            ("with an extension", chunked(&format!("{size};x=y"), "\r\n"), &[201, 200]),
            ("extensions without end", chunked(&flood, "\r\n"), &[400]),
            ("a newline in an extension", chunked(&format!("{size};x\n"), "\r\n"), &[400]),
            ("a size of 17 digits", chunked(&format!("1{size:0>16}"), "\r\n"), &[400]),
            ("a negative size", chunked(&format!("-{size}"), "\r\n"), &[400]),
            ("a size with 0x", chunked(&format!("0x{size}"), "\r\n"), &[400]),
            ("no size", chunked("", "\r\n"), &[400]),
            (
                "a size line that ends in LF",
                chunked(&size, "\r\n").replacen(&format!("{size}\r\n{{"), &format!("{size}\n{{"), 1),
                &[400],
            ),
            ("a chunk longer than it says", chunked("2", "\r\n"), &[400]),
            ("a chunk that ends in LF", chunked(&size, "\r\n").replace("}\r\n0", "}\n0"), &[400]),
            // RFC 9110, 6.5: trailers are read and mean nothing.
            ("a trailer", chunked(&size, "X: y\r\n\r\n"), &[201, 200]),
            (
                "trailers that belong in a head",
                chunked(&size, "Content-Length: 5\r\nHost: evil.example\r\nTransfer-Encoding: gzip\r\n\r\n"),
                &[201, 200],
            ),
            ("trailers without end", chunked(&size, &format!("{trailers}\r\n")), &[400]),
            ("a trailer of 20 KB", chunked(&size, &format!("X: {}\r\n\r\n", "y".repeat(20_000))), &[400]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_body_is_coded_as_chunked_once_and_its_length_is_not_believed_beside_it() {
    let server = TestServer::new().await;
    let size = format!("{:x}", CLIENT.len());
    let coded = |lines: &str| post(lines, &format!("{size}\r\n{CLIENT}\r\n0\r\n\r\n"));
    let both = |length: usize| format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n");
    hold(
        &server,
        &[
            ("in capitals", coded("TRANSFER-ENCODING: CHUNKED\r\n"), &[201, 200]),
            // RFC 9112, 6.1: it is read as chunked, and the connection closes.
            ("a length before it", coded(&both(5)), &[201]),
            ("a length after it", coded("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), &[201]),
            ("a length that hides a request", post(&both(5), &format!("0\r\n\r\n{HIDDEN}")), &[400]),
            ("twice", coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), &[400]),
            ("twice in one line", coded("Transfer-Encoding: chunked, chunked\r\n"), &[400]),
            ("not last", coded("Transfer-Encoding: chunked, gzip\r\n"), &[400]),
            (
                "not last, in two lines",
                coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
                &[400],
            ),
            ("after identity", coded("Transfer-Encoding: identity, chunked\r\n"), &[501]),
            (
                "after identity, in two lines",
                coded("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"),
                &[501],
            ),
            ("after gzip", coded("Transfer-Encoding: gzip, chunked\r\n"), &[501]),
            ("identity", coded("Transfer-Encoding: identity\r\n"), &[400]),
            ("no coding that is known", coded("Transfer-Encoding: xchunked\r\n"), &[400]),
            ("with a parameter", coded("Transfer-Encoding: chunked;x=y\r\n"), &[400]),
            ("with a vertical tab", coded("Transfer-Encoding: \u{b}chunked\r\n"), &[400]),
            ("in quotes", coded("Transfer-Encoding: \"chunked\"\r\n"), &[400]),
            ("empty", coded("Transfer-Encoding:\r\n"), &[400]),
            ("in HTTP/1.0", coded("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0"), &[400]),
            ("in a folded line", coded("X: y\r\n Transfer-Encoding: chunked\r\n"), &[400]),
        ],
    )
    .await;
}

#[tokio::test]
async fn nothing_is_upgraded_tunnelled_or_waited_for() {
    let server = TestServer::new().await;
    let length = format!("Content-Length: {}\r\n", CLIENT.len());
    hold(&server, &[
        ("told to continue", post(&format!("Expect: 100-continue\r\n{length}"), CLIENT), &[100, 201, 200]),
        ("told to continue, refused", target("POST /nowhere HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5")+"12345", &[404, 200]),
        ("HTTP/1.0 cannot be told", post(&format!("Expect: 100-continue\r\n{length}"), CLIENT).replace("HTTP/1.1", "HTTP/1.0"), &[201]),
        ("h2c", get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), &[200, 200]),
        ("a web socket", get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), &[200, 200]),
        ("CONNECT", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n".into(), &[403, 200]),
        ("CONNECT to us", target("CONNECT HOST HTTP/1.1"), &[404, 200]),
        ("CONNECT to a path", target("CONNECT /livez HTTP/1.1"), &[405, 200]),
        ("a second after one that closes", get("Connection: close\r\n"), &[200]),
    ])
    .await;
}

/// The client says that nothing more comes.
#[tokio::test]
async fn what_is_cut_off_is_no_request() {
    let server = TestServer::new().await;
    let whole = chunked(&format!("{:x}", CLIENT.len()), "\r\n");
    let half = |text: &str| text[..text.len() - CLIENT.len() / 2].to_owned();
    for (what, bytes) in [
        ("a head", "GET /livez HTTP/1.1\r\nHost: HOST\r\n".to_owned()),
        ("a body", half(&post(&format!("Content-Length: {}\r\n", CLIENT.len()), CLIENT))),
        ("a chunk", half(&whole)),
        ("the last chunk", whole.replace("0\r\n\r\n", "")),
        ("the last line", whole[..whole.len() - 2].to_owned()),
        ("a chunk of 64 bits", chunked("ffffffffffffffff", "\r\n")),
    ] {
        let mut stream = connect(&server).await;
        let host = server.origin.strip_prefix("http://").unwrap();
        stream.write_all(bytes.replace("HOST", host).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect(what);
        assert!(
            matches!(heads(&answer)[..], [] | [400 | 413]),
            "{what}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(!server.logged().contains("client_registered"));
}
