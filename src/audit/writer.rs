//! The writer: one thread that turns queued events into lines, many to a write and a sync (group commit).
//!
//! A failed write or sync takes the trail back to what was last known durable. Callers that wait are told so;
//! notes stay and are written as soon as the disk takes them; the gap is on record. Never: dropping a note, or blocking
//! the executor.

mod gap;
mod group;
mod upkeep;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::checkpoints::{Checkpoints, Marked};
use super::draft::Draft;
use super::queue::{Queue, Taken, Work};
use super::record::Chain;
use super::segment::{OpenError, Trail};
use super::signer::Signer;
use super::{Ack, Pace, Settings, Stamped, Standing, Unwritten};
use crate::ambient::{Clock, Dice};
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::EventId;
use group::{Group, Seen};

/// A note is durable after at most this long.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// So many notes are synced without waiting for that.
const SYNC_AT: usize = 1024;
/// How long after a failed write the writer tries again by itself.
const RETRY: Duration = Duration::from_millis(250);
/// How long a shutdown waits for a disk that refuses.
const LAST_TRIES: Duration = Duration::from_secs(5);

/// Opens the trail and starts the thread.
pub(super) fn start(
    settings: Settings,
    queue: Arc<Queue>,
    signed: watch::Sender<Option<Marked>>,
    (clock, dice): (Clock, Dice),
) -> Result<Standing, OpenError> {
    let (trail, checkpoints, tail) = Trail::open(&settings.dir)?;
    let uid = || EventId::mint(dice.bytes());
    let fresh = || Chain::new(uid().as_str().trim_start_matches("e_").to_owned());
    let chain = tail.chain.unwrap_or_else(fresh);
    let standing = Standing { chain_uid: chain.uid.clone(), size: chain.seq() };
    let mut backlog = Vec::new();
    if tail.torn > 0 {
        let event = Event::new(EventCode::AuditTailRepaired).detail("bytes", tail.torn.to_string());
        backlog.push(Draft::of(&Stamped::of_nobody(event, &clock, &dice), Vec::new()));
    }
    let marked = tail.signed.as_ref().map_or(0, |signed| signed.size);
    if let (Some(last), Some(key)) = (tail.signed, tail.key.clone()) {
        signed.send_replace(Some(Marked { signed: last, chain_uid: chain.uid.clone(), key }));
    }
    queue.set_durable(trail.number(), trail.len());
    let writer = Writer {
        durable: Mark { len: trail.len(), chain: chain.clone(), lines: tail.lines },
        trail,
        limit: settings.segment_bytes,
        chain,
        lines: tail.lines,
        unsynced: Vec::new(),
        owed: 0,
        backlog,
        seen: Seen::new(tail.recent),
        synced_at: Instant::now(),
        key: tail.key,
        vkey: settings.signer.vkey(&standing.chain_uid),
        signer: settings.signer,
        former: None,
        pace: settings.pace,
        checkpoints,
        marked,
        marked_at: None,
        refused_at: None,
        refused: 0,
        signed,
        clock,
        dice,
        _finish: Finish(queue.clone()),
        queue,
    };
    let spawned = thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run());
    let path = settings.dir;
    spawned.map_err(|source| OpenError::Disk { doing: "start the writer of", path, source })?;
    Ok(standing)
}

struct Writer {
    trail: Trail,
    limit: u64,
    /// After the last line that was appended.
    chain: Chain,
    /// Lines in the current segment.
    lines: u64,
    /// What is known to be on disk.
    durable: Mark,
    /// Notes that were appended and not yet synced: kept in case the sync fails.
    unsynced: Vec<Draft>,
    /// Notes that the disk refused: written first when it takes them.
    backlog: Vec<Draft>,
    /// Room in the queue that the notes above still hold.
    owed: usize,
    seen: Seen,
    synced_at: Instant,
    /// The key that the chain says signs, in its text form.
    key: Option<String>,
    signer: Signer,
    /// The signer's key in its text form.
    vkey: String,
    /// The key before, until a checkpoint is signed by both.
    former: Option<Signer>,
    pace: Pace,
    checkpoints: Checkpoints,
    /// Records in the last checkpoint.
    marked: u64,
    marked_at: Option<Instant>,
    /// When the disk refused a checkpoint, until it takes one.
    refused_at: Option<Instant>,
    /// How many records were refused to whoever waited for them, since the disk began to.
    refused: u64,
    signed: watch::Sender<Option<Marked>>,
    clock: Clock,
    dice: Dice,
    queue: Arc<Queue>,
    /// Last, so that the trail's lock is free when a caller of `close` goes on.
    _finish: Finish,
}

struct Mark {
    len: u64,
    chain: Chain,
    lines: u64,
}

impl Writer {
    fn run(mut self) {
        if !self.backlog.is_empty() {
            self.write(Vec::new(), true);
        }
        loop {
            let Taken { items, closing } = self.queue.take(self.patience());
            self.write(items, closing);
            if closing {
                return self.drain();
            }
        }
    }

    /// How long to wait for work before there is something to do without any.
    fn patience(&self) -> Option<Duration> {
        if !self.backlog.is_empty() {
            return Some(RETRY);
        }
        let sync = SYNC_EVERY.saturating_sub(self.synced_at.elapsed());
        let sync = (!self.unsynced.is_empty()).then_some(sync);
        sync.into_iter().chain(self.until_checkpoint()).min()
    }

    fn write(&mut self, items: Vec<Work>, closing: bool) {
        let items = self.shorten(items);
        let ready = self.prepare(&items);
        self.owed += items.iter().filter(|item| matches!(item, Work::Note(_))).count();
        let backlog = std::mem::take(&mut self.backlog);
        let mut group = Group::compose(self.chain.clone(), &self.seen, backlog, items);
        let pending = self.unsynced.len() + group.notes.len();
        let overdue = pending > 0 && self.synced_at.elapsed() >= SYNC_EVERY;
        let sync = closing || overdue || pending >= SYNC_AT || !group.acks.is_empty();
        match ready.and_then(|()| self.put(&group.lines, sync)) {
            Ok(()) => {
                self.lines += group.chain.seq() - self.chain.seq();
                self.chain = group.chain;
                self.seen.extend(group.rows);
                self.unsynced.append(&mut group.notes);
                if sync {
                    self.settle();
                }
                self.tell(group.acks, None);
            }
            Err(error) => {
                self.back_out(group.notes);
                self.tell(group.acks, Some(&error));
            }
        }
        if closing || self.until_checkpoint() == Some(Duration::ZERO) {
            self.checkpoint();
        }
    }

    /// Appends the lines, and syncs if asked.
    fn put(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        if !lines.is_empty() {
            self.trail.append(lines)?;
        }
        if sync { self.trail.sync() } else { Ok(()) }
    }

    /// All that was appended so far is durable.
    fn settle(&mut self) {
        self.durable = Mark { len: self.trail.len(), chain: self.chain.clone(), lines: self.lines };
        self.queue.set_durable(self.trail.number(), self.trail.len());
        self.queue.take_back(self.unsynced.drain(..).map(Draft::into_memory));
        self.synced_at = Instant::now();
        if self.backlog.is_empty() {
            self.queue.release(std::mem::take(&mut self.owed));
        }
        self.end_gap();
    }

    /// Goes back to what is durable; the notes after it wait in the backlog.
    fn back_out(&mut self, notes: Vec<Draft>) {
        self.trail.rewind(self.durable.len);
        self.chain = self.durable.chain.clone();
        self.lines = self.durable.lines;
        self.backlog.append(&mut self.unsynced);
        self.backlog.extend(notes);
    }

    /// Tells the callers that wait, and gives their room back.
    fn tell(&mut self, acks: Vec<(usize, Ack)>, error: Option<&io::Error>) {
        if let Some(error) = error {
            self.begin_gap(error);
            self.refused += acks.iter().map(|(rows, _)| *rows as u64).sum::<u64>();
        }
        for (rows, ack) in acks {
            self.queue.release(rows);
            // A caller that went away does not take its event back.
            let _ = ack.send(error.map_or(Ok(()), |error| Err(Unwritten::because(error))));
        }
    }

    /// The last tries, where the disk refuses during a shutdown.
    fn drain(&mut self) {
        let since = Instant::now();
        while !self.backlog.is_empty() && since.elapsed() < LAST_TRIES {
            thread::sleep(RETRY);
            self.write(Vec::new(), true);
        }
        if !self.backlog.is_empty() {
            tracing::error!(
                events = self.backlog.len(),
                "the disk refused the last events of the audit trail"
            );
        }
    }
}

/// However the thread ends, nobody waits for it any longer.
struct Finish(Arc<Queue>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.close();
        self.0.finish();
    }
}
