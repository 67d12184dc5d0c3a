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
use crate::audit::reader::{self, Segment};
use crate::audit::{CHECKPOINTS, survey};
use crate::cli::administer::Desk;
use crate::cli::output::{Refused, io_cause};
use crate::domain::event::{Severity, clean};
use crate::failure::Failure;

/// What responding records itself.
const RESPONSES: [&str; 3] = ["incident_started", "incident_step", "incident_ended"];

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
    chain_uid: String,
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

/// What is wrong with the trail: its newest segment's chain, and whether it reaches as far as it was signed, as the file
/// of checkpoints and the database know. `None` where it holds. The whole trail is `audit verify`'s.
pub(super) async fn damage(desk: &Desk) -> Result<Option<String>, Failure> {
    let dir = &desk.config.audit.dir;
    // Before the records: a server that goes on writing is never behind what is read first.
    let marks = desk.store.audit_chains().await?;
    let signed = signed(dir);
    Ok(match (newest(dir), signed) {
        (Err(what), _) | (_, Err(what)) => Some(what),
        (Ok(newest), Ok(signed)) => {
            let mark = marks.into_iter().find(|mark| mark.chain_uid == newest.chain);
            let kept = mark.map(|mark| mark.size.unsigned_abs());
            short(&newest, signed, kept)
        }
    })
}

/// The last record.
struct Newest {
    chain: String,
    /// Records up to it.
    size: u64,
}

fn short(newest: &Newest, signed: Option<u64>, kept: Option<u64>) -> Option<String> {
    if kept.is_some() && signed.is_none() {
        return Some(format!("{CHECKPOINTS} has none, and the database knows of one: run 'audit verify'"));
    }
    let known = signed.max(kept).unwrap_or_default();
    let words = "records were signed, and it ends with record";
    (newest.size < known)
        .then(|| format!("it was cut off: {known} {words} {}: run 'audit verify'", newest.size))
}

/// How far the checkpoints beside the trail go.
fn signed(dir: &Path) -> Result<Option<u64>, String> {
    let (claims, problems) = survey::checkpoints(dir)
        .map_err(|error| format!("{CHECKPOINTS} cannot be read: {}", io_cause(&error)))?;
    match problems.first() {
        Some(problem) => Err(format!("{CHECKPOINTS}: {}: run 'audit verify'", clean(&problem.what))),
        None => Ok(claims.iter().map(|claim| claim.checkpoint.size).max()),
    }
}

/// The last record there is, of the newest segment that has one; that segment's chain has to hold.
fn newest(dir: &Path) -> Result<Newest, String> {
    let nowhere = |what: &str| format!("{} {what}: run it where the server's trail is", dir.display());
    let segments = reader::segments(dir).map_err(|_| nowhere("cannot be read"))?;
    for segment in segments.iter().rev() {
        if let Some(newest) = chained(segment)? {
            return Ok(newest);
        }
    }
    Err(nowhere("has no record of a trail"))
}

fn chained(segment: &Segment) -> Result<Option<Newest>, String> {
    let (mut before, mut wrong): (Option<(Line, String)>, Option<String>) = (None, None);
    let read = reader::read(&segment.path, 0, |offset, piece| {
        for (at, line) in reader::lines(offset, piece) {
            let Ok(record) = serde_json::from_slice::<Line>(line) else {
                wrong = Some(format!("{} has no record at byte {at}", segment.name()));
                return ControlFlow::Break(());
            };
            let holds = before.as_ref().is_none_or(|(last, hash)| {
                record.metadata.sequence == last.metadata.sequence.saturating_add(1)
                    && record.unmapped.prev == *hash
            });
            if !holds {
                wrong = Some(format!("{} does not go on at byte {at}: run 'audit verify'", segment.name()));
                return ControlFlow::Break(());
            }
            before = Some((record, hex(line)));
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = read {
        return Err(format!("{} cannot be read: {}", segment.name(), io_cause(&error)));
    }
    match wrong {
        Some(what) => Err(what),
        None => Ok(before.map(|(last, _)| Newest {
            chain: last.unmapped.chain_uid,
            size: last.metadata.sequence.saturating_add(1),
        })),
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
                // Responses before this one are no signs of what is responded to.
                let is_ours = RESPONSES.contains(&record.metadata.event_code.as_str());
                if record.severity_id >= Severity::Medium as u8 && !is_ours {
                    *counts.entry(record.metadata.event_code).or_default() += 1;
                }
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            return Ok(not_done(format!("{} cannot be read: {}", segment.name(), io_cause(&error))));
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
