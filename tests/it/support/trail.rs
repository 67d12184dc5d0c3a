//! A server's audit trail as its operator may read it: with the database and the master key at hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use spotify_mcp::ambient::{Clock, Dice, Timestamp};
use spotify_mcp::audit::{Audit, People, Settings, Signer, people};
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::{RootKey, SealingKey};
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::domain::{KeyPurpose, UserId};
use spotify_mcp::store::{AuditKeyOwner, ChainMark, Store};
use spotify_mcp::vault::KeyRing;
use spotify_mcp::vault::rotation::Facts;

use super::server::TestServer;

/// The segments of a trail, in order.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut numbered: Vec<(u32, PathBuf)> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?;
            let number = name.strip_prefix("audit-")?.strip_suffix(".ndjson")?.parse().ok()?;
            Some((number, path))
        })
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, path)| path).collect()
}

/// Every record, as it stands there.
pub fn records(dir: &Path) -> Vec<Value> {
    // Where a server drops old segments, one may go between being named and being read.
    let texts = segments(dir).into_iter().filter_map(|path| match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        read => Some(read.unwrap()),
    });
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Writes records into the trail of a server that does not run, as it would have done itself at that time: by its own
/// key, with its database's knowledge. Goes on until `enough`, which is asked before each record.
pub async fn lived_before(
    server: &TestServer,
    (at, segment_bytes): (Timestamp, u64),
    mut enough: impl FnMut(usize) -> bool,
) -> ChainMark {
    let Reader { store, ring, .. } = Reader::of(server).await;
    let (clock, dice) = (Clock::moved_by_hand(at).0, Dice::system());
    let facts = store.signing_facts().await.unwrap();
    let successions = facts.iter().filter_map(|facts| Facts::parse(facts).succession).collect();
    let signer = Signer::new(&ring.own(KeyPurpose::Evidence).unwrap(), successions).unwrap();
    let people = People::of(&store, &ring, (&clock, &dice));
    let settings = Settings::new(server.data_dir().join("audit"), signer, people);
    let audit = Audit::open(Settings { segment_bytes, ..settings }, clock, dice).unwrap();
    let mut count = 0;
    while !enough(count) {
        audit.record(event(count)).await.unwrap();
        count += 1;
    }
    audit.close().await;
    let marked = audit.signed().borrow().clone().unwrap();
    let mark = ChainMark {
        chain_uid: marked.chain_uid,
        writer: audit.writer().to_owned(),
        first_key: marked.key.clone(),
        key: marked.key,
        size: marked.signed.size.cast_signed(),
        note: marked.signed.note,
        at,
    };
    store.keep_chain_mark(&mark).await.unwrap();
    store.close().await;
    mark
}

/// Of about 3.5 KB.
fn event(count: usize) -> Event {
    let event = Event::new(EventCode::ToolCalled).detail("count", count.to_string());
    (0..14).fold(event, |event, n| event.detail(&format!("n{n}"), "x".repeat(220)))
}

/// What opens addresses and knows people.
pub struct Reader {
    pub store: Store,
    pub ring: Arc<KeyRing>,
    keys: HashMap<String, Option<SealingKey>>,
}

impl Reader {
    pub async fn of(server: &TestServer) -> Self {
        let store = Store::open(&server.place.url).await.unwrap();
        let key = STANDARD.decode(&server.environment["SPOTIFY_MCP_MASTER_KEY"]).unwrap();
        let root = RootKey::new(Key::new(key.try_into().unwrap()));
        let ring = KeyRing::open(&store, &[root], (&Clock::system(), &Dice::system())).await.unwrap();
        Self { store, ring: Arc::new(ring.unwrap().0), keys: HashMap::new() }
    }

    /// What the trail calls a person.
    pub async fn pseudonym(&self, user: &UserId) -> Option<String> {
        let owner = AuditKeyOwner::Person(user.clone());
        self.store.audit_key_of(&owner).await.unwrap().map(|row| row.id)
    }

    /// The address in a record; `None` where it has none that can be opened.
    pub async fn address(&mut self, record: &Value) -> Option<String> {
        let places = ["/src_endpoint/uid", "/unmapped/src_endpoint/uid"];
        let sealed = places.iter().find_map(|place| record.pointer(place)?.as_str())?;
        let pseudonym = sealed.split_once('.').unwrap().0.to_owned();
        if !self.keys.contains_key(&pseudonym) {
            let row = self.store.audit_key(&pseudonym).await.unwrap();
            let wrapping = self.ring.own(KeyPurpose::AuditPeople).unwrap();
            let key = row.map(|row| people::open(&row, &wrapping).unwrap());
            self.keys.insert(pseudonym.clone(), key);
        }
        let key = self.keys[&pseudonym].as_ref()?;
        people::open_address(sealed, key).map(|address| address.to_string())
    }
}
