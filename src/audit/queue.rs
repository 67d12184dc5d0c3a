//! The bounded queue between the callers (async) and the writer (a thread of its own).
//!
//! A semaphore counts the room, so that callers wait without blocking the executor; a condition variable wakes
//! the writer, which lets notes gather for a moment and comes at once for a caller that waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use super::Ack;
use super::checkpoints::Shortened;
use super::draft::Draft;
use super::signer::Signer;
use crate::domain::ids::EventId;

/// Most records in flight; the next caller waits.
const ROOM: usize = 4096;
/// How long notes gather before they are written: one wake-up and one write for many.
const LINGER: Duration = Duration::from_millis(10);
/// So many items are written without lingering.
const GROUP: usize = 256;
/// So many pieces of memory of written notes are kept for later ones.
const SPARE: usize = 2048;
/// Larger ones (in bytes) are not.
const LARGEST_SPARE: usize = 2048;

/// A place in the trail is one number: a segment has less than a terabyte, and there are fewer than 16 million.
const LENGTH_BITS: u32 = 40;

/// One piece of work for the writer.
pub(super) enum Work {
    /// Nobody waits for it.
    Note(Draft),
    /// Somebody waits until it is durable.
    Record(Draft, Ack),
    /// Rows of the outbox, perhaps for the second time.
    Rows(Vec<(EventId, Draft)>, Ack),
    /// Another key signs from here on.
    Key(Box<Signer>, Ack),
    /// Checkpoints of what is gone go too.
    Shorten(Shortened, Ack),
}

impl Work {
    fn is_awaited(&self) -> bool {
        !matches!(self, Self::Note(_))
    }

    /// The code of the (first) event, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Note(one) | Self::Record(one, _) => one.code,
            Self::Rows(rows, _) => rows.first().map_or("", |(_, row)| row.code),
            Self::Key(..) => "audit_key_changed",
            Self::Shorten(..) => "",
        }
    }
}

pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Semaphore,
    spare: Mutex<Vec<Vec<u8>>>,
    writable: AtomicBool,
    /// See [`Queue::durable`].
    durable: AtomicU64,
    finished: AtomicBool,
    done: Notify,
}

#[derive(Default)]
struct State {
    items: Vec<Work>,
    awaited: bool,
    closing: bool,
}

/// What the writer gets.
pub(super) struct Taken {
    pub(super) items: Vec<Work>,
    pub(super) closing: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            room: Semaphore::new(ROOM),
            spare: Mutex::default(),
            writable: AtomicBool::new(true),
            durable: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            done: Notify::new(),
        }
    }

    /// Adds work of `rows` records, waiting for room. Gives it back where the queue is closed.
    pub(super) async fn push(&self, rows: usize, work: Work) -> Result<(), Work> {
        let Ok(permit) = self.room.acquire_many(u32::try_from(rows).unwrap_or(u32::MAX)).await else {
            return Err(work);
        };
        let mut state = self.lock();
        if state.closing {
            return Err(work);
        }
        permit.forget();
        let awaited = work.is_awaited();
        state.awaited |= awaited;
        state.items.push(work);
        let wake = awaited || state.items.len() == 1 || state.items.len() == GROUP;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// All that is queued, as soon as it should be written; nothing where `patience` runs out before any comes.
    pub(super) fn take(&self, patience: Option<Duration>) -> Taken {
        let asked = Instant::now();
        let mut first_seen = None;
        let mut state = self.lock();
        loop {
            let left = if state.awaited || state.closing || state.items.len() >= GROUP {
                Some(Duration::ZERO)
            } else if state.items.is_empty() {
                patience.map(|patience| patience.saturating_sub(asked.elapsed()))
            } else {
                Some(LINGER.saturating_sub(first_seen.get_or_insert_with(Instant::now).elapsed()))
            };
            state = match left {
                Some(Duration::ZERO) => break,
                Some(left) => self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.awaited = false;
        Taken { items: std::mem::take(&mut state.items), closing: state.closing }
    }

    /// Memory to write a note into: of one that was written, if there is any.
    pub(super) fn memory(&self) -> Vec<u8> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps the memory of notes that are on disk for later ones.
    pub(super) fn take_back(&self, spent: impl Iterator<Item = Vec<u8>>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SPARE - spare.len();
        spare.extend(spent.filter(|memory| memory.capacity() <= LARGEST_SPARE).take(room));
    }

    /// Gives room back for `rows` records that are written, or were refused.
    pub(super) fn release(&self, rows: usize) {
        self.room.add_permits(rows);
    }

    /// How many records are queued or not yet on disk.
    pub(super) fn waiting(&self) -> usize {
        ROOM.saturating_sub(self.room.available_permits())
    }

    /// Up to which byte of which segment the trail is on disk, whatever becomes of what stands after it.
    pub(super) fn durable(&self) -> (u32, u64) {
        let both = self.durable.load(Ordering::Acquire);
        (u32::try_from(both >> LENGTH_BITS).unwrap_or(u32::MAX), both & ((1 << LENGTH_BITS) - 1))
    }

    /// So far it is on disk.
    pub(super) fn set_durable(&self, segment: u32, length: u64) {
        self.durable.store((u64::from(segment) << LENGTH_BITS) | length, Ordering::Release);
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub(super) fn set_writable(&self, writable: bool) {
        self.writable.store(writable, Ordering::Relaxed);
    }

    /// Refuses further work; the writer finishes what is queued.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.room.close();
        self.wake.notify_one();
    }

    /// The writer says that it has ended. Whoever still waits learns it by the loss of the other end.
    pub(super) fn finish(&self) {
        self.lock().items.clear();
        self.finished.store(true, Ordering::SeqCst);
        self.done.notify_waiters();
    }

    /// Waits for [`Queue::finish`].
    pub(super) async fn closed(&self) {
        loop {
            let notified = self.done.notified();
            if self.finished.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
