//! What the trail says: where it ends, whether its newest segment holds together, and how much of what it recorded in the
//! days before an incident deserves eyes. Counts codes; never opens what tells of a person.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::course::{Course, Taken};
use super::facts::Outcome;
use crate::audit::reader;
use crate::cli::output::Refused;
use crate::domain::event::Severity;

/// How far back is looked, in milliseconds: seven days.
const BACK: i64 = 7 * 24 * 3600 * 1000;

/// What of a record is looked at.
#[derive(Deserialize)]
struct Line {
    metadata: Metadata,
    severity_id: u8,
    time: i64,
    unmapped: Chained,
}

#[derive(Deserialize)]
struct Metadata {
    event_code: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct Chained {
    prev: String,
}

/// Where the trail ends: the newest segment's last record.
pub(super) fn head(dir: &Path) -> Value {
    let Ok(segments) = reader::segments(dir) else { return Value::Null };
    let Some(newest) = segments.last() else { return Value::Null };
    let mut last = Value::Null;
    let _read = reader::read(&newest.path, 0, |offset, piece| {
        if let Some((_, line)) = reader::lines(offset, piece).last()
            && let Ok(record) = serde_json::from_slice::<Line>(line)
        {
            last = json!({ "sequence": record.metadata.sequence, "sha256": hex(line), "at_millis": record.time });
        }
        ControlFlow::Continue(())
    });
    json!({ "folder": dir.display().to_string(), "segments": segments.len(), "last_record": last })
}

/// What is wrong with the newest segment's chain; `None` where it holds. The whole trail is `audit verify`'s.
pub(super) fn damage(dir: &Path) -> Option<String> {
    let Ok(segments) = reader::segments(dir) else {
        return Some(format!("{} cannot be read: run it where the server's trail is", dir.display()));
    };
    let newest = segments.last()?;
    let (mut before, mut wrong): (Option<(u64, String)>, Option<String>) = (None, None);
    let read = reader::read(&newest.path, 0, |offset, piece| {
        for (at, line) in reader::lines(offset, piece) {
            let Ok(record) = serde_json::from_slice::<Line>(line) else {
                wrong = Some(format!("{} has no record at byte {at}", newest.name()));
                return ControlFlow::Break(());
            };
            let holds = before.as_ref().is_none_or(|(sequence, hash)| {
                record.metadata.sequence == sequence + 1 && record.unmapped.prev == *hash
            });
            if !holds {
                wrong = Some(format!("{} does not go on at byte {at}: run 'audit verify'", newest.name()));
                return ControlFlow::Break(());
            }
            before = Some((record.metadata.sequence, hex(line)));
        }
        ControlFlow::Continue(())
    });
    match read {
        Err(error) => Some(format!("{} cannot be read: {}", newest.name(), error.kind())),
        Ok(_) => wrong,
    }
}

/// Counts what the last seven days recorded from medium severity on.
pub(super) fn take(course: &Course<'_>) -> Result<Taken, Refused> {
    let dir = &course.desk.config.audit.dir;
    let since = course.row.began_at - BACK;
    let not_done = |why: String| Taken { outcome: Outcome::NotDone, said: vec![why], evidence: Value::Null };
    let Ok(segments) = reader::segments(dir) else {
        return Ok(not_done(format!("there is no trail in {}: run it where the server's is", dir.display())));
    };
    let (mut counts, mut records, mut unread) = (BTreeMap::<String, u64>::new(), 0_u64, 0_u64);
    for segment in segments.iter().rev() {
        let mut oldest = i64::MAX;
        let read = reader::read(&segment.path, 0, |offset, piece| {
            for (_, line) in reader::lines(offset, piece) {
                let Ok(record) = serde_json::from_slice::<Line>(line) else {
                    unread += 1;
                    continue;
                };
                oldest = oldest.min(record.time);
                if record.time < since || record.time >= course.row.began_at {
                    continue;
                }
                records += 1;
                if record.severity_id >= Severity::Medium as u8 {
                    *counts.entry(record.metadata.event_code).or_default() += 1;
                }
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            return Ok(not_done(format!("{} cannot be read: {}", segment.name(), error.kind())));
        }
        if oldest < since {
            break;
        }
    }
    let mut said = vec![format!("{records} records of the last seven days before it were looked at")];
    if unread > 0 {
        said.push(format!("{unread} LINES ARE NO RECORDS: run 'audit verify'"));
    }
    said.extend(counts.iter().map(|(code, count)| format!("{count} x {code}")));
    if !counts.is_empty() {
        said.push("'spotify-mcp audit query --from 7d --severity medium' lists them".to_owned());
    }
    let outcome = if counts.is_empty() && unread == 0 { Outcome::Done } else { Outcome::Findings };
    Ok(Taken { outcome, said, evidence: json!({ "records": records, "unread": unread, "codes": counts }) })
}

fn hex(line: &[u8]) -> String {
    Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect()
}
