//! The shape of a record: OCSF 1.8.0, keys sorted, no white space (RFC 8785), one line.
//!
//! The guide's eight fields are in every record: time (`time`, `time_dt`), type (`class_uid`, `activity_id`,
//! `type_uid`, `metadata.event_code`), severity (`severity_id`), user (`actor.user`), address (`src_endpoint`),
//! request (`api`), answer (`status_id`, `status_code`) and rationale (`status_detail`). A class that OCSF gives no
//! place for one of them carries it under `unmapped`. What tells of a person stands in `actor.user`, `user` and
//! `src_endpoint.ip`, and nowhere else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Stamped;
use super::draft::{Draft, Gap};
use crate::domain::event::{Class, Event, Outcome};

/// `prev` of the first record of a chain.
pub const ZERO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The chain's key epoch before any key signs it.
const EPOCH: u64 = 0;

/// Where a chain stands: what the next record continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Names the chain: one per node and trail.
    pub(crate) uid: String,
    /// Number of the last record; 0 before the first.
    pub(crate) seq: u64,
    /// SHA-256 of the last line without its newline, in hexadecimal.
    pub(crate) prev: String,
}

impl Chain {
    /// Appends the next record, newline included, to `out` and moves on.
    ///
    /// # Errors
    /// None that could come: text is written into memory.
    pub(super) fn append(&mut self, draft: &Draft, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let start = out.len();
        draft.fill(out, (self.seq + 1, &self.uid, &self.prev))?;
        self.seq += 1;
        self.prev = hash(&out[start..]);
        out.push(b'\n');
        Ok(())
    }

    /// Where the chain stands after this last line (without newline).
    pub(crate) fn after(line: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Last {
            metadata: Sequence,
            unmapped: ChainUid,
        }
        #[derive(Deserialize)]
        struct Sequence {
            sequence: u64,
        }
        #[derive(Deserialize)]
        struct ChainUid {
            chain_uid: String,
        }
        let last: Last = serde_json::from_slice(line)?;
        Ok(Self { uid: last.unmapped.chain_uid, seq: last.metadata.sequence, prev: hash(line) })
    }
}

fn hash(line: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(line);
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(DIGITS[usize::from(half)]))
        .collect()
}

/// The fields of every struct here stand in alphabetical order: serde writes them as they stand.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    activity_id: u8,
    actor: Actor<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<Product>,
    category_uid: u16,
    class_uid: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<Database>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_endpoint: Option<Host<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Entity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_name: Option<&'static str>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privileges: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Product>,
    severity_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Source>,
    status: &'static str,
    status_code: &'a str,
    status_detail: &'a str,
    status_id: u8,
    time: i64,
    time_dt: String,
    type_uid: u32,
    unmapped: Unmapped<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Person<'a>>,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    app_uid: Option<&'a str>,
    user: Person<'a>,
}

#[derive(Serialize)]
struct Person<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    type_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
}

#[derive(Serialize)]
struct Api<'a> {
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request<'a>>,
}

#[derive(Serialize)]
struct Request<'a> {
    uid: &'a str,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_name: Option<&'static str>,
    version: &'static str,
}

#[derive(Serialize)]
struct Database {
    name: &'static str,
    type_id: u8,
}

#[derive(Serialize)]
struct Host<'a> {
    hostname: &'a str,
}

#[derive(Serialize)]
struct Entity<'a> {
    uid: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    event_code: &'static str,
    product: Product,
    profiles: [&'static str; 2],
    sequence: Gap,
    uid: &'a str,
    version: &'static str,
}

/// Where it came from: an address, or this process where no request caused it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Ip(IpAddr),
    Name(&'static str),
}

#[derive(Serialize)]
struct Unmapped<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api<'a>>,
    chain_uid: Gap,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: &'a BTreeMap<String, String>,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_uid: Option<&'a str>,
    outcome: &'static str,
    prev: Gap,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
}

impl<'a> Record<'a> {
    pub(super) fn new(Stamped { uid, at, event }: &'a Stamped) -> Self {
        let (code, class) = (event.code(), event.code().class());
        let succeeded = event.outcome() == Outcome::Success;
        let has_api = class == Class::ApiActivity;
        let has_source = class != Class::ApplicationLifecycle;
        Self {
            activity_id: code.activity(),
            actor: Actor { app_uid: event.client_id(), user: actor(event) },
            api: has_api.then(|| api(event)),
            app: (class == Class::ApplicationLifecycle).then(product),
            category_uid: class.category(),
            class_uid: class.uid(),
            database: (class == Class::Datastore).then_some(Database { name: product().name, type_id: 1 }),
            dst_endpoint: (class == Class::Network)
                .then(|| Host { hostname: event.subject_text().unwrap_or("unknown") }),
            entity: (class == Class::EntityManagement)
                .then(|| Entity { uid: event.subject_text().unwrap_or("unknown") }),
            log_name: (class == Class::EventLog).then_some("audit"),
            metadata: Metadata {
                event_code: code.name(),
                product: product(),
                // `time_dt` is of the first profile; `actor` is of the second where the class has none itself.
                profiles: ["datetime", "host"],
                sequence: Gap,
                uid: uid.as_str(),
                version: "1.8.0",
            },
            privileges: privileges(event),
            service: (class == Class::Authentication).then(|| Product { vendor_name: None, ..product() }),
            severity_id: code.severity() as u8,
            src_endpoint: has_source.then(|| source(event)),
            status: if succeeded { "Success" } else { "Failure" },
            status_code: event.status_text(),
            status_detail: event.rationale(),
            status_id: if succeeded { 1 } else { 2 },
            time: at.millis(),
            time_dt: at.rfc3339(),
            type_uid: u32::from(class.uid()) * 100 + u32::from(code.activity()),
            unmapped: Unmapped {
                api: (!has_api).then(|| api(event)),
                chain_uid: Gap,
                details: event.details(),
                epoch: EPOCH,
                link_uid: event.link_id(),
                outcome: event.outcome().name(),
                prev: Gap,
                src_endpoint: (!has_source).then(|| source(event)),
                subject: event.subject_text().filter(|_| !names_its_subject(class)),
            },
            user: affected(event),
        }
    }
}

fn product() -> Product {
    Product { name: "spotify-mcp", vendor_name: Some("spotify-mcp"), version: env!("CARGO_PKG_VERSION") }
}

/// Who did it: a person, nobody we know, or the server itself.
fn actor(event: &Event) -> Person<'_> {
    match event.user_id() {
        Some(uid) => Person { name: None, type_id: 1, uid: Some(uid) },
        None if event.address().is_none() && event.request_id().is_none() => {
            Person { name: Some("system"), type_id: 3, uid: None }
        }
        None => Person { name: Some("unknown"), type_id: 0, uid: None },
    }
}

/// Whom it was done to, in the classes that are about a person.
fn affected(event: &Event) -> Option<Person<'_>> {
    let uid = match event.code().class() {
        Class::AccountChange => event.subject_text().or(event.user_id()),
        Class::Authentication | Class::AuthorizeSession | Class::UserAccess => event.user_id(),
        _ => return None,
    };
    Some(match uid {
        Some(uid) => Person { name: None, type_id: 1, uid: Some(uid) },
        None => Person { name: Some("unknown"), type_id: 0, uid: None },
    })
}

/// Whether the class has a place of its own for the event's subject.
fn names_its_subject(class: Class) -> bool {
    matches!(class, Class::AccountChange | Class::EntityManagement | Class::Network)
}

fn api(event: &Event) -> Api<'_> {
    Api { operation: event.operation_text(), request: event.request_id().map(|uid| Request { uid }) }
}

fn source(event: &Event) -> Source {
    event.address().map_or(Source::Name("local"), Source::Ip)
}

fn privileges(event: &Event) -> Option<Vec<&str>> {
    matches!(event.code().class(), Class::AuthorizeSession | Class::UserAccess).then(|| {
        event.details().get("scope").map_or(Vec::new(), |text| text.split_ascii_whitespace().collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Timestamp;
    use crate::domain::event::EventCode;
    use crate::domain::ids::EventId;

    fn line(event: Event) -> Vec<u8> {
        let mut chain = Chain { uid: "c".into(), seq: 0, prev: ZERO_HASH.into() };
        let mut out = Vec::new();
        let stamped = Stamped { uid: EventId::mint([9; 16]), at: Timestamp::from_secs(1_795_233_600), event };
        chain.append(&Draft::of(&stamped).unwrap(), &mut out).unwrap();
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn every_class_is_canonical_one_line_and_complete() {
        for code in EventCode::ALL {
            let event = Event::new(*code).subject("a\nb\"\u{2028}é").detail("scope", "read write");
            let line = line(event);
            // serde_json sorts the keys of a Value; equal text means that ours were sorted and tight.
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(String::from_utf8(line.clone()).unwrap(), value.to_string());
            assert!(!line.contains(&b'\n'));
            for eight in [
                "/time",
                "/time_dt",
                "/class_uid",
                "/activity_id",
                "/type_uid",
                "/metadata/event_code",
                "/severity_id",
                "/actor/user/type_id",
                "/status_id",
                "/status_code",
                "/status_detail",
            ] {
                assert!(value.pointer(eight).is_some(), "{}: {eight}", code.name());
            }
            for either in ["/src_endpoint/name", "/api/operation"] {
                let unmapped = value.pointer(&format!("/unmapped{either}"));
                assert!(value.pointer(either).or(unmapped).is_some(), "{}: {either}", code.name());
            }
        }
    }

    #[test]
    fn no_text_of_an_event_is_taken_for_its_place_in_the_chain() {
        let mut chain = Chain { uid: "a\"b".into(), seq: 6, prev: "p".into() };
        let mut out = Vec::new();
        let event = Event::new(EventCode::ToolCalled).subject("null").operation("\"prev\":null");
        let event = ["sequence", "chain_uid", "prev"]
            .iter()
            .fold(event, |event, key| event.detail(key, "null").detail("x", "\n:null\":null"));
        let stamped = Stamped { uid: EventId::mint([9; 16]), at: Timestamp::from_secs(0), event };
        chain.append(&Draft::of(&stamped).unwrap(), &mut out).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(record["metadata"]["sequence"], 7);
        assert_eq!(
            (&record["unmapped"]["chain_uid"], &record["unmapped"]["prev"]),
            (&"a\"b".into(), &"p".into())
        );
        assert_eq!(record["unmapped"]["details"]["prev"], "null");
        assert_eq!(record["api"]["operation"], "\"prev\":null");
    }

    #[test]
    fn the_chain_is_read_back_from_its_last_line() {
        let mut chain = Chain { uid: "c".into(), seq: 41, prev: ZERO_HASH.into() };
        let mut out = Vec::new();
        let stamped = Stamped {
            uid: EventId::mint([9; 16]),
            at: Timestamp::from_secs(0),
            event: Event::new(EventCode::SysStartup),
        };
        chain.append(&Draft::of(&stamped).unwrap(), &mut out).unwrap();
        assert_eq!(Chain::after(&out[..out.len() - 1]).unwrap(), chain);
        assert_eq!(chain.seq, 42);
    }
}
