//! One line of a trail as a verifier needs it: its place in the chain, its hashes, and what a record of the trail's own
//! (a segment's opening and closing, removed segments, a change of keys) says. Never: believing any of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::merkle::{Frontier, Hash, leaf_hash};
use super::note::Verifier;

/// The longest line that is read, in bytes: the bounds of an event keep records far below it.
pub const LONGEST_LINE: usize = 1 << 20;

/// A line's hashes and what it says.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where the line begins in its file.
    pub offset: u64,
    /// SHA-256 of the line without its newline: what the next record calls `prev`.
    pub hash: Hash,
    /// The line's hash as a leaf of the tree.
    pub leaf: Hash,
    /// What it says; else what keeps it from being a record.
    pub said: Result<Said, &'static str>,
}

/// A record's place in its chain.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its number, from 1.
    pub seq: u64,
    /// The hash of the record before it.
    pub prev: Hash,
    /// Whether it names the chain that was asked for.
    pub of_chain: bool,
    /// The chain's key epoch.
    pub epoch: u32,
    /// When it happened, in milliseconds since 1970.
    pub time: i64,
    /// Where it is a record of the trail about itself.
    pub marker: Option<Box<Marker>>,
}

/// A record that tells of the trail itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The first record of a segment.
    Opened {
        /// The segment's number.
        number: u32,
        /// The tree of all records before it.
        frontier: Frontier,
        /// The last record before it.
        previous: Hash,
        /// The keys in force.
        keys: Vec<Verifier>,
    },
    /// The last record of a segment.
    Closed {
        /// The segment's number.
        number: u32,
        /// Lines in the segment, this one included.
        count: u64,
        /// Records in the trail, this one included.
        tree_size: u64,
    },
    /// Segments were removed when their time was over.
    Removed {
        /// The last one of them.
        last: u32,
        /// Records in the trail up to the end of that.
        tree_size: u64,
    },
    /// Another key signs from here on.
    KeyChanged(Box<KeyChange>),
}

/// From which key to which, and how they vouch for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key before.
    pub old: Verifier,
    /// The key from here on.
    pub new: Verifier,
    /// The old key's signature of the new one, where there is one.
    pub succession: Option<Vec<u8>>,
    /// The new key's signature of the old one, where there is one.
    pub predecessor: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    time: i64,
    #[serde(borrow)]
    unmapped: Unmapped<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    event_code: &'a str,
    sequence: u64,
}

#[derive(Deserialize)]
struct Unmapped<'a> {
    chain_uid: &'a str,
    epoch: u32,
    prev: &'a str,
    #[serde(borrow)]
    segment: Option<SegmentWords<'a>>,
    #[serde(borrow)]
    key_change: Option<KeyWords<'a>>,
}

#[derive(Deserialize)]
struct SegmentWords<'a> {
    frontier: Option<&'a str>,
    #[serde(borrow)]
    keys: Option<Vec<&'a str>>,
    number: Option<u32>,
    previous: Option<&'a str>,
    tree_size: Option<u64>,
    count: Option<u64>,
    last: Option<u32>,
}

#[derive(Deserialize)]
struct KeyWords<'a> {
    old: &'a str,
    new: &'a str,
    succession: Option<&'a str>,
    predecessor: Option<&'a str>,
}

impl Facts {
    /// Looks at one line (without its newline) of the chain of this name.
    pub fn of(line: &[u8], offset: u64, chain: &str) -> Self {
        let hash = Sha256::digest(line).into();
        Self { offset, hash, leaf: leaf_hash(line), said: Said::of(line, chain) }
    }
}

impl Said {
    fn of(line: &[u8], chain: &str) -> Result<Self, &'static str> {
        if line.len() > LONGEST_LINE {
            return Err("it is longer than any record");
        }
        let record: Record<'_> = serde_json::from_slice(line).map_err(|_unspecific| "it is not a record")?;
        let Record { metadata, time, unmapped } = record;
        let prev = hash_of(unmapped.prev).ok_or("it does not name the hash of the record before it")?;
        let marker = match metadata.event_code {
            "audit_segment_opened" => Some(opened(unmapped.segment)),
            "audit_segment_closed" => Some(closed(unmapped.segment)),
            "audit_segments_removed" => Some(removed(unmapped.segment)),
            "audit_key_changed" => Some(key_changed(unmapped.key_change)),
            _ => None,
        };
        let marker = match marker {
            Some(None) => return Err("it does not say what a record of its kind must"),
            Some(Some(marker)) => Some(Box::new(marker)),
            None => None,
        };
        let of_chain = unmapped.chain_uid == chain;
        Ok(Self { seq: metadata.sequence, prev, of_chain, epoch: unmapped.epoch, time, marker })
    }
}

/// The name of the chain that a line (without its newline) is of.
pub fn chain_of(line: &[u8]) -> Option<String> {
    serde_json::from_slice::<Record<'_>>(line).ok().map(|record| record.unmapped.chain_uid.to_owned())
}

fn opened(words: Option<SegmentWords<'_>>) -> Option<Marker> {
    let words = words?;
    let keys: Option<Vec<_>> = words.keys?.into_iter().map(Verifier::parse).collect();
    Some(Marker::Opened {
        number: words.number?,
        frontier: Frontier::decode(words.tree_size?, words.frontier?)?,
        previous: hash_of(words.previous?)?,
        keys: keys?,
    })
}

fn closed(words: Option<SegmentWords<'_>>) -> Option<Marker> {
    let words = words?;
    Some(Marker::Closed { number: words.number?, count: words.count?, tree_size: words.tree_size? })
}

fn removed(words: Option<SegmentWords<'_>>) -> Option<Marker> {
    let words = words?;
    Some(Marker::Removed { last: words.last?, tree_size: words.tree_size? })
}

fn key_changed(words: Option<KeyWords<'_>>) -> Option<Marker> {
    let words = words?;
    let bytes = |text: Option<&str>| match text {
        None => Some(None),
        Some(text) => STANDARD.decode(text).ok().map(Some),
    };
    Some(Marker::KeyChanged(Box::new(KeyChange {
        old: Verifier::parse(words.old)?,
        new: Verifier::parse(words.new)?,
        succession: bytes(words.succession)?,
        predecessor: bytes(words.predecessor)?,
    })))
}

/// 64 lower-case hexadecimal digits.
fn hash_of(text: &str) -> Option<Hash> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut hash = [0; 32];
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(hash)
}

/// A hash as records write it.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
