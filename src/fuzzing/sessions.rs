//! Sessions of 2025-era clients: which requests have one, what is kept of who opened it, and which go.

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::is_deceptive;
use crate::ambient::Timestamp;
use crate::domain::SessionId;
use crate::domain::mcp_session::{Lifetimes, Use, beyond};
use crate::mcp::{message, session};

/// A header's value, a newline, a message: its era is told alike by every reader, what is kept of it is short and
/// clean, and of too many sessions the least recently used go.
pub fn sessions(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (version, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    hold_era(version, body);
    hold_record(&String::from_utf8_lossy(version), body);
    hold_eviction(data);
    if let Some(times) = data.first_chunk::<16>() {
        hold_lifetimes(times.map(i64::from));
    }
}

fn hold_era(version: &[u8], body: &[u8]) {
    let Ok(version) = HeaderValue::from_bytes(version) else { return };
    let name = HeaderName::from_static("mcp-protocol-version");
    let headers = HeaderMap::from_iter([(name, version.clone())]);
    let by_header = version.to_str().is_ok_and(|version| version >= "2026-07-28");
    assert_eq!(session::is_modern(&headers, None), by_header);
    let (Ok(message), Ok(json)) = (message::read(body), serde_json::from_slice::<Value>(body)) else {
        return;
    };
    let told = json["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    let by_message = told.is_some_and(|version| version >= "2026-07-28");
    assert_eq!(session::is_modern(&HeaderMap::new(), Some(&message)), by_message, "{json}");
    assert_eq!(session::is_modern(&headers, Some(&message)), by_header || by_message, "{json}");
}

fn hold_record(version: &str, body: &[u8]) {
    let result = json!({"protocolVersion": version});
    let kept = session::metadata(&Bytes::copy_from_slice(body), &result);
    assert!(kept.len() < 1_500, "{kept}");
    let record: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(record.as_object().unwrap().len(), 4);
    assert!(record["asks"].as_object().unwrap().values().all(Value::is_boolean));
    for name in ["client", "version", "protocol"] {
        let text = record[name].as_str().unwrap();
        assert!(text.chars().count() <= 100 && !text.chars().any(is_deceptive), "{text:?}");
    }
    if let Ok(asked) = serde_json::from_slice::<Value>(body)
        && let Some(name) = asked["params"]["clientInfo"]["name"].as_str()
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_graphic())
    {
        assert_eq!(record["client"], name);
    }
}

/// The first byte says how many may stay, each other one when a session was used.
fn hold_eviction(data: &[u8]) {
    let Some((most, times)) = data.split_first() else { return };
    let most = usize::from(*most);
    let uses: Vec<_> = times
        .iter()
        .take(64)
        .enumerate()
        .map(|(key, at)| {
            let id = SessionId::mint([u8::try_from(key).unwrap(); 16]);
            Use { id, key, used_at: Timestamp::from_secs(i64::from(*at)) }
        })
        .collect();
    let Some(newest) = uses.first().map(|one| one.id.clone()) else { return };
    let gone = beyond(uses.clone(), most, &newest);
    assert_eq!(gone.len(), uses.len().saturating_sub(most.max(1)));
    assert!(gone.iter().all(|one| one.id != newest));
    let last_gone = gone.iter().map(|one| one.used_at).max();
    let is_gone = |one: &Use<usize>| gone.iter().any(|other| other.key == one.key);
    let mut kept = uses.iter().filter(|one| one.id != newest && !is_gone(one));
    assert!(kept.all(|one| last_gone.is_none_or(|last| one.used_at >= last)));
}

fn hold_lifetimes(bytes: [i64; 16]) {
    let [created, used, idle, absolute, ..] = bytes;
    let span = |secs: i64| std::time::Duration::from_secs(secs.unsigned_abs());
    let lifetimes = Lifetimes { idle: span(idle), absolute: span(absolute) };
    let at = Timestamp::from_secs;
    let end = lifetimes.end(at(created), at(created + used));
    assert!(end <= at(created + absolute));
    assert!(end == at(created + absolute) || end == at(created + used + idle));
    assert!(lifetimes.end(at(created), at(created + used + 1)) >= end);
}
