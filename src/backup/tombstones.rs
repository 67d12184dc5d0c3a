//! Reading `<data_dir>/tombstones.ndjson`: deletions, kept outside the database, each line authenticated together with
//! all lines before it.
//!
//! A database restored from the past does not know whom it must delete again; this file does. A mark names nobody (see
//! [`crate::store::Tombstone`]). What the chain cannot tell: whole lines cut off at the end. Never: writing.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::ambient::Timestamp;
use crate::crypto::keys::SealingKey;
use crate::failure::{During as _, Failure};
use crate::store::Tombstone;

/// No line is longer, in bytes.
const LONGEST: u64 = 512;
/// What the MAC of a line begins with, so that it is good for nothing else.
const FORMAT: &[u8] = b"spotify-mcp/tombstones/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    n: u64,
    mark: String,
    deleted_at: i64,
    key: String,
    mac: String,
}

/// As it was before lines were authenticated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainLine {
    mark: String,
    deleted_at: i64,
}

/// Where a chain stands: what the next line follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Lines so far.
    pub(super) lines: u64,
    /// The MAC of the last one; zero bytes before the first.
    pub(super) mac: [u8; 32],
    /// Bytes so far.
    pub(super) bytes: u64,
}

/// How far a file can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// There is none.
    Absent,
    /// Every line is as it was written, in its order.
    Authentic(Head),
    /// It is from a version that did not authenticate it.
    Plain,
    /// It is under a key that is not at hand: its id.
    KeyUnknown(String),
    /// It is not what was written: what differs first.
    Damaged(String),
}

/// Every deletion that can be read, and whether it may be believed.
pub(super) struct Read {
    pub(super) stones: Vec<Tombstone>,
    pub(super) trust: Trust,
    /// The id of the key that its first line names.
    pub(super) key: Option<String>,
}

pub(super) fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join("tombstones.ndjson")
}

/// The next line of a chain, with its line end, and where the chain stands after it.
pub(super) fn next_line(head: &Head, stone: &Tombstone, key: &SealingKey) -> Result<(String, Head), Failure> {
    let (n, deleted_at) = (head.lines + 1, stone.deleted_at.secs());
    let mac = mac(key, head, (&stone.mark, deleted_at));
    let line = Line { n, mark: stone.mark.clone(), deleted_at, key: key.id().to_string(), mac: hex(&mac) };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    let bytes = head.bytes + text.len() as u64;
    Ok((text, Head { lines: n, mac, bytes }))
}

/// Reads the file of a data directory and proves it with the key that it names.
///
/// # Errors
/// Where the disk refuses.
pub(super) fn read(data_dir: &Path, keys: &[SealingKey]) -> Result<Read, Failure> {
    let file = match File::open(file_in(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Read { stones: Vec::new(), trust: Trust::Absent, key: None });
        }
        opened => opened.during("reading tombstones.ndjson")?,
    };
    let mut reader = Reader { keys, ..Reader::default() };
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        file.by_ref().take(LONGEST).read_until(b'\n', &mut line).during("reading tombstones.ndjson")?;
        if line.is_empty() {
            return Ok(reader.end());
        }
        if !reader.take(&line) {
            // No line of ours is so long: what follows is not looked at.
            reader.damaged("is longer than any tombstone");
            return Ok(reader.end());
        }
    }
}

#[derive(Default)]
struct Reader<'a> {
    keys: &'a [SealingKey],
    stones: Vec<Tombstone>,
    at: u64,
    head: Head,
    key: Option<String>,
    is_plain: bool,
    torn: bool,
    damage: Option<String>,
}

impl Reader<'_> {
    /// Takes one line; `false` where it is too long to be one.
    fn take(&mut self, raw: &[u8]) -> bool {
        self.at += 1;
        let ends = raw.last() == Some(&b'\n');
        if !ends && raw.len() as u64 >= LONGEST {
            return false;
        }
        let text = raw.trim_ascii();
        if let Ok(line) = serde_json::from_slice::<Line>(text) {
            if ends {
                self.take_line(&line, raw);
            }
        } else if let Ok(PlainLine { mark, deleted_at }) = serde_json::from_slice(text) {
            self.is_plain |= self.key.is_none();
            if !self.is_plain {
                self.damaged("is not authenticated, and others are");
            }
            self.stones.push(Tombstone { mark, deleted_at: Timestamp::from_secs(deleted_at) });
        } else if ends && self.key.is_none() && is_torn_plain(text) {
            self.torn = true;
        } else if ends {
            self.damaged("is no tombstone");
        }
        // What is left: a last line without its end, torn by a crash. The database still had it, and it is written again.
        true
    }

    fn take_line(&mut self, line: &Line, raw: &[u8]) {
        self.stones
            .push(Tombstone { mark: line.mark.clone(), deleted_at: Timestamp::from_secs(line.deleted_at) });
        let named = self.key.get_or_insert_with(|| line.key.clone());
        if self.is_plain {
            self.damaged("is authenticated, and those before it are not");
        } else if *named != line.key {
            self.damaged("is under another key than the lines before it");
        } else if line.n != self.head.lines + 1 {
            let (n, after) = (line.n, self.head.lines);
            self.damaged(&format!(
                "has number {n} and follows number {after}: lines are missing, doubled or moved"
            ));
        }
        let Some(key) = self.keys.iter().find(|key| key.id().to_string() == line.key) else {
            self.head.lines += 1;
            return;
        };
        let mac = mac(key, &self.head, (&line.mark, line.deleted_at));
        let is_authentic: bool = hex(&mac).as_bytes().ct_eq(line.mac.as_bytes()).into();
        let is_canonical = serde_json::to_vec(line).is_ok_and(|own| own == raw[..raw.len() - 1]);
        if !is_authentic || !is_canonical {
            self.damaged("is not as it was written, or does not follow the line before it");
        }
        self.head = Head { lines: self.head.lines + 1, mac, bytes: self.head.bytes + raw.len() as u64 };
    }

    fn damaged(&mut self, how: &str) {
        let at = self.at;
        self.damage.get_or_insert_with(|| format!("line {at} {how}"));
    }

    fn end(self) -> Read {
        let Self { stones, head, key, is_plain, torn, damage, keys, .. } = self;
        let damage =
            damage.or_else(|| (torn && !is_plain).then(|| "its first line is no tombstone".to_owned()));
        let unknown = key.clone().filter(|id| !keys.iter().any(|key| key.id().to_string() == *id));
        let trust = match (damage, unknown) {
            (Some(what), _) => Trust::Damaged(what),
            (None, _) if is_plain => Trust::Plain,
            (None, Some(id)) => Trust::KeyUnknown(id),
            (None, None) => Trust::Authentic(head),
        };
        Read { stones, trust, key }
    }
}

/// Older versions left torn lines where they were, and began each write with an empty one.
fn is_torn_plain(text: &[u8]) -> bool {
    text.is_empty() || (text.starts_with(b"{") && !text.ends_with(b"}"))
}

fn mac(key: &SealingKey, after: &Head, (mark, deleted_at): (&str, i64)) -> [u8; 32] {
    let n = (after.lines + 1).to_be_bytes();
    key.authenticate(&[FORMAT, &n, &after.mac, mark.as_bytes(), &deleted_at.to_be_bytes()])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The marks of these.
pub(super) fn marks(stones: &[Tombstone]) -> HashSet<&str> {
    stones.iter().map(|stone| stone.mark.as_str()).collect()
}
