//! What is read back from where somebody could have written: sealed values, the audit trail, the outbox.

use super::changed;
use crate::audit::resume::{Walk, ids};
use crate::crypto::Key;
use crate::crypto::envelope::{Place, key_id, open, seal};
use crate::crypto::keys::{KeyId, SealingKey};
use crate::domain::event::{Event, MAX_TEXT, clean, is_deceptive};

const HOME: Place<'_> = Place { table: "t", column: "c", user: "u_1", row: "r", version: 3 };

/// Sealed values: only what sealing would write again, byte for byte, opens, and only at its place.
pub fn envelope(data: &[u8]) {
    let key = SealingKey::new(KeyId::new([1; 16]), Key::new([1; 32]));
    if let Ok(plain) = open(&key, &HOME, data) {
        let entropy = [&data[21..53], &data[85..97]].concat();
        assert_eq!(seal(&key, &HOME, &plain, entropy.as_slice().try_into().unwrap()), data);
    }
    assert!(key_id(data).is_err() || data.starts_with(b"SMC1"));
    let sealed = seal(&key, &HOME, data, &[9; 44]);
    assert_eq!(sealed.len(), data.len() + 97 + 16);
    assert_eq!(open(&key, &HOME, &sealed).unwrap().as_slice(), data);
    assert!(open(&key, &Place { version: 2, ..HOME }, &sealed).is_err());
    assert!(open(&key, &Place { user: "u_2", ..HOME }, &sealed).is_err());
    assert!(open(&key, &Place { column: "d", ..HOME }, &sealed).is_err());
    assert!(open(&key, &Place { row: "s", ..HOME }, &sealed).is_err());
    let other = SealingKey::new(KeyId::new([1; 16]), Key::new([2; 32]));
    assert!(open(&other, &HOME, &sealed).is_err());
    if let Some(forged) = changed(&sealed, data) {
        assert!(open(&key, &HOME, &forged).is_err());
    }
    let cut = data.first().map_or(0, |byte| usize::from(*byte)) % sealed.len();
    assert!(open(&key, &HOME, &sealed[..cut]).is_err());
}

/// The end of a trail and the rows of the outbox: ids are found where they stand, an event survives being written.
pub fn audit(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let found = ids(data).unwrap();
    assert!(found.len() <= lines.count());
    assert!(found.iter().all(|id| text.contains(&format!("\"uid\":\"{}\"", id.as_str()))), "{text}");
    let mut walk = Walk::new(None);
    if matches!(walk.segment(data), Ok(Ok(()))) {
        assert_eq!(walk.tail.chain.is_some(), !data.is_empty());
    }
    if let Ok(event) = serde_json::from_slice::<Event>(data) {
        let written = serde_json::to_vec(&event).unwrap();
        assert_eq!(serde_json::from_slice::<Event>(&written).unwrap(), event);
    }
    let cleaned = clean(&String::from_utf8_lossy(data));
    assert!(cleaned.chars().count() <= MAX_TEXT && !cleaned.chars().any(is_deceptive));
}
