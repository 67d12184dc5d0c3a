//! Old segments go: complete ones alone, the oldest first, and only what is signed and told outside; their checkpoints go
//! with them. That they go is on record before they do.

use std::io;
use std::path::Path;

use serde::Deserialize;

use super::about::About;
use super::checkpoints::shortened;
use super::draft::Draft;
use super::people::Hidden;
use super::queue::Work;
use super::reader;
use super::segment::{end_of, segment_path, segments, sync_folder};
use super::{Audit, Stamped};
use crate::ambient::Timestamp;
use crate::domain::event::{Event, EventCode};
use crate::failure::{During as _, Failure};

/// The last line of a segment is shorter than this, in bytes.
const LONGEST: u64 = 16 << 10;

/// A complete segment that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Old {
    number: u32,
    tree_size: u64,
}

/// A record at the edge of a segment.
#[derive(Deserialize)]
struct Edge {
    metadata: Metadata,
    time: i64,
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Metadata {
    event_code: String,
}

#[derive(Deserialize)]
struct Unmapped {
    segment: Segment,
}

#[derive(Deserialize)]
struct Segment {
    tree_size: u64,
}

impl Audit {
    /// Removes the segments that were complete before an instant, as far as their records are among the first `anchored`
    /// ones, and the checkpoints of what is not there any more. Gives how many segments went. A process that is killed
    /// meanwhile leaves a record of more than went; the rest goes the next time.
    ///
    /// # Errors
    /// Where the disk refuses: what has no record stays.
    pub async fn retire(&self, before: Timestamp, anchored: u64) -> Result<usize, Failure> {
        let gone = self.retire_segments(before, anchored).await?;
        self.retire_checkpoints().await?;
        Ok(gone)
    }

    async fn retire_segments(&self, before: Timestamp, anchored: u64) -> Result<usize, Failure> {
        let dir = self.dir.clone();
        let find = move || old(&dir, before, anchored);
        let old =
            tokio::task::spawn_blocking(find).await?.during("looking for old segments of the audit trail")?;
        let (Some(first), Some(last)) = (old.first(), old.last()) else { return Ok(0) };
        let about = About::Removal { first: first.number, last: last.number, tree_size: last.tree_size };
        let event = Event::new(EventCode::AuditSegmentsRemoved)
            .because("they are older than audit.keep_days")
            .detail("before", before.rfc3339());
        let (uid, at) = self.stamp();
        super::mirror::log(&event, &uid);
        let draft = Draft::about(&Stamped { uid, at, event, hidden: Hidden::default() }, &about, Vec::new());
        self.submit(1, |ack| Work::Record(draft, ack)).await?;
        let (dir, count) = (self.dir.clone(), old.len());
        let remove = move || remove(&dir, &old);
        tokio::task::spawn_blocking(remove).await?.during("removing old segments of the audit trail")?;
        Ok(count)
    }

    /// What the first segment begins behind has no records here, and so no use for checkpoints.
    async fn retire_checkpoints(&self) -> Result<(), Failure> {
        let dir = self.dir.clone();
        let shorten = move || match begins_behind(&dir)? {
            0 => Ok(None),
            size => shortened(&dir, size),
        };
        let shortened =
            tokio::task::spawn_blocking(shorten).await?.during("shortening the file of checkpoints")?;
        match shortened {
            Some(shortened) => self.submit(0, |ack| Work::Shorten(shortened, ack)).await,
            None => Ok(()),
        }
    }
}

/// How many records went, as the first segment says that is there; none where that is the first of all.
fn begins_behind(dir: &Path) -> io::Result<u64> {
    let Some(first) = segments(dir)?.into_iter().next().filter(|number| *number > 1) else { return Ok(0) };
    let line = reader::first_line(&segment_path(dir, first))?;
    let opening = line.and_then(|line| serde_json::from_slice::<Edge>(&line).ok());
    let opening =
        opening.filter(|opening| opening.metadata.event_code == EventCode::AuditSegmentOpened.name());
    Ok(opening.map_or(0, |opening| opening.unmapped.segment.tree_size))
}

/// Never the newest segment: the trail goes on there.
fn old(dir: &Path, before: Timestamp, anchored: u64) -> io::Result<Vec<Old>> {
    let mut numbers = segments(dir)?;
    numbers.pop();
    let mut old = Vec::new();
    for number in numbers {
        let end = end_of(&segment_path(dir, number), LONGEST)?;
        let last = end.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
        let Ok(closing) = serde_json::from_slice::<Edge>(last) else { break };
        let tree_size = closing.unmapped.segment.tree_size;
        let complete = closing.metadata.event_code == EventCode::AuditSegmentClosed.name();
        if !complete || closing.time >= before.millis() || tree_size > anchored {
            break;
        }
        old.push(Old { number, tree_size });
    }
    Ok(old)
}

/// The oldest first: whatever is left begins with a segment that says what was before it.
fn remove(dir: &Path, old: &[Old]) -> io::Result<()> {
    for segment in old {
        std::fs::remove_file(segment_path(dir, segment.number))?;
    }
    sync_folder(dir)
}
