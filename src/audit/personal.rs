//! The records that name one person, for themselves: read from a trail's folder, the newest first, within bounds. Never:
//! writing, or opening what they hide.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::line::chain_of;
use super::reader::{self, Segment};

/// How much is read and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Records.
    pub records: usize,
    /// Bytes of the trail, whole segments.
    pub bytes: u64,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Lines of the trail, without newlines; of each chain the oldest first.
    pub lines: VecDeque<Vec<u8>>,
    /// The chains that were looked through.
    pub chains: BTreeSet<String>,
    /// Whether older ones may be there, beyond the bounds.
    pub more: bool,
}

/// The records that have one of these names in them, in the trail of this folder and in those that local servers write
/// below it.
///
/// # Errors
/// Where a file cannot be read. A segment that retention takes away meanwhile is left out.
pub fn records_of(dir: &Path, names: &[String], bounds: Bounds) -> io::Result<Found> {
    let mut found = Found::default();
    let mut left = bounds;
    for folder in std::iter::once(dir.to_owned()).chain(local(dir)) {
        let mut lines = VecDeque::new();
        for segment in reader::segments(&folder).or_else(nothing)?.iter().rev() {
            let size = segment.path.metadata().map_or(0, |file| file.len());
            if left.records == 0 || size > left.bytes {
                found.more = true;
                break;
            }
            left.bytes -= size;
            let mut here = search(segment, names, left.records, &mut found).or_else(nothing)?;
            left.records -= here.len();
            here.append(&mut lines);
            lines = here;
        }
        found.lines.append(&mut lines);
    }
    Ok(found)
}

fn nothing<T: Default>(error: io::Error) -> io::Result<T> {
    if error.kind() == io::ErrorKind::NotFound { Ok(T::default()) } else { Err(error) }
}

/// The folders of local servers.
fn local(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.read_dir().into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("local-") && path.is_dir()
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_one).collect();
    found.sort();
    found
}

/// The newest lines of a segment that have one of the names in them.
fn search(
    segment: &Segment,
    names: &[String],
    most: usize,
    found: &mut Found,
) -> io::Result<VecDeque<Vec<u8>>> {
    let mut here = VecDeque::new();
    reader::read(&segment.path, 0, |offset, lines| {
        if offset == 0 {
            found.chains.extend(reader::lines(0, lines).next().and_then(|(_, line)| chain_of(line)));
        }
        let has = |text: &[u8]| {
            let text = std::str::from_utf8(text).unwrap_or_default();
            names.iter().any(|name| text.contains(name.as_str()))
        };
        // Most pieces have none at all.
        if has(lines) {
            for (_, line) in reader::lines(offset, lines).filter(|(_, line)| has(line)) {
                if here.len() == most {
                    here.pop_front();
                    found.more = true;
                }
                here.push_back(line.to_vec());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(here)
}
