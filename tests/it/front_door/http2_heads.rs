//! The heads of requests over HTTP/2: with the bounds of HTTP/1.1, and with one meaning.

use reqwest::StatusCode;

use super::http2::{CONTINUATION, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM};
use crate::support::server::TestServer;

/// The status 200 in HPACK's static table (RFC 7541, appendix A).
const OK: u8 = 0x88;

/// How the first answer's head begins: with its status. `None`: the stream or its connection was ended instead.
async fn answered(frames: &mut Frames) -> Option<u8> {
    loop {
        match frames.next().await {
            Some((HEADERS, _, block)) => return block.first().copied(),
            Some((RST_STREAM | GOAWAY, ..)) | None => return None,
            Some(_) => {}
        }
    }
}

/// A field as a literal of HPACK that enters no table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let [name_length, value_length] = [name, value].map(|text| u8::try_from(text.len()).unwrap());
    assert!(name_length < 127 && value_length < 127, "one byte says its length");
    [&[0, name_length], name.as_bytes(), &[value_length], value.as_bytes()].concat()
}

#[tokio::test]
async fn a_head_over_http2_means_one_thing_or_nothing() {
    let server = TestServer::new().await;
    let ours = server.origin.strip_prefix("http://").unwrap();
    let user = format!("user@{ours}");
    let good = [(":method", "GET"), (":scheme", "http"), (":authority", ours), (":path", "/livez")];
    let with = |name: &'static str, value: &'static str| [&good[..], &[(name, value)]].concat();
    let but =
        |name: &str, value| good.map(|field| if field.0 == name { (field.0, value) } else { field }).to_vec();
    let without = |name: &str| good.into_iter().filter(|field| field.0 != name).collect::<Vec<_>>();
    for (what, fields, is_answered) in [
        ("a good one", good.to_vec(), true),
        ("the same host twice", [&good[..], &[("host", ours)]].concat(), true),
        ("another host beside the authority", with("host", "evil.example"), false),
        ("two hosts", [&good[..], &[("host", ours), ("host", ours)]].concat(), false),
        ("an authority with a user", but(":authority", &user), false),
        ("a transfer coding", with("transfer-encoding", "chunked"), false),
        ("a connection", with("connection", "keep-alive"), false),
        ("an upgrade", with("upgrade", "h2c"), false),
        ("a coding for trailers that is none", with("te", "gzip"), false),
        ("capitals in a name", with("X-Capital", "y"), false),
        ("a space in a name", with("x y", "z"), false),
        ("a line end in a value", with("x", "y\r\nhost: evil.example"), false),
        ("NUL in a value", with("x", "y\0z"), false),
        ("a length of a body that does not come", with("content-length", "5"), false),
        ("a second path", with(":path", "/health"), false),
        ("a field of HTTP/2 that there is not", with(":x", "y"), false),
        ("a field of HTTP/2 after others", [&[("x", "y")], &good[..]].concat(), false),
        ("no path", without(":path"), false),
        ("an empty path", but(":path", ""), false),
        ("a path without its stroke", but(":path", "livez"), false),
        ("no method", without(":method"), false),
        ("no scheme", without(":scheme"), false),
        ("another scheme", but(":scheme", "ftp"), false),
    ] {
        let mut frames = Frames::open(&server, &[]).await;
        let block: Vec<u8> = fields.into_iter().flat_map(|(name, value)| literal(name, value)).collect();
        frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).await.unwrap();
        assert_eq!(answered(&mut frames).await == Some(OK), is_answered, "{what}");
    }
    assert_eq!(server.ready().await, Some(StatusCode::OK));
    assert!(!server.logged().contains("panicked"));
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
        // 431 is no entry of the static table: the value stands there in Huffman's code or in digits.
        assert_ne!(answered(&mut frames).await, Some(OK), "{what}");
    }
    assert_eq!(server.ready().await, Some(StatusCode::OK));
}
