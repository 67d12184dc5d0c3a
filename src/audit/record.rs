//! The shape of a record: OCSF 1.8.0, keys sorted, no white space (RFC 8785), one line.
//!
//! The guide's eight fields are in every record: time (`time`, `time_dt`), type (`class_uid`, `activity_id`,
//! `type_uid`, `metadata.event_code`), severity (`severity_id`), user (`actor.user`), address (`src_endpoint`),
//! request (`api`), answer (`status_id`, `status_code`) and rationale (`status_detail`). A class that OCSF gives no
//! place for one of them carries it under `unmapped`. What tells of a person stands in `actor.user`, `user` and
//! `src_endpoint`, as [`super::people`] writes it.

use sha2::{Digest as _, Sha256};

use super::Stamped;
use super::about::About;
use super::draft::Draft;
use super::merkle::{Frontier, leaf_hash};
use super::people::{ADDRESS_ERASED, Hidden};
use super::text::{Filling, Text};
use crate::domain::event::{Class, Event, Outcome};
use crate::domain::ids::EventId;

/// `prev` of the first record of a chain.
pub const ZERO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const PRODUCT: &str = "spotify-mcp";

/// Where a chain stands: what the next record continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Names the chain: one per node and trail.
    pub(crate) uid: String,
    /// Which of the chain's keys is in force: counts up with every change of it.
    pub(crate) epoch: u32,
    /// The tree over all lines.
    pub(crate) frontier: Frontier,
    /// SHA-256 of the last line without its newline, in hexadecimal.
    pub(crate) prev: String,
}

impl Chain {
    /// A chain without records, under its first key.
    pub(crate) fn new(uid: String) -> Self {
        Self { uid, epoch: 1, frontier: Frontier::new(), prev: ZERO_HASH.to_owned() }
    }

    /// Number of the last record; 0 before the first.
    pub(crate) const fn seq(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends the next record, newline included, to `out` and moves on.
    pub(super) fn append(&mut self, draft: &Draft, out: &mut Vec<u8>) {
        let start = out.len();
        let number = self.seq() + 1;
        draft.fill(out, Filling { number, name: &self.uid, epoch: self.epoch, hash: &self.prev });
        self.take(&out[start..]);
        out.push(b'\n');
    }

    /// Moves on by a line (without its newline) that is there.
    pub(super) fn take(&mut self, line: &[u8]) {
        self.frontier.append(leaf_hash(line));
        self.prev = hash(line);
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

/// Writes an event as a record, in the memory of an earlier one. Members stand in the order of their names.
pub(super) fn write(Stamped { uid, at, event, hidden }: &Stamped, about: &About, memory: Vec<u8>) -> Text {
    let (code, class) = (event.code(), event.code().class());
    let succeeded = event.outcome() == Outcome::Success;
    let mut record = Text::new(memory);
    record.number("activity_id", code.activity());
    record.object("actor", |actor| {
        actor.text_if("app_uid", event.client_id());
        actor.object("user", |user| write_person(user, who(event), hidden));
    });
    if has_api(class) {
        write_api(&mut record, event);
    }
    if class == Class::ApplicationLifecycle {
        record.object("app", |app| write_product(app, true));
    }
    record.number("category_uid", class.category());
    record.number("class_uid", class.uid());
    match class {
        Class::Datastore => record.object("database", |database| {
            database.text("name", PRODUCT);
            database.number("type_id", 1);
        }),
        Class::Network => record.object("dst_endpoint", |host| host.text("hostname", subject(event))),
        Class::EntityManagement => {
            record.object("entity", |entity| entity.text("uid", hidden.name(subject(event))))
        }
        Class::EventLog => record.text("log_name", "audit"),
        _ => {}
    }
    record.object("metadata", |metadata| write_metadata(metadata, uid, event));
    if matches!(class, Class::AuthorizeSession | Class::UserAccess) {
        let scope = event.details().get("scope").map_or("", String::as_str);
        record.list("privileges", scope.split_ascii_whitespace());
    }
    if class == Class::Authentication {
        record.object("service", |service| write_product(service, false));
    }
    record.number("severity_id", code.severity() as u8);
    if has_source(class) {
        write_source(&mut record, event, hidden);
    }
    record.text("status", if succeeded { "Success" } else { "Failure" });
    record.text("status_code", event.status_text());
    record.text("status_detail", event.rationale());
    record.number("status_id", if succeeded { 1 } else { 2 });
    record.number("time", at.millis());
    record.text("time_dt", &at.rfc3339());
    record.number("type_uid", u32::from(class.uid()) * 100 + u32::from(code.activity()));
    record.object("unmapped", |unmapped| write_unmapped(unmapped, (event, hidden), about));
    if let Some(person) = affected(event) {
        record.object("user", |user| write_person(user, person, hidden));
    }
    record
}

fn write_metadata(metadata: &mut Text, uid: &EventId, event: &Event) {
    metadata.text("event_code", event.code().name());
    metadata.object("product", |product| write_product(product, true));
    // `time_dt` is of the first profile; `actor` is of the second where the class has none itself.
    metadata.list("profiles", ["datetime", "host"]);
    metadata.gap("sequence");
    metadata.text("uid", uid.as_str());
    metadata.text("version", "1.8.0");
}

/// What the class has no place for.
fn write_unmapped(unmapped: &mut Text, (event, hidden): (&Event, &Hidden), about: &About) {
    let class = event.code().class();
    if !has_api(class) {
        write_api(unmapped, event);
    }
    unmapped.gap("chain_uid");
    if !event.details().is_empty() {
        let details = event.details().iter().map(|(key, value)| (key.as_str(), hidden.name(value)));
        unmapped.texts("details", details);
    }
    unmapped.gap("epoch");
    about.write_key_change(unmapped);
    unmapped.text_if("link_uid", event.link_id());
    unmapped.text("outcome", event.outcome().name());
    unmapped.gap("prev");
    about.write_segment(unmapped);
    if !has_source(class) {
        write_source(unmapped, event, hidden);
    }
    let subject = event.subject_text().filter(|_| !names_its_subject(class));
    unmapped.text_if("subject", subject.map(|subject| hidden.name(subject)));
}

/// A person, or who stands in a person's place.
enum Person<'a> {
    Known(&'a str),
    Unknown,
    System,
}

fn write_person(text: &mut Text, person: Person<'_>, hidden: &Hidden) {
    match person {
        Person::Known(uid) => {
            text.number("type_id", 1);
            text.text("uid", hidden.name(uid));
        }
        Person::Unknown => {
            text.text("name", "unknown");
            text.number("type_id", 0);
        }
        Person::System => {
            text.text("name", "system");
            text.number("type_id", 3);
        }
    }
}

fn write_product(text: &mut Text, with_vendor: bool) {
    text.text("name", PRODUCT);
    text.text_if("vendor_name", with_vendor.then_some(PRODUCT));
    text.text("version", env!("CARGO_PKG_VERSION"));
}

fn write_api(text: &mut Text, event: &Event) {
    text.object("api", |api| {
        api.text("operation", event.operation_text());
        if let Some(uid) = event.request_id() {
            api.object("request", |request| request.text("uid", uid));
        }
    });
}

/// Where it came from: an address, sealed, or this process where no request caused it.
fn write_source(text: &mut Text, event: &Event, hidden: &Hidden) {
    text.object("src_endpoint", |source| match event.address() {
        Some(_) => match hidden.address() {
            ADDRESS_ERASED => source.text("name", ADDRESS_ERASED),
            sealed => {
                source.text("name", "sealed");
                source.text("uid", sealed);
            }
        },
        None => source.text("name", "local"),
    });
}

fn subject(event: &Event) -> &str {
    event.subject_text().unwrap_or("unknown")
}

/// Who did it: a person, nobody we know, or the server itself.
fn who(event: &Event) -> Person<'_> {
    match event.user_id() {
        Some(uid) => Person::Known(uid),
        None if event.address().is_none() && event.request_id().is_none() => Person::System,
        None => Person::Unknown,
    }
}

/// Whom it was done to, in the classes that are about a person.
fn affected(event: &Event) -> Option<Person<'_>> {
    let uid = match event.code().class() {
        Class::AccountChange => event.subject_text().or(event.user_id()),
        Class::Authentication | Class::AuthorizeSession | Class::UserAccess => event.user_id(),
        _ => return None,
    };
    Some(uid.map_or(Person::Unknown, Person::Known))
}

fn has_api(class: Class) -> bool {
    class == Class::ApiActivity
}

fn has_source(class: Class) -> bool {
    class != Class::ApplicationLifecycle
}

/// Whether the class has a place of its own for the event's subject.
fn names_its_subject(class: Class) -> bool {
    matches!(class, Class::AccountChange | Class::EntityManagement | Class::Network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Timestamp;
    use crate::domain::event::EventCode;

    fn line(event: Event) -> Vec<u8> {
        let mut chain = Chain::new("c".into());
        let mut out = Vec::new();
        let stamped = Stamped {
            uid: EventId::mint([9; 16]),
            at: Timestamp::from_secs(1_795_233_600),
            event,
            hidden: Hidden::default(),
        };
        chain.append(&Draft::of(&stamped, Vec::new()), &mut out);
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
        let mut chain = Chain { prev: "p".into(), ..Chain::new("a\"b".into()) };
        let mut out = Vec::new();
        let event = Event::new(EventCode::ToolCalled).subject("null").operation("\"prev\":null");
        let event = ["sequence", "chain_uid", "epoch", "prev"]
            .iter()
            .fold(event, |event, key| event.detail(key, "null").detail("x", "\n:null\":null"));
        let stamped = Stamped {
            uid: EventId::mint([9; 16]),
            at: Timestamp::from_secs(0),
            event,
            hidden: Hidden::default(),
        };
        chain.append(&Draft::of(&stamped, Vec::new()), &mut out);
        let record: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&record["metadata"]["sequence"], &record["unmapped"]["epoch"]), (&1.into(), &1.into()));
        assert_eq!(
            (&record["unmapped"]["chain_uid"], &record["unmapped"]["prev"]),
            (&"a\"b".into(), &"p".into())
        );
        assert_eq!(record["unmapped"]["details"]["prev"], "null");
        assert_eq!(record["api"]["operation"], "\"prev\":null");
    }
}
