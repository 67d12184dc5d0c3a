//! The format by its properties: what is readable, what is refused, what stays.

use serde_json::json;

use super::*;
use crate::crypto::kdf::{Kdf, KdfError};
use crate::crypto::keys::RootKey;
use crate::crypto::{Key, SecretString};

fn root(byte: u8) -> RootKey {
    RootKey::new(Key::new([byte; 32]))
}

fn plain() -> Map<String, Node> {
    let sections = json!({
        "server": {"public_url": "https://music.example", "port": 8443},
        "spotify": {
            "client_id": "0123456789abcdef0123456789abcdef",
            "client_secret": "sentinel-one",
            "apps": [{"client_id": "f".repeat(32), "client_secret": "sentinel-two", "seats": 5}],
        },
        "security": {"passphrase": "${PASSPHRASE}"},
        "storage": {"url": "postgres://u:sentinel-three@db/x"},
    });
    sections.as_object().unwrap().clone()
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_795_233_600)
}

fn sealed() -> String {
    seal(&plain(), &[Opener::Master(&root(1)), Opener::Recovery(&root(2))], now(), &Dice::system()).unwrap()
}

fn open(text: &str, key: u8) -> Result<Opened, Refusal> {
    Sealed::parse(text)?.open(&Opener::Master(&root(key)))
}

#[test]
fn names_are_readable_secrets_are_not_and_all_comes_back() {
    let text = sealed();
    assert!(is_sealed(&text) && !text.contains("sentinel"));
    assert!(text.contains("\"public_url\": \"https://music.example\"") && text.contains("${PASSPHRASE}"));
    assert_eq!(open(&text, 1).unwrap().plain, plain());
    let recovered = Sealed::parse(&text).unwrap().open(&Opener::Recovery(&root(2))).unwrap();
    assert_eq!(recovered.plain, plain());
    // The recovery slot's key is no master key.
    assert!(matches!(open(&text, 2), Err(Refusal::WrongKey(_))));
    assert!(matches!(open(&text, 3), Err(Refusal::WrongKey(_))));
}

#[test]
fn every_changed_removed_or_doubled_byte_is_refused() {
    let text = sealed();
    for at in 0..text.len() {
        let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at + 1..]);
        let byte = text.as_bytes()[at];
        let variants = [byte ^ 1, byte ^ 0x20, b' ', b'\n', b'0', b'"'];
        for other in variants.into_iter().filter(|other| *other != byte) {
            refused(&[before, &[other], after].concat(), at);
        }
        refused(&[before, after].concat(), at);
        refused(&[before, &[byte, byte], after].concat(), at);
    }
}

fn refused(bytes: &[u8], at: usize) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let status = match open(text, 1) {
        Ok(_) => panic!("accepted with another byte at {at}: {text}"),
        Err(refusal) => refusal.code(),
    };
    // A changed digit of the version is another version, a changed key id another key; all else is tampering.
    assert!(
        ["CONFIG_WRONG_KEY", "CONFIG_TAMPERED", "CONFIG_VERSION_UNKNOWN"].contains(&status),
        "{status} at {at}"
    );
}

#[test]
fn lines_and_values_that_are_swapped_moved_or_removed_are_refused() {
    let text = sealed();
    let lines: Vec<&str> = text.lines().collect();
    for one in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(one);
        assert!(open(&(without.join("\n") + "\n"), 1).is_err(), "without line {one}");
        for other in one + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(one, other);
            let swapped = swapped.join("\n") + "\n";
            assert!(swapped == text || open(&swapped, 1).is_err(), "{one} and {other} swapped");
        }
    }
    let node: Node = serde_json::from_str(&text).unwrap();
    let mut moved = node.clone();
    moved["storage"]["url"] = node["spotify"]["client_secret"].clone();
    assert!(matches!(open(&canonical(&moved), 1), Err(Refusal::Tampered(_))));
}

#[test]
fn a_value_of_another_file_or_path_does_not_open_even_under_a_right_mac() {
    let opened = open(&sealed(), 1).unwrap();
    let mut root = opened.sealed.clone();
    root["storage"]["url"] = opened.sealed["spotify"]["client_secret"].clone();
    let text = write(&opened.key, opened.header.clone(), root);
    assert_eq!(
        open(&text, 1).err(),
        Some(Refusal::Tampered("the value of /storage/url does not open".into()))
    );
}

#[test]
fn only_what_changed_is_sealed_anew() {
    let first = open(&sealed(), 1).unwrap();
    let mut changed = plain();
    changed["spotify"]["client_secret"] = json!("another");
    let text = first.reseal(&changed, now(), &Dice::system());
    let second = open(&text, 1).unwrap();
    assert_eq!((second.header.rev, &second.header.lineage), (2, &first.header.lineage));
    assert_eq!(second.plain, changed);
    assert_eq!(second.sealed["storage"], first.sealed["storage"]);
    assert_eq!(second.sealed["spotify"]["apps"], first.sealed["spotify"]["apps"]);
    assert_ne!(second.sealed["spotify"]["client_secret"], first.sealed["spotify"]["client_secret"]);
}

#[test]
fn rekeying_leaves_nothing_that_the_old_key_opens() {
    let first = open(&sealed(), 1).unwrap();
    let text = first.rekey(&[Opener::Master(&root(9))], now(), &Dice::system()).unwrap();
    assert!(matches!(open(&text, 1), Err(Refusal::WrongKey(_))));
    let second = open(&text, 9).unwrap();
    assert_eq!((second.header.rev, second.plain.clone()), (2, plain()));
    assert_ne!(second.sealed["storage"], first.sealed["storage"]);
    let mixed = write(&second.key, second.header.clone(), first.sealed.clone());
    assert!(matches!(open(&mixed, 9), Err(Refusal::Tampered(_))));
}

#[test]
fn a_slot_may_be_added_and_a_passphrase_has_bounds() {
    let passphrase = SecretString::new("correct horse battery");
    let kdf = Kdf::Argon2id { memory_kib: 19_456, passes: 2, lanes: 1, salt: "00".repeat(16) };
    let opener = Opener::Passphrase(&passphrase, Some(&kdf));
    let text = open(&sealed(), 1).unwrap().with_slot(&opener, now(), &Dice::system()).unwrap();
    assert_eq!(Sealed::parse(&text).unwrap().open(&opener).unwrap().plain, plain());
    assert_eq!(open(&text, 1).unwrap().header.slots.len(), 3);
    let weak = text.replace("\"memory_kib\": 19456", "\"memory_kib\": 19455");
    assert_eq!(Sealed::parse(&weak).err(), Some(Refusal::Kdf(KdfError::TooWeak)));
    let dear = text.replace("\"memory_kib\": 19456", "\"memory_kib\": 4194304");
    assert_eq!(Sealed::parse(&dear).err(), Some(Refusal::Kdf(KdfError::TooCostly)));
    let wrong = SecretString::new("another passphrase");
    let refused = Sealed::parse(&text).unwrap().open(&Opener::Passphrase(&wrong, None));
    assert!(matches!(refused, Err(Refusal::WrongKey(_))));
}

/// Contents with a number where it stands readable and where it is sealed, from its own text.
fn with_number(number: &str) -> Result<String, Refusal> {
    let plain = format!("{{\"limits\": {{\"x\": {number}}}, \"spotify\": {{\"client_secret\": {number}}}}}");
    let plain: Node = serde_json::from_str(&plain).unwrap();
    seal(plain.as_object().unwrap(), &[Opener::Master(&root(1))], now(), &Dice::system())
}

#[test]
fn a_number_that_would_be_read_as_another_is_refused_before_anything_is_sealed() {
    let large = "6000555555555555555555555555555555555555555555555555555555555500";
    for number in ["18446744073709551616", "-9223372036854775809", "0.5", "1.0", "1e3", "-0", large] {
        assert!(matches!(with_number(number), Err(Refusal::Schema(_))), "{number}");
    }
    // Nor is one believed that somebody sealed otherwise.
    let opened = open(&sealed(), 1).unwrap();
    for (section, name) in [("server", "port"), ("spotify", "client_secret")] {
        let mut plain = plain();
        plain[section][name] = json!(0.5);
        let text = opened.reseal(&plain, now(), &Dice::system());
        assert!(matches!(open(&text, 1), Err(Refusal::Tampered(_))), "{section}.{name}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn a_number_comes_back_to_the_digit(small in proptest::prelude::any::<i64>(), large in proptest::prelude::any::<u64>()) {
        for number in [small.to_string(), large.to_string(), i64::MIN.to_string(), u64::MAX.to_string()] {
            let text = with_number(&number).unwrap();
            let back = Node::Object(open(&text, 1).unwrap().plain);
            for path in ["/limits/x", "/spotify/client_secret"] {
                proptest::prop_assert_eq!(back.pointer(path).unwrap().to_string(), number.as_str());
            }
        }
    }
}

#[test]
fn the_table_of_keys_says_what_is_secret() {
    let opened = open(&sealed(), 1).unwrap();
    assert_eq!(faults(&opened.sealed), []);
    let mut paths: Vec<_> = faults(&plain()).into_iter().map(|fault| fault.path).collect();
    paths.sort();
    assert_eq!(paths, ["/spotify/apps/0/client_secret", "/spotify/client_secret", "/storage/url"]);
    let lists = json!({
        "auth": {"clients": [{"id": "a", "secret": "s"}, {"id": "b", "secret_file": "f"}]},
        "spotify": {"apps": "[{\"client_secret\": \"s\"}]"},
    });
    let lists = lists.as_object().unwrap();
    let mut paths: Vec<_> = faults(lists).into_iter().map(|fault| fault.path).collect();
    paths.sort();
    assert_eq!(paths, ["/auth/clients/0/secret", "/spotify/apps"]);
    let text = seal(lists, &[Opener::Master(&root(1))], now(), &Dice::system()).unwrap();
    let lists = open(&text, 1).unwrap();
    assert_eq!(faults(&lists.sealed), []);
    let mut odd = opened.sealed.clone();
    odd["server"]["port"] = odd["storage"]["url"].clone();
    assert_eq!(faults(&odd), [Fault { path: "/server/port".into(), sealed: true }]);
}

#[test]
fn equal_values_have_equal_fingerprints_within_one_file_only() {
    let (one, two) = (open(&sealed(), 1).unwrap(), open(&sealed(), 1).unwrap());
    assert_eq!(one.fingerprint(&json!("x")), one.fingerprint(&json!("x")));
    assert_ne!(one.fingerprint(&json!("x")), one.fingerprint(&json!("y")));
    assert_ne!(one.fingerprint(&json!("x")), two.fingerprint(&json!("x")));
}
