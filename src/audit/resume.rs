//! Where a trail stands: its newest segment is read forward from the tree that its first line carries, and the whole
//! way the chain and the last signed checkpoint must hold. Never: reading segments before, but for trails that were
//! begun before trees were kept, once.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::checkpoints::Signed;
use super::merkle::{Frontier, Hash};
use super::record::{Chain, ZERO_HASH};
use super::segment::{OpenError, disk, segment_path};
use crate::domain::ids::EventId;

/// What the trail's end tells a new writer.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Where the chain stands; nothing in an empty trail.
    pub(crate) chain: Option<Chain>,
    /// The key in force, in its text form; nothing before any signed.
    pub(crate) key: Option<String>,
    /// Lines in the newest segment.
    pub(crate) lines: u64,
    /// Whether the newest segment takes no more lines.
    pub(crate) is_closed: bool,
    /// The ids of the last records, oldest first.
    pub(crate) recent: Vec<EventId>,
    /// Bytes of a torn line that were cut off.
    pub(crate) torn: u64,
    /// The last checkpoint in the file.
    pub(crate) signed: Option<Signed>,
}

/// Why a trail cannot be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A line that is none of ours, or not where it was written.
    Line,
    /// Not what was signed.
    Changed,
}

#[derive(Deserialize)]
struct Line {
    metadata: Metadata,
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Metadata {
    event_code: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct Unmapped {
    chain_uid: String,
    epoch: u32,
    prev: String,
    #[serde(default)]
    segment: Option<Segment>,
    #[serde(default)]
    key_change: Option<KeyChange>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    frontier: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
    tree_size: u64,
}

#[derive(Deserialize)]
struct KeyChange {
    new: String,
}

const OPENED: &str = "audit_segment_opened";
const CLOSED: &str = "audit_segment_closed";
const KEY_CHANGED: &str = "\"event_code\":\"audit_key_changed\"";

/// Reads where the trail stands, from the newest segment that says what was before it.
pub(super) fn read(dir: &Path, numbers: &[u32], signed: Option<Signed>) -> Result<Tail, OpenError> {
    let mut walk = Walk::new(signed);
    let mut from = numbers.len();
    for (at, number) in numbers.iter().enumerate().rev() {
        let path = segment_path(dir, *number);
        let first = first_line(&path).map_err(disk("read", &path))?;
        if first.is_empty() {
            continue;
        }
        from = at;
        if walk.begins_with(&first) {
            break;
        }
        if at == 0 {
            return Err(OpenError::Damaged(path));
        }
    }
    for number in numbers.iter().skip(from) {
        let path = segment_path(dir, *number);
        let reader = BufReader::with_capacity(256 << 10, File::open(&path).map_err(disk("read", &path))?);
        let walked = walk.segment(reader).map_err(disk("read", &path))?;
        walked.map_err(|broken| match broken {
            Broken::Line => OpenError::Damaged(path),
            Broken::Changed => OpenError::Changed(dir.to_owned()),
        })?;
    }
    let tail = walk.tail;
    let found = tail.chain.as_ref().map_or(0, Chain::seq);
    if tail.signed.as_ref().is_some_and(|signed| signed.size > found) {
        return Err(OpenError::Changed(dir.to_owned()));
    }
    Ok(tail)
}

/// A way forward through segments.
pub(crate) struct Walk {
    pub(crate) tail: Tail,
    root: Option<(u64, Hash)>,
}

impl Walk {
    /// At the beginning of a trail, with the checkpoint that must hold.
    pub(crate) fn new(signed: Option<Signed>) -> Self {
        let checkpoint = signed.as_ref().and_then(Signed::checkpoint);
        let root = checkpoint.map(|checkpoint| (checkpoint.size, checkpoint.root));
        Self { tail: Tail { signed, ..Tail::default() }, root }
    }

    /// Whether reading may begin with a segment of this first line; then it does.
    fn begins_with(&mut self, line: &[u8]) -> bool {
        let Ok(Line { metadata, unmapped }) = serde_json::from_slice(line) else { return false };
        let opening = unmapped.segment.filter(|_| metadata.event_code == OPENED);
        let (frontier, prev) = match opening {
            Some(Segment { frontier: Some(text), tree_size, .. }) if tree_size + 1 == metadata.sequence => {
                match Frontier::decode(tree_size, &text) {
                    Some(frontier) => (frontier, unmapped.prev),
                    None => return false,
                }
            }
            _ if metadata.sequence == 1 => (Frontier::new(), ZERO_HASH.to_owned()),
            _ => return false,
        };
        self.tail.chain = Some(Chain { uid: unmapped.chain_uid, epoch: unmapped.epoch, frontier, prev });
        true
    }

    /// Goes through one segment, the next after the one before.
    pub(crate) fn segment(&mut self, mut reader: impl BufRead) -> io::Result<Result<(), Broken>> {
        let mut line = Vec::new();
        let mut last = Vec::new();
        (self.tail.lines, self.tail.is_closed) = (0, false);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if let Err(broken) = self.line(&line) {
                return Ok(Err(broken));
            }
            last.clone_from(&line);
            line.clear();
        }
        Ok(if last.is_empty() { Ok(()) } else { self.ended_with(&last) })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        if self.tail.lines == 0 {
            self.first(line)?;
        }
        let chain = self.tail.chain.as_mut().ok_or(Broken::Line)?;
        let text = std::str::from_utf8(line).map_err(|_| Broken::Line)?;
        // Found without parsing: inside a JSON string the quotes would be escaped.
        let prev = text.rfind("\"prev\":\"").and_then(|at| text.get(at + 8..at + 72));
        if prev != Some(&chain.prev) {
            return Err(Broken::Line);
        }
        chain.take(line);
        self.tail.lines += 1;
        if text.contains(KEY_CHANGED) {
            let line: Line = serde_json::from_slice(line).map_err(|_| Broken::Line)?;
            self.tail.key = Some(line.unmapped.key_change.ok_or(Broken::Line)?.new);
        }
        match self.root {
            Some((size, root)) if size == chain.seq() && root != chain.frontier.root() => {
                Err(Broken::Changed)
            }
            _ => Ok(()),
        }
    }

    fn first(&mut self, line: &[u8]) -> Result<(), Broken> {
        if self.tail.chain.is_none() && !self.begins_with(line) {
            return Err(Broken::Line);
        }
        let Line { metadata, unmapped } = serde_json::from_slice(line).map_err(|_| Broken::Line)?;
        if metadata.event_code == OPENED {
            let keys = unmapped.segment.map(|segment| segment.keys).unwrap_or_default();
            self.tail.key = Some(keys.into_iter().next().ok_or(Broken::Line)?);
        }
        Ok(())
    }

    fn ended_with(&mut self, line: &[u8]) -> Result<(), Broken> {
        let Line { metadata, unmapped } = serde_json::from_slice(line).map_err(|_| Broken::Line)?;
        let chain = self.tail.chain.as_mut().ok_or(Broken::Line)?;
        if metadata.sequence != chain.seq() || unmapped.chain_uid != chain.uid {
            return Err(Broken::Line);
        }
        chain.epoch = unmapped.epoch;
        // A segment from before any key signed goes on in the next, which says what was before it.
        self.tail.is_closed = metadata.event_code == CLOSED || self.tail.key.is_none();
        Ok(())
    }
}

fn first_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

/// The ids of the records in these lines, the newest first.
///
/// # Errors
///
/// What reading says.
pub(crate) fn ids(mut lines: impl BufRead) -> io::Result<Vec<EventId>> {
    let (mut ids, mut line) = (Vec::new(), Vec::new());
    while lines.read_until(b'\n', &mut line)? > 0 {
        ids.extend(uid_of(&line));
        line.clear();
    }
    ids.reverse();
    Ok(ids)
}

/// The record's id, found without parsing: inside a JSON string the quotes would be escaped.
fn uid_of(line: &[u8]) -> Option<EventId> {
    const KEY: &str = "\"uid\":\"e_";
    let line = std::str::from_utf8(line).ok()?;
    let at = line.find(KEY)? + KEY.len() - 2;
    let id = line.get(at..at + 34)?;
    line[at + 34..].starts_with('"').then(|| id.parse().ok())?
}
