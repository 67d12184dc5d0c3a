//! What signed notes claim of a trail: checkpoints beside it, marks in the database, anchors on another host. Never:
//! believing a claim; [`super::judge`] looks at signatures.

use serde::Deserialize;

use super::{Place, Problem};
use crate::audit::CHECKPOINTS;
use crate::audit::note::{Checkpoint, Note, NoteError};
use crate::audit::reader;

/// Where a claim comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file of checkpoints in the trail's folder, from this byte on.
    Checkpoints(u64),
    /// The mark in the database.
    Database,
    /// A file that was kept elsewhere.
    Anchor(String),
    /// A checkpoint that was verified earlier.
    Since(String),
}

impl Source {
    /// For people.
    pub fn in_words(&self) -> String {
        match self {
            Self::Checkpoints(_) => "the checkpoint beside the trail".to_owned(),
            Self::Database => "the mark in the database".to_owned(),
            Self::Anchor(file) => format!("the anchor in {file}"),
            Self::Since(file) => format!("the earlier checkpoint in {file}"),
        }
    }

    /// Whether it is kept where whoever can write the trail cannot write.
    pub const fn is_outside(&self) -> bool {
        !matches!(self, Self::Checkpoints(_))
    }

    /// The place in the trail's folder.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Checkpoints(offset) => Some(Place { file: CHECKPOINTS.to_owned(), offset: *offset }),
            _ => None,
        }
    }
}

/// A signed statement that a log has this size and root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where it comes from.
    pub source: Source,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note that says it.
    pub note: Note,
    /// When it was made, as whoever keeps it says: nobody signed that.
    pub at: Option<String>,
    /// The chain's key epoch, as the file of checkpoints says.
    pub epoch: Option<u32>,
}

#[derive(Deserialize)]
struct Line {
    at: Option<String>,
    epoch: Option<u32>,
    note: String,
    size: Option<u64>,
}

impl Claim {
    /// Reads a note that is a checkpoint.
    ///
    /// # Errors
    /// What keeps it from being one.
    pub fn parse(note: &str, source: Source) -> Result<Self, NoteError> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(note.text()).ok_or(NoteError::Malformed)?;
        Ok(Self { source, checkpoint, note, at: None, epoch: None })
    }

    /// Reads one line of a file of checkpoints (without its newline).
    ///
    /// # Errors
    /// What keeps it from being one.
    pub fn of_line(line: &[u8], source: Source) -> Result<Self, NoteError> {
        let line: Line = serde_json::from_slice(line).map_err(|_unspecific| NoteError::Malformed)?;
        let claim = Self::parse(&line.note, source)?;
        if line.size.is_some_and(|size| size != claim.checkpoint.size) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { at: line.at, epoch: line.epoch, ..claim })
    }
}

/// Takes in complete lines of the file of checkpoints that begin at this offset.
pub fn of_checkpoints(offset: u64, lines: &[u8], claims: &mut Vec<Claim>, problems: &mut Vec<Problem>) {
    for (at, line) in reader::lines(offset, lines) {
        let source = Source::Checkpoints(at);
        let place = source.place();
        let read = Claim::of_line(line, source);
        let wrong = |code, what: String| Problem { code, seq: None, place: place.clone(), what };
        match read {
            Ok(claim) => {
                let newest = claims.last().map_or(0, |last: &Claim| last.checkpoint.size);
                if claim.checkpoint.size < newest {
                    let what =
                        format!("a checkpoint of {} records follows one of {newest}", claim.checkpoint.size);
                    problems.push(wrong("AUDIT_CHECKPOINT_MISPLACED", what));
                }
                claims.push(claim);
            }
            Err(NoteError::Unsigned) => {
                problems.push(wrong("AUDIT_UNSIGNED", "the checkpoint is not signed".to_owned()));
            }
            Err(_) => problems.push(wrong("AUDIT_CHECKPOINT_UNREADABLE", "this is no checkpoint".to_owned())),
        }
    }
}

/// The claims in a file that was kept elsewhere: notes one after the other, or lines of a file of checkpoints, each
/// perhaps behind what a log collector wrote before it. The error is the number of the line that is neither.
///
/// # Errors
/// The first line (from 1) that belongs to no note.
pub fn of_anchor(text: &str, source: &Source) -> Result<Vec<Claim>, usize> {
    let (mut claims, mut note, mut signed, mut began) = (Vec::new(), String::new(), false, 1_usize);
    for (number, line) in (1..).zip(text.lines()) {
        if signed && !line.starts_with('\u{2014}') {
            claims.push(Claim::parse(&note, source.clone()).map_err(|_| began)?);
            (note, signed) = (String::new(), false);
        }
        if note.is_empty() {
            began = number;
            if line.trim().is_empty() {
                continue;
            }
            if let Some(at) = line.find('{') {
                claims.push(Claim::of_line(&line.as_bytes()[at..], source.clone()).map_err(|_| number)?);
                continue;
            }
        }
        signed |= line.starts_with('\u{2014}');
        note.push_str(line);
        note.push('\n');
    }
    if !note.is_empty() {
        claims.push(Claim::parse(&note, source.clone()).map_err(|_| began)?);
    }
    Ok(claims)
}
