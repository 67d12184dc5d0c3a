//! Where events stand in the audit trail: their numbers, for the evidence that names them. Reads the trail in pieces, and
//! what was read once not again. Never: opening what a record hides.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit::reader;
use crate::cli::administer::Desk;
use crate::cli::outbox;
use crate::failure::Failure;

/// How long the events are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often they are looked for.
const BETWEEN: Duration = Duration::from_millis(100);
/// They were recorded just now: so many segments hold what was written since, and were begun before, in all likelihood.
const SEGMENTS: usize = 2;

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    sequence: u64,
    uid: &'a str,
}

/// Where events stand in the trail: a server writes them there, or this command where none runs.
pub(in crate::cli) async fn trail(desk: &Desk, events: &[String]) -> Result<Value, Failure> {
    outbox::settle(desk).await;
    let until = desk.clock.now().plus(PATIENCE);
    let mut search = Search::of(events);
    loop {
        let dir = desk.config.audit.dir.clone();
        search = tokio::task::spawn_blocking(move || search.go_on(&dir)).await?;
        if search.missing.is_empty() || desk.clock.now() >= until {
            return Ok(json!({
                "events": events,
                "in_trail": search.found.len(),
                "first_sequence": search.found.first(),
                "last_sequence": search.found.last(),
            }));
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// A search through the newest records that goes on where it stood.
#[derive(Default)]
struct Search {
    missing: BTreeSet<String>,
    found: BTreeSet<u64>,
    /// So many bytes of each segment were read.
    read: BTreeMap<u32, u64>,
}

impl Search {
    fn of(events: &[String]) -> Self {
        Self { missing: events.iter().cloned().collect(), ..Self::default() }
    }

    /// Reads what is new. What cannot be read now is new the next time.
    fn go_on(mut self, dir: &Path) -> Self {
        let segments = reader::segments(dir).unwrap_or_default();
        let first = self.read.keys().next().copied();
        let newest = segments.get(segments.len().saturating_sub(SEGMENTS)..).and_then(<[_]>::first);
        let first = first.or(newest.map(|segment| segment.number));
        for segment in segments.iter().filter(|segment| Some(segment.number) >= first) {
            let start = self.read.get(&segment.number).copied().unwrap_or_default();
            let end = reader::read(&segment.path, start, |_, lines| {
                lines.split(|byte| *byte == b'\n').for_each(|line| self.look(line));
                if self.missing.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if let Ok(end) = end {
                self.read.insert(segment.number, end.bytes);
            }
        }
        self
    }

    fn look(&mut self, line: &[u8]) {
        // Every id has this form, and few lines any of these.
        let text = std::str::from_utf8(line).unwrap_or_default();
        if !self.missing.iter().any(|event| text.contains(event.as_str())) {
            return;
        }
        let Ok(Record { metadata }) = serde_json::from_str(text) else { return };
        if self.missing.remove(metadata.uid) {
            self.found.insert(metadata.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::Dice;

    /// A folder of the test's own, removed at its end.
    struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn line(seq: u64, uid: &str, detail: &str) -> String {
        format!("{{\"detail\":\"{detail}\",\"metadata\":{{\"sequence\":{seq},\"uid\":\"{uid}\"}}}}\n")
    }

    #[test]
    fn events_are_found_where_they_stand_as_they_come_and_nowhere_else() {
        let name = format!("spotify-mcp-placed-{}", u64::from_le_bytes(Dice::system().bytes()));
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0).unwrap();
        let write = |number: u32, text: &str| {
            std::fs::write(folder.0.join(format!("audit-{number}.ndjson")), text).unwrap();
        };
        let events = ["e_1", "e_2", "e_3"].map(str::to_owned);
        // Too old; spoken of by another; there.
        write(8, &line(1, "e_3", ""));
        write(9, &(line(2, "e_9", "e_1") + &line(3, "e_2", "")));
        let torn = line(4, "e_1", "");
        write(10, &torn[..torn.len() - 5]);
        let search = Search::of(&events).go_on(&folder.0);
        assert_eq!((search.found.iter().copied().collect::<Vec<_>>(), search.missing.len()), (vec![3], 2));
        // The rest of the line, and another segment.
        write(10, &torn);
        write(11, &line(5, "e_3", ""));
        std::fs::remove_file(folder.0.join("audit-9.ndjson")).unwrap();
        let search = search.go_on(&folder.0);
        assert_eq!(search.found.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(search.missing.is_empty());
        assert!(Search::of(&events).go_on(Path::new("/nonexistent")).found.is_empty());
    }
}
