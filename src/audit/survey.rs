//! Reads a trail's folder for the verifier and for proofs: the checkpoints first, then the segments, so that a server
//! that goes on writing is never suspected of what it had not written yet. Never: writing, or judging.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::CHECKPOINTS;
use super::line::{Facts, Marker, chain_of};
use super::merkle::{Frontier, Tree, leaf_hash};
use super::reader::{self, End, Segment};
use super::verify::claims::{Claim, Source, of_checkpoints};
use super::verify::{Examination, Problem};

/// The claims in the file of checkpoints, and what is wrong with that file. No file is no claim.
///
/// # Errors
/// Where the file cannot be read.
pub fn checkpoints(dir: &Path) -> io::Result<(Vec<Claim>, Vec<Problem>)> {
    let (mut claims, mut problems) = (Vec::new(), Vec::new());
    let read = reader::read(&dir.join(CHECKPOINTS), 0, |offset, lines| {
        of_checkpoints(offset, lines, &mut claims, &mut problems);
        ControlFlow::Continue(())
    });
    match read {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok((claims, problems)),
        Ok(end) => {
            problems.extend(no_tail(&end));
            Ok((claims, problems))
        }
    }
}

/// A server that was killed leaves part of a line, which is a few hundred bytes: what is longer was put there.
const LONGEST_TAIL: u64 = 16 << 10;

fn no_tail(end: &End) -> Option<Problem> {
    (end.endless || end.torn > LONGEST_TAIL).then(|| Problem {
        code: "AUDIT_CHECKPOINT_UNREADABLE",
        seq: None,
        place: Source::Checkpoints(end.bytes).place(),
        what: format!("more than {LONGEST_TAIL} bytes stand behind the last checkpoint, and are none"),
    })
}

/// The segments of a trail; none where there is no folder.
///
/// # Errors
/// Where the folder cannot be read.
pub fn segments(dir: &Path) -> io::Result<Vec<Segment>> {
    match reader::segments(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// The trails in folders below this one, which local servers write, and their chains.
pub fn beside(dir: &Path) -> Vec<(String, String)> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let mut found: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("local-"))?;
            let first = reader::segments(&entry.path()).ok()?.into_iter().next()?;
            let line = reader::first_line(&first.path).ok()??;
            Some((name, chain_of(&line)?))
        })
        .collect();
    found.sort();
    found
}

/// Examines the lines of a trail with these claims in mind. With `since`, from the segment on that has the record behind
/// so many, what came before being vouched for. `told` hears how many bytes are read.
///
/// # Errors
/// Where a file cannot be read.
pub fn examine(
    segments: &[Segment],
    claims: &[Claim],
    since: Option<u64>,
    mut told: impl FnMut(u64),
) -> io::Result<Examination> {
    let asked = claims.iter().map(|claim| claim.checkpoint.size).collect();
    let from = match since {
        Some(size) => beginning(segments, size)?,
        None => 0,
    };
    let chain = claims.first().and_then(|claim| claim.checkpoint.origin.rsplit('/').next());
    let examined = if from > 0 { Examination::resumed(asked) } else { Examination::new(asked) };
    let mut examined = examined.of_chain(chain.map(str::to_owned));
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(8));
    let mut bytes = 0;
    for (at, segment) in segments.iter().enumerate().skip(from) {
        examined.begin(segment.number);
        let end = reader::read(&segment.path, 0, |offset, lines| {
            examined.take(offset, lines, threads);
            told(bytes + offset + lines.len() as u64);
            if examined.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        bytes += end.bytes;
        if examined.is_over() {
            break;
        }
        examined.end(end, at + 1 == segments.len());
    }
    Ok(examined)
}

/// The last segment before which no more than `size` records stand; the first where none says so.
fn beginning(segments: &[Segment], size: u64) -> io::Result<usize> {
    for (at, segment) in segments.iter().enumerate().rev() {
        if before(segment)?.is_some_and(|frontier| frontier.size() <= size) {
            return Ok(at);
        }
    }
    Ok(0)
}

/// The tree before a segment, as its opening record says.
fn before(segment: &Segment) -> io::Result<Option<Frontier>> {
    let line = reader::first_line(&segment.path)?;
    let said = line.and_then(|line| Facts::of(&line, 0, "").said.ok());
    Ok(said.and_then(|said| match said.marker.as_deref() {
        Some(Marker::Opened { frontier, .. }) => Some(frontier.clone()),
        _ => None,
    }))
}

/// The leaves of a trail, and the lines (without newlines) of the records from `first` to `last`.
#[derive(Debug)]
pub struct Leaves {
    /// The tree of all records.
    pub tree: Tree,
    /// The records before the first that is there.
    pub base: u64,
    /// The lines that were asked for.
    pub lines: Vec<Vec<u8>>,
}

/// Reads the leaves of a trail up to `size` records, without looking at what they say.
///
/// # Errors
/// Where a file cannot be read.
pub fn leaves(segments: &[Segment], size: u64, (first, last): (u64, u64)) -> io::Result<Leaves> {
    let base = match segments.first() {
        Some(segment) => before(segment)?.unwrap_or_default(),
        None => Frontier::new(),
    };
    let mut seq = base.size();
    let mut leaves = Leaves { base: seq, tree: Tree::new(base), lines: Vec::new() };
    for segment in segments {
        reader::read(&segment.path, 0, |offset, lines| {
            for (_, line) in reader::lines(offset, lines) {
                if seq >= size {
                    return ControlFlow::Break(());
                }
                seq += 1;
                leaves.tree.push(leaf_hash(line));
                if (first..=last).contains(&seq) {
                    leaves.lines.push(line.to_vec());
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::line::LONGEST_LINE;

    #[test]
    fn a_tail_that_no_server_leaves_behind_its_checkpoints_is_told() {
        let dir = std::env::temp_dir().join(format!("spotify-mcp-survey-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let with = |tail: &[u8]| {
            std::fs::write(dir.join(CHECKPOINTS), tail).unwrap();
            checkpoints(&dir).unwrap().1.into_iter().map(|problem| problem.code).collect::<Vec<_>>()
        };
        assert!(with(b"{\"note\":\"torn").is_empty(), "a server that was killed");
        for length in [LONGEST_TAIL as usize + 1, LONGEST_LINE + (256 << 10)] {
            assert_eq!(with(&vec![0; length]), ["AUDIT_CHECKPOINT_UNREADABLE"], "{length}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
