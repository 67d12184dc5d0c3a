//! A record before it has its place in the chain: written out at once by whoever causes it, so that the writer only
//! joins and hashes, and an event that waits for its sync is one small piece of memory.
//!
//! Never takes an event's text for a place to fill.

use std::cell::RefCell;
use std::io;

use serde::Serialize;

use super::Stamped;
use super::record::Record;

/// A record but for its place in the chain.
#[derive(Debug)]
pub(super) struct Draft {
    text: Box<[u8]>,
    /// Where a [`GAP`] stands for the record's number, the chain's name, and the hash of the record before.
    gaps: [usize; 3],
    /// The event's code, for the log.
    pub(super) code: &'static str,
}

/// What stands in a draft for what is not known yet: how JSON says nothing, which no other field of a record does.
const GAP: &[u8] = b"null";

impl Draft {
    /// Writes an event as a record.
    ///
    /// # Errors
    /// Where it has no form in JSON, which none of our types lacks.
    pub(super) fn of(stamped: &Stamped) -> Result<Self, serde_json::Error> {
        LINE.with_borrow_mut(|line| {
            line.text.clear();
            line.noted = 0;
            serde_json::to_writer(&mut *line, &Record::new(stamped))?;
            if line.noted != line.gaps.len() {
                return Err(serde::ser::Error::custom("a record has three places to fill"));
            }
            Ok(Self { text: line.text.as_slice().into(), gaps: line.gaps, code: stamped.event.code().name() })
        })
    }

    /// Adds the line to `out` with the record's number, the chain's name and the hash of the record before.
    ///
    /// # Errors
    /// None that could come: text is written into memory.
    pub(super) fn fill(
        &self,
        out: &mut Vec<u8>,
        (number, uid, prev): (u64, &str, &str),
    ) -> Result<(), serde_json::Error> {
        let [number_at, uid_at, prev_at] = self.gaps;
        let after = |gap: usize| gap + GAP.len();
        out.extend_from_slice(&self.text[..number_at]);
        serde_json::to_writer(&mut *out, &number)?;
        out.extend_from_slice(&self.text[after(number_at)..uid_at]);
        serde_json::to_writer(&mut *out, uid)?;
        out.extend_from_slice(&self.text[after(uid_at)..prev_at]);
        serde_json::to_writer(&mut *out, prev)?;
        out.extend_from_slice(&self.text[after(prev_at)..]);
        Ok(())
    }
}

thread_local! {
    /// Where each thread writes its drafts.
    static LINE: RefCell<Line> = const { RefCell::new(Line { text: Vec::new(), gaps: [0; 3], noted: 0 }) };
}

/// A line that is being written, and where its gaps are.
struct Line {
    text: Vec<u8>,
    gaps: [usize; 3],
    noted: usize,
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A value right behind its key: what is written of a text follows a quotation mark or an escape.
        if bytes == GAP && self.text.last() == Some(&b':') {
            if let Some(gap) = self.gaps.get_mut(self.noted) {
                *gap = self.text.len();
            }
            self.noted += 1;
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A field that is filled in later.
#[derive(Serialize)]
pub(super) struct Gap;
