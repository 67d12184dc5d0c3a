//! Writes trails for tests, in the shape that docs/audit.md describes, without a disk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::claims::{Claim, Source, of_checkpoints};
use super::{Examination, Problem, judge};
use crate::audit::line::hex;
use crate::audit::merkle::{Frontier, leaf_hash};
use crate::audit::note::{self, Checkpoint, Note, Verifier};
use crate::audit::reader::End;
use crate::crypto::{Key, signature};
use crate::vault::rotation::{PREDECESSOR, SUCCESSION};

pub(super) const CHAIN: &str = "0123456789abcdef0123456789abcdef";

/// A key by its number.
pub(super) fn seed(number: u8) -> Key {
    Key::new([number; 32])
}

pub(super) fn key(number: u8) -> Verifier {
    let public = signature::sign(&seed(number), b"").unwrap().public_key;
    Verifier::new(&note::origin(CHAIN), &public).unwrap()
}

/// A trail: lines (with their newlines) by segment, and the lines of its file of checkpoints.
#[derive(Clone)]
pub(super) struct Forged {
    pub(super) segments: Vec<(u32, Vec<Vec<u8>>)>,
    pub(super) checkpoints: Vec<String>,
}

/// Where a writer stands.
#[derive(Clone)]
pub(super) struct Forge {
    pub(super) trail: Forged,
    pub(super) seq: u64,
    pub(super) prev: String,
    pub(super) epoch: u32,
    pub(super) key: u8,
    pub(super) frontier: Frontier,
    pub(super) time: i64,
    /// Further text in each record.
    pub(super) padding: String,
}

impl Forge {
    /// An empty trail of key 1.
    pub(super) fn new() -> Self {
        Self {
            trail: Forged { segments: Vec::new(), checkpoints: Vec::new() },
            seq: 0,
            prev: "0".repeat(64),
            epoch: 1,
            key: 1,
            frontier: Frontier::new(),
            time: 1_795_233_600_000,
            padding: String::new(),
        }
    }

    /// So many records in segments of so many, with a checkpoint every so many, and another key half-way.
    pub(super) fn filled(records: u64, per_segment: u64, per_checkpoint: u64) -> Self {
        let mut forge = Self::new();
        while forge.seq < records {
            match forge.lines() {
                0 => forge.open(),
                lines if lines + 1 >= per_segment && forge.seq + 1 < records => {
                    forge.close();
                    forge.begin();
                    continue;
                }
                _ if forge.seq == records / 2 => forge.change_key(2),
                _ => forge.record("tool_called"),
            }
            if forge.seq.is_multiple_of(per_checkpoint) {
                forge.checkpoint();
            }
        }
        forge.checkpoint();
        forge
    }

    fn lines(&self) -> u64 {
        self.trail.segments.last().map_or(0, |(_, lines)| lines.len() as u64)
    }

    fn number(&self) -> u32 {
        self.trail.segments.last().map_or(1, |(number, _)| *number)
    }

    /// A segment without lines.
    pub(super) fn begin(&mut self) {
        let number = self.trail.segments.last().map_or(1, |(number, _)| number + 1);
        self.trail.segments.push((number, Vec::new()));
    }

    /// A record that means nothing to the trail.
    pub(super) fn record(&mut self, code: &str) {
        self.put(code, "segment", &Value::Null);
    }

    pub(super) fn put(&mut self, code: &str, name: &str, value: &Value) {
        if self.trail.segments.is_empty() {
            self.begin();
        }
        self.seq += 1;
        self.time += 10;
        let mut unmapped = json!({ "chain_uid": CHAIN, "epoch": self.epoch, "prev": self.prev });
        if !value.is_null() {
            unmapped[name] = value.clone();
        }
        let record = json!({
            "metadata": { "event_code": code, "sequence": self.seq, "uid": format!("e_{:032x}", self.seq) },
            "status_detail": format!("payload{}", self.padding), "time": self.time, "unmapped": unmapped,
        });
        let mut line = record.to_string().into_bytes();
        self.prev = hex(&Sha256::digest(&line));
        self.frontier.append(leaf_hash(&line));
        line.push(b'\n');
        self.trail.segments.last_mut().unwrap().1.push(line);
    }

    pub(super) fn open(&mut self) {
        if self.trail.segments.is_empty() {
            self.begin();
        }
        let segment = json!({
            "frontier": self.frontier.encode(), "keys": [key(self.key).to_string()], "number": self.number(),
            "previous": self.prev, "tree_size": self.seq,
        });
        self.put("audit_segment_opened", "segment", &segment);
    }

    pub(super) fn close(&mut self) {
        let segment =
            json!({ "count": self.lines() + 1, "number": self.number(), "tree_size": self.seq + 1 });
        self.put("audit_segment_closed", "segment", &segment);
    }

    pub(super) fn change_key(&mut self, to: u8) {
        let signed = |by: u8, label: &[u8], of: u8| {
            let text = [label, key(of).public_key()].concat();
            STANDARD.encode(signature::sign(&seed(by), &text).unwrap().signature)
        };
        let change = json!({
            "old": key(self.key).to_string(), "new": key(to).to_string(),
            "succession": signed(self.key, SUCCESSION, to), "predecessor": signed(to, PREDECESSOR, self.key),
        });
        self.epoch += 1;
        self.key = to;
        self.put("audit_key_changed", "key_change", &change);
    }

    /// Says that the segments up to `last` were removed, and removes them.
    pub(super) fn remove(&mut self, last: u32) {
        let gone = |(number, _): &&(u32, Vec<Vec<u8>>)| *number <= last;
        let tree_size: usize = self.trail.segments.iter().filter(gone).map(|(_, lines)| lines.len()).sum();
        let segment = json!({ "first": 1, "last": last, "tree_size": tree_size });
        self.put("audit_segments_removed", "segment", &segment);
        self.trail.segments.retain(|(number, _)| *number > last);
    }

    pub(super) fn note(&self) -> Note {
        let checkpoint =
            Checkpoint { origin: note::origin(CHAIN), size: self.seq, root: self.frontier.root() };
        Note::signed(&checkpoint.text(), &note::origin(CHAIN), &seed(self.key)).unwrap()
    }

    pub(super) fn checkpoint(&mut self) {
        let note = self.note().to_string();
        let line =
            json!({ "at": "2026-11-21T04:00:00.000Z", "epoch": self.epoch, "note": note, "size": self.seq });
        self.trail.checkpoints.push(line.to_string());
    }

    /// What the database would keep.
    pub(super) fn mark(&self) -> Claim {
        Claim::parse(&self.note().to_string(), Source::Database).unwrap()
    }
}

impl Forged {
    /// What its file of checkpoints claims.
    pub(super) fn claims(&self) -> (Vec<Claim>, Vec<Problem>) {
        let (mut claims, mut problems) = (Vec::new(), Vec::new());
        let text: String = self.checkpoints.iter().map(|line| format!("{line}\n")).collect();
        of_checkpoints(0, text.as_bytes(), &mut claims, &mut problems);
        (claims, problems)
    }

    /// Its lines examined with these claims in mind.
    pub(super) fn examined(&self, claims: &[Claim]) -> Examination {
        let asked = claims.iter().map(|claim| claim.checkpoint.size).collect();
        let mut examined = Examination::new(asked).of_chain(Some(CHAIN.to_owned()));
        for (at, (number, lines)) in self.segments.iter().enumerate() {
            examined.begin(*number);
            let text = lines.concat();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            examined.take(0, &text[..whole], 1);
            let end = End { bytes: whole as u64, torn: (text.len() - whole) as u64, endless: false };
            examined.end(end, at + 1 == self.segments.len());
        }
        examined
    }

    /// The verdict on it, with its own checkpoints and these claims from elsewhere, trusting key 1.
    pub(super) fn judged(&self, outside: &[Claim]) -> judge::Verdict {
        self.judged_by(outside, &[key(1)])
    }

    pub(super) fn judged_by(&self, outside: &[Claim], given: &[Verifier]) -> judge::Verdict {
        let (mut claims, problems) = self.claims();
        claims.extend_from_slice(outside);
        let mut verdict = judge::judge(&self.examined(&claims), &claims, given);
        verdict.problems.extend(problems);
        verdict
    }

    /// A segment's lines.
    pub(super) fn lines(&mut self, number: u32) -> &mut Vec<Vec<u8>> {
        &mut self.segments.iter_mut().find(|(one, _)| *one == number).unwrap().1
    }
}
