//! What a live server answers to a stranger: pages, discovery, the protocol without a credential, questions for another
//! host or from another origin, metrics, plain HTTP. Never: a credential that is one, or more state than a login begun.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http_body_util::Full;
use url::Url;

use super::connecting::{NoConnection, connect};
use super::tls::Server;
use super::web::{Place, Reply, body};
use crate::check::finding::{Seen, Unseen};
use crate::egress::Bytes;

/// An origin that is nobody's.
pub const FOREIGN: &str = "https://foreign.invalid";

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its origin, without a slash at the end.
    pub origin: String,
    /// Whether it is reached over TLS.
    pub secured: bool,
    /// Whether it is on this machine.
    pub loopback: bool,
    /// The landing page.
    pub page: Seen<Reply>,
    /// The same, as a script of another origin asks for it.
    pub foreign_page: Seen<Reply>,
    /// The page of an address that is not there.
    pub missing: Seen<Reply>,
    /// The protected resource's metadata, as a script of another origin asks for it.
    pub resource: Seen<Reply>,
    /// The authorization server's metadata, likewise.
    pub metadata: Seen<Reply>,
    /// May a script of another origin send such a request?
    pub preflight: Seen<Reply>,
    /// A call without a credential.
    pub anonymous: Seen<Reply>,
    /// A call with a credential that nobody issued.
    pub invented: Seen<Reply>,
    /// A call with a token that says all that it should, and that nobody signed.
    pub unsigned: Seen<Reply>,
    /// A call with a token that was made for another server.
    pub foreign: Seen<Reply>,
    /// A call with a token of this server's whose time is over.
    pub expired: Seen<Reply>,
    /// A call whose credential stands in the address.
    pub in_address: Seen<Reply>,
    /// The stream of messages, without a credential.
    pub stream: Seen<Reply>,
    /// The end of a session, without a credential.
    pub ending: Seen<Reply>,
    /// A method that the protocol has not, without a credential.
    pub put: Seen<Reply>,
    /// The authorization server's metadata, with forwarded headers that claim this machine and another host.
    pub forwarded: Seen<Reply>,
    /// Metrics, without a credential, by somebody whose headers claim to be on this machine.
    pub forwarded_metrics: Seen<Reply>,
    /// The landing page, asked for under another host's name.
    pub other_host: Seen<Reply>,
    /// A call from a page of another origin.
    pub other_origin: Seen<Reply>,
    /// The beginning of a login.
    pub login: Seen<Reply>,
    /// Metrics, without a credential.
    pub metrics: Seen<Reply>,
    /// More headers than anybody needs.
    pub wide: Seen<Reply>,
    /// The landing page over plain HTTP, at port 80.
    pub plain: Seen<Plain>,
}

/// How a call without a right to it must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401, with the way to a token.
    Missing,
    /// The same, and that the token is no good.
    Presented,
    /// As one that is missing, or because there is no such method.
    OfMethod,
}

impl Live {
    /// What was asked without a right to it.
    pub const fn refused(&self) -> [(&'static str, &Seen<Reply>, Refusal); 9] {
        [
            ("without a token", &self.anonymous, Refusal::Missing),
            ("with an invented token", &self.invented, Refusal::Presented),
            ("with a token that nobody signed", &self.unsigned, Refusal::Presented),
            ("with a token for another server", &self.foreign, Refusal::Presented),
            ("with a token whose time is over", &self.expired, Refusal::Presented),
            ("with a token in the address", &self.in_address, Refusal::Missing),
            ("GET without a token", &self.stream, Refusal::OfMethod),
            ("DELETE without a token", &self.ending, Refusal::OfMethod),
            ("PUT without a token", &self.put, Refusal::OfMethod),
        ]
    }
}

/// What stands at port 80 beside a server of https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// The server is not at the usual port of https, or is plain HTTP itself: no browser looks for another there.
    Nowhere,
    /// Nothing: the connection is refused.
    Closed,
    /// Something answers.
    Answered(Reply),
}

/// What a proxy would say, of somebody on this machine who asked another host for this.
pub const FORGED: [(&str, &str); 6] = [
    ("x-forwarded-for", "127.0.0.1"),
    ("x-real-ip", "127.0.0.1"),
    ("x-forwarded-host", "foreign.invalid"),
    ("x-forwarded-proto", "gopher"),
    ("x-forwarded-prefix", "/foreign.invalid"),
    ("forwarded", "for=127.0.0.1;host=foreign.invalid;proto=gopher"),
];

/// The first message of a client.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"security-check","version":"1"}}}"#;

/// A token that nobody issued.
const INVENTED: &str = "invented-by-security-check";

/// All questions together: a server that answers each one late is not waited for a dozen times.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks everything.
pub async fn look(url: &Url, place: &Place) -> Live {
    let asked = Asked { place, until: Instant::now() + PATIENCE };
    let get = |path: &'static str| place.about("GET", path);
    let call = |path: &'static str| {
        let call = place.about("POST", path).header("content-type", "application/json");
        call.header("accept", "application/json, text/event-stream")
    };
    let foreign = |path| get(path).header("origin", FOREIGN);
    let preflight = place
        .about("OPTIONS", "/mcp")
        .header("origin", FOREIGN)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let mut wide = get("/");
    for number in 0..300 {
        wide = wide.header(
            format!("x-{number}"),
            "0123456789012345678901234567890123456789012345678901234567890123",
        );
    }
    let forwarded = |path| FORGED.iter().fold(get(path), |ask, (name, value)| ask.header(*name, *value));
    let other_host = Request::builder().method("GET").uri("/").header("host", "foreign.invalid");
    let put = place.about("PUT", "/mcp").header("content-type", "application/json");
    let bearer = format!("Bearer {INVENTED}");
    let origin = url.as_str().trim_end_matches('/');
    let ours = format!("{origin}/mcp");
    let unsigned = format!("Bearer {}", made_up(origin, &ours, (CENTURY, None)));
    let for_another = format!("Bearer {}", made_up(origin, ELSEWHERE, (CENTURY, Some(SIGNATURE))));
    let over = format!("Bearer {}", made_up(origin, &ours, (LONG_AGO + 600, Some(SIGNATURE))));
    Live {
        origin: origin.to_owned(),
        secured: place.secured,
        loopback: place.server.address.ip().is_loopback(),
        page: asked.send(get("/"), "").await,
        foreign_page: asked.send(foreign("/"), "").await,
        missing: asked.send(get("/security-check-asks-for-what-is-not-there"), "").await,
        resource: asked.send(foreign("/.well-known/oauth-protected-resource"), "").await,
        metadata: asked.send(foreign("/.well-known/oauth-authorization-server"), "").await,
        preflight: asked.send(preflight, "").await,
        anonymous: asked.send(call("/mcp"), INITIALIZE).await,
        invented: asked.send(call("/mcp").header("authorization", &bearer), INITIALIZE).await,
        unsigned: asked.send(call("/mcp").header("authorization", &unsigned), INITIALIZE).await,
        foreign: asked.send(call("/mcp").header("authorization", &for_another), INITIALIZE).await,
        expired: asked.send(call("/mcp").header("authorization", &over), INITIALIZE).await,
        in_address: asked.send(call("/mcp?access_token=invented"), INITIALIZE).await,
        stream: asked.send(get("/mcp").header("accept", "text/event-stream"), "").await,
        ending: asked.send(place.about("DELETE", "/mcp").header("mcp-session-id", INVENTED), "").await,
        put: asked.send(put, INITIALIZE).await,
        forwarded: asked.send(forwarded("/.well-known/oauth-authorization-server"), "").await,
        forwarded_metrics: asked.send(forwarded("/metrics"), "").await,
        other_host: asked.send(other_host, "").await,
        other_origin: asked.send(call("/mcp").header("origin", FOREIGN), INITIALIZE).await,
        login: asked.send(get("/auth/login"), "").await,
        metrics: asked.send(get("/metrics"), "").await,
        wide: asked.send(wide, "").await,
        plain: asked.plain(url).await,
    }
}

/// A resource that is nobody's.
const ELSEWHERE: &str = "https://foreign.invalid/mcp";

/// When made-up tokens were issued, in seconds, and when those end that are good for a century.
const LONG_AGO: u64 = 1_700_000_000;
const CENTURY: u64 = 4_800_000_000;

/// What stands where a signature does, of the length of one, by a key that nobody has.
const SIGNATURE: &[u8; 32] = b"made up by security-check, by no";

/// A JSON Web Token from this server for a resource, until then, with a signature or with the algorithm `none` (RFC 7519
/// section 6): whoever takes it looks at no signature, or not at what the token says.
fn made_up(issuer: &str, audience: &str, (until, signature): (u64, Option<&[u8]>)) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = serde_json::json!({
        "iss": issuer, "aud": audience, "sub": "security-check", "scope": "read", "iat": LONG_AGO, "exp": until,
    });
    let algorithm = if signature.is_some() { "HS256" } else { "none" };
    let head = part(serde_json::json!({"alg": algorithm, "typ": "at+jwt"}));
    format!("{head}.{}.{}", part(claims), URL_SAFE_NO_PAD.encode(signature.unwrap_or_default()))
}

/// What is asked of one server, until when.
struct Asked<'a> {
    place: &'a Place,
    until: Instant,
}

impl Asked<'_> {
    async fn send(&self, request: http::request::Builder, text: &str) -> Seen<Reply> {
        self.send_to(self.place, request, text).await
    }

    async fn send_to(&self, place: &Place, request: http::request::Builder, text: &str) -> Seen<Reply> {
        if Instant::now() > self.until {
            return Err(Unseen::because(
                "not asked, because the server took too long for what was asked before",
            ));
        }
        let request: Request<Full<Bytes>> =
            request.body(body(text)).map_err(|error| Unseen::because(format!("no such request: {error}")))?;
        place.ask(request).await
    }

    /// Asks at port 80, where a browser goes that was told only a name.
    async fn plain(&self, url: &Url) -> Seen<Plain> {
        let place = self.place;
        if !place.secured || url.port().is_some() {
            return Ok(Plain::Nowhere);
        }
        let mut address = place.server.address;
        address.set_port(80);
        let server = Server { address, host: place.server.host.clone() };
        match connect(address).await {
            Ok(_) => {}
            Err(NoConnection::Refused(_)) => return Ok(Plain::Closed),
            Err(other) => return Err(other.into()),
        }
        let place = Place { server, secured: false, ..place.clone() };
        self.send_to(&place, place.about("GET", "/"), "").await.map(Plain::Answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::network::tls::Trust;

    #[tokio::test]
    async fn a_server_that_took_too_long_is_not_asked_any_more() {
        let server = Server { address: ([127, 0, 0, 1], 1).into(), host: "127.0.0.1".to_owned() };
        let place =
            Place { server, secured: false, authority: "127.0.0.1:1".into(), trust: Trust::web_and(&[]) };
        let asked = |until| Asked { place: &place, until };
        let late = asked(Instant::now() - Duration::from_secs(1)).send(place.about("GET", "/"), "").await;
        assert!(late.unwrap_err().why.contains("took too long"));
        let soon = asked(Instant::now() + PATIENCE).send(place.about("GET", "/"), "").await;
        assert!(soon.unwrap_err().why.contains("cannot be connected to"));
    }
}
