//! Connections as such: how many, for how long, and what HTTP/2 lets a client do. In bytes, because no decent client
//! can be brought to do these things.

use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::server::{Setup, TestServer};

/// As long as no bound of the server's lasts.
const PATIENCE: Duration = Duration::from_secs(45);

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.origin.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Asks `/livez` on a connection that stays; `None`: it is closed.
async fn alive(stream: &mut TcpStream) -> Option<()> {
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
    }
    alive(&mut open[0]).await.unwrap();
    let mut newcomers = Vec::new();
    for shed in [1, 2] {
        let mut newcomer = connect(&server).await;
        alive(&mut newcomer).await.unwrap();
        newcomers.push(newcomer);
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

/// HTTP/2 in frames.
struct Frames {
    stream: TcpStream,
    authority: String,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl Frames {
    /// Speaks first, with these settings (identifier, value).
    async fn open(server: &TestServer, settings: &[(u16, u32)]) -> Self {
        let authority = server.origin.strip_prefix("http://").unwrap().to_owned();
        let mut frames = Self { stream: connect(server).await, authority };
        frames.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let pairs =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        frames.send(SETTINGS, 0, 0, &pairs.collect::<Vec<u8>>()).await.unwrap();
        frames
    }

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&Self::frame(kind, flags, stream, payload)).await
    }

    /// `GET /` from HPACK's static table, and the authority.
    fn get(&self) -> Vec<u8> {
        let authority = self.authority.as_bytes();
        [&[0x82, 0x86, 0x84, 0x41, u8::try_from(authority.len()).unwrap()], authority].concat()
    }

    /// The next frame: kind, flags, payload.
    async fn next(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("nothing comes").ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], payload))
    }

    /// All frames until the end, which has to come: their kinds.
    async fn rest(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some((kind, ..)) = self.next().await {
            kinds.push(kind);
        }
        kinds
    }
}

#[tokio::test]
async fn http2_is_answered_and_a_window_that_stays_shut_is_not_waited_for() {
    let server = TestServer::new().await;
    let mut open = Frames::open(&server, &[]).await;
    open.send(HEADERS, END_HEADERS | END_STREAM, 1, &open.get()).await.unwrap();
    let mut page = Vec::new();
    loop {
        let (kind, flags, payload) = open.next().await.expect("no page");
        if kind == DATA {
            page.extend(payload);
            if flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert!(String::from_utf8_lossy(&page).contains("</html>"));

    let initial_window_size = 4;
    let mut shut = Frames::open(&server, &[(initial_window_size, 0)]).await;
    shut.send(HEADERS, END_HEADERS | END_STREAM, 1, &shut.get()).await.unwrap();
    let kinds = shut.rest().await;
    assert!(kinds.contains(&HEADERS) && !kinds.contains(&DATA), "{kinds:?}");
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}

#[tokio::test]
async fn who_keeps_answers_waiting_over_http2_goes_for_a_newcomer() {
    let initial_window_size = 4;
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__CONNECTIONS", "4").start().await;
    let mut holding = Vec::new();
    for _ in 0..4 {
        let mut frames = Frames::open(&server, &[(initial_window_size, 0)]).await;
        frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames.get()).await.unwrap();
        while frames.next().await.expect("an answer begins").0 != HEADERS {}
        holding.push(frames);
    }
    alive(&mut connect(&server).await).await.expect("one of them has made room");
}

#[tokio::test]
async fn floods_of_frames_end_their_connection_and_nothing_else() {
    let server = TestServer::new().await;

    let mut resets = Frames::open(&server, &[]).await;
    let get = resets.get();
    let mut flood = Vec::new();
    for stream in (1..10_000).step_by(2) {
        flood.extend(Frames::frame(HEADERS, END_HEADERS | END_STREAM, stream, &get));
        flood.extend(Frames::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // Writing may fail halfway: the server has had enough.
    let _ = resets.stream.write_all(&flood).await;
    let kinds = resets.rest().await;
    assert!(kinds.iter().filter(|kind| **kind == HEADERS).count() < 1000, "{kinds:?}");

    let mut endless = Frames::open(&server, &[]).await;
    let part = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x7e][..], &[b'y'; 16_000]].concat();
    let mut sent = endless.send(HEADERS, 0, 1, &endless.get()).await;
    for _ in 0..2000 {
        if sent.is_err() {
            break;
        }
        sent = endless.send(CONTINUATION, 0, 1, &part).await;
    }
    assert!(sent.is_err(), "thirty megabytes of one header were taken");

    let goes = |kinds: &[u8]| kinds.contains(&GOAWAY);
    for (what, kind, stream, payload) in [
        ("data on no stream", DATA, 0, &b"x"[..]),
        ("a frame of another's", RST_STREAM, 7, &[0, 0, 0, 8]),
        ("broken compression", HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff]),
        ("a ping of five bytes", PING, 0, b"hello"),
    ] {
        let mut frames = Frames::open(&server, &[]).await;
        frames.send(kind, END_HEADERS, stream, payload).await.unwrap();
        let kinds = frames.rest().await;
        assert!(goes(&kinds), "{what}: {kinds:?}");
    }
    assert_eq!(server.ready().await, Some(StatusCode::OK));
    assert!(!server.logged().contains("panicked"));
}

/// How many bytes come until the end.
async fn take_all(mut stream: tokio::net::tcp::OwnedReadHalf) -> usize {
    let (mut part, mut taken) = (vec![0; 65_536], 0);
    while let Ok(read @ 1..) = stream.read(&mut part).await {
        taken += read;
    }
    taken
}

/// h2 answers each of these for ever, so that nothing but this bound ends them where the answers are taken.
#[tokio::test]
async fn talk_without_requests_ends_its_connection() {
    let server = TestServer::new().await;
    let most = 200_000;
    for (what, kind, payload) in [
        ("pings", PING, &[0; 8][..]),
        ("settings", SETTINGS, &[]),
        ("priorities", 2, &[0, 0, 0, 0, 1]),
        ("frames of no known kind", 0xfa, b"x"),
    ] {
        for asks_first in [false, true] {
            let mut frames = Frames::open(&server, &[]).await;
            if asks_first {
                frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames.get()).await.unwrap();
            }
            let flood = Frames::frame(kind, 0, if kind == 2 { 3 } else { 0 }, payload).repeat(1000);
            let (reading, mut writing) = frames.stream.into_split();
            // Takes every answer: nothing waits for this client.
            let taking = tokio::spawn(take_all(reading));
            let mut sent = 0;
            while sent < most && writing.write_all(&flood).await.is_ok() {
                sent += 1000;
            }
            let ended = timeout(Duration::from_secs(10), taking).await;
            // The client's end stays open: it is the server that has had enough.
            let taken = ended.unwrap_or_else(|_| panic!("{what}: still open, asked first: {asks_first}"));
            // An answer is as long as what it answers, nine bytes at least, besides a page's.
            let answers = taken.unwrap() / (9 + payload.len());
            assert!(answers < 130_000, "{what}: {answers} were answered");
            drop(writing);
        }
    }
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}

#[tokio::test]
async fn a_connection_that_asks_may_say_much() {
    let server = TestServer::new().await;
    let mut frames = Frames::open(&server, &[]).await;
    let authority = frames.authority.clone();
    let literal =
        |index: u8, value: &str| [&[index, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let post = [
        vec![0x83, 0x86],
        literal(0x44, "/token"),
        literal(0x41, &authority),
        literal(0x5f, "application/x-www-form-urlencoded"),
    ]
    .concat();
    let body = [b"grant_type=refresh_token&refresh_token=".to_vec(), vec![b'x'; 40_000]].concat();
    // Two megabytes of forms in all, and keep-alives between them.
    for number in 0..50 {
        let stream = 2 * number + 1;
        frames.send(HEADERS, END_HEADERS, stream, &post).await.unwrap();
        for part in body.chunks(16_000) {
            frames.send(DATA, 0, stream, part).await.unwrap();
        }
        frames.send(DATA, END_STREAM, stream, b"").await.unwrap();
        frames.send(PING, 0, 0, &[0; 8]).await.unwrap();
        let (mut answered, mut ponged) = (false, false);
        while !(answered && ponged) {
            let (kind, flags, _) =
                frames.next().await.unwrap_or_else(|| panic!("closed at request {number}"));
            assert!(kind != GOAWAY && kind != RST_STREAM, "request {number}: {kind}");
            answered |= kind == DATA && flags & END_STREAM != 0;
            ponged |= kind == PING;
        }
    }
}

#[tokio::test]
async fn headers_of_http2_have_the_same_bounds() {
    let server = TestServer::new().await;
    let field = |name: &str, value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap();
        assert!((127..16_000).contains(&length));
        // HPACK's integers (RFC 7541, 5.1): seven bits, then groups of seven.
        let rest = length - 127;
        let number = [0x7f, u8::try_from(rest & 0x7f).unwrap() | 0x80, u8::try_from(rest >> 7).unwrap()];
        [&[0x00, u8::try_from(name.len()).unwrap()], name.as_bytes(), &number[..], value].concat()
    };
    let many: Vec<u8> = (0..110).flat_map(|n| field(&format!("x-{n:03}"), &[b'y'; 127])).collect();
    for (what, fields) in [
        ("too many", many),
        ("too long", [field("x-long", &[b'y'; 9000]), field("x-longer", &[b'y'; 9000])].concat()),
    ] {
        let mut frames = Frames::open(&server, &[]).await;
        let block = [frames.get(), fields].concat();
        let (first, rest) = block.split_at(block.len().min(16_000));
        let last = if rest.is_empty() { END_HEADERS } else { 0 };
        frames.send(HEADERS, END_STREAM | last, 1, first).await.unwrap();
        if !rest.is_empty() {
            frames.send(CONTINUATION, END_HEADERS, 1, rest).await.unwrap();
        }
        let status = loop {
            match frames.next().await {
                Some((HEADERS, _, block)) => break block,
                Some((RST_STREAM | GOAWAY, ..)) | None => break Vec::new(),
                Some(_) => {}
            }
        };
        // 431 is no entry of the static table: the value stands there in Huffman's code or in digits.
        assert_ne!(status.first(), Some(&0x88), "{what}: 200");
    }
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}
