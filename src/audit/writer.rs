//! The writer: one thread that turns queued events into lines, many to a write and a sync (group commit).
//!
//! A failed write or sync takes the trail back to what was last known durable. Callers that wait are told so;
//! notes stay and are written as soon as the disk takes them. Never: dropping a note, or blocking the executor.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::draft::Draft;
use super::queue::{Queue, Taken, Work};
use super::record::{Chain, ZERO_HASH};
use super::segment::{OpenError, Trail};
use super::{Ack, Stamped};
use crate::ambient::{Clock, Dice};
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::EventId;
use crate::failure::Failure;

/// A note is durable after at most this long.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// So many notes are synced without waiting for that.
const SYNC_AT: usize = 1024;
/// How long after a failed write the writer tries again by itself.
const RETRY: Duration = Duration::from_millis(250);
/// How long a shutdown waits for a disk that refuses.
const LAST_TRIES: Duration = Duration::from_secs(5);
/// How many row ids are remembered, to recognise rows that come again.
const REMEMBERED: usize = 65_536;

/// Opens the trail and starts the thread.
pub(super) fn start(
    dir: &Path,
    limit: u64,
    queue: Arc<Queue>,
    clock: Clock,
    dice: Dice,
) -> Result<(), OpenError> {
    let (trail, tail) = Trail::open(dir)?;
    let uid = || EventId::mint(dice.bytes());
    let chain = tail.chain.unwrap_or_else(|| Chain {
        uid: uid().as_str().trim_start_matches("e_").to_owned(),
        seq: 0,
        prev: ZERO_HASH.to_owned(),
    });
    let mut backlog = Vec::new();
    if tail.torn > 0 {
        let event = Event::new(EventCode::AuditTailRepaired).detail("bytes", tail.torn.to_string());
        backlog.push(Draft::of(&Stamped { uid: uid(), at: clock.now(), event }, Vec::new()));
    }
    queue.set_durable(trail.number(), trail.len());
    let writer = Writer {
        durable: Mark { len: trail.len(), chain: chain.clone() },
        trail,
        limit,
        chain,
        unsynced: Vec::new(),
        owed: 0,
        backlog,
        seen: Seen::new(tail.recent),
        synced_at: Instant::now(),
        _finish: Finish(queue.clone()),
        queue,
    };
    let spawned = thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run());
    spawned.map(drop).map_err(|source| OpenError::Disk {
        doing: "start the writer of",
        path: dir.to_owned(),
        source,
    })
}

struct Writer {
    trail: Trail,
    limit: u64,
    /// After the last line that was appended.
    chain: Chain,
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
    queue: Arc<Queue>,
    /// Last, so that the trail's lock is free when a caller of `close` goes on.
    _finish: Finish,
}

struct Mark {
    len: u64,
    chain: Chain,
}

/// Lines under construction, and who is to be told about them.
struct Group {
    lines: Vec<u8>,
    chain: Chain,
    notes: Vec<Draft>,
    rows: Vec<EventId>,
    acks: Vec<(usize, Ack)>,
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
            Some(RETRY)
        } else if !self.unsynced.is_empty() {
            Some(SYNC_EVERY.saturating_sub(self.synced_at.elapsed()))
        } else {
            None
        }
    }

    fn write(&mut self, items: Vec<Work>, closing: bool) {
        let fresh_notes = items.iter().filter(|item| matches!(item, Work::Note(_))).count();
        self.owed += fresh_notes;
        let mut group = self.compose(items);
        let pending = self.unsynced.len() + group.notes.len();
        let overdue = pending > 0 && self.synced_at.elapsed() >= SYNC_EVERY;
        let sync = closing || overdue || pending >= SYNC_AT || !group.acks.is_empty();
        match self.put(&group.lines, sync) {
            Ok(()) => {
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
    }

    /// Turns the backlog and the new items into lines, in the order in which they came.
    fn compose(&mut self, items: Vec<Work>) -> Group {
        let mut group = Group {
            lines: Vec::with_capacity(1024 * (items.len() + self.backlog.len())),
            chain: self.chain.clone(),
            notes: Vec::new(),
            rows: Vec::new(),
            acks: Vec::new(),
        };
        for note in std::mem::take(&mut self.backlog) {
            group.note(note);
        }
        for item in items {
            match item {
                Work::Note(note) => group.note(note),
                Work::Record(record, ack) => {
                    group.line(&record);
                    group.acks.push((1, ack));
                }
                Work::Rows(rows, ack) => {
                    group.acks.push((rows.len(), ack));
                    for (uid, row) in rows.into_iter().filter(|(uid, _)| !self.seen.contains(uid)) {
                        group.row(uid, &row);
                    }
                }
            }
        }
        group
    }

    /// Appends the lines, in a new segment where the current one is full, and syncs if asked.
    fn put(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        if !lines.is_empty() {
            if self.trail.len() >= self.limit {
                self.trail.sync()?;
                self.settle();
                self.trail.begin_next()?;
                self.durable.len = 0;
            }
            self.trail.append(lines)?;
        }
        if sync { self.trail.sync() } else { Ok(()) }
    }

    /// All that was appended so far is durable.
    fn settle(&mut self) {
        self.durable = Mark { len: self.trail.len(), chain: self.chain.clone() };
        self.queue.set_durable(self.trail.number(), self.trail.len());
        self.queue.take_back(self.unsynced.drain(..).map(Draft::into_memory));
        self.synced_at = Instant::now();
        if self.backlog.is_empty() {
            self.queue.release(std::mem::take(&mut self.owed));
        }
        if !self.queue.is_writable() {
            tracing::warn!("the audit trail can be written again");
            self.queue.set_writable(true);
        }
    }

    /// Goes back to what is durable; the notes after it wait in the backlog.
    fn back_out(&mut self, notes: Vec<Draft>) {
        self.trail.rewind(self.durable.len);
        self.chain = self.durable.chain.clone();
        self.backlog.append(&mut self.unsynced);
        self.backlog.extend(notes);
    }

    /// Tells the callers that wait, and gives their room back.
    fn tell(&mut self, acks: Vec<(usize, Ack)>, error: Option<&io::Error>) {
        if let Some(error) = error
            && self.queue.is_writable()
        {
            tracing::error!(%error, "the audit trail cannot be written: operations that need it fail until it can");
            self.queue.set_writable(false);
        }
        for (rows, ack) in acks {
            self.queue.release(rows);
            // A caller that went away does not take its event back.
            let _ = ack.send(error.map_or(Ok(()), |error| {
                Err(Failure::caused(
                    "writing the audit trail",
                    io::Error::new(error.kind(), error.to_string()),
                ))
            }));
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

impl Group {
    fn note(&mut self, note: Draft) {
        self.line(&note);
        self.notes.push(note);
    }

    fn row(&mut self, uid: EventId, row: &Draft) {
        if !self.rows.contains(&uid) {
            self.line(row);
            self.rows.push(uid);
        }
    }

    fn line(&mut self, draft: &Draft) {
        self.chain.append(draft, &mut self.lines);
    }
}

/// The ids of recent records, first in first out.
struct Seen {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Seen {
    fn new(recent: Vec<EventId>) -> Self {
        let mut seen = Self { ids: HashSet::new(), order: VecDeque::new() };
        seen.extend(recent);
        seen
    }

    fn contains(&self, id: &EventId) -> bool {
        self.ids.contains(id)
    }

    fn extend(&mut self, ids: Vec<EventId>) {
        for id in ids {
            if self.ids.insert(id.clone()) {
                self.order.push_back(id);
            }
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
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
