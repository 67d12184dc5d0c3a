//! One record after the other: its number, its link, its segment, its epoch. Never: looking at signatures.

use super::{Examination, Place, Removal, Suspicion, nothing_before, reader};
use crate::audit::line::{Facts, Marker, Said};

/// What a check says of a record that is not right.
type Wrong = (&'static str, String);

fn wrong(code: &'static str, what: impl Into<String>) -> Result<(), Wrong> {
    Err((code, what.into()))
}

impl Examination {
    /// Takes in the next record.
    pub(super) fn step(&mut self, facts: Facts) {
        let Some(number) = self.current.as_ref().map(|current| current.number) else { return };
        let here = Place { file: reader::name(number), offset: facts.offset };
        let said = match &facts.said {
            Ok(said) => said,
            Err(why) => {
                return self.fail("AUDIT_RECORD_UNREADABLE", Some(self.seq + 1), Some(here), *why);
            }
        };
        let fits = self.begins(said, number).and_then(|()| self.follows(said));
        if let Err((code, what)) = fits {
            return self.fail(code, Some(self.seq + 1), Some(here), what);
        }
        if let Some(suspicion) = self.suspicion.take() {
            self.problem = Some(suspicion.settled(Some(&said.prev)));
            return;
        }
        if said.prev != self.hash {
            let before = (self.seq, self.place.clone());
            self.suspicion = Some(Suspicion { before, here: (said.seq, here.clone()), hash: facts.hash });
        } else if let Err((code, what)) = self.keeps_its_segment(said, number) {
            return self.fail(code, Some(said.seq), Some(here), what);
        }
        self.advance(&facts, said, here);
    }

    /// At the first record that is read at all: where the trail begins.
    fn begins(&mut self, said: &Said, number: u32) -> Result<(), Wrong> {
        if self.seq > 0 || self.frontier.size() > 0 || self.place.is_some() {
            return Ok(());
        }
        match said.marker.as_deref() {
            Some(Marker::Opened { frontier, previous, keys, .. }) if said.epoch > 0 => {
                (self.seq, self.base, self.hash) = (frontier.size(), frontier.size(), *previous);
                self.frontier = frontier.clone();
                self.keys = keys.iter().map(|key| (frontier.size(), key.clone())).collect();
                self.epoch = said.epoch;
                self.answer();
            }
            _ if number == 1 && said.epoch == 0 => {}
            _ => {
                return wrong(
                    "AUDIT_SEGMENT_NOT_OPENED",
                    "the segment does not begin with its opening record",
                );
            }
        }
        if self.seq == 0 && !nothing_before(&said.prev) {
            return wrong("AUDIT_RECORD_CHANGED", "the first record of the chain names another before it");
        }
        Ok(())
    }

    /// Number and chain.
    fn follows(&self, said: &Said) -> Result<(), Wrong> {
        let expected = self.seq + 1;
        if !said.of_chain {
            return wrong("AUDIT_CHAIN_FOREIGN", "the record is of another chain");
        }
        if said.seq == expected {
            return Ok(());
        }
        if said.prev == self.hash {
            let what = format!("record {expected} was changed: it has the number {}", said.seq);
            return wrong("AUDIT_RECORD_CHANGED", what);
        }
        if said.seq < expected {
            let what = format!("record {} stands here, where record {expected} belongs", said.seq);
            return wrong("AUDIT_RECORD_MISPLACED", what);
        }
        let what = match said.seq - expected {
            1 => format!("record {expected} is missing: record {} stands in its place", said.seq),
            _ => format!("the records {expected} to {} are missing before record {}", said.seq - 1, said.seq),
        };
        wrong("AUDIT_RECORD_MISSING", what)
    }

    /// Opening, closing and epoch.
    fn keeps_its_segment(&self, said: &Said, number: u32) -> Result<(), Wrong> {
        let Some(current) = &self.current else { return Ok(()) };
        if current.closed {
            return wrong("AUDIT_SEGMENT_CLOSED", "a record stands after the segment's closing record");
        }
        let marker = said.marker.as_deref();
        let opens = matches!(marker, Some(Marker::Opened { .. }));
        if current.lines > 0 && opens {
            return wrong("AUDIT_SEGMENT_OPENING", "an opening record stands in the middle of a segment");
        }
        if current.lines == 0 && said.epoch > 0 && !opens {
            return wrong("AUDIT_SEGMENT_NOT_OPENED", "the segment does not begin with its opening record");
        }
        let may_rise = match marker {
            Some(Marker::KeyChanged(_)) => true,
            Some(Marker::Opened { .. }) => self.epoch == 0,
            _ => false,
        };
        if said.epoch != self.epoch + u32::from(may_rise) {
            return wrong("AUDIT_EPOCH", format!("its key epoch is {}, after {}", said.epoch, self.epoch));
        }
        match marker {
            Some(marker) => self.is_true(marker, number),
            None => Ok(()),
        }
    }

    /// What a record says of the trail against what stands there.
    fn is_true(&self, marker: &Marker, here: u32) -> Result<(), Wrong> {
        let in_force = self.keys.last().map(|(_, key)| key);
        match marker {
            Marker::Opened { number, frontier, previous, keys } => {
                let known = in_force.is_none_or(|key| keys.first() == Some(key));
                if *number != here || *frontier != self.frontier || *previous != self.hash {
                    return wrong(
                        "AUDIT_SEGMENT_OPENING",
                        "the opening record is not of what stands before it",
                    );
                }
                if keys.len() != 1 || !known {
                    return wrong(
                        "AUDIT_SEGMENT_OPENING",
                        "the opening record names another key than is in force",
                    );
                }
            }
            Marker::Closed { number, count, tree_size } => {
                let lines = self.current.as_ref().map_or(0, |current| current.lines) + 1;
                if (*number, *count, *tree_size) != (here, lines, self.seq + 1) {
                    return wrong(
                        "AUDIT_SEGMENT_CLOSING",
                        "the closing record counts other records than are there",
                    );
                }
            }
            Marker::Removed { last, tree_size } => {
                if *last >= here || *tree_size > self.seq {
                    return wrong("AUDIT_REMOVAL", "the record speaks of the removal of what is not past");
                }
            }
            Marker::KeyChanged(change) => {
                if in_force.is_none_or(|key| *key != change.old) {
                    return wrong("AUDIT_KEY_CHANGE", "the record replaces another key than is in force");
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, facts: &Facts, said: &Said, here: Place) {
        (self.seq, self.hash, self.place) = (said.seq, facts.hash, Some(here));
        self.epoch = said.epoch;
        self.frontier.append(facts.leaf);
        self.answer();
        self.times.note(said.time, said.seq);
        let mut closes = false;
        match said.marker.as_deref() {
            Some(Marker::Opened { keys, .. }) if self.keys.is_empty() => {
                self.keys.extend(keys.iter().map(|key| (said.seq, key.clone())));
            }
            Some(Marker::Closed { .. }) => closes = true,
            Some(Marker::Removed { last, tree_size }) => {
                let (last, tree_size) = (*last, *tree_size);
                self.removed.push(Removal { last, tree_size, seq: said.seq, time: said.time });
            }
            Some(Marker::KeyChanged(change)) => {
                self.keys.push((said.seq, change.new.clone()));
                self.changes.push((**change).clone());
            }
            Some(Marker::Opened { .. }) | None => {}
        }
        if let Some(current) = &mut self.current {
            current.lines += 1;
            current.closed |= closes;
        }
    }

    /// Remembers the root, where somebody asked for it at this size.
    fn answer(&mut self) {
        let size = self.frontier.size();
        while let Some(asked) = self.asked.get(self.answered).filter(|asked| **asked <= size) {
            if *asked == size {
                self.roots.push((size, self.frontier.root()));
            }
            self.answered += 1;
        }
    }
}

impl super::Times {
    const fn note(&mut self, time: i64, seq: u64) {
        let back = self.latest.saturating_sub(time);
        if back > 0 {
            self.back += 1;
            if back > self.furthest {
                (self.furthest, self.furthest_seq) = (back, seq);
            }
        } else {
            self.latest = time;
        }
    }
}
