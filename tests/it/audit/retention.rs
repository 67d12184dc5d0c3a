//! Old segments of the trail: which go, what says so, and that the rest still holds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use spotify_mcp::ambient::{Clock, Dice, Timestamp};
use spotify_mcp::audit::{Audit, Settings};
use spotify_mcp::domain::event::{Event, EventCode};

use super::{Folder, settings};
use crate::support::trail::{records, segments};

const DAY: Duration = Duration::from_secs(86_400);

fn numbers(dir: &Path) -> Vec<u64> {
    let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap()[6..].parse().unwrap();
    segments(dir).iter().map(name).collect()
}

fn removals(dir: &Path) -> Vec<Value> {
    let removed = |record: &Value| record["metadata"]["event_code"] == "audit_segments_removed";
    records(dir).into_iter().filter(removed).map(|record| record["unmapped"]["segment"].clone()).collect()
}

/// The sizes of the checkpoints.
fn signed(dir: &Path) -> Vec<u64> {
    let text = fs::read_to_string(dir.join("checkpoints.ndjson")).unwrap();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["size"].as_u64().unwrap();
    text.lines().map(line).collect()
}

/// The tree size that the record which closes a segment says.
fn closed_at(dir: &Path, number: u64) -> u64 {
    let text = fs::read_to_string(dir.join(format!("audit-{number}.ndjson"))).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["metadata"]["event_code"], "audit_segment_closed");
    last["unmapped"]["segment"]["tree_size"].as_u64().unwrap()
}

#[tokio::test]
async fn only_what_is_old_complete_and_signed_goes_and_its_going_is_on_record() {
    let dir = Folder::new("retention");
    let (clock, hand) = Clock::moved_by_hand(Timestamp::from_secs(1_795_233_600));
    let small = || Settings { segment_bytes: 3000, ..settings(dir.path()) };
    let audit = Audit::open(small(), clock.clone(), Dice::system()).unwrap();
    let some = async |audit: &Audit| {
        for _ in 0..8 {
            audit.record(Event::new(EventCode::SessionCreated)).await.unwrap();
        }
    };
    some(&audit).await;
    let old = numbers(dir.path());
    assert!(old.len() >= 3, "{old:?}");
    hand.advance(DAY * 40);
    some(&audit).await;
    let all = numbers(dir.path());
    let before = clock.now().minus(DAY * 30);

    // Nothing is old enough, or signed far enough.
    assert_eq!(audit.retire(before.minus(DAY * 30), u64::MAX).await.unwrap(), 0);
    assert_eq!(audit.retire(before, closed_at(dir.path(), 1) - 1).await.unwrap(), 0);
    assert_eq!((numbers(dir.path()), removals(dir.path()).len()), (all.clone(), 0));

    let (second, before_it) = (closed_at(dir.path(), 2), signed(dir.path()));
    assert!(before_it.first().is_some_and(|first| *first < second), "{before_it:?}");
    assert_eq!(audit.retire(before, second).await.unwrap(), 2);
    let stay: Vec<u64> = before_it.into_iter().filter(|size| *size >= second).collect();
    assert!(!stay.is_empty() && signed(dir.path()).starts_with(&stay), "{stay:?}");
    assert_eq!(removals(dir.path()), [serde_json::json!({"first": 1, "last": 2, "tree_size": second})]);
    // Whatever is old goes, and of what is not nothing: the segment in which the time passed is not old.
    let gone = audit.retire(before, u64::MAX).await.unwrap();
    assert_eq!(gone, old.len() - 1 - 2);
    let left = numbers(dir.path());
    assert_eq!(left[0], old.len() as u64);
    // Everything else is younger, and the newest is not complete.
    assert_eq!(audit.retire(before, u64::MAX).await.unwrap(), 0);
    assert!(audit.retire(clock.now().plus(DAY), u64::MAX).await.unwrap() > 0);
    assert_eq!(numbers(dir.path()).len(), 1);
    audit.close().await;
    drop(audit);

    // What is left goes on, and begins with the tree over what went.
    let audit = Audit::open(small(), clock, Dice::system()).unwrap();
    some(&audit).await;
    audit.close().await;
    let first = &records(dir.path())[0];
    assert_eq!(first["metadata"]["event_code"], "audit_segment_opened");
    let size = first["unmapped"]["segment"]["tree_size"].as_u64().unwrap();
    assert!(size > 0 && first["metadata"]["sequence"].as_u64() == Some(size + 1));
    let last = removals(dir.path()).pop().unwrap();
    assert_eq!(last["tree_size"].as_u64(), Some(size));
    // Checkpoints of what went are gone, those of what is here stay, and new ones follow.
    let signed = signed(dir.path());
    assert!(signed.first().is_some_and(|first| *first >= size), "{signed:?}");
    assert_eq!(signed.last(), records(dir.path()).last().unwrap()["metadata"]["sequence"].as_u64().as_ref());
    assert!(signed.windows(2).all(|two| two[0] < two[1]), "{signed:?}");
}

#[tokio::test]
async fn a_removal_that_cannot_be_recorded_removes_nothing() {
    let dir = Folder::new("retention-refused");
    let audit = Audit::open(
        Settings { segment_bytes: 2000, ..settings(dir.path()) },
        Clock::system(),
        Dice::system(),
    )
    .unwrap();
    for _ in 0..8 {
        audit.record(Event::new(EventCode::SessionCreated)).await.unwrap();
    }
    let all = numbers(dir.path());
    assert!(all.len() > 2);
    audit.close().await;
    let now = Clock::system().now().plus(DAY);
    assert!(audit.retire(now, u64::MAX).await.is_err());
    assert_eq!(numbers(dir.path()), all);
}
