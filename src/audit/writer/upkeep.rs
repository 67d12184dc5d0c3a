//! What the writer adds by itself: segments begin and end with a record of the chain, a change of the key is on record,
//! and what is durable is signed from time to time.

use std::io;
use std::time::{Duration, Instant};

use super::super::Stamped;
use super::super::about::{About, KeyChange, Opening};
use super::super::checkpoints::{Marked, Signed};
use super::super::draft::Draft;
use super::super::mirror;
use super::super::note::{self, Checkpoint};
use super::super::queue::Work;
use super::super::signer::Signer;
use super::{RETRY, Writer};
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;

impl Writer {
    /// Makes the trail ready for what is to be written: the segment has room and says what was before it, and the key
    /// in use is the one that the chain knows.
    pub(super) fn prepare(&mut self, items: &[Work]) -> io::Result<()> {
        for item in items {
            if let Work::Key(signer, _) = item {
                self.adopt(signer);
            }
        }
        if items.is_empty() && self.backlog.is_empty() {
            return Ok(());
        }
        if self.trail.len() >= self.limit && !self.trail.is_closed() {
            self.close_segment()?;
        }
        if self.trail.is_closed() {
            self.trail.begin_next()?;
            self.lines = 0;
            (self.durable.len, self.durable.lines) = (0, 0);
        }
        if self.trail.len() == 0 {
            self.open_segment()?;
        }
        self.change_key()
    }

    /// Lets the checkpoints of what is gone go, where somebody asks for it; gives the work that is left. Where the disk
    /// refuses this, records are not refused for it.
    pub(super) fn shorten(&mut self, items: Vec<Work>) -> Vec<Work> {
        let asks = |item: &Work| matches!(item, Work::Shorten(..));
        if !items.iter().any(asks) {
            return items;
        }
        let (asked, rest) = items.into_iter().partition(asks);
        let asked: Vec<Work> = asked;
        for work in asked {
            if let Work::Shorten(shortened, ack) = work {
                let done = self.checkpoints.replace(&shortened);
                let done = done.map_err(|error| Failure::caused("shortening the file of checkpoints", error));
                // Whoever asked and went away asks again.
                let _ = ack.send(done);
            }
        }
        rest
    }

    fn adopt(&mut self, signer: &Signer) {
        if !self.signer.is(signer) {
            self.former = Some(std::mem::replace(&mut self.signer, signer.clone()));
            self.vkey = self.signer.vkey(&self.chain.uid);
        }
    }

    fn close_segment(&mut self) -> io::Result<()> {
        let about = About::Closing {
            count: self.lines + 1,
            number: self.trail.number(),
            tree_size: self.chain.seq() + 1,
        };
        self.own(EventCode::AuditSegmentClosed, &about)?;
        self.trail.set_closed();
        self.checkpoint();
        Ok(())
    }

    fn open_segment(&mut self) -> io::Result<()> {
        // Records from before any key signed are of no epoch.
        let epoch = self.chain.epoch.max(1);
        let key = self.key.clone().unwrap_or_else(|| self.vkey.clone());
        let about = About::Opening(Opening {
            frontier: self.chain.frontier.encode(),
            key: key.clone(),
            number: self.trail.number(),
            previous: self.chain.prev.clone(),
            tree_size: self.chain.seq(),
        });
        self.chain.epoch = epoch;
        self.own(EventCode::AuditSegmentOpened, &about)?;
        self.key = Some(key);
        Ok(())
    }

    /// Writes down how the key in use followed the one that the chain knows.
    fn change_key(&mut self) -> io::Result<()> {
        let Some(key) = self.key.clone().filter(|key| *key != self.vkey) else { return Ok(()) };
        for change in self.signer.path_from(&self.chain.uid, &key) {
            let new = change.new.clone();
            self.chain.epoch += 1;
            self.own(EventCode::AuditKeyChanged, &About::KeyChange(change))?;
            self.key = Some(new);
        }
        self.checkpoint();
        Ok(())
    }

    /// Writes a record of the trail about itself, and makes it and all before it durable.
    fn own(&mut self, code: EventCode, about: &About) -> io::Result<()> {
        let event = Event::new(code);
        let event = match about {
            About::KeyChange(KeyChange { words: None, .. }) => {
                event.because("no key before it has vouched for the new key")
            }
            _ => event,
        };
        let stamped = Stamped::of_nobody(event, &self.clock, &self.dice);
        let mut line = Vec::new();
        self.chain.append(&Draft::about(&stamped, about, Vec::new()), &mut line);
        self.lines += 1;
        let written = self.put(&line, true);
        match written {
            Ok(()) => {
                self.settle();
                mirror::log(&stamped.event, &stamped.uid);
            }
            Err(_) => self.back_out(Vec::new()),
        }
        written
    }

    /// How long until what is durable is to be signed; nothing where all of it is, or the key is not on record yet.
    pub(super) fn until_checkpoint(&self) -> Option<Duration> {
        let fresh = self.durable.chain.seq().saturating_sub(self.marked);
        if fresh == 0 || self.key.as_ref() != Some(&self.vkey) {
            return None;
        }
        let due = match self.marked_at {
            Some(at) if fresh < self.pace.records => self.pace.every.saturating_sub(at.elapsed()),
            _ => Duration::ZERO,
        };
        let refused = self.refused_at.map_or(Duration::ZERO, |at| RETRY.saturating_sub(at.elapsed()));
        Some(due.max(refused))
    }

    /// Signs what is durable, where that has grown, and keeps it. Where the disk refuses, it is tried again.
    pub(super) fn checkpoint(&mut self) {
        let chain = &self.durable.chain;
        if chain.seq() <= self.marked || self.key.as_ref() != Some(&self.vkey) {
            return;
        }
        let origin = note::origin(&chain.uid);
        let text =
            Checkpoint { origin: origin.clone(), size: chain.seq(), root: chain.frontier.root() }.text();
        let Some(note) = self.signer.sign(&origin, &text, self.former.as_ref()) else { return };
        let signed = Signed {
            at: self.clock.now().rfc3339(),
            epoch: chain.epoch,
            note: note.to_string(),
            size: chain.seq(),
        };
        match self.checkpoints.append(&signed) {
            Ok(()) => {
                (self.marked, self.marked_at) = (signed.size, Some(Instant::now()));
                (self.former, self.refused_at) = (None, None);
                let (chain_uid, key) = (self.chain.uid.clone(), self.vkey.clone());
                self.signed.send_replace(Some(Marked { signed, chain_uid, key }));
            }
            Err(error) => {
                if self.refused_at.replace(Instant::now()).is_none() {
                    let path = self.checkpoints.path().display();
                    tracing::error!(%error, %path, "a checkpoint of the audit trail cannot be written yet");
                }
            }
        }
    }
}
