//! The parsers of header fields: one HTTP header section, read by each of them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::ambient::Timestamp;
use crate::config::Network;
use crate::crypto::token::{Token, TokenHash};
use crate::domain::signature;
use crate::http::layers::{authority_of, has_bounded_headers};
use crate::http::posted::{basic, judge_headers};
use crate::http::visitor::{client_address, hop_address};
use crate::mcp::service::{refused_head, spell_out_accept};
use crate::oauth::Cookies;
use crate::spotify;

/// Lines of `name: value`.
pub(super) fn fields_of(data: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(300) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..at]), value) {
            fields.append(name, value);
        }
    }
    fields
}

/// A header section as requests bring it: cookies, credentials, the forwarded address, the host, the wait.
pub fn headers(data: &[u8]) {
    let fields = fields_of(data);
    let bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    assert_eq!(has_bounded_headers(&fields), fields.len() <= 100 && bytes <= 16 * 1024);
    hold_cookies(&fields);
    hold_basic(&fields);
    hold_forwarded(&fields);
    hold_host(&fields);
    hold_body(&fields);
    let wait = spotify::reply::retry_after(&fields, Timestamp::from_secs(1_795_233_600));
    assert!(wait.is_none_or(|wait| wait.as_secs() <= 7 * 24 * 3600));
}

fn texts<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    fields.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).collect()
}

/// A cookie that is taken stood there under its exact name; `__Host-` is neither missing nor made up.
fn hold_cookies(fields: &HeaderMap) {
    let sent = texts(fields, &header::COOKIE);
    let pairs: Vec<_> = sent.iter().flat_map(|line| line.split(';')).map(str::trim).collect();
    for (https, prefix) in [(true, "__Host-"), (false, "")] {
        let cookies = Cookies::parse(sent.iter().copied(), https);
        let stood = |name: &str, value: &str| pairs.contains(&format!("{prefix}{name}={value}").as_str());
        assert!(cookies.session.as_ref().is_none_or(|token| stood("smcp-session", token.expose())));
        let which = |hash: TokenHash| -> String {
            hash.as_bytes()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let named = |token: &Token| stood(&format!("smcp-browser-{}", which(token.hash())), token.expose());
        assert!(cookies.browsers().count() <= 8 && cookies.browsers().all(named));
        let state = TokenHash::of("state");
        let login = format!("smcp-login-{}", which(state));
        assert!(cookies.login(state).is_none_or(|token| stood(&login, token.expose())));
    }
}

/// Credentials by HTTP Basic come from the only field there is, and survive being written again.
fn hold_basic(fields: &HeaderMap) {
    let Ok(Some((id, secret))) = basic(fields) else { return };
    assert_eq!(fields.get_all(header::AUTHORIZATION).iter().count(), 1);
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encode(&id), encode(secret.expose())));
    let again = HeaderMap::from_iter([(header::AUTHORIZATION, format!("Basic {pair}").parse().unwrap())]);
    assert!(basic(&again) == Ok(Some((id, secret))));
}

/// A stranger's word on its own address does not count; behind a proxy the nearest hop that is none does.
fn hold_forwarded(fields: &HeaderMap) {
    let trusted: [Network; 2] = ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap());
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let stranger = IpAddr::from([203, 0, 113, 9]);
    assert_eq!(client_address(stranger, fields, &trusted), stranger);
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let found = client_address(proxy, fields, &trusted);
    if found != proxy {
        let lines = fields.get_all("x-forwarded-for").into_iter();
        let hops = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let hops: Vec<_> =
            hops.map(|hop| hop_address(hop.trim_ascii()).map(|hop| hop.to_canonical())).collect();
        // All hops nearer than the one that was found are proxies of ours.
        let at = hops.iter().rposition(|hop| *hop == Some(found)).expect("an address that stood there");
        assert!(hops[at + 1..].iter().all(|hop| hop.is_some_and(is_trusted)));
        assert_eq!(found, found.to_canonical());
    }
    assert!(client_address(proxy, fields, &[]) == proxy);
}

/// The host is what stands in the one `Host` field there is.
fn hold_host(fields: &HeaderMap) {
    let hosts = texts(fields, &header::HOST);
    let lone = fields.get_all(header::HOST).iter().count() == 1;
    assert_eq!(authority_of(&Uri::default(), fields), if lone { hosts.first().copied() } else { None });
}

/// What a body is, is said once, and it comes as it is.
fn hold_body(fields: &HeaderMap) {
    let count = |name: &str| fields.get_all(name).iter().count();
    let codings = fields.get_all(header::CONTENT_ENCODING);
    let plain = codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    for kind in ["application/json", "application/x-www-form-urlencoded"] {
        if judge_headers(fields, kind).is_ok() {
            assert!(plain && count("content-type") == 1 && count("content-encoding") <= 1);
            let sent = fields["content-type"].to_str().unwrap().to_ascii_lowercase();
            let rest = sent.trim_start().strip_prefix(kind).unwrap().trim_start();
            assert!(rest.is_empty() || rest.starts_with(';'), "{sent}");
        }
    }
    let once = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "last-event-id", "host"];
    let others = ["origin", "content-type", "content-encoding"];
    let twice = once.iter().chain(&others).any(|name| count(name) > 1);
    let refused = refused_head(fields).map(|response| response.status().as_u16());
    let expected = if twice { Some(400) } else { (!plain).then_some(415) };
    assert_eq!(refused, expected);
    let mut spelled = fields.clone();
    spell_out_accept(&mut spelled);
    let any =
        texts(fields, &header::ACCEPT).iter().any(|line| line.split(',').any(|one| one.trim() == "*/*"));
    if any {
        assert_eq!(spelled[header::ACCEPT], "application/json, text/event-stream");
    }
    assert!(any || &spelled == fields);
}

/// A header section with a signature: what is taken covers the request, each component once and on its own line.
pub fn signature(data: &[u8]) {
    let fields = fields_of(data);
    let now = Timestamp::from_secs(1_795_233_610);
    let message = signature::Message {
        method: "POST",
        scheme: "https",
        authority: "music.example",
        path: "/mcp",
        query: Some("x=1"),
        has_content: true,
        field: &|name| {
            let values = fields.get_all(name).into_iter();
            values.map(|value| value.to_str().ok().map(str::to_owned)).collect()
        },
    };
    let Ok(Some(signed)) = signature::read(&message, now) else { return };
    assert!((16..=128).contains(&signed.nonce.len()) && signed.digest.is_some());
    assert!(signed.spent_until > now && signed.spent_until.since(now).as_secs() <= 600);
    let lines: Vec<_> = signed.base.split('\n').collect();
    let names: BTreeSet<_> = lines.iter().map(|line| line.split_once(": ").unwrap().0).collect();
    assert_eq!(names.len(), lines.len(), "{}", signed.base);
    assert!(lines.last().unwrap().starts_with("\"@signature-params\": (") && lines.len() <= 33);
    let covers = |names: &[&str]| names.iter().any(|name| lines.contains(name));
    assert!(covers(&["\"@method\": POST"]));
    let whole = "\"@target-uri\": https://music.example/mcp?x=1";
    assert!(covers(&["\"@authority\": music.example", whole]));
    assert!(covers(&["\"@path\": /mcp", "\"@request-target\": /mcp?x=1", whole]));
    assert!(covers(&["\"@query\": ?x=1", "\"@request-target\": /mcp?x=1", whole]));
    assert!(names.contains("\"content-digest\""));
}
