//! The time in which the disk refuses: when it began and why, and how much was refused meanwhile, is on record as soon as
//! there can be a record. Waiting to be written, these events also have the writer try again, whether anybody comes or not.

use std::io;

use super::super::Stamped;
use super::super::draft::Draft;
use super::super::mirror;
use super::Writer;
use crate::domain::event::{Event, EventCode};

impl Writer {
    /// The disk refuses, perhaps as before.
    pub(super) fn begin_gap(&mut self, error: &io::Error) {
        if self.queue.is_writable() {
            tracing::error!(%error, "the audit trail cannot be written: operations that need it fail until it can");
            self.queue.set_writable(false);
            self.owe(Event::new(EventCode::AuditWriteFailed).failed().because(error.to_string()));
        }
    }

    /// The disk takes records, perhaps as before.
    pub(super) fn end_gap(&mut self) {
        if !self.queue.is_writable() {
            tracing::warn!("the audit trail can be written again");
            self.queue.set_writable(true);
            let refused = std::mem::take(&mut self.refused);
            self.owe(Event::new(EventCode::AuditWriteRecovered).detail("refused", refused.to_string()));
        }
    }

    /// Writes it with whatever is next.
    fn owe(&mut self, event: Event) {
        let stamped = Stamped::of_nobody(event, &self.clock, &self.dice);
        mirror::log(&stamped.event, &stamped.uid);
        self.backlog.push(Draft::of(&stamped, Vec::new()));
    }
}
