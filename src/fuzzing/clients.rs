//! What a stranger's server says of a client: the document, where it may lie, and for how long it is believed.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::http::fields_of;
use super::json::{depth, is_once};
use super::{decoded, is_deceptive};
use crate::ambient::Timestamp;
use crate::domain::client::{AuthMethod, ClientMetadata};
use crate::domain::client_document::{DocumentError, DocumentUrl, LARGEST, judge};
use crate::domain::freshness::{LONGEST, SHORTEST, USUAL};
use crate::domain::redirect::RedirectUri;
use crate::domain::{ClientId, ScopeSet};
use crate::egress::GatePolicy;
use crate::oauth::client_document::{freshness as freshness_of, judge_head};

/// Where every document of this target claims to lie.
const URL: &str = "https://client.example/oauth/client.json";

/// A `client_id`, a newline, a document: the URL means one place to every reader, and what is kept of a document
/// stood in it, once.
pub fn client_document(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    hold_url(&String::from_utf8_lossy(&data[..at]));
    let body = data.get(at + 1..).unwrap_or_default();
    let url = DocumentUrl::parse(&ClientId::parse(URL).unwrap()).unwrap();
    match judge(&url, body) {
        Ok(kept) => hold_document(&url, body, &kept),
        Err(why) => assert_eq!(why == DocumentError::TooLarge, body.len() > LARGEST),
    }
}

fn hold_url(text: &str) {
    let Some(url) = ClientId::parse(text).and_then(|id| DocumentUrl::parse(&id).ok()) else { return };
    assert_eq!(url.id().as_str(), text);
    let uri: Uri = text.parse().unwrap();
    assert_eq!((uri.scheme_str(), uri.host()), (Some("https"), Some(url.host())));
    assert!(!uri.authority().unwrap().as_str().contains('@') && !text.contains('#'));
    assert!(uri.path().len() > 1 && uri.port_u16().is_none_or(|port| port >= 1024));
    let segment = |raw: &str| String::from_utf8_lossy(&decoded(raw.as_bytes(), false)).into_owned();
    assert!(!uri.path().split('/').any(|raw| matches!(&*segment(raw), "." | "..")), "{text}");
    let address = url.host().trim_matches(['[', ']']).parse::<IpAddr>().ok();
    assert_eq!(address.is_some_and(|address| address.is_loopback()), url.is_on_loopback());
    assert_eq!(address.is_some(), url.is_on_loopback(), "{text}");
    // The gate for strangers' documents never goes to loopback; the one for loopback does.
    let public = GatePolicy::new().with_any_public_host();
    assert!(!(url.is_on_loopback() && public.judge(&uri).is_ok()));
    assert!(!url.is_on_loopback() || public.with_loopback().judge(&uri).is_ok());
}

fn hold_document(url: &DocumentUrl, body: &[u8], kept: &ClientMetadata) {
    let json: Value = serde_json::from_slice(body).unwrap();
    assert!(is_once(body) && depth(&json) <= 8 && body.len() <= LARGEST);
    let members = json.as_object().unwrap();
    assert_eq!(members["client_id"], URL);
    assert!(!members.keys().any(|name| name.starts_with("client_secret")));
    assert!((1..=100).contains(&kept.name.chars().count()) && !kept.name.chars().any(is_deceptive));
    let listed = members["redirect_uris"].as_array().unwrap();
    let good: Vec<_> =
        listed.iter().filter_map(|uri| RedirectUri::parse(uri.as_str().unwrap()).ok()).collect();
    assert_eq!(kept.redirect_uris, good);
    assert!((1..=16).contains(&good.len()));
    assert!(kept.auth_method == AuthMethod::None && kept.grant_types.contains(&"authorization_code"));
    assert!(kept.scopes != ScopeSet::EMPTY && ScopeSet::ALL.covers(kept.scopes));

    let written = |json: &Value| serde_json::to_vec(json).unwrap();
    let again = written(&json);
    if again.len() <= LARGEST {
        let same = judge(url, &again).unwrap();
        assert_eq!((same.name, same.redirect_uris), (kept.name.clone(), good));
        assert!(same.scopes == kept.scopes && same.grant_types == kept.grant_types);
    }
    for (name, value) in [
        ("client_id", json!("https://client.example/oauth/client.jso")),
        ("client_secret_expires_at", json!(0)),
        ("client_name", json!(null)),
        ("redirect_uris", json!(["javascript:alert(1)"])),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("response_types", json!(["token"])),
    ] {
        let mut other = json.clone();
        other[name] = value;
        assert!(judge(url, &written(&other)).is_err(), "{name}");
    }
    let twice = [format!("{{\"client_id\":\"{URL}\",").as_bytes(), &again[1..]].concat();
    assert!(judge(url, &twice).is_err());
}

/// The header section of an answer: what may be believed at all, and for how long.
pub fn freshness(data: &[u8]) {
    let (fields, now) = (fields_of(data), Timestamp::from_secs(784_111_777));
    let fresh = freshness_of(&fields, now);
    assert!((SHORTEST..=LONGEST).contains(&fresh));
    let about = [header::CACHE_CONTROL, header::EXPIRES, header::AGE];
    if !about.iter().any(|name| fields.contains_key(name)) {
        assert_eq!(fresh, USUAL);
    }
    let lines = fields.get_all(header::CACHE_CONTROL).into_iter();
    let directives = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut names = directives.map(|one| one.split(|byte| *byte == b'=').next().unwrap().trim_ascii());
    let forbids =
        |name: &[u8]| [&b"no-store"[..], b"no-cache"].iter().any(|no| no.eq_ignore_ascii_case(name));
    if names.any(forbids) {
        assert_eq!(fresh, SHORTEST);
    }
    for age in ["0", "100", "junk"] {
        let mut older = fields.clone();
        older.append(header::AGE, HeaderValue::from_static(age));
        assert!(freshness_of(&older, now) <= fresh, "{age}");
    }
    hold_head(&fields);
    if let Some(bits) = data.first_chunk::<8>() {
        hold_dates(u64::from_be_bytes(*bits));
    }
}

fn hold_head(fields: &HeaderMap) {
    for status in [200, 201, 204, 206, 301, 302, 304, 404, 500] {
        let mut answer = Response::new(Default::default());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        *answer.headers_mut() = fields.clone();
        if judge_head(&answer).is_ok() {
            let kinds: Vec<_> = fields.get_all(header::CONTENT_TYPE).into_iter().collect();
            assert!(status == 200 && kinds.len() == 1);
            assert!(kinds[0].to_str().unwrap().to_ascii_lowercase().contains("json"));
            let mut codings = fields.get_all(header::CONTENT_ENCODING).into_iter();
            assert!(codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")));
        }
    }
}

/// Dates of HTTP, written by somebody else, say when they are.
fn hold_dates(bits: u64) {
    let (date, life) = (bits >> 32, bits & 0x3_ffff);
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let written = |secs: u64| {
        let at = OffsetDateTime::from_unix_timestamp(i64::try_from(secs).unwrap()).unwrap();
        HeaderValue::try_from(at.format(form).unwrap()).unwrap()
    };
    let fields = [(header::DATE, written(date)), (header::EXPIRES, written(date + life))];
    let fresh = freshness_of(&HeaderMap::from_iter(fields), Timestamp::from_secs(0));
    assert_eq!(fresh.as_secs(), life.clamp(SHORTEST.as_secs(), LONGEST.as_secs()));
}
