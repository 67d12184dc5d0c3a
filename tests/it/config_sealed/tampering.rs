//! A real sealed file, changed in every way that one byte, line, name or value can be: each is refused, with the one
//! status that is due. Opened within this process, because it is some hundred thousand texts; a sample of them goes
//! through the program.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use spotify_mcp::config::sealed::{FORMAT, Opener, Refusal, Sealed};
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::RootKey;

use super::{Desk, status, words};

#[test]
fn every_byte_that_is_flipped_removed_doubled_or_added_is_refused() {
    let file = File::real();
    let text = file.text.as_bytes();
    let tried = in_parts(text.len(), |at| {
        let (before, byte, after) = (&text[..at], text[at], &text[at + 1..]);
        let flipped = (0..8).map(|bit| vec![byte ^ (1 << bit)]);
        let others = [b' ', b'"'].map(|other| vec![other]);
        let added = [b' ', b'\n', b'0'].map(|extra| vec![extra, byte]);
        let gone = [vec![], vec![byte, byte]];
        let variants = flipped.chain(others).chain(added).chain(gone);
        variants.map(|middle| file.refuses(&[before, &middle, after].concat())).sum()
    });
    assert!(tried > text.len() * 13, "{tried} texts");
    file.refuses(&[text, b"\n"].concat());
    let cut: usize = (0..text.len()).step_by(7).map(|end| file.refuses(&text[..end])).sum();
    assert!(cut > text.len() / 8, "{cut} texts");
}

#[test]
fn every_line_that_is_removed_doubled_moved_or_swapped_is_refused() {
    let file = File::real();
    let lines: Vec<&str> = file.text.lines().collect();
    let joined = |lines: &[&str]| file.refuses((lines.join("\n") + "\n").as_bytes());
    let tried = in_parts(lines.len(), |one| {
        let mut without = lines.clone();
        let line = without.remove(one);
        let mut tried = joined(&without);
        for other in 0..lines.len() {
            let (mut moved, mut doubled, mut swapped) = (without.clone(), lines.clone(), lines.clone());
            moved.insert(other.min(without.len()), line);
            doubled.insert(other, line);
            swapped.swap(one, other);
            tried += joined(&moved) + joined(&doubled) + joined(&swapped);
        }
        tried
    });
    assert!(tried > lines.len() * lines.len() * 2, "{tried} texts");
}

/// What a person with an editor would do who knows the canonical form: the text stays canonical, so that only slot,
/// MAC and values can tell.
#[test]
fn every_value_or_name_that_stands_in_anothers_place_is_refused() {
    let file = File::real();
    let tree: Value = serde_json::from_str(&file.text).unwrap();
    let mut paths = Vec::new();
    collect("", &tree, &mut paths);
    let names: Vec<&str> = paths.iter().filter_map(|path| path.rsplit('/').next()).collect();
    let tried = in_parts(paths.len(), |one| {
        let (path, mut tried) = (&paths[one], 0);
        for other in &paths {
            let value = tree.pointer(other).unwrap().clone();
            let mut copied = tree.clone();
            *copied.pointer_mut(path).unwrap() = value.clone();
            let mut swapped = copied.clone();
            if !path.starts_with(other.as_str()) && !other.starts_with(path.as_str()) {
                *swapped.pointer_mut(other).unwrap() = tree.pointer(path).unwrap().clone();
            }
            tried += file.refuses_tree(&copied) + file.refuses_tree(&swapped);
        }
        // Under another name, or gone, or there although it means nothing.
        let (parent, name) = path.rsplit_once('/').unwrap();
        for other in names.iter().chain(&["expires", "kdf", "more"]) {
            for empty in [json!(null), json!({}), json!([]), json!("")] {
                tried += file.refuses_tree(&with(&tree, parent, other, empty));
            }
            tried += file.refuses_tree(&renamed(&tree, path, other));
        }
        tried += file.refuses_tree(&without(&tree, parent, name));
        tried
    });
    assert!(tried > paths.len() * paths.len() * 3, "{tried} texts");
}

#[test]
fn the_program_gives_each_kind_of_change_its_status() {
    let file = File::real();
    let text = &file.text;
    let tree: Value = serde_json::from_str(text).unwrap();
    let slots = tree["$sealed"]["slots"].as_array().unwrap();
    let (master, recovery) = (slots[0]["key_id"].as_str().unwrap(), slots[2]["key_id"].as_str().unwrap());
    let mut moved = tree.clone();
    moved["storage"]["url"] = tree["spotify"]["client_secret"].clone();
    let mut nothing = tree.clone();
    nothing["$sealed"]["slots"][0]["kdf"] = Value::Null;
    let lines: Vec<&str> = text.lines().collect();
    for (changed, due) in [
        (text.replace(": 9000", ": 9001"), 11),
        (text.replace("\"port\"", "\"prot\""), 11),
        (text.replace("  \"server\"", "   \"server\""), 11),
        (lines[..lines.len() - 1].join("\n"), 11),
        (format!("{text}\n"), 11),
        (pretty(&moved), 11),
        (pretty(&nothing), 11),
        (text.replace(master, recovery), 10),
        (text.replace(FORMAT, "spotify-mcp/sealed-configuration/v2"), 13),
        (text.replace("\"rounds\": 600000", "\"rounds\": 599999"), 14),
        (text.replace("\"rounds\": 600000", "\"rounds\": 4194305"), 14),
        (pretty(&with_dear_slots(&tree)), 14),
    ] {
        assert_ne!(changed, *text);
        file.desk.write("t.encrypted.json", &changed);
        for verb in [&["verify"][..], &["decrypt"], &["status"], &["rekey"], &["diff", "--textconv"]] {
            let output = file.desk.run(&[&["config"], verb, &["t.encrypted.json"]].concat());
            assert_eq!(status(&output), due, "{verb:?}: {}", words(&output));
            assert!(!words(&output).contains("sentinel"), "{}", words(&output));
        }
        assert_eq!(fs::read_to_string(file.desk.path("t.encrypted.json")).unwrap(), changed);
    }
}

/// With passphrase slots that are each within the bounds, and together beyond them.
fn with_dear_slots(tree: &Value) -> Value {
    let mut dear = tree.clone();
    let slots = dear["$sealed"]["slots"].as_array_mut().unwrap();
    let mut slot = slots.iter().find(|slot| slot["kind"] == "passphrase").unwrap().clone();
    let salt = slot["kdf"]["salt"].clone();
    slot["kdf"] =
        json!({ "algorithm": "argon2id", "memory_kib": 262_144, "passes": 4, "lanes": 1, "salt": salt });
    slots.extend([slot.clone(), slot]);
    dear
}

/// A file that the program sealed, with every kind of slot.
struct File {
    desk: Desk,
    text: String,
    root: RootKey,
}

impl File {
    fn real() -> Self {
        let desk = Desk::new();
        let phrase = desk.write("phrase", "correct horse battery");
        let args =
            ["config", "encrypt", "c.toml", "--kdf", "pbkdf2-sha256", "--recovery-out", "recovery.key"];
        let output = desk.run(&[&args[..], &["--passphrase-file", &phrase]].concat());
        assert_eq!(status(&output), 0, "{}", words(&output));
        let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
        let key = fs::read_to_string(desk.path("master.key")).unwrap();
        let bytes = STANDARD.decode(key.trim()).unwrap().try_into().unwrap();
        let root = RootKey::new(Key::new(bytes));
        assert!(Sealed::parse(&text).unwrap().open(&Opener::Master(&root)).is_ok());
        Self { desk, text, root }
    }

    fn refuses_tree(&self, tree: &Value) -> usize {
        self.refuses(pretty(tree).as_bytes())
    }

    /// Sees another text refused with the status that is due; how many texts that were.
    fn refuses(&self, bytes: &[u8]) -> usize {
        // What is no UTF-8 is no text: the reader of files says so.
        let Ok(text) = std::str::from_utf8(bytes) else { return 1 };
        if text == self.text {
            return 0;
        }
        let opened = Sealed::parse(text).and_then(|sealed| sealed.open(&Opener::Master(&self.root)));
        let refusal = opened.err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(refusal.code(), self.due(text), "{refusal}: {text}");
        1
    }

    /// Which refusal is due, judged from the text alone: tampering, unless version, derivation or key id say more.
    fn due(&self, text: &str) -> &'static str {
        let tampered = Refusal::Tampered(String::new()).code();
        let Ok(tree) = serde_json::from_str::<Value>(text) else { return tampered };
        if pretty(&tree) != text {
            return tampered;
        }
        let header = &tree["$sealed"];
        let version =
            header["format"].as_str().and_then(|format| format.strip_prefix(&FORMAT[..FORMAT.len() - 1]));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match version {
            Some("1") => {}
            Some(other) if (1..=4).contains(&other.len()) && is_number(other) => {
                return "CONFIG_VERSION_UNKNOWN";
            }
            _ => return tampered,
        }
        let Some(slots) = header["slots"].as_array() else { return tampered };
        if !self.is_whole(header) || slots.is_empty() || !slots.iter().all(is_whole_slot) {
            return tampered;
        }
        if slots.iter().any(|slot| slot.get("kdf").is_some_and(|kdf| !is_within_bounds(kdf))) {
            return "CONFIG_KDF_OUT_OF_BOUNDS";
        }
        let own = self.root.id().to_string();
        let is_ours = |slot: &Value| slot["kind"] == "master-key" && slot["key_id"] == own.as_str();
        if slots.iter().any(is_ours) { tampered } else { "CONFIG_WRONG_KEY" }
    }

    fn is_whole(&self, header: &Value) -> bool {
        let known = ["format", "lineage", "mac", "rev", "sealed_at", "slots"];
        header.as_object().unwrap().keys().eq(known)
            && is_hex(&header["lineage"], 32)
            && header["rev"].as_u64().is_some_and(|rev| rev > 0)
            && header["mac"].is_string()
            && header["sealed_at"].is_string()
    }
}

fn is_whole_slot(slot: &Value) -> bool {
    let Some(members) = slot.as_object() else { return false };
    let with_kdf = slot["kind"] == "passphrase";
    let plain = ["created_at", "id", "key_id", "kind", "wrapped"];
    let keys: Vec<&str> = members.keys().map(String::as_str).filter(|name| *name != "kdf").collect();
    keys == plain
        && members.contains_key("kdf") == with_kdf
        && (!with_kdf || is_derivation(&slot["kdf"]))
        && ["master-key", "passphrase", "recovery"].iter().any(|kind| slot["kind"] == *kind)
        && is_hex(&slot["id"], 16)
        && is_hex(&slot["key_id"], 32)
        && slot["created_at"].is_string()
        && slot["wrapped"].is_string()
}

fn is_derivation(kdf: &Value) -> bool {
    let is_pbkdf2 = kdf.as_object().is_some_and(|kdf| kdf.keys().eq(["algorithm", "rounds", "salt"]));
    let rounds = kdf["rounds"].as_u64().is_some_and(|rounds| u32::try_from(rounds).is_ok());
    is_pbkdf2 && kdf["algorithm"] == "pbkdf2-sha256" && rounds && kdf["salt"].is_string()
}

fn is_within_bounds(kdf: &Value) -> bool {
    let salt = kdf["salt"].as_str().unwrap();
    let is_salt = salt.len().is_multiple_of(2) && (32..=128).contains(&salt.len());
    let is_hex = salt.bytes().all(|byte| byte.is_ascii_hexdigit());
    (600_000..=4_194_304).contains(&kdf["rounds"].as_u64().unwrap()) && is_salt && is_hex
}

fn is_hex(node: &Value, digits: usize) -> bool {
    node.as_str().is_some_and(|text| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The canonical form.
fn pretty(tree: &Value) -> String {
    format!("{tree:#}\n")
}

/// With one more member, unless there is one of this name, or no object to hold it.
fn with(tree: &Value, parent: &str, name: &str, value: Value) -> Value {
    let mut with = tree.clone();
    if let Some(Value::Object(map)) = with.pointer_mut(parent) {
        map.entry(name).or_insert(value);
    }
    with
}

fn without(tree: &Value, parent: &str, name: &str) -> Value {
    let mut without = tree.clone();
    if let Some(Value::Object(map)) = without.pointer_mut(parent) {
        map.remove(name);
    }
    without
}

/// With a member under another name, in the place of one that has it.
fn renamed(tree: &Value, path: &str, to: &str) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let mut renamed = without(tree, parent, name);
    if let Some(Value::Object(map)) = renamed.pointer_mut(parent) {
        map.insert(to.to_owned(), tree.pointer(path).unwrap().clone());
    }
    renamed
}

fn collect(path: &str, node: &Value, into: &mut Vec<String>) {
    let mut inner = |name: &str, node: &Value| {
        let path = format!("{path}/{name}");
        into.push(path.clone());
        collect(&path, node, into);
    };
    match node {
        Value::Object(map) => map.iter().for_each(|(name, node)| inner(name, node)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, node)| inner(&at.to_string(), node)),
        _ => {}
    }
}

/// Does the work for each of `count`, on every core; the sum.
fn in_parts(count: usize, work: impl Fn(usize) -> usize + Sync) -> usize {
    let (next, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let part = || {
        let mut at = next.fetch_add(1, Ordering::Relaxed);
        while at < count {
            sum.fetch_add(work(at), Ordering::Relaxed);
            at = next.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(part);
        }
    });
    sum.into_inner()
}
