//! The sealed configuration file: its text, its slots, its values.
//!
//! No key is derived from a passphrase here: what a text may ask for is only held against the bounds.

use serde_json::{Map, Value};

use super::{changed, is_deceptive};
use crate::ambient::{Dice, Timestamp};
use crate::config::sealed::{FORMAT, LARGEST, MARK, Opened, Opener, Refusal, Sealed, is_sealed, seal};
use crate::crypto::Key;
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::RootKey;

/// All that was ever sealed under this target's key: two revisions of one file, and another file.
const FILES: [&str; 3] = [
    include_str!("../../fuzz/corpus/sealed/first"),
    include_str!("../../fuzz/corpus/sealed/second"),
    include_str!("../../fuzz/corpus/sealed/other"),
];

fn root() -> RootKey {
    RootKey::new(Key::new([1; 32]))
}

fn open(text: &str) -> Result<Opened, Refusal> {
    Sealed::parse(text)?.open(&Opener::Master(&root()))
}

/// A text opens only where it was sealed so, to the last byte; what a derivation may cost is bounded before anything
/// is derived; and whatever is sealed opens to what it was.
pub fn sealed(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    hold_text(&text);
    if let Some(changed) = rewritten(data) {
        match open(&changed) {
            Ok(_) => assert!(FILES.contains(&&*changed), "{changed}"),
            Err(refusal) => hold_words(&refusal),
        }
    }
    if let Ok(Value::Object(plain)) = serde_json::from_str(&text) {
        hold_contents(&plain);
    }
    if let Ok(kdf) = serde_json::from_str::<Kdf>(&text) {
        hold_cost(&kdf);
        assert_eq!(serde_json::from_value::<Kdf>(serde_json::to_value(&kdf).unwrap()).unwrap(), kdf);
    }
}

fn hold_text(text: &str) {
    let sealed = match Sealed::parse(text) {
        Ok(sealed) => sealed,
        Err(refusal) => {
            assert!(!FILES.contains(&text));
            return hold_words(&refusal);
        }
    };
    let json: Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&json).unwrap() + "\n", text);
    assert!(is_sealed(text) && text.len() <= LARGEST && json[MARK]["format"] == FORMAT);
    let header = sealed.header();
    assert!(header.rev > 0 && (1..=8).contains(&header.slots.len()));
    for kdf in header.slots.iter().filter_map(|slot| slot.kdf.as_ref()) {
        assert!(kdf.check().is_ok());
        hold_cost(kdf);
    }
    match open(text) {
        Ok(_) => assert!(FILES.contains(&text), "{text}"),
        Err(refusal) => hold_words(&refusal),
    }
}

/// What passes the check is strong enough, and affordable.
fn hold_cost(kdf: &Kdf) {
    if kdf.check().is_err() {
        return;
    }
    let salt = match kdf {
        Kdf::Argon2id { memory_kib, passes, lanes, salt } => {
            assert!((19_456..=1 << 20).contains(memory_kib));
            assert!((2..=16).contains(passes) && (1..=16).contains(lanes));
            salt
        }
        Kdf::Pbkdf2Sha256 { rounds, salt } => {
            assert!((600_000..=20_000_000).contains(rounds));
            salt
        }
    };
    assert!((32..=128).contains(&salt.len()) && salt.len() % 2 == 0);
    assert!(salt.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

fn hold_words(refusal: &Refusal) {
    let said = refusal.to_string();
    assert!(said.chars().count() < 700 && !said.chars().any(is_deceptive), "{said:?}");
    assert!(refusal.code().starts_with("CONFIG_"));
}

/// One of the files with one change, as the bytes say: a byte, a part, two lines, or two values.
fn rewritten(data: &[u8]) -> Option<String> {
    let [file, how, a, b, c, d, ..] = *data else { return None };
    let text = FILES[usize::from(file) % FILES.len()];
    let at = |high, low| usize::from(u16::from_be_bytes([high, low]));
    let (one, two) = (at(a, b), at(c, d));
    let bytes = text.as_bytes();
    let (from, to) = (one % bytes.len(), (one % bytes.len() + two % 64).min(bytes.len()));
    let rewritten = match how % 5 {
        0 => changed(bytes, &data[2..])?,
        1 => [&bytes[..from], &bytes[to..]].concat(),
        2 => [&bytes[..to], &bytes[from..]].concat(),
        3 => {
            let mut lines: Vec<_> = text.split_inclusive('\n').collect();
            let count = lines.len();
            lines.swap(one % count, two % count);
            lines.concat().into_bytes()
        }
        _ => with_values_swapped(text, one, two),
    };
    String::from_utf8(rewritten).ok()
}

/// The text with two of its values in each other's place, canonical as before.
fn with_values_swapped(text: &str, one: usize, two: usize) -> Vec<u8> {
    let mut json: Value = serde_json::from_str(text).unwrap();
    let mut paths = Vec::new();
    collect("", &json, &mut paths);
    let (one, two) = (&paths[one % paths.len()], &paths[two % paths.len()]);
    let (first, second) = (json.pointer(one).cloned().unwrap(), json.pointer(two).cloned().unwrap());
    *json.pointer_mut(one).unwrap() = second;
    *json.pointer_mut(two).unwrap() = first;
    (serde_json::to_string_pretty(&json).unwrap() + "\n").into_bytes()
}

/// The pointer of every value that holds no others. No name here needs an escape.
fn collect(path: &str, json: &Value, paths: &mut Vec<String>) {
    match json {
        Value::Object(map) => {
            map.iter().for_each(|(name, json)| collect(&format!("{path}/{name}"), json, paths));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, json)| collect(&format!("{path}/{at}"), json, paths));
        }
        _ => paths.push(path.to_owned()),
    }
}

/// Contents that do not pretend to be sealed come back as they were, in every revision.
fn hold_contents(plain: &Map<String, Value>) {
    if is_sealed(&Value::Object(plain.clone()).to_string()) {
        return;
    }
    let (now, dice, root) = (Timestamp::from_secs(1_795_233_600), Dice::system(), root());
    let text = match seal(plain, &[Opener::Master(&root)], now, &dice) {
        Ok(text) => text,
        Err(refusal) => {
            hold_words(&refusal);
            return assert!(plain.values().any(has_fraction), "{refusal}");
        }
    };
    let first = open(&text).unwrap();
    assert_eq!(&first.plain, plain);
    assert!(first.faults().is_empty() && first.header.rev == 1);
    let second = open(&first.reseal(plain, now, &dice)).unwrap();
    assert_eq!((&second.plain, second.header.rev), (plain, 2));
    let other = RootKey::new(Key::new([2; 32]));
    let refused = Sealed::parse(&text).unwrap().open(&Opener::Master(&other));
    assert!(matches!(refused, Err(Refusal::WrongKey(_))));
}

/// Whether there is a number that is not whole, or beyond 64 bits: the only ones that may be read as another.
fn has_fraction(json: &Value) -> bool {
    match json {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}
