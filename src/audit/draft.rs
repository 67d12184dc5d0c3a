//! A record before it has its place in the chain: written out at once by whoever causes it, so that the writer only
//! joins and hashes. An event that waits for its sync is one piece of memory, used again for a later one: memory that
//! one thread takes and another gives back makes both wait.

use super::Stamped;
use super::about::About;
use super::record;
use super::text::{self, Filling, GAPS};

/// A record but for its place in the chain.
#[derive(Debug)]
pub(super) struct Draft {
    text: Vec<u8>,
    /// Where the record's number, the chain's name and epoch, and the hash of the record before belong.
    gaps: [usize; GAPS],
    /// The event's code, for the log.
    pub(super) code: &'static str,
}

impl Draft {
    /// Writes an event as a record, into the memory of an earlier one (or none).
    pub(super) fn of(stamped: &Stamped, memory: Vec<u8>) -> Self {
        Self::about(stamped, &About::Nothing, memory)
    }

    /// Writes what the trail says of itself.
    pub(super) fn about(stamped: &Stamped, about: &About, memory: Vec<u8>) -> Self {
        let (text, gaps) = record::write(stamped, about, memory).finish();
        Self { text, gaps, code: stamped.event.code().name() }
    }

    /// The memory, for a later one.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.text
    }

    /// Adds the line to `out`, with its place in the chain.
    pub(super) fn fill(&self, out: &mut Vec<u8>, place: Filling<'_>) {
        text::fill(out, (&self.text, self.gaps), place);
    }
}
