//! Reads the trail behind its writer, from a place on: only what is on disk for good, and of each record only what
//! rules judge by. Never: a person, an address, a detail.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ambient::Timestamp;
use crate::domain::event::EventCode;
use crate::store::Cursor;

/// Read at once; a longer line than this is none of ours and is passed over.
const CHUNK: usize = 1 << 20;

/// What rules judge by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    /// The record's id.
    pub(super) record: String,
    /// What.
    pub(super) code: EventCode,
    /// When.
    pub(super) at: Timestamp,
    /// What it names: a host, a key of the configuration.
    pub(super) subject: String,
}

/// What stands after a place.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// What is watched, in order.
    pub(super) happened: Vec<Happened>,
    /// Up to where.
    pub(super) to: Cursor,
    /// Whether there is more.
    pub(super) more: bool,
}

/// A trail and what of it is watched.
pub(super) struct Follower<'a> {
    pub(super) dir: &'a Path,
    pub(super) watched: &'a (dyn Fn(EventCode) -> bool + Sync),
}

impl Follower<'_> {
    /// Reads on from a place, at most one chunk, and not beyond `durable` (segment, length). Where that place is no
    /// more, the trail is another one, or a part of it was archived: reads from the oldest segment after it.
    pub(super) fn read(&self, from: Cursor, durable: (u32, u64)) -> io::Result<Part> {
        let durable = Cursor { segment: durable.0, position: durable.1 };
        let from = match (from.segment, from.position) {
            at if at > (durable.segment, durable.position) => Cursor::default(),
            _ => from,
        };
        let Some((path, from)) = self.place(from, durable)? else {
            return Ok(Part { to: durable, ..Part::default() });
        };
        let last = from.segment == durable.segment;
        let bytes = chunk(&path, from.position, last.then_some(durable.position))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // Without an end of line there is nothing more of this segment, or it is no line of ours.
        let passed = if whole == 0 && bytes.len() >= CHUNK { bytes.len() } else { whole };
        let position = from.position + passed as u64;
        let ended = passed == 0 && !last;
        let to = if ended {
            Cursor { segment: from.segment + 1, position: 0 }
        } else {
            Cursor { segment: from.segment, position }
        };
        let happened = bytes[..whole].split(|byte| *byte == b'\n').filter_map(|line| self.happened(line));
        Ok(Part {
            happened: happened.collect(),
            to,
            more: (to.segment, to.position) < (durable.segment, durable.position),
        })
    }

    /// The file in which a place is, or the next one that is there.
    fn place(&self, from: Cursor, durable: Cursor) -> io::Result<Option<(PathBuf, Cursor)>> {
        let path = |segment: u32| self.dir.join(format!("audit-{segment}.ndjson"));
        if path(from.segment).exists() {
            return Ok(Some((path(from.segment), from)));
        }
        let numbers = self.dir.read_dir()?.filter_map(|entry| number(entry.ok()?.file_name().to_str()?));
        let next = numbers.filter(|number| *number > from.segment && *number <= durable.segment).min();
        Ok(next.map(|segment| (path(segment), Cursor { segment, position: 0 })))
    }

    fn happened(&self, line: &[u8]) -> Option<Happened> {
        // Nearly every record is of a call that nobody watches: told without parsing it.
        let code = code_of(line).filter(|code| (self.watched)(*code))?;
        let record: Record = serde_json::from_slice(line).ok()?;
        let subject = record.unmapped.subject.or(record.dst_endpoint.map(|host| host.hostname));
        Some(Happened {
            record: record.metadata.uid,
            code,
            at: Timestamp::from_millis(record.time),
            subject: subject.unwrap_or_default(),
        })
    }
}

/// The parts of a record that are read.
#[derive(Deserialize)]
struct Record {
    metadata: Metadata,
    time: i64,
    #[serde(default)]
    unmapped: Unmapped,
    dst_endpoint: Option<Endpoint>,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

#[derive(Default, Deserialize)]
struct Unmapped {
    subject: Option<String>,
}

#[derive(Deserialize)]
struct Endpoint {
    hostname: String,
}

/// The event's code, found without parsing: inside a JSON string the quotes would be escaped.
fn code_of(line: &[u8]) -> Option<EventCode> {
    const KEY: &str = "\"event_code\":\"";
    let line = std::str::from_utf8(line).ok()?;
    let rest = &line[line.find(KEY)? + KEY.len()..];
    let name = &rest[..rest.find('"')?];
    if name == "tool_called" {
        return Some(EventCode::ToolCalled);
    }
    EventCode::ALL.iter().copied().find(|code| code.name() == name)
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix("audit-")?.strip_suffix(".ndjson")?.parse().ok()
}

fn chunk(path: &Path, from: u64, end: Option<u64>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let left = end.map_or(CHUNK as u64, |end| end.saturating_sub(from).min(CHUNK as u64));
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
    file.take(left).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u32, code: &str, more: &str) -> String {
        let text = format!(
            "{{{more}\"metadata\":{{\"event_code\":\"{code}\",\"sequence\":{n},\"uid\":\"e_{n}\"}},\"time\":{n}000,\
             \"unmapped\":{{\"outcome\":\"refused\"}}}}\n"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        text
    }

    /// Everything that is read until there is no more, and the last place.
    fn all(dir: &Path, mut from: Cursor, durable: (u32, u64)) -> (Vec<String>, Cursor) {
        let watched = |code| code != EventCode::ToolCalled;
        let follower = Follower { dir, watched: &watched };
        let mut seen = Vec::new();
        for _ in 0..50 {
            let part = follower.read(from, durable).unwrap();
            seen.extend(part.happened.iter().map(|one| format!("{} {}", one.record, one.subject)));
            from = part.to;
            if !part.more {
                return (seen, from);
            }
        }
        panic!("it does not end: {from:?}");
    }

    #[test]
    fn what_is_durable_is_read_once_over_all_segments() {
        let dir = std::env::temp_dir().join(format!("spotify-mcp-follow-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let one = line(1, "blocked_host", "\"dst_endpoint\":{\"hostname\":\"evil.example\"},")
            + &line(2, "tool_called", "")
            + &line(3, "authn_login_fail", "");
        let two = line(4, "sys_startup", "") + &"no record\n".repeat(3) + &line(5, "authn_token_reuse", "");
        std::fs::write(dir.join("audit-1.ndjson"), &one).unwrap();
        std::fs::write(dir.join("audit-2.ndjson"), two.clone() + &line(6, "key_rotated", "")).unwrap();
        let durable = (2, two.len() as u64);
        let (seen, end) = all(&dir, Cursor::default(), durable);
        assert_eq!(seen, ["e_1 evil.example", "e_3 ", "e_4 ", "e_5 "], "what is not on disk for good waits");
        assert_eq!((end.segment, end.position), durable);
        assert_eq!(all(&dir, end, durable), (Vec::new(), end));
        let later = (2, two.len() as u64 + line(6, "key_rotated", "").len() as u64);
        assert_eq!(all(&dir, end, later).0, ["e_6 "]);
        // From the middle of the first segment.
        let middle = Cursor {
            segment: 1,
            position: line(1, "blocked_host", "\"dst_endpoint\":{\"hostname\":\"evil.example\"},").len()
                as u64,
        };
        assert_eq!(all(&dir, middle, durable).0, ["e_3 ", "e_4 ", "e_5 "]);
        // A segment that was archived, and a place beyond the end of another trail.
        std::fs::remove_file(dir.join("audit-1.ndjson")).unwrap();
        assert_eq!(all(&dir, middle, durable).0, ["e_4 ", "e_5 "]);
        assert_eq!(all(&dir, Cursor { segment: 7, position: 1 }, durable).0, ["e_4 ", "e_5 "]);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
