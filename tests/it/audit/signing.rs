//! What is signed of a trail: segments that follow one another, checkpoints, changes of the key, and a start that
//! refuses what is not what was signed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use spotify_mcp::ambient::{Clock, Dice};
use spotify_mcp::audit::merkle::{Frontier, leaf_hash};
use spotify_mcp::audit::note::{Checkpoint, Note, Verifier, origin};
use spotify_mcp::audit::{Audit, Pace, Settings, Signed, Signer};
use spotify_mcp::crypto::keys::{KeyId, SealingKey};
use spotify_mcp::crypto::{Key, signature};
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::vault::rotation::{PREDECESSOR, SUCCESSION, Succession};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Folder, all, assert_chained, lines, open, segments, settings, signer};

/// Small segments: a few records each.
fn small(dir: &Path) -> Settings {
    Settings { segment_bytes: 4000, ..settings(dir) }
}

fn opened(settings: Settings) -> Audit {
    Audit::open(settings, Clock::system(), Dice::system()).unwrap()
}

async fn some(audit: &Audit, count: usize) {
    for _ in 0..count {
        audit.record(Event::new(EventCode::SessionCreated)).await.unwrap();
    }
}

fn checkpoints(dir: &Path) -> Vec<Signed> {
    let text = fs::read_to_string(dir.join("checkpoints.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn public(byte: u8) -> Vec<u8> {
    signature::sign(&Key::new([byte; 32]), b"").unwrap().public_key
}

fn verifier(dir: &Path, byte: u8) -> Verifier {
    let chain = all(dir)[0]["unmapped"]["chain_uid"].as_str().unwrap().to_owned();
    Verifier::new(&origin(&chain), &public(byte)).unwrap()
}

/// Every checkpoint is of the trail's own tree and signed by one of these keys.
fn assert_signed(dir: &Path, keys: &[u8]) {
    let known: Vec<_> = keys.iter().map(|byte| verifier(dir, *byte)).collect();
    let lines = lines(dir);
    for signed in checkpoints(dir) {
        let note = Note::parse(&signed.note).unwrap();
        note.check(&known).unwrap();
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        assert_eq!(checkpoint.size, signed.size);
        let mut tree = Frontier::new();
        lines[..usize::try_from(signed.size).unwrap()]
            .iter()
            .for_each(|line| tree.append(leaf_hash(line.as_bytes())));
        assert_eq!(checkpoint.root, tree.root(), "at {}", signed.size);
    }
}

#[tokio::test]
async fn segments_name_what_was_before_them_and_what_they_hold() {
    let dir = Folder::new("segments");
    for _ in 0..3 {
        let audit = opened(small(dir.path()));
        some(&audit, 10).await;
        audit.close().await;
    }
    assert_chained(dir.path());
    assert_signed(dir.path(), &[1]);
    let files = segments(dir.path());
    assert!(files.len() > 5, "{}", files.len());
    let (mut before, mut tree, mut last) = (0, Frontier::new(), "0".repeat(64));
    for (at, file) in files.iter().enumerate() {
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let opening = &records[0];
        assert_eq!(opening["metadata"]["event_code"], "audit_segment_opened");
        assert_eq!(
            opening["unmapped"]["segment"],
            serde_json::json!({
                "frontier": tree.encode(), "keys": [verifier(dir.path(), 1).to_string()], "number": at + 1,
                "previous": last, "tree_size": before,
            })
        );
        before += lines.len();
        lines.iter().for_each(|line| tree.append(leaf_hash(line.as_bytes())));
        last = Sha256::digest(lines.last().unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        if at + 1 == files.len() {
            break;
        }
        let closing = records.last().unwrap();
        assert_eq!(closing["metadata"]["event_code"], "audit_segment_closed");
        assert_eq!(
            closing["unmapped"]["segment"],
            serde_json::json!({ "count": lines.len(), "number": at + 1, "tree_size": before })
        );
        // Its end is signed.
        assert!(checkpoints(dir.path()).iter().any(|signed| signed.size == before as u64));
    }
    // The clean end is signed, and nothing after it.
    assert_eq!(checkpoints(dir.path()).last().unwrap().size, before as u64);
}

#[tokio::test]
async fn what_is_durable_is_signed_after_so_many_records_or_so_long() {
    let dir = Folder::new("pace");
    let pace = |records, every| Settings { pace: Pace { records, every }, ..settings(dir.path()) };
    let audit = opened(pace(5, Duration::from_secs(3600)));
    some(&audit, 21).await;
    // The first record is signed at once, later ones five at a time.
    // Whoever waits for a record does not wait for the signature.
    let (sizes, began) =
        (|| checkpoints(dir.path()).iter().map(|signed| signed.size).collect(), Instant::now());
    let mut found: Vec<u64> = sizes();
    while found.len() < 5 && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        found = sizes();
    }
    assert_eq!(found, [2, 7, 12, 17, 22]);
    some(&audit, 1).await;
    audit.close().await;
    drop(audit);

    let audit = opened(pace(1000, Duration::from_millis(300)));
    some(&audit, 1).await;
    let began = Instant::now();
    audit.note(Event::new(EventCode::ToolCalled)).await;
    let all = all(dir.path()).len() as u64 + 1;
    while checkpoints(dir.path()).last().unwrap().size < all {
        assert!(began.elapsed() < Duration::from_secs(10), "never signed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(250), "{:?}", began.elapsed());
    // Idle, nothing is signed again.
    let count = checkpoints(dir.path()).len();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(checkpoints(dir.path()).len(), count);
    audit.close().await;
    assert_signed(dir.path(), &[1]);
}

#[tokio::test]
async fn a_trail_goes_on_without_its_oldest_segments_and_from_every_end_that_a_crash_leaves() {
    let dir = Folder::new("resumed");
    let audit = opened(small(dir.path()));
    some(&audit, 20).await;
    audit.close().await;
    drop(audit);
    let whole = lines(dir.path());
    let files = segments(dir.path());
    let aside: Vec<_> = files[..2].iter().map(|file| (file, fs::read(file).unwrap())).collect();
    files[..2].iter().for_each(|file| fs::remove_file(file).unwrap());
    // A start needs nothing but the newest segment.
    let audit = opened(small(dir.path()));
    some(&audit, 1).await;
    audit.close().await;
    drop(audit);
    aside.iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
    assert_chained(dir.path());
    assert!(lines(dir.path()).starts_with(&whole));

    // Killed while a segment follows another: after the last line, with an empty successor, with a torn first line.
    let count = segments(dir.path()).len();
    for (round, torn) in [None, Some(""), Some("{\"activity_id\":6,")].into_iter().enumerate() {
        let audit = opened(Settings { segment_bytes: 1, ..settings(dir.path()) });
        some(&audit, 1).await;
        audit.close().await;
        drop(audit);
        let newest = dir.path().join(format!("audit-{}.ndjson", segments(dir.path()).len()));
        fs::remove_file(&newest).unwrap();
        // What was signed after it is gone too: as it was before.
        let kept = lines(dir.path()).len() as u64;
        if let Some(torn) = torn {
            fs::write(&newest, torn).unwrap();
        }
        let signed: Vec<_> =
            checkpoints(dir.path()).into_iter().filter(|signed| signed.size <= kept).collect();
        let text: String = signed.iter().map(|signed| signed.line() + "\n").collect();
        fs::write(dir.path().join("checkpoints.ndjson"), text + "{\"at\":\"torn").unwrap();
        let audit = open(dir.path());
        some(&audit, 1).await;
        audit.close().await;
        assert_chained(dir.path());
        assert_signed(dir.path(), &[1]);
        assert_eq!(segments(dir.path()).len(), count + round + 1, "{torn:?}");
    }
}

#[tokio::test]
async fn a_start_refuses_a_trail_that_is_not_what_was_signed() {
    let dir = Folder::new("not-signed");
    for settings in [small(dir.path()), settings(dir.path())] {
        let audit = opened(settings);
        some(&audit, 10).await;
        audit.close().await;
    }
    let path = segments(dir.path()).pop().unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    assert!(lines.len() >= 3, "{}", lines.len());
    let refusal =
        || Audit::open(small(dir.path()), Clock::system(), Dice::system()).err().map(|error| error.code());
    let write = |lines: &[&str]| fs::write(&path, lines.join("\n") + "\n").unwrap();

    write(&lines[..lines.len() - 1]);
    assert_eq!(refusal(), Some("AUDIT_CHANGED"), "cut off");
    fs::write(&path, "").unwrap();
    assert_eq!(refusal(), Some("AUDIT_CHANGED"), "emptied");
    let edited = lines[1].replace("session_created", "session_renewed");
    write(&[&[lines[0], edited.as_str()], &lines[2..]].concat());
    assert_eq!(refusal(), Some("AUDIT_DAMAGED"), "edited");
    write(&[&lines[..1], &lines[2..]].concat());
    assert_eq!(refusal(), Some("AUDIT_DAMAGED"), "left out");
    let last = lines[lines.len() - 1].replace("session_created", "session_renewed");
    write(&[&lines[..lines.len() - 1], &[last.as_str()]].concat());
    assert_eq!(refusal(), Some("AUDIT_CHANGED"), "the last one edited");

    let other = Audit::open(small(dir.path()), Clock::system(), Dice::system()).err().unwrap();
    assert!(
        other.to_string().contains("audit verify") && other.to_string().contains("move it away"),
        "{other}"
    );
    fs::write(&path, &good).unwrap();
    open(dir.path()).close().await;
    fs::write(dir.path().join("checkpoints.ndjson"), "{\"at\":\"x\"}\n").unwrap();
    assert_eq!(refusal(), Some("AUDIT_DAMAGED"), "checkpoints that are none");
}

fn succession(old: u8, new: u8) -> Succession {
    let word = |seed: u8, label: &[u8], of: u8| {
        let message = [label, &public(of)[..]].concat();
        STANDARD.encode(signature::sign(&Key::new([seed; 32]), &message).unwrap().signature)
    };
    Succession {
        old_public_key: STANDARD.encode(public(old)),
        new_public_key: STANDARD.encode(public(new)),
        signature: word(old, SUCCESSION, new),
        predecessor: word(new, PREDECESSOR, old),
    }
}

fn signer_after(byte: u8, successions: Vec<Succession>) -> Signer {
    Signer::new(&SealingKey::new(KeyId::new([byte; 16]), Key::new([byte; 32])), successions).unwrap()
}

#[tokio::test]
async fn another_key_signs_with_the_word_of_the_one_before() {
    let dir = Folder::new("keys");
    let audit = open(dir.path());
    some(&audit, 2).await;
    audit.change_key(signer_after(2, vec![succession(1, 2)])).await.unwrap();
    some(&audit, 1).await;
    // The same again changes nothing.
    audit.change_key(signer_after(2, vec![succession(1, 2)])).await.unwrap();
    audit.close().await;
    drop(audit);
    let changes = |dir: &Path| -> Vec<Value> {
        all(dir)
            .into_iter()
            .filter(|record| record["metadata"]["event_code"] == "audit_key_changed")
            .collect()
    };
    let first = &changes(dir.path())[0];
    assert_eq!(first["unmapped"]["epoch"], 2);
    let change = &first["unmapped"]["key_change"];
    assert_eq!(change["old"], verifier(dir.path(), 1).to_string());
    assert_eq!(change["new"], verifier(dir.path(), 2).to_string());
    let word = |change: &Value, name: &str| STANDARD.decode(change[name].as_str().unwrap()).unwrap();
    assert!(signature::verify(&public(1), &[SUCCESSION, &public(2)].concat(), &word(change, "succession")));
    assert!(signature::verify(&public(2), &[PREDECESSOR, &public(1)].concat(), &word(change, "predecessor")));
    // Both keys signed the tree that has the change.
    let both = checkpoints(dir.path()).into_iter().find(|signed| signed.epoch == 2).unwrap();
    assert_eq!(both.size, first["metadata"]["sequence"].as_u64().unwrap());
    let note = Note::parse(&both.note).unwrap();
    assert_eq!(note.check(&[verifier(dir.path(), 1), verifier(dir.path(), 2)]).unwrap().len(), 2);

    // Two changes while nobody wrote; then a key of which nobody knows anything.
    let ways = vec![succession(1, 2), succession(3, 4), succession(2, 3)];
    for (signer, count) in [(signer_after(4, ways), 3), (signer(5), 4)] {
        let audit = opened(Settings { signer, ..settings(dir.path()) });
        some(&audit, 1).await;
        audit.close().await;
        assert_eq!(changes(dir.path()).len(), count);
    }
    let changes = changes(dir.path());
    let epochs: Vec<_> = changes.iter().map(|change| change["unmapped"]["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [2, 3, 4, 5]);
    assert_eq!(changes[1]["unmapped"]["key_change"]["new"], verifier(dir.path(), 3).to_string());
    let unknown = &changes[3]["unmapped"]["key_change"];
    assert_eq!((unknown.get("succession"), unknown.get("predecessor")), (None, None));
    assert!(changes[3]["status_detail"].as_str().unwrap().contains("vouched"));
    assert_chained(dir.path());
    assert_signed(dir.path(), &[1, 2, 4, 5]);
    assert_eq!(checkpoints(dir.path()).last().unwrap().epoch, 5);
}
