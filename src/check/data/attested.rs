//! What the audit trail says of attestations: of each the record that `attest` wrote beside it. Reads only, from the newest
//! segment back and no farther than the oldest attestation. Never: who attested, in a fact.

use std::io;
use std::ops::ControlFlow;

use serde_json::Value;

use super::SLACK;
use crate::ambient::Timestamp;
use crate::audit::reader::{self, Segment};
use crate::domain::event::EventCode;
use crate::store::AttestationRow;

/// The record of an attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Which attestation.
    pub id: String,
    /// The digest of what was attested.
    pub digest: String,
    /// Its number in the trail.
    pub seq: u64,
}

/// The records of these attestations, where they are there.
pub fn find(segments: &[Segment], wanted: &[AttestationRow]) -> io::Result<Vec<Vouched>> {
    let mut found = Vec::new();
    let Some(oldest) = wanted.iter().map(|row| row.at).min() else { return Ok(found) };
    for segment in segments.iter().rev() {
        reader::read(&segment.path, 0, |offset, lines| {
            let ours = reader::lines(offset, lines).filter(|(_, line)| names_the_code(line));
            found.extend(ours.filter_map(|(_, line)| vouched(line)));
            ControlFlow::Continue(())
        })?;
        let is_there = |row: &AttestationRow| found.iter().any(|record| record.id == row.id);
        let began = reader::first_line(&segment.path)?.as_deref().and_then(written_at);
        // A record is written after what it tells of.
        let is_older = began.is_some_and(|began| Timestamp::from_millis(oldest).since(began) > SLACK);
        if is_older || wanted.iter().all(is_there) {
            break;
        }
    }
    found.retain(|record| wanted.iter().any(|row| row.id == record.id));
    Ok(found)
}

/// When a record was written, as it says.
pub fn written_at(line: &[u8]) -> Option<Timestamp> {
    let record = serde_json::from_slice::<Value>(line).ok()?;
    record.get("time").and_then(Value::as_i64).map(Timestamp::from_millis)
}

/// Whether it is worth reading as JSON.
fn names_the_code(line: &[u8]) -> bool {
    let name = EventCode::TaskAttested.name().as_bytes();
    line.windows(name.len()).any(|part| part == name)
}

fn vouched(line: &[u8]) -> Option<Vouched> {
    let record = serde_json::from_slice::<Value>(line).ok()?;
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    if text("/metadata/event_code")? != EventCode::TaskAttested.name() {
        return None;
    }
    Some(Vouched {
        id: text("/unmapped/details/attestation")?.to_owned(),
        digest: text("/unmapped/details/digest").unwrap_or_default().to_owned(),
        seq: record.pointer("/metadata/sequence").and_then(Value::as_u64)?,
    })
}
