//! Reads a trail's files without writing any: which segments there are, and their complete lines in large pieces. A
//! server may write them meanwhile: what stands after the last newline is not there yet.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::line::LONGEST_LINE;
pub use crate::reading::open_itself as open;

/// How much is read at once, in bytes.
const PIECE: usize = 4 << 20;

/// One file of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 1.
    pub number: u32,
    /// Where it is.
    pub path: PathBuf,
}

/// What reading a file ended with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Bytes in complete lines.
    pub bytes: u64,
    /// Bytes after the last newline.
    pub torn: u64,
    /// Whether a line is longer than any record: nothing was read from there on.
    pub endless: bool,
}

impl Segment {
    /// The file's name.
    pub fn name(&self) -> String {
        name(self.number)
    }
}

/// The name of a segment's file.
pub fn name(number: u32) -> String {
    format!("audit-{number}.ndjson")
}

/// The segments of a trail, in their order.
///
/// # Errors
/// Where the folder cannot be read.
pub fn segments(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let file = entry.file_name();
        let number =
            file.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".ndjson")?.parse().ok());
        // Only the one way to write it: `audit-01.ndjson` is no segment.
        if let Some(number) = number.filter(|number| file.to_str() == Some(&name(*number))) {
            found.push(Segment { number, path: entry.path() });
        }
    }
    found.sort_unstable_by_key(|segment| segment.number);
    Ok(found)
}

/// Gives the complete lines of a file from `start` on, many at a time with the offset of the first, newlines included.
///
/// # Errors
/// Where the file cannot be read.
pub fn read(path: &Path, start: u64, mut take: impl FnMut(u64, &[u8]) -> ControlFlow<()>) -> io::Result<End> {
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let (mut buffer, mut held, mut at) = (vec![0; PIECE], 0, start);
    loop {
        let read = match file.read(&mut buffer[held..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read == 0 {
            return Ok(End { bytes: at, torn: held as u64, endless: false });
        }
        let filled = held + read;
        let Some(end) = buffer[held..filled].iter().rposition(|byte| *byte == b'\n') else {
            held = filled;
            if held > LONGEST_LINE {
                return Ok(End { bytes: at, torn: 0, endless: true });
            }
            continue;
        };
        let end = held + end + 1;
        if take(at, &buffer[..end]).is_break() {
            return Ok(End { bytes: at + end as u64, torn: 0, endless: false });
        }
        buffer.copy_within(end..filled, 0);
        (held, at) = (filled - end, at + end as u64);
    }
}

/// The lines of a piece with their offsets, without newlines.
pub fn lines(offset: u64, piece: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut at = offset;
    piece.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let here = at;
        at += line.len() as u64;
        (here, line.strip_suffix(b"\n").unwrap_or(line))
    })
}

/// The first line of a file, where there is a complete one.
///
/// # Errors
/// Where the file cannot be read.
pub fn first_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    open(path)?.take(LONGEST_LINE as u64).read_to_end(&mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == b'\n');
    Ok(end.map(|end| {
        bytes.truncate(end);
        bytes
    }))
}
