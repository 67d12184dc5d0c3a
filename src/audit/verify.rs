//! The examination of a trail: every line in its order against the one before it, the tree over them, and each segment
//! against the one before. Pure: it is given lines, and [`judge`] says what signatures and marks make of the result.
//! Never: reading files, or taking a record's word for what its hash must show.

pub mod claims;
pub mod judge;
mod step;
pub mod trust;

use std::sync::Arc;

use super::line::{Facts, KeyChange, chain_of};
use super::merkle::{Frontier, Hash};
use super::note::Verifier;
use super::reader;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable.
    pub code: &'static str,
    /// The first record that is not right, or should stand there.
    pub seq: Option<u64>,
    /// Where that is.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
}

/// A place in a trail's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// From its beginning, in bytes.
    pub offset: u64,
}

/// Records that are older than one before them: those that waited in the database for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The latest time so far, in milliseconds since 1970.
    latest: i64,
    /// How many records are older than one before them.
    pub back: u64,
    /// By how much at most, in milliseconds.
    pub furthest: i64,
    /// Which record that is.
    pub furthest_seq: u64,
}

/// What a record says was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The last of the segments.
    pub last: u32,
    /// How many records the trail had at its end.
    pub tree_size: u64,
    /// The record that says so.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub time: i64,
}

/// The segment that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Current {
    number: u32,
    lines: u64,
    bytes: u64,
    closed: bool,
}

/// A record whose predecessor's hash is not the one it names: the next record tells which of the two was changed.
#[derive(Clone, Debug)]
struct Suspicion {
    before: (u64, Option<Place>),
    here: (u64, Place),
    hash: Hash,
}

/// How far the lines of a trail are as they were written. Cloned, it goes on from the same place twice.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The chain's name, once a record has said it.
    chain: Option<String>,
    /// The last record's number, hash and place.
    seq: u64,
    hash: Hash,
    place: Option<Place>,
    epoch: u32,
    frontier: Frontier,
    current: Option<Current>,
    suspicion: Option<Suspicion>,
    problem: Option<Problem>,
    /// The sizes at which the root is asked for, ascending, and how many are answered.
    asked: Arc<[u64]>,
    answered: usize,
    roots: Vec<(u64, Hash)>,
    /// From which record on which key is in force.
    keys: Vec<(u64, Verifier)>,
    changes: Vec<KeyChange>,
    /// How many records stood before the first one that was read; the number of the first segment.
    base: u64,
    first: Option<u32>,
    /// Segments that records say were removed.
    removed: Vec<Removal>,
    /// Whether what came before the first segment is taken as it is said there.
    resumed: bool,
    times: Times,
    bytes: u64,
    torn: u64,
}

impl Examination {
    /// Of a trail from its first segment on that is there; the root is remembered at every size in `asked`.
    pub fn new(mut asked: Vec<u64>) -> Self {
        asked.sort_unstable();
        asked.dedup();
        Self {
            chain: None,
            seq: 0,
            hash: [0; 32],
            place: None,
            epoch: 0,
            frontier: Frontier::new(),
            current: None,
            suspicion: None,
            problem: None,
            asked: asked.into(),
            answered: 0,
            roots: Vec::new(),
            keys: Vec::new(),
            changes: Vec::new(),
            base: 0,
            first: None,
            removed: Vec::new(),
            resumed: false,
            times: Times::default(),
            bytes: 0,
            torn: 0,
        }
    }

    /// The same from any segment on: what came before is vouched for by a checkpoint that was verified earlier.
    pub fn resumed(asked: Vec<u64>) -> Self {
        Self { resumed: true, ..Self::new(asked) }
    }

    /// The same of the chain of this name, where something else than the trail knows it.
    #[must_use]
    pub fn of_chain(self, chain: Option<String>) -> Self {
        Self { chain, ..self }
    }

    /// The next segment begins. Its lines are to follow.
    pub fn begin(&mut self, number: u32) {
        let before = self.current.replace(Current { number, lines: 0, bytes: 0, closed: false });
        let Some(before) = before else {
            self.first = Some(number);
            return;
        };
        if number != before.number.wrapping_add(1) {
            let last = number.saturating_sub(1);
            let what = match last.saturating_sub(before.number) {
                1 => format!("segment {last} is missing"),
                _ => format!("the segments {} to {last} are missing", before.number + 1),
            };
            return self.fail("AUDIT_SEGMENT_MISSING", Some(self.seq + 1), at(last, 0), what);
        }
        let end = at(before.number, before.bytes);
        if before.lines == 0 {
            self.fail("AUDIT_SEGMENT_EMPTY", Some(self.seq + 1), end, "an empty segment has a successor");
        } else if self.epoch > 0 && !before.closed {
            let what = "the segment ends without its closing record, and has a successor";
            self.fail("AUDIT_SEGMENT_NOT_CLOSED", Some(self.seq + 1), end, what);
        }
    }

    /// Takes in complete lines of the current segment, newlines included, that begin at this offset. With several
    /// `threads` they are hashed and read side by side.
    pub fn take(&mut self, offset: u64, lines: &[u8], threads: usize) {
        if self.chain.is_none() {
            self.chain = reader::lines(offset, lines).next().and_then(|(_, line)| chain_of(line));
        }
        let chain = self.chain.clone().unwrap_or_default();
        for facts in side_by_side(offset, lines, threads, &chain) {
            if self.problem.is_some() {
                self.bytes += facts.offset - offset;
                return;
            }
            self.step(facts);
        }
        self.bytes += lines.len() as u64;
        if let Some(current) = &mut self.current {
            current.bytes = offset + lines.len() as u64;
        }
    }

    /// The current segment's file has ended; `last` where no other segment follows.
    pub fn end(&mut self, end: reader::End, last: bool) {
        let Some(number) = self.current.as_ref().map(|current| current.number) else { return };
        if end.endless {
            let what = "a line here is longer than any record";
            self.fail("AUDIT_RECORD_UNREADABLE", Some(self.seq + 1), at(number, end.bytes), what);
        } else if end.torn > 0 && !last {
            let what = format!("{} bytes after the last line of a segment that has a successor", end.torn);
            self.fail("AUDIT_RECORD_UNREADABLE", Some(self.seq + 1), at(number, end.bytes), what);
        }
        self.torn = end.torn;
    }

    /// Whether nothing further can be learnt from the lines that follow.
    pub const fn is_over(&self) -> bool {
        self.problem.is_some()
    }

    /// The first problem of the chain itself. A suspicion that no further record settled counts.
    pub fn problem(&self) -> Option<Problem> {
        let unsettled = || self.suspicion.as_ref().map(|one| one.settled(None));
        self.problem.clone().or_else(unsettled)
    }

    /// The chain's name.
    pub fn chain(&self) -> Option<&str> {
        self.chain.as_deref()
    }

    /// How many records the trail has, those before the first segment included.
    pub const fn size(&self) -> u64 {
        self.seq
    }

    /// The tree of all records so far.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// How many records stood before the first that was read.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// The number of the first segment that was read.
    pub const fn first_segment(&self) -> Option<u32> {
        self.first
    }

    /// The record by which the segments before the first one that is there were removed. It may speak of more: a process
    /// that is killed meanwhile leaves some.
    pub fn retired(&self) -> Option<&Removal> {
        let last = self.first?.checked_sub(1).filter(|last| *last > 0)?;
        self.removed.iter().find(|one| one.last >= last && one.tree_size >= self.base)
    }

    /// How many bytes were read in whole lines.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes stand after the last whole line.
    pub const fn torn(&self) -> u64 {
        self.torn
    }

    /// Which records are older than one before them.
    pub const fn times(&self) -> Times {
        self.times
    }

    fn fail(&mut self, code: &'static str, seq: Option<u64>, place: Option<Place>, what: impl Into<String>) {
        // An unsettled suspicion came first.
        let first = self.suspicion.take().map(|one| one.settled(None));
        let problem = first.unwrap_or_else(|| Problem { code, seq, place, what: what.into() });
        self.problem.get_or_insert(problem);
    }
}

impl Suspicion {
    /// What is wrong, by the hash that the next record names, where there is one.
    fn settled(&self, named: Option<&Hash>) -> Problem {
        let (before, here) = (self.before.0, self.here.0);
        let code = "AUDIT_RECORD_CHANGED";
        if before == 0 || named.is_some_and(|named| *named != self.hash) {
            let what = match before {
                0 => "the first record names another record before it".to_owned(),
                _ => format!(
                    "record {here} was changed: its link to record {before} and from the next are wrong"
                ),
            };
            return Problem { code, seq: Some(here), place: Some(self.here.1.clone()), what };
        }
        let or = if named.is_none() { format!(" (or record {here} was)") } else { String::new() };
        let what = format!("record {before} was changed{or}: record {here} names another hash of it");
        Problem { code, seq: Some(before), place: self.before.1.clone(), what }
    }
}

fn at(number: u32, offset: u64) -> Option<Place> {
    Some(Place { file: reader::name(number), offset })
}

/// The facts of every line, in order.
fn side_by_side(offset: u64, lines: &[u8], threads: usize, chain: &str) -> Vec<Facts> {
    let look = |(offset, part): (u64, &[u8])| -> Vec<Facts> {
        reader::lines(offset, part).map(|(at, line)| Facts::of(line, at, chain)).collect()
    };
    let mut parts = parts(offset, lines, threads.max(1));
    let Some(last) = parts.pop().filter(|_| !parts.is_empty()) else { return look((offset, lines)) };
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.into_iter().map(|part| (part, scope.spawn(move || look(part)))).collect();
        let own = look(last);
        let mut all = Vec::new();
        for (part, other) in others {
            // A thread that died says nothing of its lines: they are looked at here.
            all.extend(other.join().unwrap_or_else(|_| look(part)));
        }
        all.extend(own);
        all
    })
}

/// The lines in about so many parts, whole lines each.
fn parts(offset: u64, lines: &[u8], count: usize) -> Vec<(u64, &[u8])> {
    let (mut parts, mut rest, mut at) = (Vec::new(), lines, offset);
    for left in (2..=count).rev() {
        let Some(end) = rest[rest.len() / left..].iter().position(|byte| *byte == b'\n') else { break };
        let (part, after) = rest.split_at(rest.len() / left + end + 1);
        parts.push((at, part));
        (rest, at) = (after, at + part.len() as u64);
    }
    if !rest.is_empty() {
        parts.push((at, rest));
    }
    parts
}

/// Whether this is what the first record of a chain names before it.
fn nothing_before(hash: &Hash) -> bool {
    *hash == [0; 32]
}

#[cfg(test)]
mod forge;
#[cfg(test)]
mod rate;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod tests;
