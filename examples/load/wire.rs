//! One call on the wire: the request of each era, prepared once, and the check of the answer.

use clap::ValueEnum;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;

use super::{Outcome, Person};

/// Which revision of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Era {
    /// The last one with a handshake, called without a session.
    #[value(name = "2025-11-25")]
    Legacy,
    /// Each request stands alone.
    #[value(name = "2026-07-28")]
    Modern,
}

const LEGACY: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_current_track","arguments":{}}}"#;
const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_current_track","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// A server under load, and everybody who calls it.
pub(super) struct Target {
    /// `host:port`
    pub(super) authority: String,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    people: Vec<Ready>,
}

/// One caller, prepared.
struct Ready {
    authorization: HeaderValue,
    /// Begins every id that they may see: `user0001Z`.
    marker: String,
}

impl Target {
    pub(super) fn new(url: &str, era: Era, people: &[Person]) -> Outcome<Self> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().ok_or("the URL has no host")?.as_str().to_owned();
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| -> Outcome<()> {
            headers.insert(name, HeaderValue::from_str(value)?);
            Ok(())
        };
        set("host", &authority)?;
        set("user-agent", "load")?;
        set("content-type", "application/json")?;
        set("accept", "application/json, text/event-stream")?;
        let body = match era {
            Era::Legacy => {
                set("mcp-protocol-version", "2025-11-25")?;
                LEGACY
            }
            Era::Modern => {
                set("mcp-protocol-version", "2026-07-28")?;
                set("mcp-method", "tools/call")?;
                set("mcp-name", "get_current_track")?;
                MODERN
            }
        };
        let ready = |person: &Person| -> Outcome<Ready> {
            let mut authorization = HeaderValue::try_from(format!("Bearer {}", person.token))?;
            authorization.set_sensitive(true);
            Ok(Ready { authorization, marker: format!("{}Z", person.id) })
        };
        let people = people.iter().map(ready).collect::<Outcome<_>>()?;
        let uri = uri.path().parse()?;
        Ok(Self { authority, uri, headers, body: Bytes::from_static(body.as_bytes()), people })
    }

    /// The call with this number; people take turns.
    pub(super) fn request(&self, number: u64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let authorization = self.caller(number).authorization.clone();
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
        request
    }

    /// What is wrong with the answer to the call with this number, if anything is.
    pub(super) fn fault(&self, number: u64, status: u16, body: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(body);
        let shown = || text.chars().take(300).collect::<String>();
        if status != 200 || text.contains("\"isError\":true") || text.contains("\"error\":") {
            return Some(format!("{status}: {}", shown()));
        }
        let marker = &self.caller(number).marker;
        let mut tracks = text.split("spotify:track:").skip(1).peekable();
        if tracks.peek().is_none() {
            return Some(format!("no track in {}", shown()));
        }
        let foreign = tracks.find(|rest| !rest.starts_with(marker.as_str()));
        foreign.map(|_| format!("something foreign was shown to {marker}: {}", shown()))
    }

    fn caller(&self, number: u64) -> &Ready {
        let people = self.people.len();
        &self.people[usize::try_from(number).unwrap_or_default() % people]
    }
}
