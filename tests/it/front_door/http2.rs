//! What HTTP/2 lets a client do: windows that stay shut, floods of frames, talk without end. In frames, because no
//! decent client can be brought to do these things.

use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connections::{PATIENCE, alive, connect};
use crate::support::server::{Setup, TestServer};

/// HTTP/2 in frames.
pub(super) struct Frames {
    stream: TcpStream,
    pub(super) authority: String,
}

const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

const INITIAL_WINDOW_SIZE: u16 = 4;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

impl Frames {
    /// Speaks first, with these settings (identifier, value).
    pub(super) async fn open(server: &TestServer, settings: &[(u16, u32)]) -> Self {
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

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&Self::frame(kind, flags, stream, payload)).await
    }

    /// `GET /` from HPACK's static table, and the authority.
    pub(super) fn get(&self) -> Vec<u8> {
        let authority = self.authority.as_bytes();
        [&[0x82, 0x86, 0x84, 0x41, u8::try_from(authority.len()).unwrap()], authority].concat()
    }

    /// The next frame: kind, flags, payload.
    pub(super) async fn next(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        timeout(PATIENCE, self.stream.read_exact(&mut head)).await.expect("nothing comes").ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], payload))
    }

    /// The next frame of this kind.
    async fn next_of(&mut self, kind: u8) -> (u8, Vec<u8>) {
        loop {
            match self.next().await.expect("closed") {
                (found, flags, payload) if found == kind => return (flags, payload),
                _ => {}
            }
        }
    }

    /// Whether it is closed until then.
    async fn ends_before(&mut self, then: Instant) -> bool {
        let mut part = [0; 4096];
        loop {
            match timeout_at(then, self.stream.read(&mut part)).await {
                Err(_) => return false,
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(_)) => {}
            }
        }
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

    let mut shut = Frames::open(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    shut.send(HEADERS, END_HEADERS | END_STREAM, 1, &shut.get()).await.unwrap();
    let kinds = shut.rest().await;
    assert!(kinds.contains(&HEADERS) && !kinds.contains(&DATA), "{kinds:?}");
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}

/// Most of a minute, beside the other tests: nothing faster shows that nobody is waited for longer.
#[tokio::test]
async fn asking_anew_gains_no_time_and_taking_a_little_does() {
    let server = TestServer::new().await;
    let (ended, ()) = tokio::join!(asks_anew(&server), takes_a_little(&server));
    // Half a minute for all the answers together, and not for each of them. At fifty seconds a ping would end it.
    assert!(ended > Duration::from_secs(25) && ended < Duration::from_secs(40), "{ended:?}");
    server.says("nothing was taken of an answer").await;
}

/// Its windows stay shut, and every nine seconds it gives its answer up for another. When it was ended.
async fn asks_anew(server: &TestServer) -> Duration {
    let mut frames = Frames::open(server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let (get, began) = (frames.get(), Instant::now());
    for stream in (1..).step_by(2) {
        let asked = frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &get).await;
        if asked.is_err() || frames.ends_before(Instant::now() + Duration::from_secs(9)).await {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "still open");
        let _ = frames.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await;
    }
    began.elapsed()
}

/// Takes a hundred bytes every seven seconds, for longer than anybody is waited for, and then the rest.
async fn takes_a_little(server: &TestServer) {
    let mut frames = Frames::open(server, &[(INITIAL_WINDOW_SIZE, 100)]).await;
    frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames.get()).await.unwrap();
    for _ in 0..6 {
        assert_eq!(frames.next_of(DATA).await.1.len(), 100);
        sleep(Duration::from_secs(7)).await;
        frames.send(WINDOW_UPDATE, 0, 1, &100_u32.to_be_bytes()).await.unwrap();
    }
    frames.send(WINDOW_UPDATE, 0, 1, &100_000_u32.to_be_bytes()).await.unwrap();
    while frames.next_of(DATA).await.0 & END_STREAM == 0 {}
}

#[tokio::test]
async fn who_keeps_answers_waiting_over_http2_goes_for_a_newcomer() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__CONNECTIONS", "4").start().await;
    let mut holding = Vec::new();
    for _ in 0..4 {
        let mut frames = Frames::open(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &frames.get()).await.unwrap();
        while frames.next().await.expect("an answer begins").0 != HEADERS {}
        holding.push(frames);
    }
    alive(&mut connect(&server).await).await.expect("one of them has made room");
}

#[tokio::test]
async fn very_many_streams_that_wait_for_their_client_end_their_connections() {
    let server = TestServer::new().await;
    let form = b"content-type\x21application/x-www-form-urlencoded";
    for (path, shut) in [(&b"/livez"[..], true), (b"/token", false)] {
        let mut all = Vec::new();
        for _ in 0..60 {
            let settings = [(INITIAL_WINDOW_SIZE, if shut { 0 } else { 65_535 })];
            let mut frames = Frames::open(&server, &settings).await;
            let method = if shut { 0x82 } else { 0x83 };
            let authority = frames.authority.clone();
            let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
            let mut head = [&[method, 0x86, 0x04, length(path)], path].concat();
            head.extend([&[0x01, length(authority.as_bytes())], authority.as_bytes()].concat());
            if !shut {
                head.extend([&[0x00, 0x0c], &form[..]].concat());
            }
            let flags = if shut { END_HEADERS | END_STREAM } else { END_HEADERS };
            let asked: Vec<u8> =
                (0..100).flat_map(|n| Frames::frame(HEADERS, flags, 2 * n + 1, &head)).collect();
            // It may have been ended already.
            let _ = frames.stream.write_all(&asked).await;
            all.push(frames);
        }
        let until = Instant::now() + Duration::from_secs(12);
        let ended =
            futures_util::future::join_all(all.iter_mut().map(|frames| frames.ends_before(until))).await;
        let ended = ended.into_iter().filter(|ended| *ended).count();
        assert!((20..50).contains(&ended), "{ended} of 60 ended");
        assert_eq!(server.ready().await, Some(StatusCode::OK));
    }
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
