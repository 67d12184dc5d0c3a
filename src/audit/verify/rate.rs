//! How many records a second are verified: run by `scripts/audit-rate`, on a trail of a million records on disk.

use std::fs;
use std::time::Instant;

use super::forge::{Forge, key};
use super::judge;
use crate::audit::{CHECKPOINTS, survey};

const RECORDS: u64 = 1_000_000;
const PER_SEGMENT: usize = 100_000;
/// So that a record has the size of a tool call's, about 900 bytes.
const PADDING: usize = 600;

#[test]
#[ignore = "run by scripts/audit-rate, with a release build"]
#[allow(clippy::print_stdout, reason = "it prints its figure")]
fn a_million_records() {
    let dir = std::env::temp_dir().join(format!("spotify-mcp-audit-rate-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let mut forge = Forge::new();
    forge.padding = "x".repeat(PADDING);
    forge.open();
    let mut bytes = 0;
    while forge.seq < RECORDS {
        forge.record("tool_called");
        if forge.seq.is_multiple_of(10_000) {
            forge.checkpoint();
        }
        if forge.trail.segments.last().unwrap().1.len() == PER_SEGMENT - 1 {
            forge.close();
            let (number, lines) = forge.trail.segments.last_mut().unwrap();
            let text = std::mem::take(lines).concat();
            fs::write(dir.join(format!("audit-{number}.ndjson")), &text).unwrap();
            bytes += text.len();
            forge.checkpoint();
            if forge.seq < RECORDS {
                forge.begin();
                forge.open();
            }
        }
    }
    fs::write(dir.join(CHECKPOINTS), forge.trail.checkpoints.join("\n") + "\n").unwrap();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let (mut claims, _) = survey::checkpoints(&dir).unwrap();
        claims.push(forge.mark());
        let segments = survey::segments(&dir).unwrap();
        let examined = survey::examine(&segments, &claims, None, |_| {}).unwrap();
        let verdict = judge::judge(&examined, &claims, &[key(1)]);
        assert!(verdict.problems.is_empty() && verdict.doubts.is_empty(), "{verdict:?}");
        assert_eq!(examined.size(), RECORDS);
        best = best.min(start.elapsed().as_secs_f64());
    }
    fs::remove_dir_all(&dir).unwrap();
    println!(
        "{RECORDS} records, {} MB, {} checkpoints: {best:.2} s, {:.0} records/s",
        bytes >> 20,
        forge.trail.checkpoints.len(),
        f64::from(u32::try_from(RECORDS).unwrap()) / best
    );
}
